package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/suanpan/suanpan/internal/child"
)

// Timings of supervision: what dies is started again at once.
const (
	lookEvery     = 100 * time.Millisecond
	restartPause  = 100 * time.Millisecond
	healthyWithin = 90 * time.Second
)

// process is one supervised child.
type process struct {
	name string
	kind string // api, worker, temporal, postgres, sandbox
	// needs must be up before it is started, as a service manager would see to.
	needs   []*process
	command func() (*exec.Cmd, os.Signal)
	ready   func(context.Context) error
	// before runs before each start, back after each time it is up again.
	before func() error
	back   func(context.Context)
	log    string
	grace  time.Duration

	mu      sync.Mutex
	running *child.Process
	up      bool
	starts  int
	killed  time.Time // when it was last killed by us; zero once it is up again
	// recoveries are the times from a kill to being up again.
	recoveries []time.Duration
}

// isUp reports whether the process answered since its last start.
func (p *process) isUp() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up
}

// pid is that of the running process, 0 when none runs.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return 0
	}
	select {
	case <-p.running.Done():
		return 0
	default:
		return p.running.Identity().PID
	}
}

// kill sends SIGKILL to the process of this very start.
func (p *process) kill() error {
	pid := p.pid()
	if pid == 0 {
		return fmt.Errorf("%s does not run", p.name)
	}
	p.mu.Lock()
	p.killed, p.up = time.Now(), false
	p.mu.Unlock()
	return syscall.Kill(pid, syscall.SIGKILL)
}

// broke notes that the process went down with another, though it was not killed itself.
func (p *process) broke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed, p.up = time.Now(), false
}

// signal sends any other signal.
func (p *process) signal(s syscall.Signal) error {
	pid := p.pid()
	if pid == 0 {
		return fmt.Errorf("%s does not run", p.name)
	}
	return syscall.Kill(pid, s)
}

// stack is every process, in the order they need each other.
type stack struct {
	dir       string
	processes []*process
	keeping   context.Context // ends when stopping begins
	release   context.CancelFunc
	keepers   sync.WaitGroup
}

func newStack(dir string) *stack {
	s := &stack{dir: dir}
	s.keeping, s.release = context.WithCancel(context.Background())
	return s
}

func (s *stack) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// add begins to supervise p and waits until it is up.
func (s *stack) add(ctx context.Context, p *process) error {
	p.log, p.grace = s.path("log", p.name+".log"), 20*time.Second
	s.processes = append(s.processes, p)
	s.keepers.Go(func() { s.keep(p) })
	return s.awaitUp(ctx, p)
}

// keep runs the process again whenever it ends, until stopping begins.
func (s *stack) keep(p *process) {
	for s.keeping.Err() == nil {
		if !s.needsMet(p) {
			return
		}
		running, err := start(p)
		if err == nil {
			s.attend(p, running)
		}
		rest(s.keeping, restartPause)
	}
}

// needsMet waits until everything that p needs is up.
func (s *stack) needsMet(p *process) bool {
	for _, needed := range p.needs {
		for !needed.isUp() {
			if !rest(s.keeping, lookEvery) {
				return false
			}
		}
	}
	return true
}

func start(p *process) (*child.Process, error) {
	if p.before != nil {
		if err := p.before(); err != nil {
			return nil, err
		}
	}
	cmd, stop := p.command()
	running, err := child.Start(child.Options{Cmd: cmd, Log: p.log, StopSignal: stop, DieWithParent: true})
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = running
	p.starts++
	return running, nil
}

// attend asks the process whether it is up, until it ends.
func (s *stack) attend(p *process, running *child.Process) {
	for {
		select {
		case <-running.Done():
			p.mu.Lock()
			p.up = false
			p.mu.Unlock()
			return
		case <-s.keeping.Done():
			return
		case <-time.After(lookEvery):
		}
		if p.isUp() {
			continue
		}
		ctx, cancel := context.WithTimeout(s.keeping, 3*time.Second)
		asked := time.Now()
		err := p.ready(ctx)
		cancel()
		if err == nil {
			s.markUp(p, asked)
		}
	}
}

// markUp notes that p answered a question asked after it was last killed.
func (s *stack) markUp(p *process, asked time.Time) {
	p.mu.Lock()
	if p.killed.After(asked) {
		p.mu.Unlock()
		return
	}
	if !p.killed.IsZero() {
		p.recoveries = append(p.recoveries, time.Since(p.killed))
		p.killed = time.Time{}
	}
	p.up = true
	p.mu.Unlock()
	if p.back != nil {
		p.back(s.keeping)
	}
}

// awaitUp waits until all of the processes given are up; without any, all of them.
func (s *stack) awaitUp(ctx context.Context, wanted ...*process) error {
	if len(wanted) == 0 {
		wanted = s.processes
	}
	deadline := time.Now().Add(healthyWithin)
	for _, p := range wanted {
		for !p.isUp() {
			if time.Now().After(deadline) {
				ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
				defer cancel()
				return fmt.Errorf("%s is not up after %s: %w (log: %s)", p.name, healthyWithin, p.ready(ctx), p.log)
			}
			if !rest(ctx, lookEvery) {
				return ctx.Err()
			}
		}
	}
	return nil
}

// find returns the process of that name.
func (s *stack) find(name string) *process {
	for _, p := range s.processes {
		if p.name == name {
			return p
		}
	}
	panic("there is no process " + name)
}

// down stops everything in reverse order.
func (s *stack) down() {
	s.release()
	s.keepers.Wait()
	for i := len(s.processes) - 1; i >= 0; i-- {
		p := s.processes[i]
		if p.running == nil {
			continue
		}
		_ = p.signal(syscall.SIGCONT) // a stopped process hears nothing
		if err := p.running.Stop(p.grace); err != nil {
			fmt.Printf("%s: %v\n", p.name, err)
		}
	}
}

// rest waits for d unless ctx ends first.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
