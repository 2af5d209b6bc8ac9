package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The lanes of the plan.
const (
	laneKills = "kills"
	laneRest  = "rest"
)

const (
	kindKillAll = "kill -9 of everything"
	everything  = "everything"
)

// faultKind is one way in which things go wrong.
type faultKind struct {
	name    string
	lane    string
	weight  int // how often it is drawn; 0 is never by itself
	targets []string
	// shortest and longest bound how long it lasts; 0 where it does not last.
	shortest, longest time.Duration
	// strike does it as soon as work is in flight at the target, and ends it. A
	// fault that found none returns errIdle.
	strike func(context.Context, *field, step) (hit, error)
}

// faultKinds lists every kind. To add one is to add an entry.
func faultKinds() []faultKind {
	const second = time.Second
	toDatabase := []string{"api-1→postgres", "api-2→postgres", "worker-1→postgres", "worker-2→postgres", "temporal→postgres"}
	links := append([]string{"worker-1→sandbox", "worker-2→sandbox", "worker-1→temporal", "worker-2→temporal",
		"api-1→temporal", "api-2→temporal", "sandbox→api", "workers→sink-1", "workers→sink-2"}, toDatabase...)
	ours := []string{"api-1", "api-2", "worker-1", "worker-2", "temporal", "sandbox"}
	return []faultKind{
		{"kill -9 worker", laneKills, 38, []string{"worker-1", "worker-2"}, 0, 0, killOne},
		{"kill -9 api", laneKills, 30, []string{"api-1", "api-2"}, 0, 0, killOne},
		{"kill -9 sandbox", laneKills, 10, []string{"sandbox"}, 0, 0, killOne},
		{"kill -9 temporal", laneKills, 8, []string{"temporal"}, 0, 0, killOne},
		{"kill -9 postmaster", laneKills, 6, []string{"postgres"}, 0, 0, killOne},
		{"kill -9 backend", laneKills, 8, []string{"postgres"}, 0, 0, killBackend},
		{kindKillAll, laneKills, 0, []string{everything}, 0, 0, killAll},
		{"terminate", laneRest, 8, []string{"api-1", "api-2", "worker-1", "worker-2"}, 0, 0, terminate},
		{"stop and continue", laneRest, 20, ours, second, 8 * second, stopAndContinue},
		{"refuse", laneRest, 14, links, second / 2, 5 * second, refuse},
		{"black hole", laneRest, 14, links, second, 8 * second, blackHole},
		{"latency", laneRest, 14, links, 3 * second, 10 * second, latency},
		{"reset_peer", laneRest, 14, links, second / 2, 2 * second, resetPeer},
		{"commit answer lost", laneRest, 20, toDatabase, 0, 0, loseCommit},
		{"sandbox clock", laneRest, 6, []string{"sandbox"}, 5 * second, 15 * second, skewClock},
	}
}

// field is where the faults happen.
type field struct {
	platform *platform
	load     *load
	hits     *hits
	db       *reader
	// quiet is held for writing while everything is down and comes back.
	quiet sync.RWMutex
	said  func(string, ...any)
}

// run carries out both lanes and returns when both are done or ctx ends.
func (f *field) run(ctx context.Context, p plan) {
	var lanes sync.WaitGroup
	for _, steps := range [][]step{p.Kills, p.Rest} {
		lanes.Go(func() {
			for _, s := range steps {
				if !rest(ctx, s.Pause) {
					return
				}
				f.carryOut(ctx, s)
			}
		})
	}
	lanes.Wait()
}

func (f *field) carryOut(ctx context.Context, s step) {
	for _, kind := range faultKinds() {
		if kind.name != s.Kind {
			continue
		}
		if s.Kind == kindKillAll {
			f.quiet.Lock()
			defer f.quiet.Unlock()
		} else {
			f.quiet.RLock()
			defer f.quiet.RUnlock()
		}
		began := time.Now()
		struck, err := kind.strike(ctx, f, s)
		if err != nil {
			f.hits.miss(s, err)
			f.said("MISSED %s: %v", s, err)
			return
		}
		struck.Kind, struck.Target, struck.Length = s.Kind, s.Target, s.Length
		struck.Waited = struck.At.Sub(began)
		f.hits.add(struck)
	}
}

// killOne kills one process in the middle of something.
func killOne(ctx context.Context, f *field, s step) (hit, error) {
	p := f.platform.find(s.Target)
	found, err := awaitFlight(ctx, func() []string { return f.inFlight(p) })
	if err != nil {
		return hit{}, err
	}
	return hit{At: time.Now(), Evidence: found}, p.kill()
}

