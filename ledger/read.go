package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/money"
)

// Account is an account as its reader sees it. Balances are in minor units and
// signed by the normal side: positive is what the account normally has.
type Account struct {
	ID         string
	Key        AccountKey
	Class      Class
	Book       Book
	GLCode     string
	NormalSide Side
	Status     Status
	// Floor is nil for internal accounts, whose balance is derived from postings.
	Floor  *int64
	Posted int64
	Held   int64
	// Unsettled is what was recharged on the current business date: the provider
	// has not settled it yet. Only user_cash has any.
	Unsettled int64
	CreatedAt time.Time
}

// Available is what may be debited or held, down to the floor.
func (a Account) Available() int64 { return a.Posted - a.Held }

// Withdrawable is what may leave to the outside (可提现金额): of what is available,
// without a bonus or a deposit, and without a recharge that is not settled yet.
func (a Account) Withdrawable() int64 {
	switch {
	case a.Key.Type != MerchantAvailable && a.Key.Type != UserCash:
		return 0
	case a.Key.Type == MerchantAvailable && a.Key.Name != "": // only the usual account is paid out
		return 0
	case a.Status != Active && a.Status != CreditFrozen:
		return 0
	}
	return max(0, min(a.Available(), a.Available()-a.Unsettled))
}

// The balance of an internal account is what its last seal keeps and the
// postings that are not sealed yet, so it costs the same at any age. The upper
// bound says nothing but tells the planner that these are few, and coalesce stands
// in a select of its own because row-level security keeps it out of index conditions.
const accountColumns = `
a.id, a.type, a.owner, a.currency, a.name, a.class, a.book, a.gl_code, a.normal_side, a.status, a.floor,
case when a.floor is not null then a.posted else coalesce((
  select b.posted from seal_balances b where b.tenant_id = a.tenant_id and b.account_id = a.id order by b.seal desc limit 1
), 0) + coalesce((
  select sum(p.amount) from postings p where p.tenant_id = a.tenant_id and p.account_id = a.id
    and p.entry_seq > (select coalesce((
      select s.to_seq from seals s where s.tenant_id = a.tenant_id order by s.number desc limit 1
    ), 0))
    and p.entry_seq < 4611686018427387904
), 0)::bigint * case a.normal_side when 'debit' then 1 else -1 end end,
a.held,
case when a.type = 'user_cash' then coalesce((
  select -sum(p.amount) from postings p
  join entries e on e.tenant_id = p.tenant_id and e.seq = p.entry_seq and e.booked_at = p.booked_at
  where p.tenant_id = a.tenant_id and p.account_id = a.id and e.kind = 'collect'
    and p.booked_at >= (select suanpan_date(suanpan_now())::timestamp at time zone 'Asia/Shanghai')
), 0)::bigint else 0 end,
a.created_at`

func scanAccount(row pgx.CollectableRow) (Account, error) {
	var a Account
	err := row.Scan(&a.ID, &a.Key.Type, &a.Key.Owner, &a.Key.Currency, &a.Key.Name, &a.Class, &a.Book, &a.GLCode, &a.NormalSide,
		&a.Status, &a.Floor, &a.Posted, &a.Held, &a.Unsettled, &a.CreatedAt)
	return a, err
}

// AccountFilter narrows a list of accounts; empty fields do not.
type AccountFilter struct {
	Type     Type
	Owner    string
	Currency money.Currency
	// After is the cursor of the page before: the id of its last account.
	After string
	// Limit bounds the page; 0 means 50, at most 200.
	Limit int
}

// Accounts lists accounts in the order of their ids, which is about the order
// of opening. next is the cursor of the following page, "" on the last.
func Accounts(ctx context.Context, q pg.Querier, tenant string, f AccountFilter) (page []Account, next string, err error) {
	limit := pageSize(f.Limit)
	rows, err := q.Query(ctx, `select `+accountColumns+`
		from ledger_accounts a
		where a.tenant_id = $1 and ($2 = '' or a.type = $2) and ($3 = '' or a.owner = $3)
		  and ($4 = '' or a.currency = $4) and a.id > $5
		order by a.id limit $6`, tenant, f.Type, f.Owner, f.Currency, f.After, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("ledger: list accounts: %w", err)
	}
	page, err = pgx.CollectRows(rows, scanAccount)
	if err != nil {
		return nil, "", fmt.Errorf("ledger: list accounts: %w", err)
	}
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].ID
	}
	return page, next, nil
}

