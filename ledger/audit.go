package ledger

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/chain"
)

// auditor checks, in one pass over all entries in the order of booking, every
// invariant that can be judged there. It keeps one small record per account,
// and no entry longer than a block of a seal.
type auditor struct {
	tx pgx.Tx
	// ahead reads entries and postings on the snapshot of tx; nil: tx does.
	ahead   *[2]pgx.Tx
	opts    VerifyOptions
	results map[string]*Result
	now     time.Time
	classes map[string]map[Class]bool
	heads   []SealPoint
	walked  int64

	// What is known of the tenant under way.
	tenant  string
	created *time.Time
	since   SealPoint
	walker  *walker
	totals  map[totalKey]*sum128
	entry   entryCheck
	chain   chainCheck
	tally   tally
	// earliest and newest bound booked_at, in microseconds since 1970.
	earliest, newest int64
	// kind is that of the last entry, permitted what it may touch.
	kind      string
	permitted map[Class]bool
}

// tally counts what was looked at, for the results; a look-up for each would be felt.
type tally struct{ entries, postings, floored, stakes int64 }

type totalKey struct {
	book     Book
	currency string
	// stake marks the two types that mirror each other.
	stake Type
}

// entryCheck is what the postings of the entry under way add up to.
type entryCheck struct {
	books   [2]sum128
	legs    int64
	touched []*walkedAccount
}

// accountHistory is how far an account has been walked.
type accountHistory struct {
	balance int64 // on the normal side
	seq     int64
	// total is the sum of its book and currency, stake that of the mirrored types.
	total, stake *sum128
	// block is the last that it was noted in.
	block int64
	// floors are the account's earlier floors, oldest first.
	floors []formerFloor
}

// formerFloor was in force up to and with the account's posting number upTo.
type formerFloor struct {
	upTo  int64
	floor *int64
}

func (a *walkedAccount) floorAt(seq int64) *int64 {
	for _, former := range a.walked.floors {
		if seq <= former.upTo {
			return former.floor
		}
	}
	if !a.floored {
		return nil
	}
	return &a.floor
}

func (a *auditor) fail(id, subject, format string, args ...any) {
	r := a.results[id]
	if r == nil {
		return
	}
	if r.Broken++; len(r.Breaks) < a.opts.MaxBreaks {
		r.Breaks = append(r.Breaks, Break{TenantID: a.tenant, Subject: subject, Detail: fmt.Sprintf(format, args...)})
	}
}

func (a *auditor) count(id string, n int64) {
	if r := a.results[id]; r != nil {
		r.Checked += n
	}
}

// runAhead runs with two more transactions that read ahead, if it may have them.
func (a *auditor) runAhead(ctx context.Context) error {
	if a.opts.Beside == nil {
		return a.run(ctx)
	}
	var snapshot string
	if err := a.tx.QueryRow(ctx, `select pg_export_snapshot()`).Scan(&snapshot); err != nil {
		return err
	}
	return a.opts.Beside(ctx, snapshot, func(entries pgx.Tx) error {
		return a.opts.Beside(ctx, snapshot, func(postings pgx.Tx) error {
			a.ahead = &[2]pgx.Tx{entries, postings}
			for _, tx := range a.ahead {
				if _, err := tx.Exec(ctx, sqlReadInOrder); err != nil {
					return err
				}
			}
			return a.run(ctx)
		})
	})
}

// run walks every tenant, or the one asked for.
func (a *auditor) run(ctx context.Context) error {
	if err := a.tx.QueryRow(ctx, `select suanpan_now()`).Scan(&a.now); err != nil {
		return err
	}
	if err := a.readClasses(ctx); err != nil {
		return err
	}
	tenants, err := a.tenants(ctx)
	if err != nil {
		return err
	}
	for _, tenant := range tenants {
		if err := a.audit(ctx, tenant); err != nil {
			return fmt.Errorf("%s: %w", tenant, err)
		}
	}
	return nil
}

func (a *auditor) readClasses(ctx context.Context) error {
	a.classes = map[string]map[Class]bool{}
	rows, err := a.tx.Query(ctx, `select kind, class from class_matrix`)
	if err != nil {
		return err
	}
	var kind string
	var class Class
	_, err = pgx.ForEachRow(rows, []any{&kind, &class}, func() error {
		if a.classes[kind] == nil {
			a.classes[kind] = map[Class]bool{}
		}
		a.classes[kind][class] = true
		return nil
	})
	return err
}

