package bill

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"
)

const (
	// AlipayLifetime is how long Alipay's download address works.
	AlipayLifetime = 30 * time.Second
	// WeChatPayLifetime is how long WeChat Pay's works.
	WeChatPayLifetime = 5 * time.Minute
)

// File is a bill ready for download.
type File struct {
	// Owner is the merchant it was made for; Date its day, yyyy-mm-dd.
	Owner   string
	Date    string
	Name    string
	Content []byte
}

type stored struct {
	file    File
	expires time.Time
}

// Store keeps files under tokens for a short time, in memory: a restart ends
// all tokens, and the client asks for a new address. Safe for concurrent use.
type Store struct {
	mu    sync.Mutex
	now   func() time.Time
	files map[string]stored
}

// NewStore makes a Store that lives by the given real clock.
func NewStore(now func() time.Time) *Store {
	return &Store{now: now, files: map[string]stored{}}
}

// Put keeps a file for a lifetime and returns its token.
func (s *Store) Put(file File, lifetime time.Duration) string {
	random := make([]byte, 24)
	_, _ = rand.Read(random) // never fails: crypto/rand aborts the process instead
	token := hex.EncodeToString(random)
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, kept := range s.files {
		if s.now().After(kept.expires) {
			delete(s.files, old)
		}
	}
	s.files[token] = stored{file: file, expires: s.now().Add(lifetime)}
	return token
}

// Get returns the file of a token that has not expired.
func (s *Store) Get(token string) (File, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.files[token]
	if !ok || s.now().After(kept.expires) {
		return File{}, false
	}
	return kept.file, true
}
