package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/suanpan/suanpan/internal/child"
)

// supervisor starts parts, keeps them running and stops them. Its methods are
// called by one goroutine; the keepers it starts share only what mu guards.
type supervisor struct {
	dataDir string
	out     io.Writer
	keeping context.Context // ends when stopping begins
	release context.CancelFunc
	keepers sync.WaitGroup
	stages  [][]*part // in the order they were started

	mu    sync.Mutex // guards state, its file, and out
	state State
}

func newSupervisor(dataDir string, out io.Writer) *supervisor {
	self, _ := child.Identify(os.Getpid())
	s := &supervisor{dataDir: dataDir, out: out,
		state: State{Status: Starting, Supervisor: self, Since: time.Now()}}
	s.keeping, s.release = context.WithCancel(context.Background())
	return s
}

// say prints one line.
func (s *supervisor) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// up starts the parts of one stage side by side and returns when all answer.
// After an error the caller must call down, which stops those that did start.
func (s *supervisor) up(ctx context.Context, parts ...*part) error {
	s.stages = append(s.stages, parts)
	errs := make([]error, len(parts))
	var starting sync.WaitGroup
	for i, p := range parts {
		starting.Go(func() { errs[i] = s.bringUp(ctx, p) })
	}
	starting.Wait()
	return errors.Join(errs...)
}

func (s *supervisor) bringUp(ctx context.Context, p *part) error {
	began := time.Now()
	backoff := firstBackoff
	for attempt := 1; ; attempt++ {
		if err := p.start(); err != nil {
			return err
		}
		if err := s.record(p); err != nil {
			return err
		}
		err := p.waitReady(ctx)
		if err == nil {
			break
		}
		if !errors.Is(err, errEnded) || attempt == startAttempts {
			return err
		}
		if !wait(ctx, backoff) {
			return ctx.Err()
		}
		backoff *= 2
	}
	s.say("  %-12s %-28s up in %s", p.name, p.address, since(began))
	s.keepers.Go(func() { s.keep(p) })
	return nil
}

// keep starts the part again whenever it ends, until stopping begins.
func (s *supervisor) keep(p *part) {
	backoff := firstBackoff
	started := time.Now()
	for {
		select {
		case <-s.keeping.Done():
			return
		case <-p.process.Done():
		}
		if s.keeping.Err() != nil {
			return
		}
		if time.Since(started) > steadyAfter {
			backoff = firstBackoff
		}
		s.say("%s ended (%s); starting it again", p.name, reason(p.process.Err()))
		if !wait(s.keeping, backoff) {
			return
		}
		backoff = min(2*backoff, longestBackoff)
		started = time.Now()
		s.restart(p)
	}
}

// restart leaves a part that does not come back to the next turn of keep.
func (s *supervisor) restart(p *part) {
	began := time.Now()
	if err := p.start(); err != nil {
		s.say("%v", err)
		return
	}
	if err := s.record(p); err != nil {
		s.say("cannot record %s: %v", p.name, err)
	}
	err := p.waitReady(s.keeping)
	switch {
	case err == nil:
		s.say("%s is back after %s", p.name, since(began))
	case s.keeping.Err() == nil && !errors.Is(err, errEnded):
		s.say("%v", err)
	}
}

// record writes the new process down at once: after a kill -9 of ourselves
// only the file tells the next supervisor what is ours.
func (s *supervisor) record(p *part) error {
	_, stop := p.command()
	number := syscall.SIGTERM
	if known, ok := stop.(syscall.Signal); ok {
		number = known
	}
	entry := PartState{Name: p.name, Address: p.address, Log: p.log, Process: p.process.Identity(),
		Signal: int(number), Grace: p.grace}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.state.Parts {
		if s.state.Parts[i].Name == p.name {
			entry.Restarts = s.state.Parts[i].Restarts + 1
			s.state.Parts[i] = entry
			return writeState(s.dataDir, s.state)
		}
	}
	s.state.Parts = append(s.state.Parts, entry)
	return writeState(s.dataDir, s.state)
}

// mark writes a new status of the whole stack.
func (s *supervisor) mark(status Status, addresses ...Address) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Status = status
	if len(addresses) > 0 {
		s.state.Addresses = addresses
	}
	return writeState(s.dataDir, s.state)
}

// down stops the stages in reverse order, the parts of one side by side.
func (s *supervisor) down() error {
	s.release()
	s.keepers.Wait()
	errs := []error{s.mark(Stopping)}
	for i := len(s.stages) - 1; i >= 0; i-- {
		var stopping sync.WaitGroup
		for _, p := range s.stages[i] {
			if p.process == nil {
				continue
			}
			stopping.Go(func() {
				if err := p.process.Stop(p.grace); err != nil {
					s.say("%s: %v", p.name, err)
				}
			})
		}
		stopping.Wait()
	}
	return errors.Join(append(errs, removeState(s.dataDir))...)
}

// wait sleeps unless ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func reason(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

func since(t time.Time) string { return time.Since(t).Round(100 * time.Millisecond).String() }