// Tenants are those that exist, and those that anything of the books names. The
// recursive part hops from tenant to tenant along the index.
const sqlTenantsOfBooks = `
with recursive
e as (select (select min(tenant_id) from entries) as id union all
  select (select min(tenant_id) from entries where tenant_id > e.id) from e where e.id is not null),
p as (select (select min(tenant_id) from postings) as id union all
  select (select min(tenant_id) from postings where tenant_id > p.id) from p where p.id is not null),
c as (select (select min(tenant_id) from ledger_accounts) as id union all
  select (select min(tenant_id) from ledger_accounts where tenant_id > c.id) from c where c.id is not null),
s as (select (select min(tenant_id) from seals) as id union all
  select (select min(tenant_id) from seals where tenant_id > s.id) from s where s.id is not null)
select id from tenants where $1 in ('', id)
union select id from e where $1 in ('', id) union select id from p where $1 in ('', id)
union select id from c where $1 in ('', id) union select id from s where $1 in ('', id)
order by 1`

func (a *auditor) tenants(ctx context.Context) ([]string, error) {
	rows, err := a.tx.Query(ctx, sqlTenantsOfBooks, a.opts.Tenant)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[*string])
	if err != nil {
		return nil, err
	}
	var out []string
	for _, tenant := range found {
		if tenant != nil {
			out = append(out, *tenant)
		}
	}
	for _, tenant := range a.opts.Pins.Owners(chain.Books) {
		if (a.opts.Tenant == "" || a.opts.Tenant == tenant) && !slices.Contains(out, tenant) {
			out = append(out, tenant)
		}
	}
	return out, nil
}

// audit walks one tenant.
func (a *auditor) audit(ctx context.Context, tenant string) error {
	a.tenant, a.created, a.since = tenant, nil, a.opts.since(tenant)
	a.totals = map[totalKey]*sum128{}
	a.tally, a.kind = tally{}, ""
	a.walker = newWalker(a.tx, tenant)
	a.walker.posting, a.walker.entry = a.seePosting, a.seeEntry
	a.walker.open(a.walkFrom(pin{to: a.since.ToSeq}), math.MaxInt64)
	if a.ahead != nil {
		a.walker.pager.readAhead(ctx, a.ahead[0], a.ahead[1])
	}
	defer a.walker.pager.stop()
	rows, err := a.tx.Query(ctx, `select created_at from tenants where id = $1`, tenant)
	if err != nil {
		return err
	}
	created, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil {
		return err
	}
	if len(created) > 0 {
		a.created = &created[0]
		a.earliest, a.newest = created[0].Add(-clockTolerance).UnixMicro(), a.now.Add(clockTolerance).UnixMicro()
	}
	if err := a.openAccounts(ctx); err != nil {
		return err
	}
	if err := a.walkSeals(ctx); err != nil {
		return err
	}
	return a.closeTenant(ctx)
}

// seePosting judges one posting by itself and adds it up.
func (a *auditor) seePosting(e *walkedEntry, p *walkedPosting) {
	if p.amount > maxAmount || p.amount < -maxAmount {
		a.fail("C26", fmt.Sprintf("%d/%d", p.seq, p.leg), "amount %d", p.amount)
	}
	a.tally.postings++
	if e == nil || e.bookedAt != p.bookedAt {
		a.fail("C23", fmt.Sprintf("%d/%d", p.seq, p.leg), "names no entry of its tenant and time")
	}
	account := p.account
	if account == nil {
		a.fail("C23", fmt.Sprintf("%d/%d", p.seq, p.leg), "names no account of its tenant: %s", p.raw)
		if e != nil {
			a.entry.legs++
		}
		return
	}
	a.addUp(account, p.amount)
	a.seeBalance(account, p)
	if e == nil {
		return
	}
	a.entry.legs++
	a.entry.touched = append(a.entry.touched, account)
	book := 0
	if account.book == Own {
		book = 1
	}
	a.entry.books[book].add(p.amount)
	if a.kind != e.kind || a.permitted == nil {
		a.kind, a.permitted = e.kind, a.classes[e.kind]
	}
	if p.amount == 0 || account.currency != e.currency || !a.permitted[account.class] {
		a.fail("C5", string(e.id), "leg %d: amount %d on %s account in %s, entry of kind %s in %s",
			p.leg, p.amount, account.class, account.currency, e.kind, e.currency)
	}
	if account.class == OwnStake {
		a.tally.stakes++
		if !slices.Contains(Kind(e.kind).Classes(), OwnStake) {
			a.fail("C19", string(e.id), "an entry of kind %s moves the tenant's own stake in custody", e.kind)
		}
	}
}

