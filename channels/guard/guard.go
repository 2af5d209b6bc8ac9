package guard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/internal/telemetry"
)

// Limits are what every channel account may use. They are the same for all
// accounts; only Rates differ by channel. The zero value of a field means the
// default in its comment.
type Limits struct {
	// Timeout bounds a call (15 s), Timeouts that of single operations. Both count
	// from when the call is let go to the end of its answer.
	Timeout  time.Duration
	Timeouts map[channel.Operation]time.Duration
	// MaxInFlight is how many calls one account may have under way in this process (16).
	MaxInFlight int
	// The breaker opens when BadPercent (50) of at least MinCalls (10) calls within
	// Window (30 s) had no usable answer or took longer than SlowAfter (8 s). It lets
	// Probes calls (3) through after Pause (15 s) and closes when all of them are well.
	BadPercent, MinCalls, Probes int
	Window, SlowAfter, Pause     time.Duration
	// Rates are calls per second of one identity at its provider, over all instances:
	// by channel ("alipay"), or by channel and operation ("wechatpay/refund"), which
	// are then counted apart. What is not named is not limited.
	Rates map[string]int
	// RateWait is how long a call waits for its turn (2 s).
	RateWait time.Duration
}

func (l Limits) withDefaults() Limits {
	orElse := func(value *time.Duration, normal time.Duration) {
		if *value <= 0 {
			*value = normal
		}
	}
	orElse(&l.Timeout, 15*time.Second)
	orElse(&l.Window, 30*time.Second)
	orElse(&l.SlowAfter, 8*time.Second)
	orElse(&l.Pause, 15*time.Second)
	orElse(&l.RateWait, 2*time.Second)
	for value, normal := range map[*int]int{&l.MaxInFlight: 16, &l.BadPercent: 50, &l.MinCalls: 10, &l.Probes: 3} {
		if *value <= 0 {
			*value = normal
		}
	}
	return l
}

func (l Limits) timeout(op channel.Operation) time.Duration {
	if own, ok := l.Timeouts[op]; ok && own > 0 {
		return own
	}
	return l.Timeout
}

// Ports are what the guard needs from outside. None may be nil but Traces.
type Ports struct {
	// TakeSlots is channel.TakeSlots on the platform's database.
	TakeSlots func(ctx context.Context, identity string, gap time.Duration, wanted int, maxWait time.Duration) (channel.Slots, error)
	// Record and Tell keep what happened. They must not wait; see Log.
	Record func(channel.Call)
	Tell   func(channel.Health)
	// Metrics count what happened.
	Metrics *telemetry.Channels
	// Traces have a span for each call; nil for none.
	Traces *telemetry.Traces
}

// Account names a channel account.
type Account struct {
	Tenant, ID string
	// Identity is who the provider counts the calls per second of (the app or the
	// merchant number), the same for all tenants that use it.
	Identity string
}

// Guards keeps the guard of every channel account in use. It is safe for
// concurrent use.
type Guards struct {
	limits Limits
	ports  Ports
	mu     sync.Mutex
	made   map[string]*account
	pacers map[string]*pacer
}

// New returns Guards under limits.
func New(limits Limits, ports Ports) *Guards {
	return &Guards{limits: limits.withDefaults(), ports: ports, made: map[string]*account{}, pacers: map[string]*pacer{}}
}

// account is the guard of one account. It outlives its adapters, which are made
// anew when keys change.
type account struct {
	Account
	guards  *Guards
	channel string
	room    chan struct{}
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
}

// Wrap returns inner behind the guard of the account. The result has the same
// optional abilities as inner.
func (g *Guards) Wrap(who Account, inner channel.Adapter) channel.Adapter {
	g.mu.Lock()
	defer g.mu.Unlock()
	a, ok := g.made[who.ID]
	if !ok {
		a = &account{Account: who, guards: g, channel: inner.Name(), room: make(chan struct{}, g.limits.MaxInFlight)}
		a.breaker = g.newBreaker(a)
		g.made[who.ID] = a
		g.ports.Metrics.Breaker(a.channel, a.ID, int(gobreaker.StateClosed))
	}
	return shape(&guarded{Adapter: inner, account: a}, abilitiesOf(inner))
}

// What a call tells the breaker.
var (
	errBad     = errors.New("no usable answer, or a slow one")
	errIgnored = errors.New("says nothing about the provider")
)

func (g *Guards) newBreaker(a *account) *gobreaker.TwoStepCircuitBreaker[struct{}] {
	l := g.limits
	const buckets = 10
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  uint32(l.Probes),
		Interval:     l.Window,
		BucketPeriod: l.Window / buckets,
		Timeout:      l.Pause,
		ReadyToTrip: func(seen gobreaker.Counts) bool {
			counted := int(seen.TotalSuccesses + seen.TotalFailures)
			return counted >= l.MinCalls && int(seen.TotalFailures)*100 >= counted*l.BadPercent
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errIgnored) },
		OnStateChange: func(_ string, _, now gobreaker.State) {
			g.ports.Metrics.Breaker(a.channel, a.ID, int(now))
			g.ports.Tell(a.health(now))
		},
	})
}

// health puts the breaker's new state into words for routing.
func (a *account) health(now gobreaker.State) channel.Health {
	l := a.guards.limits
	h := channel.Health{Tenant: a.Tenant, ChannelAccountID: a.ID, Since: time.Now(), State: channel.BreakerClosed}
	switch now {
	case gobreaker.StateOpen:
		h.State, h.OpenFor = channel.BreakerOpen, l.Pause
		h.Reason = fmt.Sprintf("%d %% of the calls within %s, or a probe after them, had no usable answer or took longer than %s",
			l.BadPercent, l.Window, l.SlowAfter)
	case gobreaker.StateHalfOpen:
		h.State, h.Reason = channel.BreakerHalfOpen, "trying whether it is well again"
	}
	return h
}

// pacerOf returns who shares out the calls per second for op, nil when they are
// not limited.
func (a *account) pacerOf(op channel.Operation) *pacer {
	g := a.guards
	of := a.channel + "/" + string(op)
	rate, ok := g.limits.Rates[of]
	if !ok {
		of = a.channel
		rate = g.limits.Rates[of]
	}
	if rate <= 0 {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	key := of + " " + a.Identity
	if _, made := g.pacers[key]; !made {
		g.pacers[key] = &pacer{take: g.ports.TakeSlots, identity: key, gap: time.Second / time.Duration(rate), maxWait: g.limits.RateWait}
	}
	return g.pacers[key]
}
