package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// checkReversals refuses a reversal that does not undo, account by account,
// exactly what it names. That an entry is reversed only once, and no reversal
// reversed, the database sees to as well.
func checkReversals(ctx context.Context, tx pgx.Tx, tenant string, entries []Entry) error {
	for i, e := range entries {
		if e.Kind != Reversal {
			continue
		}
		target, err := net(ctx, tx, tenant, e.Reverses)
		if err != nil {
			return err
		}
		switch {
		case target.kind == "":
			return inEntry(i, &Error{NotFound, "reverses", "no entry has the id " + e.Reverses})
		case target.kind == Reversal:
			return inEntry(i, &Error{Reversed, "reverses", e.Reverses + " is itself a reversal; book the fact again instead"})
		}
		for _, p := range e.Postings {
			target.byAccount[p.Account] += p.Amount
		}
		for key, left := range target.byAccount {
			if left != 0 {
				return inEntry(i, &Error{Invalid, "postings", fmt.Sprintf(
					"a reversal undoes its entry exactly; %s would be left with %d", key, left)})
			}
		}
	}
	return nil
}

// netEntry is what an entry did to each account.
type netEntry struct {
	kind      Kind
	byAccount map[AccountKey]int64
}

func net(ctx context.Context, tx pgx.Tx, tenant, entryID string) (netEntry, error) {
	n := netEntry{byAccount: map[AccountKey]int64{}}
	rows, err := tx.Query(ctx, `
		select e.kind, a.type, a.owner, a.currency, a.name, p.amount
		from entries e
		join postings p on p.tenant_id = e.tenant_id and p.entry_seq = e.seq and p.booked_at = e.booked_at
		join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
		where e.tenant_id = $1 and e.id = $2`, tenant, entryID)
	if err != nil {
		return n, fmt.Errorf("ledger: read the entry to reverse: %w", err)
	}
	var key AccountKey
	var amount int64
	_, err = pgx.ForEachRow(rows, []any{&n.kind, &key.Type, &key.Owner, &key.Currency, &key.Name, &amount}, func() error {
		n.byAccount[key] += amount
		return nil
	})
	if err != nil {
		return n, fmt.Errorf("ledger: read the entry to reverse: %w", err)
	}
	return n, nil
}
