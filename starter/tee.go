package main

import (
	"io"
	"sync"
)

// tee writes to the log and, until leave, to the parent that waits for the
// stack to come up. A parent that is gone is no reason to fail.
type tee struct {
	log io.Writer

	mu     sync.Mutex
	parent io.WriteCloser // nil after leave
}

func (t *tee) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.parent != nil {
		_, _ = t.parent.Write(p)
	}
	return t.log.Write(p)
}

func (t *tee) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.parent != nil {
		_ = t.parent.Close()
		t.parent = nil
	}
}
