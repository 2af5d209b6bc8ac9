package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// openAccounts learns the accounts: all of them at once for a walk from the
// beginning, otherwise those met, with their history before.
func (a *auditor) openAccounts(ctx context.Context) error {
	if a.since.Number > 0 {
		a.walker.met = func(ctx context.Context, ids []string) error {
			if err := a.walker.loadNamed(ctx, ids); err != nil {
				return err
			}
			return a.carryForward(ctx, ids)
		}
		return nil
	}
	if err := a.walker.loadAccounts(ctx); err != nil {
		return err
	}
	if len(a.walker.known) > 0 && a.created == nil {
		a.fail("C23", a.tenant, "%d accounts belong to no tenant", len(a.walker.known))
	}
	return a.readFloors(ctx, nil)
}

// readFloors learns the former floors of these accounts, of all when nil.
func (a *auditor) readFloors(ctx context.Context, accounts []string) error {
	rows, err := a.tx.Query(ctx, `
		select account_id, account_seq, floor_before from account_changes
		where tenant_id = $1 and ($2::text[] is null or account_id = any ($2))
		  and floor_before is distinct from floor_after order by id`, a.tenant, accounts)
	if err != nil {
		return err
	}
	var account string
	var former formerFloor
	_, err = pgx.ForEachRow(rows, []any{&account, &former.upTo, &former.floor}, func() error {
		if known := a.walker.known[account]; known != nil {
			known.walked.floors = append(known.walked.floors, former)
		}
		return nil
	})
	return err
}

// Where accounts with a floor stood at a sealed seq: at their last posting then.
const sqlCarryForward = `
select k.id, p.account_seq, p.balance_after
from unnest($2::text[]) k (id)
cross join lateral (
  select account_seq, balance_after from postings
  where tenant_id = $1 and account_id = k.id and entry_seq <= $3 order by entry_seq desc, leg desc limit 1
) p where p.account_seq is not null and p.balance_after is not null`

// Where internal accounts stood: at what the last seal up to then keeps. The row at
// or before a point of the primary key may be another account's; asked like this, no
// other index will do, and none of the account's other seals is read.
const sqlCarryForwardInternal = `
select k.id, 0::bigint, s.posted
from unnest($2::text[]) k (id)
cross join lateral (
  select tenant_id, account_id, posted from seal_balances
  where (tenant_id, account_id, seal) <= ($1, k.id, $3) order by tenant_id desc, account_id desc, seal desc limit 1
) s where s.tenant_id = $1 and s.account_id = k.id`

func (a *auditor) carryForward(ctx context.Context, ids []string) error {
	var floored, internal []string
	for _, id := range ids {
		switch account := a.walker.known[id]; {
		case account == nil:
		case account.floored:
			floored = append(floored, id)
		default:
			internal = append(internal, id)
		}
	}
	if err := a.carry(ctx, sqlCarryForward, floored, a.since.ToSeq); err != nil {
		return err
	}
	if err := a.carry(ctx, sqlCarryForwardInternal, internal, a.since.Number); err != nil {
		return err
	}
	return a.readFloors(ctx, ids)
}

func (a *auditor) carry(ctx context.Context, sql string, ids []string, until int64) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := a.tx.Query(ctx, sql, a.tenant, ids, until)
	if err != nil {
		return err
	}
	var id string
	var seq, balance int64
	_, err = pgx.ForEachRow(rows, []any{&id, &seq, &balance}, func() error {
		known := a.walker.known[id]
		known.walked.seq, known.walked.balance = seq, balance
		return nil
	})
	return err
}

// judgeBalances compares the cached balances with what was walked.
func (a *auditor) judgeBalances(ctx context.Context) error {
	rows, err := a.tx.Query(ctx, `
		select account_id, sum(amount - captured - released)::bigint from holds
		where tenant_id = $1 and status = 'open' group by account_id`, a.tenant)
	if err != nil {
		return err
	}
	open := map[string]int64{}
	var account string
	var held int64
	if _, err = pgx.ForEachRow(rows, []any{&account, &held}, func() error { open[account] = held; return nil }); err != nil {
		return err
	}
	floored := int64(0)
	for _, account := range a.walker.known {
		if !account.floored {
			continue
		}
		floored++
		if account.posted != account.walked.balance || account.held != open[account.id] {
			a.fail("C3", account.id, "posted %d, postings %d; held %d, open holds %d",
				account.posted, account.walked.balance, account.held, open[account.id])
		}
		if account.posted-account.held < account.floor {
			a.fail("C4", account.id, "available %d is below the floor %d", account.posted-account.held, account.floor)
		}
		if account.lastSeq != account.walked.seq {
			a.fail("C6", account.id, "last posting is numbered %d, the account says %d", account.walked.seq, account.lastSeq)
		}
	}
	a.count("C3", floored)
	return nil
}
