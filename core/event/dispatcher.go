package event

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
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
	// Log receives trouble of our own; a receiver's failures are rows, not lines.
	Log *slog.Logger
	// Schedule is DefaultSchedule unless set.
	Schedule []time.Duration
	// Poll is how often due deliveries are looked for: 500 ms.
	Poll time.Duration
	// Lease is how long a claimed delivery belongs to the claiming process: 45 s.
	// It must be longer than Timeout.
	Lease time.Duration
	// Timeout bounds one exchange: 15 s.
	Timeout time.Duration
	// Concurrency bounds the exchanges of this process: 32.
	Concurrency int
	// PerEndpoint bounds the exchanges with one endpoint over all processes, so
	// that a slow receiver holds up nobody but itself: 4.
	PerEndpoint int
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
	setDefault(&opts.Concurrency, 32)
	setDefault(&opts.PerEndpoint, 4)
	return &Dispatcher{db: db, opts: opts, sender: newSender(opts.Guard, opts.Timeout)}
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
	slots := make(chan struct{}, d.opts.Concurrency)
	freed := make(chan struct{}, 1)
	tick := time.NewTicker(d.opts.Poll)
	defer tick.Stop()
	for {
		free := cap(slots) - len(slots)
		claimed, err := d.claim(ctx, free)
		if err != nil && ctx.Err() == nil {
			d.opts.Log.Error("webhooks: cannot claim deliveries", "error", err)
		}
		for _, c := range claimed {
			slots <- struct{}{}
			running.Go(func() {
				d.deliver(context.WithoutCancel(ctx), c)
				<-slots
				select {
				case freed <- struct{}{}:
				default:
				}
			})
		}
		// After a full claim there is probably more: go on as soon as a slot is free.
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

// claimed is one delivery that this process may post until its lease ends.
type claimed struct {
	tenant, eventID, endpointID string
	// attempt numbers this try from 1 and fences its record: a process whose lease
	// ran out does not overwrite what its successor recorded.
	attempt int
	message message
}

// claim leases up to limit due deliveries. Tenants take turns, and no endpoint
// gets more than PerEndpoint at a time, so one that never answers cannot starve
// the others.
func (d *Dispatcher) claim(ctx context.Context, limit int) ([]claimed, error) {
	if limit == 0 || ctx.Err() != nil {
		return nil, nil
	}
	var out []claimed
	err := d.db.AsSystem(ctx, func(tx pgx.Tx) error {
		out = nil
		rows, err := tx.Query(ctx, `
			with busy as (
			  select tenant_id, endpoint_id, count(*) as n
			    from webhook_deliveries
			   where leased_until > now() group by tenant_id, endpoint_id
			), due as (
			  select d.tenant_id, d.event_id, d.endpoint_id, d.next_at,
			         row_number() over (partition by d.tenant_id order by d.next_at) as turn
			    from webhook_endpoints e
			    left join busy b on b.tenant_id = e.tenant_id and b.endpoint_id = e.id
			   cross join lateral (
			     select w.tenant_id, w.event_id, w.endpoint_id, w.next_at
			       from webhook_deliveries w
			      where w.tenant_id = e.tenant_id and w.endpoint_id = e.id
			        and w.status = 'pending' and w.next_at <= now()
			        and (w.leased_until is null or w.leased_until <= now())
			      order by w.next_at, w.event_id
			      limit greatest(0, $2 - coalesce(b.n, 0))
			        for update skip locked) d
			   where e.enabled
			), mine as (
			  select tenant_id, event_id, endpoint_id from due order by turn, next_at limit $1
			), leased as (
			  update webhook_deliveries w
			     set attempts = w.attempts + 1, leased_until = now() + $3::interval, last_attempt_at = now()
			    from mine m
			   where w.tenant_id = m.tenant_id and w.event_id = m.event_id and w.endpoint_id = m.endpoint_id
			  returning w.tenant_id, w.event_id, w.endpoint_id, w.attempts
			)
			select l.tenant_id, l.event_id, l.endpoint_id, l.attempts, p.url,
			       (select array_agg(s.secret order by s.id desc) from webhook_secrets s
			         where s.tenant_id = l.tenant_id and s.endpoint_id = l.endpoint_id
			           and (s.expires_at is null or s.expires_at > now())),
			       v.id, v.type, v.object_id, v.sequence, v.data, v.created_at
			  from leased l
			  join webhook_endpoints p on p.tenant_id = l.tenant_id and p.id = l.endpoint_id
			  join events v on v.tenant_id = l.tenant_id and v.id = l.event_id`,
			limit, d.opts.PerEndpoint, d.opts.Lease)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, scanClaimed)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("event: claim deliveries: %w", err)
	}
	return out, nil
}

func scanClaimed(row pgx.CollectableRow) (claimed, error) {
	var (
		c claimed
		e Event
	)
	err := row.Scan(&c.tenant, &c.eventID, &c.endpointID, &c.attempt, &c.message.url, &c.message.secrets,
		&e.ID, &e.Type, &e.ObjectID, &e.Sequence, &e.Data, &e.CreatedAt)
	if err != nil {
		return c, err
	}
	c.message.id = e.ID
	c.message.body, err = e.Payload()
	return c, err
}

// Payload is the body of the webhook, equal to what the API shows for the event
// and the same bytes at every retry.
func (e Event) Payload() ([]byte, error) {
	return json.Marshal(struct {
		ID        string          `json:"id"`
		Type      Type            `json:"type"`
		Timestamp time.Time       `json:"timestamp"`
		ObjectID  string          `json:"object_id"`
		Sequence  int             `json:"sequence"`
		Data      json.RawMessage `json:"data"`
	}{e.ID, e.Type, e.CreatedAt.UTC(), e.ObjectID, e.Sequence, e.Data})
}

func (d *Dispatcher) deliver(ctx context.Context, c claimed) {
	a := d.sender.send(ctx, c.message)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// When this fails the lease runs out and the message is sent once more, under
	// the same id: receivers are told to expect that.
	if err := d.record(ctx, c, a); err != nil {
		d.opts.Log.Error("webhooks: cannot record a delivery", "event", c.eventID, "endpoint", c.endpointID, "error", err)
	}
}

func (d *Dispatcher) record(ctx context.Context, c claimed, a answer) error {
	return d.db.AsSystem(ctx, func(tx pgx.Tx) error {
		switch {
		case a.accepted():
			// True whoever holds the lease by now.
			_, err := tx.Exec(ctx, `
				update webhook_deliveries
				   set status = 'delivered', delivered_at = clock_timestamp(), leased_until = null, last_status = $4, last_answer = $5
				 where tenant_id = $1 and event_id = $2 and endpoint_id = $3 and status = 'pending'`,
				c.tenant, c.eventID, c.endpointID, a.status, a.words)
			return err
		case a.gone():
			return errors.Join(
				d.recordFailure(ctx, tx, c, a, "failed", 0),
				disable(ctx, tx, c.tenant, c.endpointID, "gone", "the endpoint answered 410 to another delivery and was disabled"))
		case c.attempt > len(d.opts.Schedule):
			return d.recordFailure(ctx, tx, c, a, "failed", 0)
		default:
			return d.recordFailure(ctx, tx, c, a, "pending", max(jitter(d.opts.Schedule[c.attempt-1]), a.retryAfter))
		}
	})
}

func (d *Dispatcher) recordFailure(ctx context.Context, tx pgx.Tx, c claimed, a answer, status string, wait time.Duration) error {
	_, err := tx.Exec(ctx, `
		update webhook_deliveries
		   set status = $5, next_at = clock_timestamp() + $6::interval, leased_until = null, last_status = nullif($7, 0), last_answer = $8
		 where tenant_id = $1 and event_id = $2 and endpoint_id = $3 and attempts = $4 and status = 'pending'`,
		c.tenant, c.eventID, c.endpointID, c.attempt, status, wait, a.status, a.words)
	return err
}

// jitter spreads d by ±10 %, so that receivers that failed together are not all
// tried again together.
func jitter(d time.Duration) time.Duration {
	if d < 10 {
		return d
	}
	return d - d/10 + rand.N(d/5)
}
