package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// lockedHold is a hold with its account, both locked.
type lockedHold struct {
	holdState
	tenant  string
	account *account
}

const lockedHoldColumns = `
h.tenant_id, h.id, h.reference, h.amount, h.captured, h.released, h.status, h.expires_at, coalesce(h.limited_on::text, ''),
a.id, a.normal_side, a.held, a.limits, a.limit_usage, case when a.limits is not null then suanpan_date(suanpan_now())::text end`

const sqlLockHold = `
select ` + lockedHoldColumns + `
from ledger_accounts a
join holds h on h.tenant_id = a.tenant_id and h.account_id = a.id
where h.tenant_id = $1 and h.reference = $2
for update of a, h`

// lockHolds runs a query of lockedHoldColumns. Holds of one account share it.
func lockHolds(ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]*lockedHold, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("ledger: lock holds: %w", err)
	}
	accounts := map[string]*account{}
	holds, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*lockedHold, error) {
		h, a := &lockedHold{}, &account{}
		var limits, used []byte
		var today *string
		if err := row.Scan(&h.tenant, &h.id, &h.reference, &h.amount, &h.captured, &h.released, &h.status, &h.expiresAt, &h.limitedOn,
			&a.id, &a.normalSide, &a.held, &limits, &used, &today); err != nil {
			return nil, err
		}
		if err := a.readLimits(limits, used, today); err != nil {
			return nil, err
		}
		h.accountID = a.id
		if accounts[h.tenant+a.id] == nil {
			accounts[h.tenant+a.id] = a
		}
		h.account = accounts[h.tenant+a.id]
		return h, nil
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: lock holds: %w", err)
	}
	return holds, nil
}

// free gives amount of the hold back to its account. A hold of which nothing is
// left becomes end.
func (h *lockedHold) free(amount int64, end HoldStatus) {
	h.released += amount
	h.account.held -= amount
	h.account.giveBack(h.limitedOn, amount, h.left() == 0 && h.captured == 0)
	if h.left() == 0 {
		h.status = end
	}
}

const sqlFreeHolds = `
with freed as (
  update holds h set status = n.status, released = n.released, closed_at = case when n.status <> 'open' then suanpan_now() end
  from unnest($1::text[], $2::text[], $3::text[], $4::int8[]) n (tenant_id, id, status, released)
  where h.tenant_id = n.tenant_id and h.id = n.id
)
update ledger_accounts a set held = n.held, limit_usage = n.usage::jsonb
from unnest($5::text[], $6::text[], $7::int8[], $8::text[]) n (tenant_id, id, held, usage)
where a.tenant_id = n.tenant_id and a.id = n.id`

func writeFreed(ctx context.Context, tx pgx.Tx, holds []*lockedHold) error {
	var tenants, ids, statuses, accountTenants, accountIDs []string
	var released, held []int64
	var used []*string
	seen := map[*account]bool{}
	for _, h := range holds {
		tenants, ids = append(tenants, h.tenant), append(ids, h.id)
		statuses, released = append(statuses, string(h.status)), append(released, h.released)
		if a := h.account; !seen[a] {
			seen[a] = true
			accountTenants, accountIDs = append(accountTenants, h.tenant), append(accountIDs, a.id)
			held, used = append(held, a.held), append(used, a.usageText())
		}
	}
	_, err := tx.Exec(ctx, sqlFreeHolds, tenants, ids, statuses, released, accountTenants, accountIDs, held, used)
	if err != nil {
		return fmt.Errorf("ledger: free holds: %w", translate(err))
	}
	return nil
}

// ReleaseHold frees what is left of a hold, in the caller's transaction. It is
// idempotent: a hold released or expired before stays as it is. It returns an
// *Error of kind NotFound, or HoldClosed when all of the hold was captured.
func ReleaseHold(ctx context.Context, tx pgx.Tx, tenant, reference string) error {
	return ReduceHold(ctx, tx, tenant, reference, 0)
}

// ReduceHold frees what a hold holds above left (minor units), in the caller's
// transaction, and closes a hold of which nothing is left. It is idempotent,
// because it names what remains and not what goes: a hold with no more than left
// stays as it is. It returns an *Error of kind Invalid, NotFound, or HoldClosed
// when all of the hold was captured.
func ReduceHold(ctx context.Context, tx pgx.Tx, tenant, reference string, left int64) error {
	if left < 0 {
		return &Error{Invalid, "left", fmt.Sprintf("at least 0 minor units stay held, not %d", left)}
	}
	found, err := lockHolds(ctx, tx, sqlLockHold, tenant, reference)
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		return &Error{NotFound, "reference", "no hold has the reference " + reference}
	case found[0].status == HoldCaptured:
		return &Error{HoldClosed, "reference", fmt.Sprintf("the hold %s is captured: nothing is left to release", reference)}
	case found[0].status != HoldOpen || found[0].left() <= left:
		return nil
	}
	found[0].free(found[0].left()-left, HoldReleased)
	return writeFreed(ctx, tx, found)
}

// Accounts are locked in the order of their ids, as everywhere. Whether a hold is
// still open is judged only when its account is locked.
const sqlLockOverdueAccounts = `
with due as (
  select tenant_id, account_id from holds
  where status = 'open' and expires_at <= (select suanpan_now())
  order by expires_at limit $1
)
select a.tenant_id, a.id from ledger_accounts a
where (a.tenant_id, a.id) in (select tenant_id, account_id from due)
order by a.id for update`

const sqlLockOverdueHolds = `
select ` + lockedHoldColumns + `
from unnest($1::text[], $2::text[]) n (tenant_id, account_id)
join ledger_accounts a on a.tenant_id = n.tenant_id and a.id = n.account_id
join holds h on h.tenant_id = a.tenant_id and h.account_id = a.id
where h.status = 'open' and h.expires_at <= (select suanpan_now())
order by h.expires_at limit $3
for update of h`

// ExpireHolds frees what is left of at most limit holds whose time is over, in
// all tenants, and returns how many: fewer than limit when no more are due. tx is
// of the system role. Many instances may run it at once.
func ExpireHolds(ctx context.Context, tx pgx.Tx, limit int) (int, error) {
	expired, err := ExpireDue(ctx, tx, limit)
	return len(expired), err
}

// ExpiredHold is a hold whose time was over.
type ExpiredHold struct {
	Tenant string
	ID     string
}

// ExpireDue is ExpireHolds and says which holds they were.
func ExpireDue(ctx context.Context, tx pgx.Tx, limit int) ([]ExpiredHold, error) {
	rows, err := tx.Query(ctx, sqlLockOverdueAccounts, limit)
	if err != nil {
		return nil, fmt.Errorf("ledger: overdue holds: %w", err)
	}
	var tenants, accounts []string
	var tenant, account string
	if _, err := pgx.ForEachRow(rows, []any{&tenant, &account}, func() error {
		tenants, accounts = append(tenants, tenant), append(accounts, account)
		return nil
	}); err != nil || len(accounts) == 0 {
		return nil, err
	}
	due, err := lockHolds(ctx, tx, sqlLockOverdueHolds, tenants, accounts, limit)
	if err != nil || len(due) == 0 {
		return nil, err
	}
	expired := make([]ExpiredHold, len(due))
	for i, h := range due {
		h.free(h.left(), HoldExpired)
		expired[i] = ExpiredHold{h.tenant, h.id}
	}
	return expired, writeFreed(ctx, tx, due)
}
