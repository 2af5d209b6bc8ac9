package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// knowledge is what one look at the books found.
type knowledge struct {
	accounts *balances
	holds    map[string]*holdState
	entries  map[Reference]entryBefore
	// reversibles are the entries that the call wants to reverse, by id.
	reversibles map[string]reversible
}

type entryBefore struct {
	id   string
	hash []byte
}

// The arrays of these statements stand in scalar subqueries, so that the planner
// expects the same of every call: it then keeps one plan per session, where it
// would otherwise plan each call anew, which costs more than running it.
//
// Accounts with a floor are locked in the order of their ids, whatever the
// order of the entries: two calls never wait for each other in a circle. A
// row that had to be waited for is read again by the lock.
const sqlAccounts = `
with locked as (
  select a.id, a.type, a.owner, a.currency, a.name, a.normal_side, a.status, a.floor, a.posted, a.held, a.last_seq,
    a.limits, a.limit_usage
  from unnest((select $2::text[]), (select $3::text[]), (select $4::text[]), (select $5::text[])) k (type, owner, currency, name)
  join ledger_accounts a on a.tenant_id = $1 and a.type = k.type and a.owner = k.owner and a.currency = k.currency
    and a.name = k.name
  where a.floor is not null
  order by a.id
  for update of a
)
select *, case when limits is not null then suanpan_date(suanpan_now())::text end from locked
union all
select a.id, a.type, a.owner, a.currency, a.name, a.normal_side, a.status, a.floor, a.posted, a.held, a.last_seq,
  null, null, null
from unnest((select $2::text[]), (select $3::text[]), (select $4::text[]), (select $5::text[])) k (type, owner, currency, name)
join ledger_accounts a on a.tenant_id = $1 and a.type = k.type and a.owner = k.owner and a.currency = k.currency
  and a.name = k.name
where a.floor is null`

const sqlOpenAccounts = `
insert into ledger_accounts (tenant_id, id, type, class, book, normal_side, gl_code, owner, currency, name)
select $1, k.id, t.type, t.class, t.book, t.normal_side, t.gl_code, k.owner, k.currency, k.name
from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) k (id, type, owner, currency, name)
join account_types t on t.type = k.type
order by k.type, k.owner, k.currency, k.name
on conflict on constraint ledger_accounts_key do nothing`

const sqlHolds = `
select id, reference, account_id, amount, captured, released, status, expires_at,
  case when expires_at is null then false else expires_at <= suanpan_now() end
from holds where tenant_id = $1 and reference = any($2)`

const sqlEntriesBefore = `
select e.id, e.kind, e.number, e.phase, e.content_hash
from unnest((select $2::text[]), (select $3::text[]), (select $4::text[])) r (kind, number, phase)
cross join lateral (
  select id, kind, number, phase, content_hash from entries
  where tenant_id = $1 and kind = r.kind and number = r.number and phase = r.phase limit 1
) e`

// look locks and reads, in one round trip, the accounts of a call, the holds it
// names and the entries that have its references. The statements run in this
// order, so what a transaction wrote that held the account locks before us is
// seen. Accounts used for the first time are opened, and all is read again.
func look(ctx context.Context, tx pgx.Tx, tenant string, keys []AccountKey, holds []string, entries []Entry) (*knowledge, error) {
	known, err := read(ctx, tx, tenant, keys, holds, entries)
	if err != nil {
		return nil, err
	}
	missing := known.accounts.missing(keys)
	if len(missing) == 0 {
		return known, nil
	}
	if err := openAccounts(ctx, tx, tenant, missing); err != nil {
		return nil, err
	}
	known, err = read(ctx, tx, tenant, keys, holds, entries)
	if err != nil {
		return nil, err
	}
	if still := known.accounts.missing(keys); len(still) > 0 {
		return nil, fmt.Errorf("ledger: account %s of %q cannot be opened", still[0].Type, still[0].Owner)
	}
	return known, nil
}

func read(ctx context.Context, tx pgx.Tx, tenant string, keys []AccountKey, holds []string, entries []Entry) (*knowledge, error) {
	known := &knowledge{
		accounts: &balances{byKey: map[AccountKey]*account{}},
		holds:    map[string]*holdState{},
		entries:  map[Reference]entryBefore{},

		reversibles: map[string]reversible{},
	}
	batch := &pgx.Batch{}
	known.queueAccounts(batch, tenant, keys)
	if len(holds) > 0 {
		known.queueHolds(batch, tenant, holds)
	}
	if len(entries) > 0 {
		known.queueEntries(batch, tenant, entries)
	}
	if ids := reversedBy(entries); len(ids) > 0 {
		known.queueReversibles(batch, tenant, ids)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("ledger: lock and read: %w", err)
	}
	return known, nil
}

