package demo

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress tells a person what happens: a line for everything that is done,
// and on a terminal one more at the end that counts.
type progress struct {
	out      io.Writer
	terminal bool
	began    time.Time

	mu      sync.Mutex
	counted bool // the counting line is on the screen
}

func newProgress(out io.Writer, terminal bool) *progress {
	return &progress{out: out, terminal: terminal, began: time.Now()}
}

// done prints a line that stays.
func (p *progress) done(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	fmt.Fprintf(p.out, "%6.1fs  %s\n", time.Since(p.began).Seconds(), fmt.Sprintf(format, args...))
}

// count rewrites the counting line; without a terminal nothing is shown.
func (p *progress) count(format string, args ...any) {
	if !p.terminal {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	p.counted = true
	fmt.Fprintf(p.out, "%6.1fs  … %s", time.Since(p.began).Seconds(), fmt.Sprintf(format, args...))
}

// clear takes the counting line away.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
}

func (p *progress) wipe() {
	if p.counted {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.counted = false
	}
}