// killBackend kills the server process of one connection that is in the middle
// of a transaction; PostgreSQL then ends all connections and recovers.
func killBackend(ctx context.Context, f *field, _ step) (hit, error) {
	p := f.platform.find("postgres")
	deadline := time.Now().Add(flightPatience)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		found, err := awaitFlight(ctx, func() []string { return f.inFlight(p) })
		if err != nil {
			return hit{}, err
		}
		pid, query, err := f.db.backend(ctx)
		if err != nil || pid == 0 {
			rest(ctx, flightLooks)
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			continue // it has ended meanwhile
		}
		p.broke()
		return hit{At: time.Now(), Evidence: append(found, query)}, nil
	}
	return hit{}, errIdle
}

// killAll is a power cut as far as processes are concerned; the measured time is
// from there until everything is healthy again.
func killAll(ctx context.Context, f *field, _ step) (hit, error) {
	if err := f.platform.awaitUp(ctx); err != nil {
		return hit{}, err
	}
	var found []string
	_, err := awaitFlight(ctx, func() []string {
		found = nil
		kinds := map[string]bool{}
		for _, p := range f.platform.processes {
			if busy := f.inFlight(p); len(busy) > 0 {
				kinds[p.kind] = true
				found = append(found, busy...)
			}
		}
		if !kinds["api"] || !kinds["worker"] {
			return nil
		}
		return found
	})
	if err != nil {
		return hit{}, err
	}
	at := time.Now()
	for _, p := range f.platform.processes {
		err = errors.Join(err, p.kill())
	}
	if err != nil {
		return hit{}, err
	}
	if err := f.platform.awaitUp(ctx); err != nil {
		return hit{}, err
	}
	return hit{At: at, Evidence: found, Recovery: time.Since(at)}, nil
}

// terminate asks a process to end, as a rolling restart does; it may take its time.
func terminate(ctx context.Context, f *field, s step) (hit, error) {
	p := f.platform.find(s.Target)
	found, err := awaitFlight(ctx, func() []string { return f.inFlight(p) })
	if err != nil {
		return hit{}, err
	}
	return hit{At: time.Now(), Evidence: found}, p.signal(syscall.SIGTERM)
}

// stopAndContinue makes a process stand still, as a paused machine does.
func stopAndContinue(ctx context.Context, f *field, s step) (hit, error) {
	p := f.platform.find(s.Target)
	found, err := awaitFlight(ctx, func() []string { return f.inFlight(p) })
	if err != nil {
		return hit{}, err
	}
	stopped := p.pid()
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return hit{}, err
	}
	at := time.Now()
	rest(ctx, s.Length)
	if p.pid() == stopped { // else it was killed meanwhile
		err = p.signal(syscall.SIGCONT)
	}
	return hit{At: at, Evidence: found}, err
}

// onLink finds the link of a step and waits until something is under way on it.
func onLink(ctx context.Context, f *field, s step) (*way, []string, error) {
	from, to, _ := strings.Cut(s.Target, "→")
	w := f.platform.net.between(from, to)
	found, err := awaitFlight(ctx, func() []string { return f.onWay(w) })
	return w, found, err
}

// refuse cuts the link: connections end and new ones are refused.
func refuse(ctx context.Context, f *field, s step) (hit, error) {
	w, found, err := onLink(ctx, f, s)
	if err != nil {
		return hit{}, err
	}
	at, n := time.Now(), w.refuse()
	rest(ctx, s.Length)
	return hit{At: at, Evidence: found, Note: fmt.Sprintf("%d connections cut", n)}, w.heal()
}

// blackHole lets nothing pass and tells nobody.
func blackHole(ctx context.Context, f *field, s step) (hit, error) {
	w, found, err := onLink(ctx, f, s)
	if err != nil {
		return hit{}, err
	}
	at, before, hole := time.Now(), w.held.Load(), make(chan struct{})
	w.hole.Store(&hole)
	rest(ctx, s.Length)
	return hit{At: at, Evidence: found, Note: fmt.Sprintf("%d chunks held", w.held.Load()-before)}, w.heal()
}

