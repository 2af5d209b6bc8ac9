package payout

import "github.com/suanpan/suanpan/ledger"

// Invariants are what must hold between withdrawals and the books, numbered as
// in the catalogue of invariants.
func Invariants() []ledger.Invariant {
	return []ledger.Invariant{
		{
			ID: "C14", Name: "a withdrawal is paid, given back or under way, once",
			Rule: "accepted ⇔ its hold was captured into transit; succeeded ⇔ the transit was paid out; " +
				"failed ⇔ released or given back; returned ⇔ paid out and come back; amounts agree",
			Count: `select count(*) from withdrawals where $1 in ('', tenant_id)`,
			Breaks: `
				with booked as (
				  select e.tenant_id, e.number, e.kind, e.phase, sum(p.amount) filter (where p.amount > 0) as amount
				  from entries e join postings p on p.tenant_id = e.tenant_id and p.entry_seq = e.seq
				  where e.kind in ('payout', 'payout_return') and $1 in ('', e.tenant_id)
				  group by e.tenant_id, e.number, e.kind, e.phase
				)
				select w.tenant_id, w.id, format('is %s of %s: hold %s, accepted %s, paid %s, given back %s, come back %s',
				  w.status, w.amount, coalesce(h.status, 'missing'), coalesce(a.amount, 0), coalesce(s.amount, 0),
				  coalesce(f.amount, 0), coalesce(r.amount, 0))
				from withdrawals w
				left join holds h on h.tenant_id = w.tenant_id and h.reference = 'withdrawal/' || w.id
				left join booked a on a.tenant_id = w.tenant_id and a.number = w.id and a.phase = 'accepted'
				left join booked s on s.tenant_id = w.tenant_id and s.number = w.id and s.phase = 'succeeded'
				left join booked f on f.tenant_id = w.tenant_id and f.number = w.id and f.kind = 'payout_return' and f.phase = 'failed'
				left join booked r on r.tenant_id = w.tenant_id and r.number = w.id and r.kind = 'payout_return' and r.phase = 'returned'
				where $1 in ('', w.tenant_id) and (
				  coalesce(a.amount, 0) <> case when w.accepted_at is null then 0 else w.amount end
				  or coalesce(s.amount, 0) <> case when w.status in ('succeeded', 'returned') then w.amount else 0 end
				  or coalesce(r.amount, 0) <> case w.status when 'returned' then w.amount else 0 end
				  or coalesce(f.amount, 0) <> case when w.status = 'failed' and w.accepted_at is not null then w.amount else 0 end
				  or h.status is distinct from case
				       when w.accepted_at is not null then 'captured'
				       when w.status = 'failed' then 'released' else 'open' end)`,
		},
	}
}
