package ledger

import (
	"fmt"

	"github.com/jackc/pgx/v5"
)

// reversible is an entry that a call wants to reverse.
type reversible struct {
	kind Kind
	// by is the id of its reversal, or "".
	by string
	// net is what it did to each account.
	net map[AccountKey]int64
}

const sqlReversibles = `
select e.id, e.kind, coalesce(r.id, ''), a.type, a.owner, a.currency, a.name, p.amount
from entries e
join postings p on p.tenant_id = e.tenant_id and p.entry_seq = e.seq and p.booked_at = e.booked_at
join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
left join entries r on r.tenant_id = e.tenant_id and r.reverses = e.id and r.kind = 'reversal'
where e.tenant_id = $1 and e.id = any($2)`

func (known *knowledge) queueReversibles(batch *pgx.Batch, tenant string, ids []string) {
	batch.Queue(sqlReversibles, tenant, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var entryID string
			var r reversible
			var key AccountKey
			var amount int64
			if err := rows.Scan(&entryID, &r.kind, &r.by, &key.Type, &key.Owner, &key.Currency, &key.Name, &amount); err != nil {
				return err
			}
			if _, seen := known.reversibles[entryID]; !seen {
				r.net = map[AccountKey]int64{}
				known.reversibles[entryID] = r
			}
			known.reversibles[entryID].net[key] += amount
		}
		return rows.Err()
	})
}

// checkReversal refuses a reversal that does not undo, account by account,
// exactly what it names, and a second one. The accounts are locked by now, so
// another reversal is seen; between internal accounts alone, which nobody locks,
// the database's unique index refuses the second.
func (known *knowledge) checkReversal(e Entry) error {
	if e.Kind != Reversal {
		return nil
	}
	target, ok := known.reversibles[e.Reverses]
	switch {
	case !ok:
		return &Error{NotFound, "reverses", "no entry has the id " + e.Reverses}
	case target.kind == Reversal:
		return &Error{Reversed, "reverses", e.Reverses + " is itself a reversal; book the fact again instead"}
	case target.by != "":
		return &Error{Reversed, "reverses", e.Reverses + " was reversed before, by " + target.by}
	}
	left := map[AccountKey]int64{}
	for key, amount := range target.net {
		left[key] = amount
	}
	for _, p := range e.Postings {
		left[p.Account] += p.Amount
	}
	for key, amount := range left {
		if amount != 0 {
			return &Error{Invalid, "postings", fmt.Sprintf("a reversal undoes its entry exactly; %s would be left with %d", key, amount)}
		}
	}
	return nil
}

func reversedBy(entries []Entry) []string {
	var ids []string
	for _, e := range entries {
		if e.Kind == Reversal {
			ids = append(ids, e.Reverses)
		}
	}
	return ids
}