// openAccounts opens those accounts that are not open yet. Another transaction
// that opens the same at the same time is waited for by the unique key.
func openAccounts(ctx context.Context, tx pgx.Tx, tenant string, keys []AccountKey) error {
	ids := make([]string, len(keys))
	for i := range keys {
		ids[i] = id.New(id.Account)
	}
	types, owners, currencies, names := columns(keys)
	if _, err := tx.Exec(ctx, sqlOpenAccounts, tenant, ids, types, owners, currencies, names); err != nil {
		return fmt.Errorf("ledger: open accounts: %w", err)
	}
	return nil
}

func (known *knowledge) queueAccounts(batch *pgx.Batch, tenant string, keys []AccountKey) {
	types, owners, currencies, names := columns(keys)
	batch.Queue(sqlAccounts, tenant, types, owners, currencies, names).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			a := &account{}
			var limits, used []byte
			var today *string
			if err := rows.Scan(&a.id, &a.key.Type, &a.key.Owner, &a.key.Currency, &a.key.Name, &a.normalSide, &a.status,
				&a.floor, &a.posted, &a.held, &a.lastSeq, &limits, &used, &today); err != nil {
				return err
			}
			if err := a.readLimits(limits, used, today); err != nil {
				return err
			}
			known.accounts.put(a)
		}
		return rows.Err()
	})
}

func (known *knowledge) queueHolds(batch *pgx.Batch, tenant string, references []string) {
	batch.Queue(sqlHolds, tenant, references).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			h := &holdState{}
			if err := rows.Scan(&h.id, &h.reference, &h.accountID, &h.amount, &h.captured, &h.released, &h.status,
				&h.expiresAt, &h.overdue); err != nil {
				return err
			}
			known.holds[h.reference] = h
		}
		return rows.Err()
	})
}

func (known *knowledge) queueEntries(batch *pgx.Batch, tenant string, entries []Entry) {
	kinds, numbers, phases := make([]string, len(entries)), make([]string, len(entries)), make([]string, len(entries))
	for i, e := range entries {
		kinds[i], numbers[i], phases[i] = string(e.Kind), e.Number, e.Phase
	}
	batch.Queue(sqlEntriesBefore, tenant, kinds, numbers, phases).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var r Reference
			var before entryBefore
			if err := rows.Scan(&before.id, &r.Kind, &r.Number, &r.Phase, &before.hash); err != nil {
				return err
			}
			known.entries[r] = before
		}
		return rows.Err()
	})
}

func columns(keys []AccountKey) (types, owners, currencies, names []string) {
	for _, key := range keys {
		types, owners = append(types, string(key.Type)), append(owners, key.Owner)
		currencies, names = append(currencies, string(key.Currency)), append(names, key.Name)
	}
	return types, owners, currencies, names
}

