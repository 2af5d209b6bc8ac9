package refund

import "github.com/suanpan/suanpan/ledger"

// Invariants are what must hold between refunds, their payments and the books,
// numbered as in the catalogue of invariants.
func Invariants() []ledger.Invariant {
	return []ledger.Invariant{
		{
			ID: "C11", Name: "refunds add up",
			Rule:  "a payment's refunded and refunding are its refunds that were paid and its unfinished ones, never more than it",
			Count: `select count(*) from payments where $1 in ('', tenant_id)`,
			Breaks: `
				with sums as (
				  select tenant_id, payment_id,
				    coalesce(sum(amount) filter (where status in ('succeeded', 'returned')), 0) as done,
				    coalesce(sum(amount) filter (where status = 'processing'), 0) as under_way
				  from refunds where origin = 'request' and $1 in ('', tenant_id) group by tenant_id, payment_id
				)
				select p.tenant_id, p.id, format('refunded %s, succeeded %s; refunding %s, processing %s',
				  p.refunded, coalesce(s.done, 0), p.refunding, coalesce(s.under_way, 0))
				from payments p left join sums s on s.tenant_id = p.tenant_id and s.payment_id = p.id
				where $1 in ('', p.tenant_id)
				  and (p.refunded <> coalesce(s.done, 0) or p.refunding <> coalesce(s.under_way, 0)
				    or p.refunded + p.refunding > p.amount)`,
		},
		{
			ID: "C11b", Name: "a refund is booked exactly when it is done",
			Rule:  "a refund that was paid has one entry of its amount, any other has none",
			Count: `select count(*) from refunds where $1 in ('', tenant_id)`,
			Breaks: `
				with booked as (
				  select e.tenant_id, e.number, -sum(p.amount) as amount
				  from entries e
				  join postings p on p.tenant_id = e.tenant_id and p.entry_seq = e.seq
				  join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id and a.type = 'channel_unsettled'
				  where e.kind = 'refund' and $1 in ('', e.tenant_id)
				  group by e.tenant_id, e.number
				)
				select r.tenant_id, r.id, format('is %s of %s, booked %s', r.status, r.amount, coalesce(b.amount, 0))
				from refunds r left join booked b on b.tenant_id = r.tenant_id and b.number = r.id
				where $1 in ('', r.tenant_id)
				  and coalesce(b.amount, 0) <> case when r.status in ('succeeded', 'returned') then r.amount else 0 end`,
		},
		{
			ID: "C11c", Name: "a refund that came back lies at the provider",
			Rule:  "a returned refund's amount is in suspense at its provider; what was sent on, and any other refund, is not",
			Count: `select count(*) from refunds where returns > 0 and $1 in ('', tenant_id)`,
			Breaks: `
				with suspended as (
				  select e.tenant_id, e.number, sum(p.amount) as amount
				  from entries e
				  join postings p on p.tenant_id = e.tenant_id and p.entry_seq = e.seq
				  join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id and a.type = 'channel_suspense'
				  where e.kind = 'refund' and $1 in ('', e.tenant_id)
				  group by e.tenant_id, e.number
				)
				select r.tenant_id, r.id, format('is %s of %s, came back %s times, in suspense %s',
				  r.status, r.amount, r.returns, coalesce(s.amount, 0))
				from refunds r left join suspended s on s.tenant_id = r.tenant_id and s.number = r.id
				where $1 in ('', r.tenant_id)
				  and coalesce(s.amount, 0) <> case r.status when 'returned' then r.amount else 0 end`,
		},
		{
			ID: "C9r", Name: "refund holds end with their refund",
			Rule:  "the hold of a refund's leg is open while it is processing, captured once it was paid, released when it failed",
			Count: `select count(*) from refund_legs where hold is not null and $1 in ('', tenant_id)`,
			Breaks: `
				select r.tenant_id, r.id, format('is %s, its hold %s is %s', r.status, l.hold, coalesce(h.status, 'missing'))
				from refunds r
				join refund_legs l on l.tenant_id = r.tenant_id and l.refund_id = r.id and l.hold is not null
				left join holds h on h.tenant_id = l.tenant_id and h.reference = l.hold
				where $1 in ('', r.tenant_id) and h.status is distinct from
				  case r.status when 'processing' then 'open' when 'failed' then 'released' else 'captured' end`,
		},
	}
}
