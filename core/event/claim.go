package event

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// claimed is one delivery that this process may post until its lease ends.
type claimed struct {
	tenant, eventID, endpointID string
	// attempt numbers this try from 1 and fences its record: a process whose lease
	// ran out does not overwrite what its successor recorded.
	attempt int
	// try numbers it within the present series, from 1.
	try int
	// slow says that its endpoint failed or was slow the last time.
	slow      bool
	startedAt time.Time
	message   message
	// kept are what message is signed with.
	kept kept
}

// sqlClaim leases due deliveries. Tenants take turns; no endpoint and no tenant gets
// more than its share, an endpoint that rests gets nothing, and one that failed
// again and again one try at a time. Those that are slow or failing come in as many
// as the slow lane has places.
const sqlClaim = `
	with clock as (
	  select coalesce($4::timestamptz, clock_timestamp()) as now
	), busy as (
	  select w.tenant_id, w.endpoint_id, count(*) as n
	    from clock, webhook_deliveries w
	   where w.leased_until > clock.now group by w.tenant_id, w.endpoint_id
	), crowd as (
	  select tenant_id, sum(n) as n from busy group by tenant_id
	), due as (
	  select d.*, e.slow or e.failures > 0 as slow, coalesce(c.n, 0) as under_way,
	         row_number() over (partition by d.tenant_id order by d.next_at, d.event_id) as turn
	    from clock
	   cross join webhook_endpoints e
	    left join busy b on b.tenant_id = e.tenant_id and b.endpoint_id = e.id
	    left join crowd c on c.tenant_id = e.tenant_id
	   cross join lateral (
	     select w.tenant_id, w.event_id, w.endpoint_id, w.next_at
	       from webhook_deliveries w
	      where w.tenant_id = e.tenant_id and w.endpoint_id = e.id
	        and w.status = 'pending' and w.next_at <= clock.now
	        and (w.leased_until is null or w.leased_until <= clock.now)
	      order by w.next_at, w.event_id
	      limit greatest(0, case when e.failures >= $7 then 1 else $5 end - coalesce(b.n, 0))
	        for update skip locked) d
	   where e.enabled and e.paused_reason is null and coalesce(e.rests_until <= clock.now, true)
	), lanes as (
	  select *, row_number() over (partition by slow order by turn, next_at) as place from due where turn + under_way <= $6
	), mine as (
	  select * from lanes where not slow or place <= $2 order by turn, next_at limit $1
	), leased as (
	  update webhook_deliveries w
	     set attempts = w.attempts + 1, leased_until = clock.now + $3::interval, last_attempt_at = clock.now
	    from mine m, clock
	   where w.tenant_id = m.tenant_id and w.event_id = m.event_id and w.endpoint_id = m.endpoint_id
	  returning w.tenant_id, w.event_id, w.endpoint_id, w.attempts, w.attempts - w.series_from as try, m.slow, clock.now
	)
	select l.tenant_id, l.event_id, l.endpoint_id, l.attempts, l.try, l.slow, l.now, p.url,
	       k.sealed, k.plain, v.id, v.type, v.object_id, v.sequence, v.data, v.created_at
	  from leased l
	  join webhook_endpoints p on p.tenant_id = l.tenant_id and p.id = l.endpoint_id
	 cross join lateral (
	    select array_agg(s.sealed order by s.id desc) filter (where s.sealed is not null) as sealed,
	           array_agg(s.secret order by s.id desc) filter (where s.secret is not null) as plain
	      from webhook_secrets s
	     where s.tenant_id = l.tenant_id and s.endpoint_id = l.endpoint_id
	       and (s.expires_at is null or s.expires_at > l.now)) k
	  join events v on v.tenant_id = l.tenant_id and v.id = l.event_id`

// claim leases up to limit due deliveries, up to slow of them of the slow lane.
func (d *Dispatcher) claim(ctx context.Context, limit, slow int) ([]claimed, error) {
	if limit <= 0 || ctx.Err() != nil {
		return nil, nil
	}
	var out []claimed
	err := d.db.AsSystem(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sqlClaim, limit, max(0, slow), d.opts.Lease, d.now(),
			d.opts.PerEndpoint, d.opts.PerTenant, d.opts.Tolerance)
		if err != nil {
			return err
		}
		if out, err = pgx.CollectRows(rows, scanClaimed); err != nil {
			return err
		}
		for i := range out {
			if err := d.unseal(ctx, tx, &out[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("event: claim deliveries: %w", err)
	}
	return out, nil
}

// unseal opens what a delivery is signed with.
func (d *Dispatcher) unseal(ctx context.Context, tx pgx.Tx, c *claimed) error {
	secrets, bad, err := c.kept.open(ctx, tx, d.opts.Box, c.tenant, c.endpointID)
	if bad != nil {
		d.opts.Log.Error("webhooks: a signing secret does not open", "tenant", c.tenant, "endpoint", c.endpointID, "error", bad)
	}
	c.message.secrets = secrets
	return err
}

func scanClaimed(row pgx.CollectableRow) (claimed, error) {
	var (
		c claimed
		e Event
	)
	err := row.Scan(&c.tenant, &c.eventID, &c.endpointID, &c.attempt, &c.try, &c.slow, &c.startedAt, &c.message.url,
		&c.kept.sealed, &c.kept.plain, &e.ID, &e.Type, &e.ObjectID, &e.Sequence, &e.Data, &e.CreatedAt)
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
