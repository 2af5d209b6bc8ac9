package event

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// sqlAgain makes a delivery that came to its end due once more: its schedule begins
// anew, and it goes out under the same id, with the same bytes.
const sqlAgain = `status = 'pending', series_from = webhook_deliveries.attempts, next_at = clock_timestamp(), delivered_at = null`

// RedeliverEvent has one event delivered again: to the endpoint named, whatever it
// asks for, or, when endpointID is empty, to every endpoint that asks for its type
// now or heard of it. It returns the deliveries that are due. One that is due
// already, or under way, is not queued twice. It returns fault.NotFound when there
// is no such event or endpoint, and a fault.Refused when the endpoint is disabled or
// nobody asks for the event.
func RedeliverEvent(ctx context.Context, tx pgx.Tx, tenant, eventID, endpointID string) ([]Delivery, error) {
	if _, err := Get(ctx, tx, tenant, eventID); err != nil {
		return nil, err
	}
	if endpointID != "" {
		e, err := GetEndpoint(ctx, tx, tenant, endpointID)
		if err != nil {
			return nil, err
		}
		if e.Status == EndpointDisabled {
			return nil, notActive(e)
		}
	}
	rows, err := tx.Query(ctx, `
		insert into webhook_deliveries (tenant_id, event_id, endpoint_id)
		select h.tenant_id, h.id, e.id
		  from events h
		  join webhook_endpoints e on e.tenant_id = h.tenant_id and e.enabled
		 where h.tenant_id = $1 and h.id = $2
		   and (e.id = $3 or $3 = '' and (`+sqlAsked+` or exists (
		     select from webhook_deliveries d where d.tenant_id = $1 and d.event_id = $2 and d.endpoint_id = e.id)))
		on conflict (tenant_id, event_id, endpoint_id) do update
		   set `+sqlAgain+` where webhook_deliveries.status <> 'pending' or webhook_deliveries.leased_until is null
		returning `+deliveryColumns, tenant, eventID, endpointID)
	if err != nil {
		return nil, fmt.Errorf("event: redeliver: %w", err)
	}
	due, err := pgx.CollectRows(rows, scanDelivery)
	if err != nil {
		return nil, fmt.Errorf("event: redeliver: %w", err)
	}
	if len(due) == 0 && endpointID == "" {
		return nil, fault.Refused("", "no_webhook_endpoint", "No webhook endpoint asks for this event; name one to have it delivered there.")
	}
	return due, nil
}

// RedeliveryScope says what of a range is delivered again.
type RedeliveryScope string

const (
	// RedeliverMissed: what was given up, or happened while the endpoint was disabled
	// or did not exist.
	RedeliverMissed RedeliveryScope = "missed"
	// RedeliverAll: also what was delivered.
	RedeliverAll RedeliveryScope = "all"
)

// RedeliveryStatus says who acts next on a redelivery.
type RedeliveryStatus string

const (
	// RedeliveryRunning: a sweep queues the next batch.
	RedeliveryRunning RedeliveryStatus = "running"
	// RedeliveryDone: everything of the range is queued. Final.
	RedeliveryDone RedeliveryStatus = "done"
	// RedeliveryCancelled: the endpoint was deleted or disabled meanwhile. Final.
	RedeliveryCancelled RedeliveryStatus = "cancelled"
)

// MaxRedeliveryRange bounds the time that one redelivery covers.
const MaxRedeliveryRange = 31 * 24 * time.Hour

// Redelivery has the events of a range of time delivered again to one endpoint, as
// far as it asks for them now.
type Redelivery struct {
	ID         string
	EndpointID string
	// CreatedFrom is inclusive, CreatedTo is not; both on the business clock.
	CreatedFrom, CreatedTo time.Time
	Scope                  RedeliveryScope
	Status                 RedeliveryStatus
	// Position is up to when the range has been looked at, nil at the beginning.
	Position *time.Time
	// Examined and Queued count the events looked at and those made due.
	Examined, Queued int64
	CreatedAt        time.Time
	FinishedAt       *time.Time
}

// NewRedelivery is what StartRedelivery needs.
type NewRedelivery struct {
	EndpointID             string
	CreatedFrom, CreatedTo time.Time
	Scope                  RedeliveryScope
}

