package ledger

import "slices"

// Invariants returns what must hold in the books, numbered as in the catalogue
// of ledger invariants.
func Invariants() []Invariant {
	return slices.Concat(walkedInvariants(), queriedInvariants())
}

// walkedInvariants are judged by the auditor.
func walkedInvariants() []Invariant {
	return []Invariant{
		{
			ID: "C1", Name: "entries balance",
			Rule: "the postings of an entry sum to zero in each book and are all in its currency",
		},
		{
			ID: "C2", Name: "trial balance is zero",
			Rule: "all postings of a tenant sum to zero per book and currency",
		},
		{
			ID: "C3", Name: "balances are the sum of postings",
			Rule: "posted equals the postings, and held equals the open holds, of every account with a floor",
		},
		{
			ID: "C4", Name: "no account below its floor",
			Rule: "posted minus held is at or above the floor now, and posted was after every entry, at the floor of that time",
		},
		{
			ID: "C5", Name: "entries are whole",
			Rule: "an entry has all of its two or more legs, none of zero, on accounts of its tenant and currency, of classes its kind may touch",
		},
		{
			ID: "C6", Name: "account histories have no gap",
			Rule: "the postings of an account with a floor are numbered 1, 2, 3 … and each balance follows from the one before",
		},
		{
			ID: "C7", Name: "what is sealed is as it was",
			Rule: "the entries of every seal give its hash, each seal continues the one before, and anchors agree with both",
		},
		{
			ID: "C19", Name: "client money is kept apart",
			Rule: "the tenant's own stake in custody moves only by kinds of entries that may touch it",
		},
		{
			ID: "C20", Name: "what is past stays past",
			Rule: "no entry is dated more than minutes before one with a lower seq, and the balances kept with seals are those of the postings",
		},
		{
			ID: "C23", Name: "tenants are apart",
			Rule: "every posting, account and entry refers only to rows of its own tenant",
		},
		{
			ID: "C26", Name: "numbers and times are in range",
			Rule: "amounts are within ±10^15 minor units, and nothing is booked before its tenant existed or more than five minutes ahead",
		},
		{
			ID: "CUSTODY", Name: "own stake is mirrored",
			Rule: "what the trust book owes the tenant (own_stake_in_custody) is what the own book claims (custody_claim), per currency",
		},
	}
}

// ledgers tells the ledger's own queries, which an incremental run repeats.
func (i Invariant) ledgers() bool {
	return slices.ContainsFunc(queriedInvariants(), func(own Invariant) bool { return own.ID == i.ID })
}

// queriedInvariants are about rows that no walk over entries meets, or about
// the guards themselves.
func queriedInvariants() []Invariant {
	return []Invariant{
		{
			ID: "C8", Name: "one entry per business fact",
			Rule:  "a reference (kind, number, phase) is booked once, each entry is reversed at most once, and the indexes that see to it are valid",
			Count: `select count(*) from (values (1), (2), (3), (4)) guards where $1::text is not null`,
			// A valid unique index is the proof; only without one are the rows counted.
			Breaks: `
				with guard as materialized (
				  select wanted.name, exists (
				    select from pg_index i where i.indexrelid = to_regclass(wanted.name) and i.indisunique and i.indisvalid) as stands
				  from (values ('entries_reference'), ('entries_reversed_once'), ('holds_reference'), ('ledger_accounts_key')) wanted (name)
				)
				select '', name, 'the unique index is missing or invalid' from guard where not stands
				union all
				select tenant_id, min(id), format('%s entries for %s %s/%s', count(*), kind, number, phase)
				from entries where $1 in ('', tenant_id) and not (select stands from guard where name = 'entries_reference')
				group by tenant_id, kind, number, phase having count(*) > 1
				union all
				select tenant_id, reverses, format('reversed %s times', count(*))
				from entries where kind = 'reversal' and $1 in ('', tenant_id)
				  and not (select stands from guard where name = 'entries_reversed_once')
				group by tenant_id, reverses having count(*) > 1`,
		},
		{
			ID: "C9", Name: "holds add up",
			Rule:  "captured and released never exceed a hold, its captures are postings of its account, and only an open hold holds",
			Count: `select count(*) from holds where $1 in ('', tenant_id)`,
			Breaks: `
				with captures as (
				  select p.tenant_id, p.hold_id,
				    sum(case a.normal_side when 'debit' then -p.amount else p.amount end) as captured,
				    count(distinct p.account_id) as accounts, min(p.account_id) as account_id
				  from postings p join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
				  where p.hold_id is not null and $1 in ('', p.tenant_id) group by p.tenant_id, p.hold_id
				)
				select coalesce(h.tenant_id, c.tenant_id), coalesce(h.id, c.hold_id),
				  format('amount %s, captured %s, released %s, status %s; captured by postings %s',
				    h.amount, h.captured, h.released, h.status, coalesce(c.captured, 0))
				from (select * from holds where $1 in ('', tenant_id)) h
				full join captures c on c.tenant_id = h.tenant_id and c.hold_id = h.id
				where h.id is null or h.captured <> coalesce(c.captured, 0) or h.captured + h.released > h.amount
				  or (h.status = 'open') <> (h.captured + h.released < h.amount)
				  or c.accounts > 1 or c.account_id <> h.account_id
				union all
				select h.tenant_id, h.id, 'a hold on no account of its tenant'
				from holds h left join ledger_accounts a on a.tenant_id = h.tenant_id and a.id = h.account_id
				where $1 in ('', h.tenant_id) and a.id is null`,
		},
	}
}
