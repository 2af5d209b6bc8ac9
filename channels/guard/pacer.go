package guard

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/suanpan/suanpan/core/channel"
)

// errNoTurn says that a call would have waited too long for its turn, or that
// nobody could be asked for one.
var errNoTurn = errors.New("no turn within the calls per second")

// askTimeout bounds one question for slots: they are of no use later.
const askTimeout = 3 * time.Second

// pacer shares out the calls per second of one identity. Callers that wait at the
// same time ask the shared row together, so under load a question is for many
// calls, and no slot is taken that nobody uses.
type pacer struct {
	take     func(context.Context, string, time.Duration, int, time.Duration) (channel.Slots, error)
	identity string
	gap      time.Duration
	maxWait  time.Duration

	mu      sync.Mutex
	waiting []chan turn
	asking  bool
}

// turn is when a call may begin, or why it may not.
type turn struct {
	at  time.Time
	err error
}

// wait returns when it is the caller's turn. errNoTurn: it would come too late. The
// context's error: it ended first.
func (p *pacer) wait(ctx context.Context) error {
	mine := make(chan turn, 1)
	p.mu.Lock()
	p.waiting = append(p.waiting, mine)
	if !p.asking {
		p.asking = true
		go p.ask(context.WithoutCancel(ctx))
	}
	p.mu.Unlock()
	select {
	case t := <-mine:
		if t.err != nil {
			return t.err
		}
		return sleepUntil(ctx, t.at)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask gets turns for all who wait, until nobody does.
func (p *pacer) ask(ctx context.Context) {
	for {
		p.mu.Lock()
		waiting := p.waiting
		p.waiting = nil
		p.asking = len(waiting) > 0
		p.mu.Unlock()
		if len(waiting) == 0 {
			return
		}
		bounded, cancel := context.WithTimeout(ctx, askTimeout)
		slots, err := p.take(bounded, p.identity, p.gap, len(waiting), p.maxWait)
		cancel()
		// Counted from now, a turn is later than the shared row means, never earlier.
		first := time.Now().Add(slots.First)
		for i, mine := range waiting {
			if err != nil || i >= slots.Granted {
				mine <- turn{err: errNoTurn}
				continue
			}
			mine <- turn{at: first.Add(time.Duration(i) * p.gap)}
		}
	}
}

func sleepUntil(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
