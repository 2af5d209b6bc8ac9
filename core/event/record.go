package event

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/telemetry"
)

// record writes down what came of a try: in the log, in the delivery, and in how
// its endpoint does; outcome is one of those that are counted. The endpoint's row comes
// before its deliveries', here and wherever else both are locked.
func (d *Dispatcher) record(ctx context.Context, c claimed, a answer) (outcome string, err error) {
	outcome = telemetry.WebhookDelivered
	err = d.db.AsSystem(ctx, func(tx pgx.Tx) (err error) {
		if a.accepted() {
			return d.recordSuccess(ctx, tx, c, a)
		}
		outcome, err = d.recordFailure(ctx, tx, c, a)
		return err
	})
	if err == nil {
		d.opts.Metrics.Tried(outcome, a.took)
	}
	return outcome, err
}

const sqlLog = `
	insert into webhook_attempts (tenant_id, event_id, endpoint_id, attempt, started_at, took_ms, status, answer)
	values ($1, $2, $3, $4, $5, $6, nullif($7, 0), $8) on conflict do nothing`

// recordSuccess is true whoever holds the lease by now.
func (d *Dispatcher) recordSuccess(ctx context.Context, tx pgx.Tx, c claimed, a answer) error {
	slow := a.took >= d.opts.SlowAfter
	batch := &pgx.Batch{}
	batch.Queue(`
		update webhook_endpoints
		   set failures = 0, failing_since = null, told_failing = false, rests_until = null, slow = $3
		 where tenant_id = $1 and id = $2 and (failures > 0 or rests_until is not null or slow <> $3)`,
		c.tenant, c.endpointID, slow)
	batch.Queue(`
		update webhook_deliveries
		   set status = 'delivered', delivered_at = coalesce($6, clock_timestamp()), leased_until = null,
		       last_status = $4, last_answer = $5, last_ms = $7
		 where tenant_id = $1 and event_id = $2 and endpoint_id = $3 and status = 'pending'`,
		c.tenant, c.eventID, c.endpointID, a.status, a.words, d.now(), a.took.Milliseconds())
	batch.Queue(sqlLog, c.logged(a)...)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("event: record a delivery: %w", err)
	}
	return nil
}

func (c claimed) logged(a answer) []any {
	return []any{c.tenant, c.eventID, c.endpointID, c.attempt, c.startedAt, a.took.Milliseconds(), a.status, a.words}
}

func (d *Dispatcher) recordFailure(ctx context.Context, tx pgx.Tx, c claimed, a answer) (outcome string, err error) {
	state, err := d.endpointFailed(ctx, tx, c, a)
	if err != nil {
		return "", err
	}
	if _, err := tx.Exec(ctx, sqlLog, c.logged(a)...); err != nil {
		return "", fmt.Errorf("event: log an attempt: %w", err)
	}
	exhausted := c.try > len(d.opts.Schedule)
	switch {
	case a.gone():
		return telemetry.WebhookFailed, errors.Join(
			d.failDelivery(ctx, tx, c, a, DeliveryFailed, state.now),
			d.endpointGone(ctx, tx, c, state))
	case exhausted && state.failingFor(state.now) >= shortest(d.opts.Schedule):
		// Nothing was taken in all that time, so it is not this event's fault.
		return telemetry.WebhookRetried, errors.Join(
			d.failDelivery(ctx, tx, c, a, DeliveryPending, state.now),
			d.endpointPaused(ctx, tx, c, state))
	case exhausted:
		return telemetry.WebhookFailed, d.failDelivery(ctx, tx, c, a, DeliveryFailed, state.now)
	}
	wait := max(jitter(d.opts.Schedule[c.try-1]), a.retryAfter)
	return telemetry.WebhookRetried, d.failDelivery(ctx, tx, c, a, DeliveryPending, state.now.Add(wait))
}

// shortest is how long a schedule lasts when every jitter shortens it.
func shortest(schedule []time.Duration) (total time.Duration) {
	for _, wait := range schedule {
		total += wait - wait/10
	}
	return total
}

