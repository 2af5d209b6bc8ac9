package ledger

// Invariants returns what must hold in the books, numbered as in the catalogue
// of ledger invariants.
func Invariants() []Invariant {
	return []Invariant{
		{
			ID: "C1", Name: "entries balance",
			Rule:  "the postings of an entry sum to zero in each book and are all in its currency",
			Count: countEntries,
			Breaks: `
				select e.tenant_id, e.id, format('%s book is off by %s', a.book, sum(p.amount))
				from entries e
				join postings p on p.tenant_id = e.tenant_id and p.entry_seq = e.seq
				join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
				where $1 in ('', e.tenant_id)
				group by e.tenant_id, e.id, a.book having sum(p.amount) <> 0`,
		},
		{
			ID: "C2", Name: "trial balance is zero",
			Rule:  "all postings of a tenant sum to zero per book and currency",
			Count: `select count(*) from (select distinct tenant_id, book, currency from ledger_accounts where $1 in ('', tenant_id)) x`,
			Breaks: `
				select p.tenant_id, format('%s %s', a.book, a.currency), format('off by %s', sum(p.amount))
				from postings p join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
				where $1 in ('', p.tenant_id)
				group by p.tenant_id, a.book, a.currency having sum(p.amount) <> 0`,
		},
		{
			ID: "C3", Name: "balances are the sum of postings",
			Rule:  "posted equals the postings, and held equals the open holds, of every account with a floor",
			Count: countFloored,
			Breaks: `
				with sums as (
				  select tenant_id, account_id, sum(amount) as amount from postings where $1 in ('', tenant_id) group by tenant_id, account_id
				), open as (
				  select tenant_id, account_id, sum(amount - captured - released) as held from holds
				  where status = 'open' and $1 in ('', tenant_id) group by tenant_id, account_id
				)
				select a.tenant_id, a.id, format('posted %s, postings %s; held %s, open holds %s',
				  a.posted, ` + onNormalSide("coalesce(s.amount, 0)") + `, a.held, coalesce(o.held, 0))
				from ledger_accounts a
				left join sums s on s.tenant_id = a.tenant_id and s.account_id = a.id
				left join open o on o.tenant_id = a.tenant_id and o.account_id = a.id
				where $1 in ('', a.tenant_id) and a.floor is not null
				  and (a.posted <> ` + onNormalSide("coalesce(s.amount, 0)") + ` or a.held <> coalesce(o.held, 0))`,
		},
		{
			ID: "C4", Name: "no account below its floor",
			Rule:  "posted minus held is at or above the floor now, and posted was after every entry",
			Count: countFlooredPostings,
			Breaks: `
				select a.tenant_id, a.id, format('available %s is below the floor %s', a.posted - a.held, a.floor)
				from ledger_accounts a where $1 in ('', a.tenant_id) and a.posted - a.held < a.floor
				union all
				select tenant_id, account_id, format('%s after entry %s is below the floor %s', running, entry_seq, floor) from (
				  select p.tenant_id, p.account_id, p.entry_seq, a.floor,
				    sum(` + onNormalSide("p.amount") + `) over (partition by p.tenant_id, p.account_id order by p.entry_seq) as running
				  from postings p join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
				  where $1 in ('', p.tenant_id) and a.floor is not null
				) history where running < floor`,
		},
		{
			ID: "C5", Name: "entries are whole",
			Rule:  "an entry has all of its two or more legs, none of zero, on accounts of its tenant and currency, of classes its kind may touch",
			Count: countEntries,
			Breaks: `
				select e.tenant_id, e.id, format('%s of %s legs present', count(p.leg), e.legs)
				from entries e left join postings p on p.tenant_id = e.tenant_id and p.entry_seq = e.seq
				where $1 in ('', e.tenant_id)
				group by e.tenant_id, e.id, e.legs having count(p.leg) <> e.legs or count(p.leg) < 2
				union all
				select p.tenant_id, e.id, format('leg %s: amount %s on %s account in %s, entry of kind %s in %s',
				  p.leg, p.amount, a.class, a.currency, e.kind, e.currency)
				from postings p
				join entries e on e.tenant_id = p.tenant_id and e.seq = p.entry_seq
				join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
				left join class_matrix m on m.kind = e.kind and m.class = a.class
				where $1 in ('', p.tenant_id) and (p.amount = 0 or a.currency <> e.currency or m.kind is null)`,
		},
		{
			ID: "C6", Name: "account histories have no gap",
			Rule:  "the postings of an account with a floor are numbered 1, 2, 3 … and each balance follows from the one before",
			Count: countFlooredPostings,
			Breaks: `
				select tenant_id, account_id, format('posting %s after %s, balance %s after %s with %s',
				  account_seq, before_seq, balance_after, before, change)
				from (
				  select p.tenant_id, p.account_id, p.account_seq, p.balance_after, ` + onNormalSide("p.amount") + ` as change,
				    lag(p.account_seq, 1, 0::bigint) over history as before_seq, lag(p.balance_after, 1, 0::bigint) over history as before
				  from postings p join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
				  where $1 in ('', p.tenant_id) and a.floor is not null
				  window history as (partition by p.tenant_id, p.account_id order by p.entry_seq, p.leg)
				) chain where account_seq is distinct from before_seq + 1 or balance_after is distinct from before + change
				union all
				select a.tenant_id, a.id, format('last posting is numbered %s, the account says %s', coalesce(max(p.account_seq), 0), a.last_seq)
				from ledger_accounts a left join postings p on p.tenant_id = a.tenant_id and p.account_id = a.id
				where $1 in ('', a.tenant_id) and a.floor is not null
				group by a.tenant_id, a.id, a.last_seq having coalesce(max(p.account_seq), 0) <> a.last_seq`,
		},
		{
			ID: "C8", Name: "one entry per business fact",
			Rule:  "a reference (kind, number, phase) is booked once, each entry is reversed at most once, and the indexes that see to it are valid",
			Count: countEntries,
			Breaks: `
				select tenant_id, min(id), format('%s entries for %s %s/%s', count(*), kind, number, phase)
				from entries where $1 in ('', tenant_id) group by tenant_id, kind, number, phase having count(*) > 1
				union all
				select tenant_id, reverses, format('reversed %s times', count(*))
				from entries where kind = 'reversal' and $1 in ('', tenant_id) group by tenant_id, reverses having count(*) > 1
				union all
				select '', wanted.name, 'the unique index is missing or invalid'
				from (values ('entries_reference'), ('entries_reversed_once'), ('holds_reference'), ('ledger_accounts_key')) wanted (name)
				where not exists (select from pg_index i where i.indexrelid = to_regclass(wanted.name) and i.indisunique and i.indisvalid)`,
		},
		{
			ID: "C9", Name: "holds add up",
			Rule:  "captured and released never exceed a hold, its captures are postings of its account, and only an open hold holds",
			Count: `select count(*) from holds where $1 in ('', tenant_id)`,
			Breaks: `
				with captures as (
				  select p.tenant_id, p.hold_id, sum(-(` + onNormalSide("p.amount") + `)) as captured,
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
				  or c.accounts > 1 or c.account_id <> h.account_id`,
		},
		{
			ID: "C23", Name: "tenants are apart",
			Rule:  "every posting, hold, account and entry refers only to rows of its own tenant",
			Count: `select count(*) from postings where $1 in ('', tenant_id)`,
			Breaks: `
				select p.tenant_id, format('%s/%s', p.entry_seq, p.leg), 'names no account or no entry of its tenant'
				from postings p
				left join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
				left join entries e on e.tenant_id = p.tenant_id and e.seq = p.entry_seq and e.booked_at = p.booked_at
				where $1 in ('', p.tenant_id) and (a.id is null or e.id is null)
				union all
				select h.tenant_id, h.id, 'a hold on no account of its tenant'
				from holds h left join ledger_accounts a on a.tenant_id = h.tenant_id and a.id = h.account_id
				where $1 in ('', h.tenant_id) and a.id is null
				union all
				select x.tenant_id, x.id, 'belongs to no tenant'
				from (select tenant_id, id from entries union all select tenant_id, id from ledger_accounts) x
				left join tenants t on t.id = x.tenant_id
				where $1 in ('', x.tenant_id) and t.id is null`,
		},
		{
			ID: "C26", Name: "numbers and times are in range",
			Rule:  "amounts are within ±10^15 minor units, and nothing is booked before its tenant existed or more than five minutes ahead",
			Count: countEntries,
			Breaks: `
				select p.tenant_id, format('%s/%s', p.entry_seq, p.leg), format('amount %s', p.amount)
				from postings p where $1 in ('', p.tenant_id) and abs(p.amount) > 1000000000000000
				union all
				select e.tenant_id, e.id, format('booked at %s, tenant of %s', e.booked_at, t.created_at)
				from entries e join tenants t on t.id = e.tenant_id
				where $1 in ('', e.tenant_id)
				  and (e.booked_at < t.created_at - interval '5 minutes' or e.booked_at > suanpan_now() + interval '5 minutes')`,
		},
		{
			ID: "CUSTODY", Name: "own stake is mirrored",
			Rule: "what the trust book owes the tenant (own_stake_in_custody) is what the own book claims (custody_claim), per currency",
			Count: `
				select count(*) from (
				  select distinct tenant_id, currency from ledger_accounts
				  where type in ('own_stake_in_custody', 'custody_claim') and $1 in ('', tenant_id)
				) pairs`,
			Breaks: `
				select p.tenant_id, a.currency, format('claim %s, stake %s',
				  coalesce(sum(p.amount) filter (where a.type = 'custody_claim'), 0),
				  -coalesce(sum(p.amount) filter (where a.type = 'own_stake_in_custody'), 0))
				from postings p join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
				where a.type in ('own_stake_in_custody', 'custody_claim') and $1 in ('', p.tenant_id)
				group by p.tenant_id, a.currency having sum(p.amount) <> 0`,
		},
	}
}

const (
	countEntries         = `select count(*) from entries where $1 in ('', tenant_id)`
	countFloored         = `select count(*) from ledger_accounts where floor is not null and $1 in ('', tenant_id)`
	countFlooredPostings = `select count(*) from postings where account_seq is not null and $1 in ('', tenant_id)`
)

// onNormalSide signs an amount by the normal side of the account a.
func onNormalSide(amount string) string {
	return "(case a.normal_side when 'debit' then " + amount + " else -(" + amount + ") end)"
}