func pageSize(asked int) int {
	switch {
	case asked <= 0:
		return 50
	case asked > 200:
		return 200
	}
	return asked
}

// GetAccount returns one account, or an *Error of kind NotFound.
func GetAccount(ctx context.Context, q pg.Querier, tenant, accountID string) (Account, error) {
	rows, err := q.Query(ctx, `select `+accountColumns+` from ledger_accounts a where a.tenant_id = $1 and a.id = $2`, tenant, accountID)
	if err != nil {
		return Account{}, fmt.Errorf("ledger: account: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanAccount)
	if errors.Is(err, pgx.ErrNoRows) {
		return Account{}, &Error{NotFound, "account_id", "no such account"}
	}
	return a, err
}

// Balances returns the accounts of keys, in the order of keys. One that is not
// open yet has an empty ID and zero balances. It takes no lock: for showing,
// never for deciding.
func Balances(ctx context.Context, q pg.Querier, tenant string, keys ...AccountKey) ([]Account, error) {
	types, owners, currencies, names := columns(keys)
	rows, err := q.Query(ctx, `select `+accountColumns+`
		from unnest($2::text[], $3::text[], $4::text[], $5::text[]) k (type, owner, currency, name)
		join ledger_accounts a on a.tenant_id = $1 and a.type = k.type and a.owner = k.owner and a.currency = k.currency
		  and a.name = k.name`, tenant, types, owners, currencies, names)
	if err != nil {
		return nil, fmt.Errorf("ledger: balances: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanAccount)
	if err != nil {
		return nil, fmt.Errorf("ledger: balances: %w", err)
	}
	byKey := map[AccountKey]Account{}
	for _, a := range found {
		byKey[a.Key] = a
	}
	out := make([]Account, len(keys))
	for i, key := range keys {
		a, ok := byKey[key]
		if !ok {
			info, err := key.check(fmt.Sprintf("keys[%d]", i))
			if err != nil {
				return nil, err
			}
			a = Account{Key: key, Class: info.Class, Book: info.Book, GLCode: info.GLCode, NormalSide: info.NormalSide, Status: Active}
		}
		out[i] = a
	}
	return out, nil
}

// TrialLine is one line of a trial balance: a type of account in one currency.
type TrialLine struct {
	Type       Type
	Class      Class
	Book       Book
	GLCode     string
	NormalSide Side
	Currency   money.Currency
	// Accounts is how many accounts of the type are open.
	Accounts int64
	// Debit and Credit are the turnovers, Balance their difference on the normal side.
	Debit, Credit, Balance int64
	// Held is the part of Balance that is set aside.
	Held int64
}

// TrialBalance sums every account of a tenant, or of all with "" in the system
// role, by type and currency, in the order
// of currency, book (trust first) and gl_code. An empty result says that the
// tenant has no accounts.
func TrialBalance(ctx context.Context, q pg.Querier, tenant string) ([]TrialLine, error) {
	rows, err := q.Query(ctx, `
		with turnover as (
		  select account_id, sum(amount) filter (where amount > 0) as debit, -sum(amount) filter (where amount < 0) as credit
		  from postings where ($1 = '' or tenant_id = $1) group by account_id
		)
		select a.type, a.class, a.book, t.gl_code, a.normal_side, a.currency, count(*),
		  coalesce(sum(o.debit), 0)::bigint, coalesce(sum(o.credit), 0)::bigint, sum(a.held)::bigint
		from ledger_accounts a
		join account_types t on t.type = a.type
		left join turnover o on o.account_id = a.id
		where ($1 = '' or a.tenant_id = $1)
		group by a.type, a.class, a.book, t.gl_code, a.normal_side, a.currency
		order by a.currency, a.book desc, t.gl_code`, tenant)
	if err != nil {
		return nil, fmt.Errorf("ledger: trial balance: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (TrialLine, error) {
		var l TrialLine
		err := row.Scan(&l.Type, &l.Class, &l.Book, &l.GLCode, &l.NormalSide, &l.Currency, &l.Accounts, &l.Debit, &l.Credit, &l.Held)
		l.Balance = (l.Debit - l.Credit) * l.NormalSide.sign()
		return l, err
	})
}

// BookedPosting is a posting as it stands in the books.
type BookedPosting struct {
	AccountID string
	Account   AccountKey
	// Amount is + debit, − credit, in minor units.
	Amount int64
	// BalanceAfter is nil for internal accounts.
	BalanceAfter *int64
	// HoldReference is the hold it captured from, or "".
	HoldReference string
}

// BookedEntry is an entry as it stands in the books. Seq orders all entries of
// the installation; per account it is also the order of the balances.
type BookedEntry struct {
	ID  string
	Seq int64
	Reference
	Currency     money.Currency
	BookedAt     time.Time
	BusinessDate string
	ChannelDate  string
	Reverses     string
	Metadata     map[string]string
	Postings     []BookedPosting
}

// Entry returns what was booked as an Entry again, for example to reverse it.
func (b BookedEntry) Entry() Entry {
	e := Entry{Reference: b.Reference, Currency: b.Currency, ChannelDate: b.ChannelDate, Metadata: b.Metadata, Reverses: b.Reverses}
	for _, p := range b.Postings {
		e.Postings = append(e.Postings, Posting{Account: p.Account, Amount: p.Amount, FromHold: p.HoldReference})
	}
	return e
}

// EntryFilter narrows a list of entries; empty fields do not.
type EntryFilter struct {
	// ID finds one entry.
	ID     string
	Kind   Kind
	Number string
	Phase  string
	// AccountID lists the entries that touch an account.
	AccountID string
	// NewestFirst turns the order round.
	NewestFirst bool
	// After is the cursor of the page before: the seq of its last entry. AfterID
	// says the same by the entry's id.
	After   int64
	AfterID string
	// Limit bounds the page; 0 means 50, at most 200.
	Limit int
}

// sql lists entries beginning with those that come after the cursor.
// With an account its postings lead, so that the page costs the same however
// long its history or that of others is.
func (f EntryFilter) sql() string {
	compare, order := ">", "asc"
	if f.NewestFirst {
		compare, order = "<", "desc"
	}
	cursor := `(select coalesce((select seq from entries where tenant_id = $1 and id = $8 limit 1), $7))`
	by, from := "e.seq", `entries e where e.tenant_id = $1 and e.seq `+compare+" "+cursor
	if f.AccountID != "" {
		from = `postings p
		cross join lateral (select * from entries where tenant_id = $1 and seq = p.entry_seq limit 1) e
		where p.tenant_id = $1 and p.account_id = $6 and p.entry_seq ` + compare + " " + cursor + `
		  and p.leg = (select min(leg) from postings where tenant_id = $1 and account_id = $6 and entry_seq = p.entry_seq)`
		by = "p.entry_seq"
	}
	return `
		select e.id, e.seq, e.kind, e.number, e.phase, e.currency, e.booked_at, e.business_date::text,
		  coalesce(e.channel_date::text, ''), coalesce(e.reverses, ''), e.metadata
		from ` + from + `
		  and ($2 = '' or e.id = $2) and ($3 = '' or e.kind = $3) and ($4 = '' or e.number = $4) and ($5 = '' or e.phase = $5)
		  and $6::text is not null
		order by ` + by + ` ` + order + ` limit $9`
}

// Entries lists entries with their postings in the order of booking. next is
// the cursor of the following page, 0 on the last.
func Entries(ctx context.Context, q pg.Querier, tenant string, f EntryFilter) (page []BookedEntry, next int64, err error) {
	limit := pageSize(f.Limit)
	if f.NewestFirst && f.After == 0 {
		f.After = maxSeq
	}
	rows, err := q.Query(ctx, f.sql(), tenant, f.ID, f.Kind, f.Number, f.Phase, f.AccountID, f.After, f.AfterID, limit+1)
	if err != nil {
		return nil, 0, fmt.Errorf("ledger: list entries: %w", err)
	}
	page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (BookedEntry, error) {
		var e BookedEntry
		err := row.Scan(&e.ID, &e.Seq, &e.Kind, &e.Number, &e.Phase, &e.Currency, &e.BookedAt, &e.BusinessDate,
			&e.ChannelDate, &e.Reverses, &e.Metadata)
		return e, err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("ledger: list entries: %w", err)
	}
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].Seq
	}
	return page, next, readPostings(ctx, q, tenant, page)
}

// GetEntry returns one entry, or an *Error of kind NotFound.
func GetEntry(ctx context.Context, q pg.Querier, tenant, entryID string) (BookedEntry, error) {
	page, _, err := Entries(ctx, q, tenant, EntryFilter{ID: entryID})
	switch {
	case err != nil:
		return BookedEntry{}, err
	case len(page) == 0:
		return BookedEntry{}, &Error{NotFound, "entry_id", "no such entry"}
	}
	return page[0], nil
}

// readPostings fills in the postings of a page.
func readPostings(ctx context.Context, q pg.Querier, tenant string, page []BookedEntry) error {
	bySeq, seqs := map[int64]*BookedEntry{}, make([]int64, len(page))
	for i := range page {
		bySeq[page[i].Seq], seqs[i] = &page[i], page[i].Seq
	}
	rows, err := q.Query(ctx, `
		select p.entry_seq, p.account_id, a.type, a.owner, a.currency, a.name, p.amount, p.balance_after, coalesce(h.reference, '')
		from postings p
		join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
		left join holds h on h.tenant_id = p.tenant_id and h.id = p.hold_id
		where p.tenant_id = $1 and p.entry_seq = any($2)
		order by p.entry_seq, p.leg`, tenant, seqs)
	if err != nil {
		return fmt.Errorf("ledger: postings: %w", err)
	}
	var seq int64
	var p BookedPosting
	_, err = pgx.ForEachRow(rows, []any{&seq, &p.AccountID, &p.Account.Type, &p.Account.Owner, &p.Account.Currency, &p.Account.Name,
		&p.Amount, &p.BalanceAfter, &p.HoldReference}, func() error {
		bySeq[seq].Postings = append(bySeq[seq].Postings, p)
		return nil
	})
	if err != nil {
		return fmt.Errorf("ledger: postings: %w", err)
	}
	return nil
}

// HoldFilter narrows a list of holds; empty fields do not.
type HoldFilter struct {
	AccountID string
	Status    HoldStatus
	Reference string
	// References finds holds with any of these, ID one hold.
	References []string
	ID         string
	// Before is the cursor of the page before: the id of its last hold.
	Before string
	// Limit bounds the page; 0 means 50, at most 200.
	Limit int
}

// ListedHold is a hold with what its reader wants to know beside it.
type ListedHold struct {
	Hold
	Currency  money.Currency
	CreatedAt time.Time
	// ClosedAt is nil while the hold is open.
	ClosedAt *time.Time
}

// Holds lists holds, newest first. next is the cursor of the following page, ""
// on the last.
func Holds(ctx context.Context, q pg.Querier, tenant string, f HoldFilter) (page []ListedHold, next string, err error) {
	limit := pageSize(f.Limit)
	rows, err := q.Query(ctx, `
		select h.id, h.reference, h.account_id, h.amount, h.captured, h.released, h.status, h.expires_at, a.currency,
		  h.created_at, h.closed_at
		from holds h join ledger_accounts a on a.tenant_id = h.tenant_id and a.id = h.account_id
		where h.tenant_id = $1 and ($2 = '' or h.account_id = $2) and ($3 = '' or h.status = $3)
		  and ($4 = '' or h.reference = $4) and ($5 = '' or h.id < $5)
		  and ($7::text[] is null or h.reference = any($7)) and ($8 = '' or h.id = $8)
		order by h.id desc limit $6`, tenant, f.AccountID, f.Status, f.Reference, f.Before, limit+1, f.References, f.ID)
	if err != nil {
		return nil, "", fmt.Errorf("ledger: list holds: %w", err)
	}
	page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (ListedHold, error) {
		var h ListedHold
		err := row.Scan(&h.ID, &h.Reference, &h.AccountID, &h.Amount, &h.Captured, &h.Released, &h.Status, &h.ExpiresAt,
			&h.Currency, &h.CreatedAt, &h.ClosedAt)
		return h, err
	})
	if err != nil {
		return nil, "", fmt.Errorf("ledger: list holds: %w", err)
	}
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].ID
	}
	return page, next, nil
}

// GetHold returns the hold with a reference, or an *Error of kind NotFound.
func GetHold(ctx context.Context, q pg.Querier, tenant, reference string) (Hold, error) {
	page, _, err := Holds(ctx, q, tenant, HoldFilter{Reference: reference})
	switch {
	case err != nil:
		return Hold{}, err
	case len(page) == 0:
		return Hold{}, &Error{NotFound, "reference", "no hold has the reference " + reference}
	}
	return page[0].Hold, nil
}