// StartRedelivery begins a redelivery; the sweep goes on with it. It returns
// fault.NotFound for an unknown endpoint, a fault.Invalid naming created_to for an
// empty or too long range, and a fault.Refused for a disabled endpoint or one whose
// last redelivery still runs.
func StartRedelivery(ctx context.Context, tx pgx.Tx, tenant string, n NewRedelivery) (Redelivery, error) {
	switch length := n.CreatedTo.Sub(n.CreatedFrom); {
	case length <= 0:
		return Redelivery{}, fault.Invalid("created_to", "range_empty", "created_to must be later than created_from.")
	case length > MaxRedeliveryRange:
		return Redelivery{}, fault.Invalid("created_to", "range_too_long", "A redelivery covers at most 31 days; make several.")
	}
	e, err := lockEndpoint(ctx, tx, tenant, n.EndpointID)
	if err != nil {
		return Redelivery{}, err
	}
	if e.Status == EndpointDisabled {
		return Redelivery{}, notActive(e)
	}
	// What is still to happen is queued as it happens.
	var now time.Time
	if err := tx.QueryRow(ctx, `select suanpan_now()`).Scan(&now); err != nil {
		return Redelivery{}, fmt.Errorf("event: read the clock: %w", err)
	}
	if now.Before(n.CreatedTo) {
		n.CreatedTo = now
	}
	if !n.CreatedFrom.Before(n.CreatedTo) {
		return Redelivery{}, fault.Invalid("created_from", "range_empty", "created_from lies in the future.")
	}
	rows, err := tx.Query(ctx, `
		insert into webhook_redeliveries (tenant_id, id, endpoint_id, created_from, created_to, scope)
		select $1, $2, $3, $4, $5, $6
		 where not exists (select from webhook_redeliveries where tenant_id = $1 and endpoint_id = $3 and status = 'running')
		returning `+redeliveryColumns, tenant, id.New(id.Redelivery), n.EndpointID, n.CreatedFrom, n.CreatedTo, n.Scope)
	if err != nil {
		return Redelivery{}, fmt.Errorf("event: start redelivery: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanRedelivery)
	if errors.Is(err, pgx.ErrNoRows) {
		return Redelivery{}, fault.Refused("", "redelivery_running", "A redelivery to this endpoint still runs; wait until it is done.")
	}
	if err != nil {
		return Redelivery{}, fmt.Errorf("event: start redelivery: %w", err)
	}
	return r, nil
}

const redeliveryColumns = `id, endpoint_id, created_from, created_to, scope, status, position_at, examined, queued, created_at, finished_at`

func scanRedelivery(row pgx.CollectableRow) (Redelivery, error) {
	var r Redelivery
	err := row.Scan(&r.ID, &r.EndpointID, &r.CreatedFrom, &r.CreatedTo, &r.Scope, &r.Status, &r.Position, &r.Examined, &r.Queued,
		&r.CreatedAt, &r.FinishedAt)
	return r, err
}

// GetRedelivery returns one redelivery to an endpoint, or fault.NotFound.
func GetRedelivery(ctx context.Context, q pg.Querier, tenant, endpointID, redeliveryID string) (Redelivery, error) {
	rows, err := q.Query(ctx, `select `+redeliveryColumns+` from webhook_redeliveries
		where tenant_id = $1 and endpoint_id = $2 and id = $3`, tenant, endpointID, redeliveryID)
	if err != nil {
		return Redelivery{}, fmt.Errorf("event: get redelivery: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanRedelivery)
	if errors.Is(err, pgx.ErrNoRows) {
		return Redelivery{}, fault.NotFound()
	}
	if err != nil {
		return Redelivery{}, fmt.Errorf("event: get redelivery: %w", err)
	}
	return r, nil
}

// redeliveryBatch is how many events one step looks at, and how many deliveries may
// be due to an endpoint before the next step waits: what happens meanwhile waits
// behind no more than two batches.
const redeliveryBatch = 500

// AdvanceRedeliveries queues the next batch of one running redelivery whose
// endpoint has little due, and returns how many events it looked at; 0 when there
// was nothing to do. Any number of processes may call it. It needs the system role.
func AdvanceRedeliveries(ctx context.Context, tx pgx.Tx) (int, error) {
	var tenant, redeliveryID string
	var alive bool
	err := tx.QueryRow(ctx, `
		select r.tenant_id, r.id, e.enabled
		  from webhook_redeliveries r
		  join webhook_endpoints e on e.tenant_id = r.tenant_id and e.id = r.endpoint_id
		 where r.status = 'running' and (not e.enabled or (
		   select count(*) from (select from webhook_deliveries d
		     where d.tenant_id = r.tenant_id and d.endpoint_id = r.endpoint_id and d.status = 'pending' limit $1) due) < $1)
		 order by r.position_at nulls first limit 1
		   for update of r skip locked`, redeliveryBatch).Scan(&tenant, &redeliveryID, &alive)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("event: find redelivery: %w", err)
	}
	if !alive {
		_, err := tx.Exec(ctx, `update webhook_redeliveries set status = 'cancelled', finished_at = clock_timestamp()
			where tenant_id = $1 and id = $2`, tenant, redeliveryID)
		if err != nil {
			return 0, fmt.Errorf("event: cancel redelivery: %w", err)
		}
		return 0, nil
	}
	var examined int
	err = tx.QueryRow(ctx, `
		with job as (
		  select * from webhook_redeliveries where tenant_id = $1 and id = $2
		), batch as (
		  select v.tenant_id, v.id, v.type, v.created_at
		    from job j, events v
		   where v.tenant_id = $1 and v.created_at < j.created_to
		     and (v.created_at, v.id) > (coalesce(j.position_at, j.created_from), j.position_id)
		   order by v.created_at, v.id limit $3
		), queued as (
		  insert into webhook_deliveries (tenant_id, event_id, endpoint_id)
		  select h.tenant_id, h.id, e.id
		    from batch h, job j
		    join webhook_endpoints e on e.tenant_id = $1 and e.id = j.endpoint_id
		   where `+sqlAsked+`
		  on conflict (tenant_id, event_id, endpoint_id) do update
		     set `+sqlAgain+`
		   where webhook_deliveries.status = 'failed' or webhook_deliveries.status = 'delivered' and (select scope from job) = 'all'
		  returning 1
		), seen as (
		  select count(*) as n, max(created_at) as at, (array_agg(id order by created_at desc, id desc))[1] as id from batch
		)
		update webhook_redeliveries r
		   set position_at = coalesce(s.at, r.position_at), position_id = coalesce(s.id, r.position_id),
		       examined = r.examined + s.n, queued = r.queued + (select count(*) from queued),
		       status = case when s.n < $3 then 'done' else 'running' end,
		       finished_at = case when s.n < $3 then clock_timestamp() end
		  from seen s
		 where r.tenant_id = $1 and r.id = $2
		returning s.n`, tenant, redeliveryID, redeliveryBatch).Scan(&examined)
	if err != nil {
		return 0, fmt.Errorf("event: advance redelivery: %w", err)
	}
	return examined, nil
}
