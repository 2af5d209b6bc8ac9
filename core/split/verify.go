package split

import "github.com/suanpan/suanpan/ledger"

// Invariants are what must hold between splits, payments and refunds, numbered
// as in the catalogue of invariants.
func Invariants() []ledger.Invariant {
	return []ledger.Invariant{
		{
			ID: "C13", Name: "a split adds up to its payment",
			Rule:  "every succeeded payment has one split whose legs add up to it, and other payments have none",
			Count: `select count(*) from payments where $1 in ('', tenant_id)`,
			Breaks: `
				with legs as (
				  select s.tenant_id, s.payment_id, sum(l.amount) as amount
				  from splits s join split_legs l on l.tenant_id = s.tenant_id and l.split_id = s.id
				  where $1 in ('', s.tenant_id) group by s.tenant_id, s.payment_id
				)
				select p.tenant_id, p.id, format('is %s of %s, its legs add up to %s', p.status, p.amount, coalesce(l.amount, 0))
				from payments p left join legs l on l.tenant_id = p.tenant_id and l.payment_id = p.id
				where $1 in ('', p.tenant_id)
				  and coalesce(l.amount, 0) <> case p.status when 'succeeded' then p.amount else 0 end`,
		},
		{
			ID: "C13b", Name: "what legs gave back is what was refunded",
			Rule:  "the legs of a payment have given back what its refunds took or have promised",
			Count: `select count(*) from splits where $1 in ('', tenant_id)`,
			Breaks: `
				select p.tenant_id, p.id, format('refunds %s, legs %s', p.refunded + p.refunding, sum(l.refunded))
				from payments p
				join splits s on s.tenant_id = p.tenant_id and s.payment_id = p.id
				join split_legs l on l.tenant_id = s.tenant_id and l.split_id = s.id
				where $1 in ('', p.tenant_id)
				group by p.tenant_id, p.id, p.refunded, p.refunding
				having sum(l.refunded) <> p.refunded + p.refunding`,
		},
	}
}
