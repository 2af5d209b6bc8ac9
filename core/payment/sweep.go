package payment

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// IsOver reports whether the payer's time and the grace after it are over on
// the business clock.
func IsOver(ctx context.Context, tx pgx.Tx, p Payment, grace time.Duration) (bool, error) {
	var over bool
	err := tx.QueryRow(ctx, `select suanpan_now() > $1::timestamptz + $2::interval`, p.ExpiresAt, grace).Scan(&over)
	return over, err
}

// ToTell is a payment whose workflow must be told something.
type ToTell struct {
	Tenant    string
	PaymentID string
}

// ClaimOverdue returns up to limit payments of all tenants that still have to be
// driven although their time and grace are over, oldest first, and marks them
// told: each is returned again only after a minute, should it still be so then.
func ClaimOverdue(ctx context.Context, tx pgx.Tx, grace time.Duration, limit int) ([]ToTell, error) {
	rows, err := tx.Query(ctx, `
		update payments set expiry_told_at = clock_timestamp()
		where (tenant_id, id) in (
			select tenant_id, id from payments
			where driven and expires_at + $1::interval < suanpan_now()
			  and (expiry_told_at is null or expiry_told_at < clock_timestamp() - interval '1 minute')
			order by expires_at limit $2 for update skip locked)
		returning tenant_id, id`, grace, limit)
	if err != nil {
		return nil, fmt.Errorf("overdue payments: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[ToTell])
}

// ClaimNews returns up to limit payments of all tenants of which something was
// asked (another attempt, its end) that their workflows have not been told, oldest
// first, and marks them told once tx commits.
func ClaimNews(ctx context.Context, tx pgx.Tx, limit int) ([]ToTell, error) {
	rows, err := tx.Query(ctx, `
		update payments set news_at = null
		where (tenant_id, id) in (
			select tenant_id, id from payments where news_at is not null order by news_at limit $1 for update skip locked)
		returning tenant_id, id`, limit)
	if err != nil {
		return nil, fmt.Errorf("news of payments: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[ToTell])
}