// One statement writes a call of Post, so that the triggers see every entry
// whole; they judge it, and move the balances of accounts with a floor. If another
// transaction has used the references since we looked, none is inserted, nothing
// else moves, and the caller looks again; if it used only some of them, or if the
// statement was left for later and nobody can look, the transaction must run again.
const sqlBook = `
with booked as (
  insert into entries (tenant_id, id, kind, number, phase, currency, legs, content_hash, booked_at, channel_date, reverses, metadata)
  select $1, e.id, e.kind, e.number, e.phase, e.currency, e.legs, e.hash, now.at, e.channel_date::date, e.reverses, e.metadata::jsonb
  from unnest((select $2::text[]), (select $3::text[]), (select $4::text[]), (select $5::text[]), (select $6::text[]),
    (select $7::int2[]), (select $8::bytea[]), (select $9::text[]), (select $10::text[]), (select $11::text[]))
    with ordinality e (id, kind, number, phase, currency, legs, hash, channel_date, reverses, metadata, position),
    (select suanpan_now() as at) now
  order by e.position
  on conflict on constraint entries_reference do nothing
  returning id, seq, booked_at
), written as (
  select lost_reference_race(count(*), cardinality($2), $25) as entries from booked
), posted as (
  insert into postings (tenant_id, entry_seq, leg, account_id, amount, account_seq, balance_after, hold_id, booked_at)
  select $1, b.seq, p.leg, p.account_id, p.amount, p.account_seq, p.balance_after, p.hold_id, b.booked_at
  from unnest((select $12::text[]), (select $13::int2[]), (select $14::text[]), (select $15::int8[]),
    (select $16::int8[]), (select $17::int8[]), (select $18::text[]))
    p (entry_id, leg, account_id, amount, account_seq, balance_after, hold_id)
  join booked b on b.id = p.entry_id
), moved as (
  update ledger_accounts a set held = n.held, limit_usage = n.usage::jsonb
  from unnest((select $19::text[]), (select $20::int8[]), (select $21::text[])) n (id, held, usage), written w
  where a.tenant_id = $1 and a.id = n.id and w.entries > 0
), captured as (
  update holds h set captured = n.captured, status = n.status,
    closed_at = case when n.status = 'captured' then suanpan_now() end
  from unnest((select $22::text[]), (select $23::int8[]), (select $24::text[])) n (id, captured, status), written w
  where h.tenant_id = $1 and h.id = n.id and w.entries > 0
)
select entries from written`

// sqlBookOne is sqlBook for the call that most calls are: one entry that moves no
// hold and no limit. It writes the same rows under the same rules, with half of the plan.
const sqlBookOne = `
with booked as (
  insert into entries (tenant_id, id, kind, number, phase, currency, legs, content_hash, booked_at, channel_date, reverses, metadata)
  values ($1, $2, $3, $4, $5, $6, $7, $8, suanpan_now(), $9::text::date, $10, $11::text::jsonb)
  on conflict on constraint entries_reference do nothing
  returning seq, booked_at
), posted as (
  insert into postings (tenant_id, entry_seq, leg, account_id, amount, account_seq, balance_after, booked_at)
  select $1, b.seq, p.leg, p.account_id, p.amount, p.account_seq, p.balance_after, b.booked_at
  from booked b, unnest((select $12::int2[]), (select $13::text[]), (select $14::int8[]), (select $15::int8[]),
    (select $16::int8[])) p (leg, account_id, amount, account_seq, balance_after)
)
select count(*) from booked`

// write returns false when another transaction used the references meanwhile.
func (b *booking) write(ctx context.Context, tx pgx.Tx, tenant string) (bool, error) {
	none := len(capturedColumns(b.holds)[0].([]string))+len(b.accounts.changedColumns()[0].([]string)) == 0
	switch {
	case len(b.entries) == 0:
		return true, nil
	case len(b.entries) == 1 && none:
		return b.writeOne(ctx, tx, tenant)
	}
	var written int64
	if err := tx.QueryRow(ctx, sqlBook, b.columns(tenant, false)...).Scan(&written); err != nil {
		return false, err
	}
	return written > 0, nil
}

// writeLater leaves the writing to travel with the commit.
func (b *booking) writeLater(ctx context.Context, tx pgx.Tx, tenant string) error {
	if len(b.entries) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	batch.Queue(sqlBook, b.columns(tenant, true)...)
	return pg.Later(ctx, tx, batch)
}

// columns are the parameters of sqlBook.
func (b *booking) columns(tenant string, later bool) []any {
	args := []any{tenant}
	args = append(args, entryColumns(b.entries)...)
	args = append(args, postingColumns(b.postings)...)
	args = append(args, b.accounts.changedColumns()...)
	args = append(args, capturedColumns(b.holds)...)
	return append(args, later)
}

func (b *booking) writeOne(ctx context.Context, tx pgx.Tx, tenant string) (bool, error) {
	e := b.entries[0]
	args := []any{tenant, e.id, string(e.Kind), e.Number, e.Phase, string(e.Currency), int16(len(e.Postings)), e.hash,
		orNull(e.ChannelDate), orNull(e.Reverses), metadataText(e.Metadata)}
	postings := postingColumns(b.postings) // entry id, five columns, hold id
	args = append(args, postings[1:6]...)
	var written int64
	err := tx.QueryRow(ctx, sqlBookOne, args...).Scan(&written)
	return written > 0, err
}

