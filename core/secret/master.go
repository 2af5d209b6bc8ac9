package secret

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// keySize is the length of master and data keys in bytes: AES-256.
const keySize = 32

// KeyWrapper is a master key, here or in a key management service. Wrap and Unwrap
// authenticate the context: what was wrapped for another one does not unwrap.
// Implementations are safe for concurrent use and put no key into an error.
type KeyWrapper interface {
	// ID names the key for ever, in at most 256 characters; it is stored beside what
	// the key wrapped and tells nothing about the key.
	ID() string
	Wrap(ctx context.Context, key, context []byte) ([]byte, error)
	Unwrap(ctx context.Context, wrapped, context []byte) ([]byte, error)
}

// Masters are the master keys a process holds. The first wraps; the others only
// unwrap what was wrapped under them before a rotation.
type Masters []KeyWrapper

// find returns the master key of that id.
func (m Masters) find(keyID string) (KeyWrapper, error) {
	for _, key := range m {
		if key.ID() == keyID {
			return key, nil
		}
	}
	return nil, fmt.Errorf("the data key is wrapped under master key %s, which this process does not hold: "+
		"keep it in the master key file until everything is rewrapped", keyID)
}

// ParseMasters reads the text of a master key file: one key of 32 bytes per line,
// in base64 or hex, the one that wraps first; blank lines and lines that begin
// with # are skipped. Errors name the line and never repeat it.
func ParseMasters(text string) (Masters, error) {
	var masters Masters
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := parseKey(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		local, err := NewLocalKey(key)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if _, err := masters.find(local.ID()); err == nil {
			return nil, fmt.Errorf("line %d: repeats a key of an earlier line", i+1)
		}
		masters = append(masters, local)
	}
	if len(masters) == 0 {
		return nil, errors.New("there is no key in it; make one with `starter secrets new-master-key`")
	}
	return masters, nil
}

func parseKey(line string) ([]byte, error) {
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
	} {
		if key, err := decode(line); err == nil && len(key) == keySize {
			return key, nil
		}
	}
	return nil, errors.New("not 32 bytes in base64 or hex")
}

// NewMasterKeyText draws a new master key in the form ParseMasters reads.
func NewMasterKeyText() string {
	return base64.StdEncoding.EncodeToString(randomBytes(keySize)) + "\n"
}

// LocalKey is a master key in the memory of this process.
type LocalKey struct {
	id   string
	aead cipher.AEAD
}

// NewLocalKey makes a master key of exactly 32 bytes.
func NewLocalKey(key []byte) (*LocalKey, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	if [keySize]byte(key) == [keySize]byte{} {
		return nil, errors.New("the key is all zeros")
	}
	digest := sha256.Sum256(append([]byte("suanpan master key id\x00"), key...))
	return &LocalKey{id: "local:" + hex.EncodeToString(digest[:8]), aead: aead}, nil
}

// ID is the beginning of a digest of the key.
func (k *LocalKey) ID() string { return k.id }

// Wrap seals key.
func (k *LocalKey) Wrap(_ context.Context, key, context []byte) ([]byte, error) {
	return seal(k.aead, nil, key, context), nil
}

// Unwrap opens what Wrap sealed for the same context.
func (k *LocalKey) Unwrap(_ context.Context, wrapped, context []byte) ([]byte, error) {
	return open(k.aead, wrapped, context)
}

// String names the key without telling it.
func (k *LocalKey) String() string { return k.id }

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != keySize {
		return nil, errors.New("a key has 32 bytes")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal appends a random nonce and the sealed text to head.
func seal(aead cipher.AEAD, head, plain, bound []byte) []byte {
	nonce := randomBytes(aead.NonceSize())
	return aead.Seal(append(head, nonce...), nonce, plain, bound)
}

func open(aead cipher.AEAD, sealed, bound []byte) ([]byte, error) {
	if len(sealed) < aead.NonceSize() {
		return nil, ErrNotOpened
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], bound)
	if err != nil {
		return nil, ErrNotOpened
	}
	return plain, nil
}

// randomBytes draws n bytes. rand.Read never fails: without entropy the process ends.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
