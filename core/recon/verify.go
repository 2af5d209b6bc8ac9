package recon

import "github.com/suanpan/suanpan/ledger"

// Invariants are what must hold within reconciliations, numbered as in the
// catalogue of invariants.
func Invariants() []ledger.Invariant {
	return []ledger.Invariant{
		{
			ID: "C24", Name: "a report counts its differences",
			Rule:  "a finished run has as many discrepancies as its report says, and its bill as many lines as it was stored with",
			Count: `select count(*) from reconciliations where status in ('balanced', 'discrepant') and $1 in ('', tenant_id)`,
			Breaks: `
				select r.tenant_id, r.id, format('reports %s differences, has %s', r.discrepancy_count, count(d.id))
				from reconciliations r
				left join discrepancies d on d.tenant_id = r.tenant_id and d.reconciliation_id = r.id
				where r.status in ('balanced', 'discrepant') and $1 in ('', r.tenant_id)
				group by r.tenant_id, r.id, r.discrepancy_count having r.discrepancy_count <> count(d.id)
				union all
				select f.tenant_id, f.channel_account_id, format('bill of %s version %s was stored with %s lines, has %s',
				  f.bill_date, f.version, f.line_count, count(l.row))
				from bill_files f
				left join bill_lines l on l.tenant_id = f.tenant_id and l.channel_account_id = f.channel_account_id
				  and l.bill_date = f.bill_date and l.version = f.version
				where $1 in ('', f.tenant_id)
				group by f.tenant_id, f.channel_account_id, f.bill_date, f.version, f.line_count
				having f.line_count <> count(l.row)`,
		},
	}
}
