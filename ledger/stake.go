package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/money"
)

// ApproveStakeAdvance sets how far below zero, in minor units, a tenant's own
// stake in custody may go in a currency: what it may owe custody until it tops it
// up. The last approval is in force; 0 ends it. reason, 1 to 256 bytes without
// personal data, is kept. The transaction is one of the system role.
//
// Nothing is refused by it. What a provider takes as its fee is a fact; whether an
// advance or a top-up covers it is what StakeInvariant tells.
func ApproveStakeAdvance(ctx context.Context, tx pgx.Tx, tenant string, currency money.Currency, amount int64, reason string) error {
	switch {
	case !currency.Valid():
		return &Error{Invalid, "currency", fmt.Sprintf("no books are kept in %q", string(currency))}
	case amount < 0 || amount > money.MaxMinor:
		return &Error{Invalid, "amount", fmt.Sprintf("between 0 and %d minor units, not %d", money.MaxMinor, amount)}
	case reason == "" || !isText(reason, maxReason):
		return &Error{Invalid, "reason", fmt.Sprintf("1 to %d bytes of text", maxReason)}
	}
	if _, err := tx.Exec(ctx, `insert into stake_advances (tenant_id, currency, amount, reason) values ($1, $2, $3, $4)`,
		tenant, currency, amount, reason); err != nil {
		return fmt.Errorf("ledger: approve advance: %w", err)
	}
	return nil
}

// StakeInvariant is broken by a tenant whose own stake in custody is below zero
// by more than its approved advance: clients' money is bearing the tenant's costs.
// The way out is an own top-up (core/books.OwnTopup) or an approved advance.
func StakeInvariant() Invariant {
	return Invariant{
		ID: "STAKE", Name: "own stake is covered",
		Rule: "the tenant's own stake in custody is not below zero by more than the advance approved last, per currency",
		Count: `
			select count(*) from ledger_accounts where type = 'own_stake_in_custody' and $1 in ('', tenant_id)`,
		Breaks: `
			select s.tenant_id, s.currency, format('own stake %s, approved advance %s: top it up by %s', s.stake, s.advance, -s.stake - s.advance)
			from (
			  select a.tenant_id, a.currency, -coalesce((
			      select sum(p.amount) from postings p where p.tenant_id = a.tenant_id and p.account_id = a.id), 0) as stake,
			    coalesce((select v.amount from stake_advances v where v.tenant_id = a.tenant_id and v.currency = a.currency
			      order by v.id desc limit 1), 0) as advance
			  from ledger_accounts a where a.type = 'own_stake_in_custody' and $1 in ('', a.tenant_id)
			) s where s.stake < -s.advance`,
	}
}
