package cashier

import (
	"net/netip"
	"sync"
	"time"
)

// Guessing is bounded per address: after guessBurst tokens that do not exist, one
// more may be tried per guessPause.
const (
	guessBurst = 20
	guessPause = 6 * time.Second
	// guessers bounds the memory; when it is full the books are closed and begun anew.
	guessers = 20_000
)

// guessLimit counts tokens that did not exist, by the address they came from. It
// belongs to one process and needs no other: tokens have 128 bits and cannot be
// guessed; this only keeps guessing from costing a database query each.
type guessLimit struct {
	mu   sync.Mutex
	now  func() time.Time
	owed map[netip.Addr]time.Time // until when the address has used up its guesses
}

func newGuessLimit(now func() time.Time) *guessLimit {
	return &guessLimit{now: now, owed: map[netip.Addr]time.Time{}}
}

// wait is how long the address has to wait before its next guess; zero: not at all.
func (g *guessLimit) wait(from netip.Addr) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	owed, known := g.owed[neighbours(from)]
	if !known {
		return 0
	}
	return max(owed.Sub(g.now())-guessBurst*guessPause, 0)
}

// missed counts one token that does not exist.
func (g *guessLimit) missed(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.owed) >= guessers {
		clear(g.owed)
	}
	from = neighbours(from)
	owed := g.owed[from]
	if now := g.now(); owed.Before(now) {
		owed = now
	}
	g.owed[from] = owed.Add(guessPause)
}

// neighbours makes one of all IPv6 addresses that one subscriber has.
func neighbours(from netip.Addr) netip.Addr {
	from = from.Unmap()
	if from.Is6() {
		if prefix, err := from.Prefix(64); err == nil {
			return prefix.Addr()
		}
	}
	return from
}
