package event

import "github.com/suanpan/suanpan/ledger"

// Invariants are what must hold between objects and the events about them,
// numbered as in the catalogue of invariants. Objects that are final when they are
// made, such as transfers, are checked by the packages that own them.
func Invariants() []ledger.Invariant {
	return []ledger.Invariant{
		{
			ID: "C17", Name: "each final state has its event",
			Rule: "a final payment, refund, withdrawal or reconciliation has exactly one event of its final state; " +
				"what came back has one for each time that it was paid and that it came back",
			Count: `select count(*) from events where $1 in ('', tenant_id)`,
			Breaks: `
				with final (tenant_id, id, type, times) as (
				  select tenant_id, id, 'payment.' || status, 1 from payments where status in ('succeeded', 'closed', 'failed')
				  union all
				  select tenant_id, id, 'refund.failed', 1 from refunds where status = 'failed'
				  union all
				  select tenant_id, id, 'refund.succeeded', 1 + returns - (status = 'returned')::int
				  from refunds where status in ('succeeded', 'returned')
				  union all
				  select tenant_id, id, 'refund.returned', returns from refunds where returns > 0
				  union all
				  select tenant_id, id, 'withdrawal.' || status, 1 from withdrawals where status in ('succeeded', 'failed', 'returned')
				  union all
				  select tenant_id, id, 'withdrawal.succeeded', 1 from withdrawals where status = 'returned'
				  union all
				  select tenant_id, id, 'reconciliation.' || status, 1 from reconciliations where status in ('balanced', 'discrepant')
				), told as (
				  select tenant_id, object_id as id, type, count(*) as times from events
				  where split_part(type, '.', 1) in ('payment', 'refund', 'withdrawal', 'reconciliation')
				    and type not in ('payment.awaiting_payer', 'payment.paid_late', 'payment.paid_twice', 'refund.abnormal',
				      'refund.unresolved', 'withdrawal.unresolved')
				    and $1 in ('', tenant_id)
				  group by tenant_id, object_id, type
				)
				select coalesce(f.tenant_id, t.tenant_id), coalesce(f.id, t.id),
				  format('final as %s %s times, %s events of %s', coalesce(f.type, 'nothing'), coalesce(f.times, 0),
				    coalesce(t.times, 0), coalesce(t.type, f.type))
				from (select * from final where $1 in ('', tenant_id)) f
				full join told t on t.tenant_id = f.tenant_id and t.id = f.id and t.type = f.type
				where f.id is null or t.times is distinct from f.times`,
		},
		{
			ID: "C17b", Name: "an object's events are numbered without gaps",
			Rule:  "the events of an object are numbered from 1 on",
			Count: `select count(distinct (tenant_id, object_id)) from events where $1 in ('', tenant_id)`,
			Breaks: `
				select tenant_id, object_id, format('%s events, the last is number %s', count(*), max(sequence))
				from events where $1 in ('', tenant_id)
				group by tenant_id, object_id having count(*) <> max(sequence)`,
		},
	}
}
