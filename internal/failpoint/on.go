//go:build chaos

package failpoint

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
)

// Enabled reports whether this program was built with failpoints.
const Enabled = true

// plan is what the variables ask of this process.
type plan struct{ record, kill, marker string }

// scope counts the visits of one activity attempt, request, sweep or run.
type scope struct {
	*plan
	name   string
	mu     sync.Mutex
	visits map[string]int
}

type key struct{}

// Load reads the variables and returns a context that carries what they ask for.
func Load(ctx context.Context, environ []string) context.Context {
	p := &plan{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		switch name {
		case VariableRecord:
			p.record = value
		case VariableKill:
			p.kill = value
		case VariableMarker:
			p.marker = value
		}
	}
	if p.record == "" && p.kill == "" {
		return ctx
	}
	return context.WithValue(ctx, key{}, &scope{plan: p})
}

// Scope begins a scope of that name: one activity attempt, one request, one sweep.
func Scope(ctx context.Context, name string) context.Context {
	outer, ok := ctx.Value(key{}).(*scope)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, key{}, &scope{plan: outer.plan, name: name, visits: map[string]int{}})
}

// At visits a place of ctx's scope.
func At(ctx context.Context, place string) {
	s, ok := ctx.Value(key{}).(*scope)
	if !ok || s.name == "" {
		return
	}
	visit := s.count(place)
	if s.record != "" {
		note(s.record, visit)
	}
	if visit == s.kill {
		s.die(visit)
	}
}

// Pass counts a visit that happened in an earlier life of the scope.
func Pass(ctx context.Context, place string) {
	if s, ok := ctx.Value(key{}).(*scope); ok && s.name != "" {
		s.count(place)
	}
}

func (s *scope) count(place string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.visits[place]++
	return fmt.Sprintf("%s/%s#%d", s.name, place, s.visits[place])
}

// note appends one line; a short write to a file opened for appending is whole,
// also between processes.
func note(file, visit string) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(fmt.Sprintf("failpoint: %v", err)) // a visit that is not noted would be a cell that is not run
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString(visit + "\n"); err != nil {
		panic(fmt.Sprintf("failpoint: %v", err))
	}
}

// die kills this process unless the kill has happened.
func (p *plan) die(visit string) {
	f, err := os.OpenFile(p.marker, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_, _ = fmt.Fprintf(f, "%s in process %d\n", visit, os.Getpid())
	_ = f.Close()
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}
