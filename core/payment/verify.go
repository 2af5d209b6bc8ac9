package payment

import "github.com/suanpan/suanpan/ledger"

// Invariants are what must hold between payments and the books, numbered as in
// the catalogue of invariants.
func Invariants() []ledger.Invariant {
	return []ledger.Invariant{
		{
			ID: "C10", Name: "a payment is booked exactly when it is paid",
			Rule: "a succeeded payment has one paid attempt, with one collection of its amount, any other has none; " +
				"late money of an attempt has a collection and a refund of its own",
			Count: `select count(*) from payments where $1 in ('', tenant_id)`,
			Breaks: `
				with collected as (
				  select e.tenant_id, e.number, e.phase, sum(p.amount) filter (where p.amount > 0) as amount
				  from entries e join postings p on p.tenant_id = e.tenant_id and p.entry_seq = e.seq
				  where e.kind = 'collect' and $1 in ('', e.tenant_id)
				  group by e.tenant_id, e.number, e.phase
				)
				select p.tenant_id, p.id, format('is %s of %s, its attempt %s is %s; collected %s, late %s, late receipt %s',
				  p.status, p.amount, a.id, a.status, coalesce(c.amount, 0), coalesce(l.amount, 0), coalesce(r.amount, 0))
				from payments p
				join attempts a on a.tenant_id = p.tenant_id and a.payment_id = p.id
				left join collected c on c.tenant_id = a.tenant_id and c.number = a.id and c.phase = 'paid'
				left join collected l on l.tenant_id = a.tenant_id and l.number = a.id and l.phase = 'late'
				left join late_receipts r on r.tenant_id = a.tenant_id and r.attempt_id = a.id
				where $1 in ('', p.tenant_id)
				  and (coalesce(c.amount, 0) <> case a.status when 'paid' then p.amount else 0 end
				    or coalesce(l.amount, 0) <> coalesce(r.amount, 0)
				    or r.attempt_id is not null and (a.status not in ('closed', 'failed') or r.amount <> p.amount
				      or not exists (select from refunds f where f.tenant_id = p.tenant_id and f.id = r.refund_id
				           and f.attempt_id = a.id and f.origin = 'late_payment' and f.amount = r.amount)))
				union all
				select p.tenant_id, p.id, format('is %s with %s paid attempts', p.status, n.paid)
				from payments p cross join lateral (select count(*) as paid from attempts a
				  where a.tenant_id = p.tenant_id and a.payment_id = p.id and a.status = 'paid') n
				where $1 in ('', p.tenant_id) and n.paid <> case p.status when 'succeeded' then 1 else 0 end`,
		},
		{
			ID: "C15", Name: "fees are booked as they accrued",
			Rule:  "the provider's fee booked for an attempt is the fee recorded with it",
			Count: `select count(*) from attempts where status = 'paid' and $1 in ('', tenant_id)`,
			Breaks: `
				with charged as (
				  select e.tenant_id, e.number, -sum(p.amount) as amount
				  from entries e
				  join postings p on p.tenant_id = e.tenant_id and p.entry_seq = e.seq
				  join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id and a.type = 'channel_unsettled'
				  where e.kind = 'fee' and e.phase = 'channel' and $1 in ('', e.tenant_id)
				  group by e.tenant_id, e.number
				)
				select a.tenant_id, a.id, format('accrued %s, booked %s', coalesce(a.fee, r.fee, 0), coalesce(c.amount, 0))
				from attempts a
				left join late_receipts r on r.tenant_id = a.tenant_id and r.attempt_id = a.id
				left join charged c on c.tenant_id = a.tenant_id and c.number = a.id
				where $1 in ('', a.tenant_id) and coalesce(a.fee, r.fee, 0) <> coalesce(c.amount, 0)`,
		},
		{
			ID: "C18", Name: "attempts agree with their payment",
			Rule: "a payment that is prepared or failed has no open attempt, one is driven while it or an attempt is not at its end, " +
				"and a closed or failed one leaves no attempt behind that its provider may know",
			Count: `select count(*) from attempts where $1 in ('', tenant_id)`,
			Breaks: `
				select p.tenant_id, p.id, format('is %s (driven: %s), its attempts are %s', p.status, p.driven, n.statuses)
				from payments p cross join lateral (
				  select count(*) filter (where a.status in ('preparing', 'awaiting_payer')) as live,
				    count(*) filter (where a.status in ('preparing', 'awaiting_payer') and a.unseen_at is null) as expected,
				    count(*) filter (where a.status = 'awaiting_payer') as open,
				    count(*) filter (where a.status = 'failed') as refused,
				    string_agg(a.status, ', ' order by a.position) as statuses
				  from attempts a where a.tenant_id = p.tenant_id and a.payment_id = p.id) n
				where $1 in ('', p.tenant_id) and (
				  p.driven <> (p.status in ('processing', 'awaiting_payer') or n.live > 0)
				  or p.status in ('processing', 'failed') and n.open > 0
				  or p.status = 'processing' and n.live = 0
				  or p.status in ('closed', 'failed') and n.expected > 0
				  or p.status = 'failed' and n.refused = 0)`,
		},
	}
}
