package event

import (
	"context"
	"crypto/x509"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/internal/telemetry"
)

// DefaultSchedule is how long a delivery waits after its first, second, … failed
// try: 18 retries over a little more than a week, even with the jitter of ±10 %
// always short.
func DefaultSchedule() []time.Duration {
	const day = 24 * time.Hour
	return []time.Duration{
		5 * time.Second, 30 * time.Second, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute,
		30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour,
		16 * time.Hour, day, day, day, day, day, day,
	}
}

// DispatcherOptions configure a Dispatcher; zero fields take the defaults named.
type DispatcherOptions struct {
	// Guard decides where webhooks may go. Required.
	Guard *Guard
	// Box opens signing secrets. Required.
	Box *secret.Box
	// Log receives trouble of our own; a receiver's failures are rows, not lines.
	Log *slog.Logger
	// Schedule is DefaultSchedule unless set.
	Schedule []time.Duration
	// Clock is read in the place of the database's when set: a test moves it. All
	// processes must agree on it, so nothing but the database's is right in production.
	Clock func() time.Time
	// Metrics count; nil counts nothing.
	Metrics *telemetry.Webhooks
	// Traces have a span for each try; nil for none.
	Traces *telemetry.Traces
	// Roots are whose certificates are accepted: the system's unless set.
	Roots *x509.CertPool
	// Poll is how often due deliveries are looked for: 500 ms.
	Poll time.Duration
	// Lease is how long a claimed delivery belongs to the claiming process: 45 s.
	// It must be longer than Timeout.
	Lease time.Duration
	// Timeout bounds one exchange: 15 s.
	Timeout time.Duration
	// Concurrency bounds the exchanges of this process: 64.
	Concurrency int
	// SlowLane bounds, within Concurrency, the exchanges with endpoints that failed or
	// took more than SlowAfter the last time: half of Concurrency. However many
	// endpoints hang, the rest of the senders is for those that do not.
	SlowLane  int
	SlowAfter time.Duration
	// PerEndpoint and PerTenant bound the exchanges with one endpoint, and with all of
	// one tenant, over all processes: 4 and 16. Processes that claim in the same
	// moment may together exceed them by as much again.
	PerEndpoint int
	PerTenant   int
	// Tolerance is after how many failures in a row an endpoint rests between tries,
	// one at a time: 5.
	Tolerance int
	// Rest is the first such rest, doubled with each failure up to LongestRest: 5 s
	// and 5 min.
	Rest, LongestRest time.Duration
	// TellAfter is for how long nothing but failures came before the tenant is told: a day.
	TellAfter time.Duration
}

// Dispatcher delivers due webhooks. Any number of processes may run one on the
// same database. A delivery is claimed in one short transaction, posted outside
// of any, and its outcome recorded in another; when the process dies in between,
// the lease runs out and another process posts the same message under the same id.
type Dispatcher struct {
	db     *pg.DB
	opts   DispatcherOptions
	sender *sender
}

// NewDispatcher returns a Dispatcher on db; Run starts it.
func NewDispatcher(db *pg.DB, opts DispatcherOptions) *Dispatcher {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Schedule == nil {
		opts.Schedule = DefaultSchedule()
	}
	setDefault(&opts.Poll, 500*time.Millisecond)
	setDefault(&opts.Lease, 45*time.Second)
	setDefault(&opts.Timeout, sendTimeout)
	setDefault(&opts.Concurrency, 64)
	setDefault(&opts.SlowLane, max(1, opts.Concurrency/2))
	setDefault(&opts.SlowAfter, time.Second)
	setDefault(&opts.PerEndpoint, 4)
	setDefault(&opts.PerTenant, 16)
	setDefault(&opts.Tolerance, 5)
	setDefault(&opts.Rest, 5*time.Second)
	setDefault(&opts.LongestRest, 5*time.Minute)
	setDefault(&opts.TellAfter, 24*time.Hour)
	return &Dispatcher{db: db, opts: opts, sender: newSender(opts.Guard, opts.Timeout, opts.Roots)}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Run delivers until ctx ends, then waits for the exchanges under way to be
// recorded. Database trouble is logged and tried again at the next poll.
func (d *Dispatcher) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	defer d.sender.client.CloseIdleConnections()
	if d.opts.Metrics != nil {
		running.Go(func() { d.watch(ctx) })
	}
	var slots, slowSlots atomic.Int64
	freed := make(chan struct{}, 1)
	tick := time.NewTicker(d.opts.Poll)
	defer tick.Stop()
	for {
		claimed, err := d.claim(ctx, d.opts.Concurrency-int(slots.Load()), d.opts.SlowLane-int(slowSlots.Load()))
		if err != nil && ctx.Err() == nil {
			d.opts.Log.Error("webhooks: cannot claim deliveries", "error", err)
		}
		for _, c := range claimed {
			take(&slots, &slowSlots, c.slow, 1)
			running.Go(func() {
				d.deliver(context.WithoutCancel(ctx), c)
				take(&slots, &slowSlots, c.slow, -1)
				select {
				case freed <- struct{}{}:
				default:
				}
			})
		}
		// After a claim that brought something there is probably more: go on as soon
		// as a slot is free.
		more := freed
		if len(claimed) == 0 {
			more = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-more:
		case <-tick.C:
		}
	}
}

func take(slots, slowSlots *atomic.Int64, slow bool, n int64) {
	slots.Add(n)
	if slow {
		slowSlots.Add(n)
	}
}

// now is the injected clock's time, nil for the database's own.
func (d *Dispatcher) now() *time.Time {
	if d.opts.Clock == nil {
		return nil
	}
	return new(d.opts.Clock())
}

func (d *Dispatcher) deliver(ctx context.Context, c claimed) {
	ctx, span := d.opts.Traces.Webhook(ctx, c.tenant, c.eventID, c.endpointID, c.attempt)
	defer span.End()
	began := time.Now()
	a := d.sender.send(ctx, c.message)
	a.took = time.Since(began)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	outcome, err := d.record(ctx, c, a)
	// When this fails the lease runs out and the message is sent once more, under
	// the same id: receivers are told to expect that.
	if err != nil {
		outcome = "unrecorded"
		d.opts.Log.Error("webhooks: cannot record a delivery", "event", c.eventID, "endpoint", c.endpointID, "error", err)
	}
	span.Answered(outcome, a.status)
}

// jitter spreads d by ±10 %, so that receivers that failed together are not all
// tried again together.
func jitter(d time.Duration) time.Duration {
	if d < 10 {
		return d
	}
	return d - d/10 + rand.N(d/5)
}