func entryColumns(entries []newEntry) []any {
	n := len(entries)
	ids, kinds, numbers, phases, currencies := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	legs, hashes, metadata := make([]int16, n), make([][]byte, n), make([]string, n)
	channelDates, reverses := make([]*string, n), make([]*string, n)
	for i, e := range entries {
		ids[i], kinds[i], numbers[i], phases[i], currencies[i] = e.id, string(e.Kind), e.Number, e.Phase, string(e.Currency)
		legs[i], hashes[i], metadata[i] = int16(len(e.Postings)), e.hash, metadataText(e.Metadata)
		channelDates[i], reverses[i] = orNull(e.ChannelDate), orNull(e.Reverses)
	}
	return []any{ids, kinds, numbers, phases, currencies, legs, hashes, channelDates, reverses, metadata}
}

func postingColumns(postings []newPosting) []any {
	n := len(postings)
	entryIDs, accountIDs, holdIDs := make([]string, n), make([]string, n), make([]*string, n)
	legs, amounts := make([]int16, n), make([]int64, n)
	seqs, balancesAfter := make([]*int64, n), make([]*int64, n)
	for i, p := range postings {
		entryIDs[i], accountIDs[i], holdIDs[i] = p.entryID, p.accountID, p.holdID
		legs[i], amounts[i], seqs[i], balancesAfter[i] = p.leg, p.amount, p.accountSeq, p.balanceAfter
	}
	return []any{entryIDs, legs, accountIDs, amounts, seqs, balancesAfter, holdIDs}
}

// changedColumns are id, held and limit usage of the accounts in which those
// changed; posted and last_seq follow from the postings, in the database.
func (b *balances) changedColumns() []any {
	ids, held, used := []string{}, []int64{}, []*string{}
	for _, a := range b.inOrder {
		if a.changed {
			ids, held, used = append(ids, a.id), append(held, a.held), append(used, a.usageText())
		}
	}
	return []any{ids, held, used}
}

func capturedColumns(holds map[string]*holdState) []any {
	ids, captured, statuses := []string{}, []int64{}, []string{}
	for _, h := range holds {
		if h.changed {
			ids, captured, statuses = append(ids, h.id), append(captured, h.captured), append(statuses, string(h.status))
		}
	}
	return []any{ids, captured, statuses}
}

const sqlPlaceHolds = `
with placed as (
  insert into holds (tenant_id, id, reference, account_id, amount, expires_at, limited_on)
  select $1, n.id, n.reference, n.account_id, n.amount, n.expires_at, n.limited_on::date
  from unnest($2::text[], $3::text[], $4::text[], $5::int8[], $6::timestamptz[], $7::text[])
    n (id, reference, account_id, amount, expires_at, limited_on)
  order by n.reference
  on conflict on constraint holds_reference do nothing
  returning id
), written as (
  select lost_reference_race(count(*), cardinality($2)) as holds from placed
), moved as (
  update ledger_accounts a set held = n.held, limit_usage = n.usage::jsonb
  from unnest($8::text[], $9::int8[], $10::text[]) n (id, held, usage), written w
  where a.tenant_id = $1 and a.id = n.id and w.holds > 0
)
select holds from written`

// writeHolds returns false when another transaction used the references meanwhile.
func writeHolds(ctx context.Context, tx pgx.Tx, tenant string, accounts *balances, placed []*holdState) (bool, error) {
	if len(placed) == 0 {
		return true, nil
	}
	ids, references, accountIDs, amounts := []string{}, []string{}, []string{}, []int64{}
	expiries, limitedOn := []*time.Time{}, []*string{}
	for _, h := range placed {
		ids, references = append(ids, h.id), append(references, h.reference)
		accountIDs, amounts = append(accountIDs, h.accountID), append(amounts, h.amount)
		expiries, limitedOn = append(expiries, h.expiresAt), append(limitedOn, orNull(h.limitedOn))
	}
	moved := accounts.changedColumns()
	var written int64
	err := tx.QueryRow(ctx, sqlPlaceHolds, tenant, ids, references, accountIDs, amounts, expiries, limitedOn,
		moved[0], moved[1], moved[2]).Scan(&written)
	return written > 0, err
}

// metadataText is the JSON object of the metadata, keys sorted.
func metadataText(metadata map[string]string) string {
	if len(metadata) == 0 {
		return "{}"
	}
	text, err := json.Marshal(metadata)
	if err != nil { // a map of strings always marshals
		return "{}"
	}
	return string(text)
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