// latency delays every chunk.
func latency(ctx context.Context, f *field, s step) (hit, error) {
	w, found, err := onLink(ctx, f, s)
	if err != nil {
		return hit{}, err
	}
	at, before := time.Now(), w.delayed.Load()
	delay := time.Duration(50+s.Draw%250) * time.Millisecond
	w.delay.Store(int64(delay))
	rest(ctx, s.Length)
	return hit{At: at, Evidence: found, Note: fmt.Sprintf("%d chunks delayed by %s", w.delayed.Load()-before, delay)}, w.heal()
}

// resetPeer resets connections, live ones at once and new ones at their first answer.
func resetPeer(ctx context.Context, f *field, s step) (hit, error) {
	w, found, err := onLink(ctx, f, s)
	if err != nil {
		return hit{}, err
	}
	at, n := time.Now(), w.sever()
	added := w.resets(true)
	rest(ctx, s.Length)
	err = errors.Join(added, w.resets(false))
	w.sever() // what the library left half open
	return hit{At: at, Evidence: found, Note: fmt.Sprintf("%d connections reset", n)}, err
}

// loseCommit lets a transaction commit and loses PostgreSQL's answer to it.
func loseCommit(ctx context.Context, f *field, s step) (hit, error) {
	from, to, _ := strings.Cut(s.Target, "→")
	w := f.platform.net.between(from, to)
	wanted := int64(1 + s.Draw%3)
	before := w.lostCommits.Load()
	w.loseCommits.Store(wanted)
	defer w.loseCommits.Store(0)
	_, err := awaitFlight(ctx, func() []string {
		if w.lostCommits.Load()-before >= wanted {
			return []string{w.name}
		}
		return nil
	})
	lost := w.lostCommits.Load() - before
	if lost == 0 {
		return hit{}, err
	}
	return hit{At: time.Now(), Evidence: []string{fmt.Sprintf("%s: %d commits whose answer was lost", w.name, lost)}}, nil
}

// skewClock moves the providers' business clock away from ours and back.
func skewClock(ctx context.Context, f *field, s step) (hit, error) {
	// Nights move the same clock, and must not come in between.
	f.load.open.RLock()
	defer f.load.open.RUnlock()
	p := f.platform.find("sandbox")
	found, err := awaitFlight(ctx, func() []string { return f.inFlight(p) })
	if err != nil {
		return hit{}, err
	}
	ctx = context.WithoutCancel(ctx)
	seconds := int64(30 + s.Draw%570)
	if s.Draw%2 == 0 {
		seconds = -seconds
	}
	before, err := f.load.provider.now(ctx)
	if err != nil {
		return hit{}, err
	}
	at := time.Now()
	if err := f.load.provider.moveClock(ctx, before.Add(time.Duration(seconds)*time.Second)); err != nil {
		return hit{}, err
	}
	rest(ctx, s.Length)
	err = f.load.provider.moveClock(ctx, before.Add(time.Since(at)))
	return hit{At: at, Evidence: found, Note: fmt.Sprintf("by %d s", seconds)}, err
}

// channelFaults spoils a tenth of the providers' answers for the whole run. The
// sandbox forgets its faults when it dies, so they are armed whenever it is back.
type channelFaults struct {
	provider *provider
	seed     uint64
	mu       sync.Mutex
	on       bool
	counted  map[string]int // hits of sandboxes that are dead
	last     []rule
}

// arm puts the faults in force; the platform calls it at each start of the sandbox.
func (c *channelFaults) arm(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepLast()
	if !c.on {
		return
	}
	c.seed++
	for _, name := range []string{alipay, wechatpay} {
		for i, r := range []rule{{Kind: "lose_reply"}, {Kind: "error_after_success", Answer: "http_502"}, {Kind: "garbage"},
			{Kind: "bad_signature"}, {Kind: "slow", DelayMS: 3000}} {
			r.Provider, r.Rate, r.Seed = name, 0.02, c.seed*10+uint64(i)
			_ = c.provider.control(ctx, http.MethodPost, "faults", r, nil)
		}
	}
}

// look remembers how many answers were spoiled until now.
func (c *channelFaults) look(ctx context.Context) {
	rules, err := c.provider.rules(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && len(rules) > 0 {
		c.last = rules
	}
}

func (c *channelFaults) keepLast() {
	for _, r := range c.last {
		c.counted[r.Kind] += r.Hits
	}
	c.last = nil
}

// end takes the faults away and tells how many answers of each kind were spoiled.
func (c *channelFaults) end(ctx context.Context) (map[string]int, error) {
	c.look(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = false
	c.keepLast()
	return c.counted, c.provider.control(ctx, http.MethodDelete, "faults", nil, nil)
}
