// Package returns owns when a provider is asked whether money that it paid has come
// back: ever more seldom, for as long as that is thought possible. The times stand in
// the rows of those who paid it, so that nothing waits for days in a timer.
//
// It knows no noun and books nothing: the packages of the nouns pass their table and
// require a workflow for each look.
package returns

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/status"
)

// First is how long after the payment the provider is asked for the first time. Each
// time after that, twice as long has passed.
const First = 6 * time.Hour

// Look is a question that is due.
type Look struct {
	Tenant, ID string
	DueAt      time.Time
}

// Cause names the look among those for its object.
func (l Look) Cause() string { return l.DueAt.UTC().Format("20060102T150405Z") }

// Due takes up to limit looks of all tenants that are due now, and writes into their
// rows (return_look_at) when the next is: never, once watch has passed since the
// payment, after a last look then. paidAt is the SQL expression of the payment's time.
// It needs the system role; several may run at once.
func Due(ctx context.Context, tx pgx.Tx, table status.Table, paidAt string, watch time.Duration, limit int) ([]Look, error) {
	rows, err := tx.Query(ctx, `
		with due as (
			select tenant_id, id, return_look_at as due_at, `+paidAt+` as paid_at from `+string(table)+`
			where return_look_at <= suanpan_now() order by return_look_at limit $3 for update skip locked
		)
		update `+string(table)+` o set return_look_at = case when suanpan_now() < due.paid_at + $1::interval
			then least(due.paid_at + greatest(2 * (suanpan_now() - due.paid_at), $2::interval), due.paid_at + $1::interval) end
		from due where o.tenant_id = due.tenant_id and o.id = due.id
		returning o.tenant_id, o.id, due.due_at`, watch, First, limit)
	if err != nil {
		return nil, fmt.Errorf("%s that may have come back: %w", table, err)
	}
	due, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Look])
	if err != nil {
		return nil, fmt.Errorf("%s that may have come back: %w", table, err)
	}
	return due, nil
}
