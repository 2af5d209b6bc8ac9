package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"
)

// hit is a fault that met work in flight, with what shows it.
type hit struct {
	At       time.Time     `json:"at"`
	Kind     string        `json:"kind"`
	Target   string        `json:"target"`
	Evidence []string      `json:"evidence"` // what was in flight at that moment
	Waited   time.Duration `json:"waited"`   // for work to be in flight
	Length   time.Duration `json:"length,omitempty"`
	Recovery time.Duration `json:"recovery,omitempty"`
	Note     string        `json:"note,omitempty"`
}

// hits collects them. Safe for concurrent use.
type hits struct {
	mu     sync.Mutex
	list   []hit
	missed []string
}

func (h *hits) add(one hit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, one)
}

func (h *hits) miss(s step, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missed = append(h.missed, fmt.Sprintf("%s: %v", s, err))
}

func (h *hits) all() ([]hit, []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]hit(nil), h.list...), append([]string(nil), h.missed...)
}

// flightPatience is how long a fault waits for work to be in flight.
const (
	flightPatience = 60 * time.Second
	flightLooks    = 300 * time.Microsecond
)

var errIdle = errors.New("nothing was in flight")

// awaitFlight looks until there is work in flight at the target and returns what.
func awaitFlight(ctx context.Context, look func() []string) ([]string, error) {
	deadline := time.Now().Add(flightPatience)
	for {
		if found := look(); len(found) > 0 {
			return found, nil
		}
		if time.Now().After(deadline) || !rest(ctx, flightLooks) {
			return nil, errIdle
		}
	}
}

// inFlight tells what a process is in the middle of: requests of clients that it
// has not answered, calls to a provider without an answer, transactions that
// wrote and have not committed.
func (f *field) inFlight(p *process) []string {
	if !p.isUp() {
		return nil
	}
	var found []string
	for i, name := range []string{"api-1", "api-2"} {
		if operation := f.load.busy(i); name == p.name && operation != "" {
			found = append(found, operation)
		}
	}
	if p.kind == "api" && len(found) == 0 {
		return nil // sweeps alone are not what a kill of an API is to hit
	}
	ways := f.platform.net.of(p.name, "")
	if p.kind == "postgres" || p.kind == "sandbox" {
		ways = f.platform.net.of("", p.name)
	}
	for _, w := range ways {
		if busy := w.busy(); busy != "" {
			found = append(found, fmt.Sprintf("%s: %s", w.name, busy))
		}
	}
	sort.Strings(found)
	return found
}

// onWay tells what is under way on a link.
func (f *field) onWay(w *way) []string {
	if busy := w.busy(); busy != "" {
		return []string{w.name + ": " + busy}
	}
	if w.speaks != opaque || time.Since(time.Unix(0, w.touched.Load())) > 50*time.Millisecond {
		return nil
	}
	// gRPC cannot be looked into: bytes are passing, and the process is in the middle of something.
	return f.inFlight(f.platform.find(w.from))
}
