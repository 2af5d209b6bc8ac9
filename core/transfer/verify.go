package transfer

import "github.com/suanpan/suanpan/ledger"

// Invariants are what must hold between transfers, the books and the events.
func Invariants() []ledger.Invariant {
	return []ledger.Invariant{
		{
			ID: "C14t", Name: "a transfer moved its amount, once, and was told once",
			Rule: "each transfer has one entry, from its payer's account to its receiver's, of its amount, and one event; " +
				"each entry of kind transfer has its transfer",
			Count: `select count(*) from transfers where $1 in ('', tenant_id)`,
			Breaks: `
				with booked as (
				  select e.tenant_id, e.number, count(distinct e.id) as entries, max(p.amount) as amount,
				    max(a.owner) filter (where p.amount > 0) as payer, max(a.owner) filter (where p.amount < 0) as receiver
				  from entries e
				  join postings p on p.tenant_id = e.tenant_id and p.entry_seq = e.seq
				  join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
				  where e.kind = 'transfer' and $1 in ('', e.tenant_id)
				  group by e.tenant_id, e.number
				), told as (
				  select tenant_id, object_id, count(*) as events from events
				  where type = 'transfer.succeeded' and $1 in ('', tenant_id) group by tenant_id, object_id
				)
				select coalesce(t.tenant_id, b.tenant_id), coalesce(t.id, b.number),
				  format('transfer of %s from %s to %s; booked %s from %s to %s in %s entries; told %s times', coalesce(t.amount, 0),
				    t.from_merchant_id, t.to_merchant_id, coalesce(b.amount, 0), b.payer, b.receiver, coalesce(b.entries, 0),
				    coalesce(n.events, 0))
				from (select * from transfers where $1 in ('', tenant_id)) t
				full join booked b on b.tenant_id = t.tenant_id and b.number = t.id
				left join told n on n.tenant_id = t.tenant_id and n.object_id = t.id
				where t.id is null or b.number is null or b.entries <> 1 or b.amount <> t.amount
				  or b.payer <> t.from_merchant_id or b.receiver <> t.to_merchant_id or n.events is distinct from 1`,
		},
	}
}
