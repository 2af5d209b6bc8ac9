package cashier

import (
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// limit lets each key act burst times at once, and then once per pause. It belongs
// to one process and needs no other: it keeps one caller from costing much, and
// what may be done how often in all is decided where it is done.
type limit struct {
	burst int
	pause time.Duration
	now   func() time.Time
	mu    sync.Mutex
	owed  map[string]time.Time // until when the key has used up what it did
}

// limitedKeys bounds the memory; when it is full the books are closed and begun anew.
const limitedKeys = 20_000

func newLimit(burst int, pause time.Duration) *limit {
	return &limit{burst: burst, pause: pause, now: time.Now, owed: map[string]time.Time{}}
}

// wait is how long key has to wait before it may act; zero: not at all.
func (l *limit) wait(key string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	owed, known := l.owed[key]
	if !known {
		return 0
	}
	return max(owed.Sub(l.now())-time.Duration(l.burst)*l.pause, 0)
}

// count notes that key acted.
func (l *limit) count(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.owed) >= limitedKeys {
		clear(l.owed)
	}
	owed, now := l.owed[key], l.now()
	if owed.Before(now) {
		owed = now
	}
	l.owed[key] = owed.Add(l.pause)
}

// limits are those of the pages. Addresses are shared by many payers behind one
// mobile network, so theirs are wide; a checkout's token is one payer's, and each
// of its open tabs asks every two seconds at most.
type limits struct {
	guesses              *limit // tokens that do not exist, by address
	clicks, looks        *limit // by address
	clicksOfOne, lookups *limit // by the token of a checkout
}

func newLimits() limits {
	return limits{
		guesses:     newLimit(20, 6*time.Second),
		clicks:      newLimit(100, 500*time.Millisecond),
		looks:       newLimit(600, 50*time.Millisecond),
		clicksOfOne: newLimit(20, 3*time.Second),
		lookups:     newLimit(120, 250*time.Millisecond),
	}
}

// wait counts the request and returns how long it has to wait; zero: go on.
func (l limits) wait(r *http.Request, from netip.Addr) time.Duration {
	address, checkout := neighbours(from).String(), r.PathValue("token")
	byAddress, byToken := l.looks, l.lookups
	if r.Method == http.MethodPost {
		byAddress, byToken = l.clicks, l.clicksOfOne
	}
	pause := max(l.guesses.wait(address), byAddress.wait(address))
	if isCheckout(r) {
		pause = max(pause, byToken.wait(checkout))
	}
	if pause > 0 {
		return pause
	}
	byAddress.count(address)
	if isCheckout(r) {
		byToken.count(checkout)
	}
	return 0
}

// missed counts a token that does not exist. Tokens have 130 random bits and cannot
// be guessed; this keeps guessing from costing a query each.
func (l limits) missed(from netip.Addr) { l.guesses.count(neighbours(from).String()) }

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
