package account

import "github.com/suanpan/suanpan/ledger"

// Invariants are what must hold between the holds that tenants placed, the
// transfers that captured them, and their releases.
func Invariants() []ledger.Invariant {
	return []ledger.Invariant{
		{
			ID: "C9t", Name: "every fen of a tenant's hold went where its records say",
			Rule: "captured = what transfers took from it; released = what releases freed, and more only when it expired; " +
				"it is on the account it was placed on",
			Count: `select count(*) from placed_holds where $1 in ('', tenant_id)`,
			Breaks: `
				with taken as (
				  select tenant_id, hold_id, sum(amount) as amount from transfers
				  where hold_id is not null and $1 in ('', tenant_id) group by tenant_id, hold_id
				), freed as (
				  select tenant_id, hold_id, sum(amount) as amount from hold_releases
				  where $1 in ('', tenant_id) group by tenant_id, hold_id
				)
				select p.tenant_id, p.id, format('%s: captured %s, transfers took %s; released %s, releases freed %s; on an account of %s %s',
				  h.status, h.captured, coalesce(t.amount, 0), h.released, coalesce(f.amount, 0), a.owner, a.name)
				from placed_holds p
				join holds h on h.tenant_id = p.tenant_id and h.id = p.id
				join ledger_accounts a on a.tenant_id = h.tenant_id and a.id = h.account_id
				left join taken t on t.tenant_id = p.tenant_id and t.hold_id = p.id
				left join freed f on f.tenant_id = p.tenant_id and f.hold_id = p.id
				where $1 in ('', p.tenant_id) and (
				  h.captured <> coalesce(t.amount, 0)
				  or h.released < coalesce(f.amount, 0)
				  or (h.status <> 'expired' and h.released <> coalesce(f.amount, 0))
				  or a.owner <> p.merchant_id or a.name <> p.account_name)`,
		},
	}
}
