package event

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// watchEvery is how often the backlog is measured for the metrics.
const watchEvery = 15 * time.Second

// watch shows the backlog in the metrics until ctx ends.
func (d *Dispatcher) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := d.measure(ctx); err != nil && ctx.Err() == nil {
			d.opts.Log.Warn("webhooks: cannot measure the backlog", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// measure reads the backlog of all instances.
func (d *Dispatcher) measure(ctx context.Context) error {
	var pending, due, active, failing, paused, disabled int64
	var oldest int64 // milliseconds
	err := d.db.AsSystem(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			select e.*, d.* from (
			  select count(*) filter (where enabled and paused_reason is null and failures = 0),
			         count(*) filter (where enabled and paused_reason is null and failures > 0),
			         count(*) filter (where enabled and paused_reason is not null),
			         count(*) filter (where not enabled and disabled_reason <> 'deleted')
			    from webhook_endpoints) e, (
			  select count(*),
			         count(*) filter (where late),
			         coalesce(1000 * extract(epoch from max(clock_timestamp() - w.next_at) filter (where late)), 0)::bigint
			    from webhook_deliveries w
			    join webhook_endpoints p on p.tenant_id = w.tenant_id and p.id = w.endpoint_id
			   cross join lateral (select w.next_at <= clock_timestamp() and p.enabled and p.paused_reason is null
			     and coalesce(p.rests_until <= clock_timestamp(), true) as late) l
			   where w.status = 'pending') d`).Scan(&active, &failing, &paused, &disabled, &pending, &due, &oldest)
	})
	if err != nil {
		return fmt.Errorf("event: measure the backlog: %w", err)
	}
	d.opts.Metrics.Backlog(pending, due, time.Duration(oldest)*time.Millisecond, map[string]int64{
		"active": active, "failing": failing, "paused": paused, "disabled": disabled})
	return nil
}