// addUp adds a posting to the sums of the whole walk.
func (a *auditor) addUp(account *walkedAccount, amount int64) {
	h := &account.walked
	if h.total == nil {
		h.total = a.total128(totalKey{book: account.book, currency: account.currency})
		if account.typ == OwnStakeInCustody || account.typ == CustodyClaim {
			h.stake = a.total128(totalKey{currency: account.currency, stake: account.typ})
		}
	}
	h.total.add(amount)
	if h.stake != nil {
		h.stake.add(amount)
	}
}

func (a *auditor) total128(key totalKey) *sum128 {
	if a.totals[key] == nil {
		a.totals[key] = &sum128{}
	}
	return a.totals[key]
}

// seeBalance follows an account's history by one posting.
func (a *auditor) seeBalance(account *walkedAccount, p *walkedPosting) {
	h := &account.walked
	h.balance += p.amount * account.side.sign()
	if !account.floored {
		return
	}
	a.tally.floored++
	h.seq++
	if !p.counted || p.accountSeq != h.seq || p.balanceAfter != h.balance {
		a.fail("C6", account.id, "entry %d: posting %d with balance %d, where %d with %d follows from those before",
			p.seq, p.accountSeq, p.balanceAfter, h.seq, h.balance)
	}
}

// seeEntry judges an entry when all its postings were seen.
func (a *auditor) seeEntry(e *walkedEntry) error {
	c := &a.entry
	for i, book := range []Book{Trust, Own} {
		if !c.books[i].zero() {
			a.fail("C1", string(e.id), "%s book is off by %s", book, c.books[i])
		}
	}
	if c.legs != e.legs || c.legs < 2 {
		a.fail("C5", string(e.id), "%d of %d legs present", c.legs, e.legs)
	}
	for _, account := range c.touched {
		if floor := account.floorAt(account.walked.seq); floor != nil && account.walked.balance < *floor {
			a.fail("C4", account.id, "%d after entry %d is below the floor %d", account.walked.balance, e.seq, *floor)
		}
	}
	a.tally.entries++
	switch {
	case a.created == nil:
		a.fail("C23", string(e.id), "belongs to no tenant")
	case e.bookedAt < a.earliest || e.bookedAt > a.newest:
		a.fail("C26", string(e.id), "booked at %s, tenant of %s",
			microTime(e.bookedAt).Format(time.RFC3339), a.created.UTC().Format(time.RFC3339))
	}
	if a.walked++; a.opts.Walked != nil && a.walked%pageEntries == 0 {
		a.opts.Walked(a.tenant, a.walked)
	}
	err := a.chain.see(a, e)
	*c = entryCheck{touched: c.touched[:0]}
	return err
}

const (
	maxAmount      = 1_000_000_000_000_000
	clockTolerance = 5 * time.Minute
)

// closeTenant judges what the whole walk adds up to.
func (a *auditor) closeTenant(ctx context.Context) error {
	for id, n := range map[string]int64{"C1": a.tally.entries, "C5": a.tally.entries, "C26": a.tally.entries,
		"C23": a.tally.postings, "C4": a.tally.floored, "C6": a.tally.floored, "C19": a.tally.stakes} {
		a.count(id, n)
	}
	for key, sum := range a.totals {
		switch {
		case key.stake == "":
			a.count("C2", 1)
			if !sum.zero() {
				a.fail("C2", fmt.Sprintf("%s %s", key.book, key.currency), "off by %s", sum)
			}
		case key.stake == CustodyClaim ||
			key.stake == OwnStakeInCustody && a.totals[totalKey{currency: key.currency, stake: CustodyClaim}] == nil:
			a.judgeStake(key.currency)
		}
	}
	return a.judgeBalances(ctx)
}

func (a *auditor) judgeStake(currency string) {
	a.count("CUSTODY", 1)
	claim := a.total128(totalKey{currency: currency, stake: CustodyClaim})
	stake := a.total128(totalKey{currency: currency, stake: OwnStakeInCustody})
	if sum := claim.plus(*stake); !sum.zero() {
		a.fail("CUSTODY", currency, "claim %s, stake %s (debits less credits)", claim, stake)
	}
}

// sum128 is a sum that cannot overflow.
type sum128 struct {
	hi int64
	lo uint64
}

func (s *sum128) add(n int64) { *s = s.plus(sum128{n >> 63, uint64(n)}) }

func (s sum128) plus(t sum128) sum128 {
	lo, carry := bits.Add64(s.lo, t.lo, 0)
	return sum128{s.hi + t.hi + int64(carry), lo}
}

func (s sum128) zero() bool { return s.hi == 0 && s.lo == 0 }

func (s sum128) String() string {
	if s.hi == int64(s.lo)>>63 {
		return fmt.Sprint(int64(s.lo))
	}
	return fmt.Sprintf("%d·2^64+%d", s.hi, s.lo)
}
