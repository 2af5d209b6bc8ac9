package account

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/ledger"
)

// ExpireHolds frees what is left of at most limit holds whose time is over, in all
// tenants, tells each tenant of those that it placed, and returns how many there
// were: fewer than limit when no more are due. tx is of the system role. Many
// instances may run it at once.
func ExpireHolds(ctx context.Context, tx pgx.Tx, limit int) (int, error) {
	expired, err := ledger.ExpireDue(ctx, tx, limit)
	if err != nil || len(expired) == 0 {
		return 0, err
	}
	own, err := placedAmong(ctx, tx, expired)
	if err != nil {
		return 0, err
	}
	for _, h := range own {
		_, err := event.Emit(ctx, tx, h.Tenant, event.News{
			Type: event.HoldExpired, ObjectID: h.ID, Data: map[string]string{"hold_id": h.ID, "status": string(ledger.HoldExpired)},
		})
		if err != nil {
			return 0, err
		}
	}
	return len(expired), nil
}

// placedAmong are those holds that tenants placed.
func placedAmong(ctx context.Context, tx pgx.Tx, holds []ledger.ExpiredHold) ([]ledger.ExpiredHold, error) {
	tenants, ids := make([]string, len(holds)), make([]string, len(holds))
	for i, h := range holds {
		tenants[i], ids[i] = h.Tenant, h.ID
	}
	rows, err := tx.Query(ctx, `
		select p.tenant_id, p.id from placed_holds p
		where (p.tenant_id, p.id) in (select * from unnest($1::text[], $2::text[])) order by p.tenant_id, p.id`, tenants, ids)
	if err != nil {
		return nil, fmt.Errorf("expired holds: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[ledger.ExpiredHold])
}