// failDelivery ends the try of a delivery unless another process began the next.
func (d *Dispatcher) failDelivery(ctx context.Context, tx pgx.Tx, c claimed, a answer, status DeliveryStatus, next time.Time) error {
	_, err := tx.Exec(ctx, `
		update webhook_deliveries
		   set status = $5, next_at = $6, leased_until = null, last_status = nullif($7, 0), last_answer = $8, last_ms = $9
		 where tenant_id = $1 and event_id = $2 and endpoint_id = $3 and attempts = $4 and status = 'pending'`,
		c.tenant, c.eventID, c.endpointID, c.attempt, status, next, a.status, a.words, a.took.Milliseconds())
	if err != nil {
		return fmt.Errorf("event: record a failed try: %w", err)
	}
	return nil
}

// endpointState is an endpoint in the transaction that holds its row.
type endpointState struct {
	health
	now    time.Time
	status EndpointStatus
}

// endpointFailed records a failure in the endpoint's row, which it locks, and tells
// the tenant when it has lasted.
func (d *Dispatcher) endpointFailed(ctx context.Context, tx pgx.Tx, c claimed, a answer) (endpointState, error) {
	var s endpointState
	err := tx.QueryRow(ctx, `
		select failures, failing_since, told_failing, rests_until, slow, coalesce($3, clock_timestamp()),
		       case when not enabled then 'disabled' when paused_reason is not null then 'paused' else 'active' end
		  from webhook_endpoints where tenant_id = $1 and id = $2 for no key update`,
		c.tenant, c.endpointID, d.now()).Scan(&s.failures, &s.since, &s.told, &s.rests, &s.slow, &s.now, &s.status)
	if err != nil {
		return s, fmt.Errorf("event: lock endpoint: %w", err)
	}
	s.health = s.failed(s.now, a, d.opts)
	if tell := !s.told && s.failingFor(s.now) >= d.opts.TellAfter; tell {
		s.told = true
		if err := d.tell(ctx, tx, c, WebhookEndpointFailing, s.status, ReasonFailing); err != nil {
			return s, err
		}
	}
	_, err = tx.Exec(ctx, `
		update webhook_endpoints
		   set failures = $3, failing_since = $4, told_failing = $5, rests_until = $6, slow = $7
		 where tenant_id = $1 and id = $2`,
		c.tenant, c.endpointID, s.failures, s.since, s.told, s.rests, s.slow)
	if err != nil {
		return s, fmt.Errorf("event: record an endpoint's failure: %w", err)
	}
	return s, nil
}

// endpointGone disables an endpoint that answered 410, once.
func (d *Dispatcher) endpointGone(ctx context.Context, tx pgx.Tx, c claimed, s endpointState) error {
	if s.status == EndpointDisabled {
		return nil
	}
	return errors.Join(
		disable(ctx, tx, c.tenant, c.endpointID, ReasonGone, "the endpoint answered 410 to another delivery and was disabled"),
		d.tell(ctx, tx, c, WebhookEndpointDisabled, EndpointDisabled, ReasonGone))
}

// endpointPaused pauses an endpoint that took nothing for a whole schedule, once.
func (d *Dispatcher) endpointPaused(ctx context.Context, tx pgx.Tx, c claimed, s endpointState) error {
	if s.status != EndpointActive {
		return nil
	}
	return errors.Join(
		pause(ctx, tx, c.tenant, c.endpointID, ReasonFailing),
		d.tell(ctx, tx, c, WebhookEndpointPaused, EndpointPaused, ReasonFailing))
}

// tell is the alarm: an event for the tenant, which its other endpoints hear of, a
// line in our log and a count. The caller holds the endpoint's row.
func (d *Dispatcher) tell(ctx context.Context, tx pgx.Tx, c claimed, what Type, status EndpointStatus, reason string) error {
	d.opts.Log.Warn("webhooks: an endpoint is in trouble", "what", string(what), "tenant", c.tenant, "endpoint", c.endpointID)
	d.opts.Metrics.Alarmed(string(what))
	_, err := Emit(ctx, tx, c.tenant, News{Type: what, ObjectID: c.endpointID, Data: map[string]string{
		"webhook_endpoint_id": c.endpointID, "status": string(status), "reason": reason}})
	return err
}
