package paymentlink

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/money"
)

// A payment that ended unpaid gives its use back.
const selectLink = `
	select l.id, l.tenant_id, l.merchant_id, l.token, l.subject, l.currency, coalesce(l.amount, 0), coalesce(l.min_amount, 0),
		coalesce(l.max_amount, 0), coalesce(l.return_url, ''), l.expires_at, l.max_uses, l.opened, u.used, u.paid,
		l.status, l.created_at, l.closed_at, coalesce(l.expires_at <= suanpan_now(), false)
	from payment_links l cross join lateral (
		select count(*) filter (where p.status not in ('closed', 'failed')) as used,
			count(*) filter (where p.status = 'succeeded') as paid
		from payments p where p.tenant_id = l.tenant_id and p.payment_link_id = l.id) u `

func scan(row pgx.CollectableRow) (Link, error) {
	var l Link
	var currency money.Currency
	err := row.Scan(&l.ID, &l.TenantID, &l.MerchantID, &l.Token, &l.Subject, &currency, &l.Amount.Minor, &l.Min.Minor,
		&l.Max.Minor, &l.ReturnURL, &l.ExpiresAt, &l.MaxUses, &l.Opened, &l.Used, &l.Paid,
		&l.Status, &l.CreatedAt, &l.ClosedAt, &l.Over)
	l.Amount.Currency, l.Min.Currency, l.Max.Currency = currency, currency, currency
	return l, err
}

func one(ctx context.Context, q pg.Querier, where string, args ...any) (Link, error) {
	rows, err := q.Query(ctx, selectLink+where, args...)
	if err != nil {
		return Link{}, fmt.Errorf("payment link: %w", err)
	}
	l, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Link{}, fault.NotFound()
	}
	if err != nil {
		return Link{}, fmt.Errorf("payment link: %w", err)
	}
	return l, nil
}

// Get returns a link, or fault.NotFound.
func Get(ctx context.Context, q pg.Querier, tenantID, linkID string) (Link, error) {
	return one(ctx, q, `where l.tenant_id = $1 and l.id = $2`, tenantID, linkID)
}

// ByToken returns the link whose address ends in token, whoever's it is, or
// fault.NotFound. It needs the system role.
func ByToken(ctx context.Context, q pg.Querier, token string) (Link, error) {
	return one(ctx, q, `where l.token = $1`, token)
}

// lock is Get after every other opening of the link has committed: the row is
// locked by a statement of its own, so that the count after it sees them all.
func lock(ctx context.Context, tx pgx.Tx, tenantID, linkID string) (Link, error) {
	_, err := tx.Exec(ctx, `select from payment_links where tenant_id = $1 and id = $2 for no key update`, tenantID, linkID)
	if err != nil {
		return Link{}, fmt.Errorf("lock payment link: %w", err)
	}
	return Get(ctx, tx, tenantID, linkID)
}

// Filter narrows List; zero fields do not filter.
type Filter struct {
	Status     string
	MerchantID string
	// Before is the id of the last link of the page before.
	Before string
	Limit  int
}

// List returns links, newest first.
func List(ctx context.Context, q pg.Querier, tenantID string, f Filter) ([]Link, error) {
	rows, err := q.Query(ctx, selectLink+`
		where l.tenant_id = $1 and ($2 = '' or l.status = $2) and ($3 = '' or l.merchant_id = $3) and ($4 = '' or l.id < $4)
		order by l.id desc limit $5`, tenantID, f.Status, f.MerchantID, f.Before, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("payment links: %w", err)
	}
	return pgx.CollectRows(rows, scan)
}
