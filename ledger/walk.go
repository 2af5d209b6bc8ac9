package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// walkedEntry is an entry as a walk meets it. It is valid only inside the call
// that is given it.
type walkedEntry struct {
	id       string
	seq      int64
	kind     string
	currency string
	legs     int64
	// bookedAt is in microseconds since 1970.
	bookedAt int64
	digest   digest

	bytes []byte // canonical
}

// walkedPosting is a posting as a walk meets it.
type walkedPosting struct {
	seq      int64
	leg      int64
	account  *walkedAccount
	raw      []byte // the account's id, valid inside the call only
	amount   int64
	bookedAt int64
	// accountSeq and balanceAfter are meaningful when counted.
	accountSeq, balanceAfter int64
	counted                  bool
}

// walker reads a tenant's entries with their postings in the order of booking,
// page by page, and computes their digests.
type walker struct {
	q      pg.Querier
	tenant string
	// accounts makes sure that the accounts of the postings in (from, to] are in known.
	accounts func(ctx context.Context, from, to int64) error
	known    map[string]*walkedAccount
	// posting is called for each posting, entry nil when the posting has none;
	// entry is called after an entry's postings. Both may be nil.
	posting func(e *walkedEntry, p *walkedPosting)
	entry   func(e *walkedEntry) error

	table *crc32.Table
	hash  hash.Hash
	texts map[string]string
	page  []walkedEntry
	buf   []byte
}

func newWalker(q pg.Querier, tenant string) *walker {
	return &walker{q: q, tenant: tenant, known: map[string]*walkedAccount{}, texts: map[string]string{},
		table: crc32.MakeTable(crc32.Castagnoli), hash: sha256.New()}
}

// walkPage bounds how many entries are read at once.
const walkPage = 10000

// postgresEpoch is 2000-01-01 in microseconds since 1970.
const postgresEpoch = 946684800 * 1_000_000

// walk reads the entries with from < seq <= to.
func (w *walker) walk(ctx context.Context, from, to int64) error {
	for {
		if err := w.readEntries(ctx, from, to); err != nil {
			return err
		}
		// Postings that belong to no entry lie between the pages' entries, too.
		end, last := to, len(w.page) < walkPage
		if !last {
			end = w.page[len(w.page)-1].seq
		}
		if w.accounts != nil {
			if err := w.accounts(ctx, from, end); err != nil {
				return err
			}
		}
		if err := w.readPostings(ctx, from, end); err != nil {
			return err
		}
		if last {
			return nil
		}
		from = end
	}
}

const sqlWalkEntries = `
select id, seq, kind, number, phase, currency, legs::bigint, content_hash, booked_at, business_date::text,
  channel_date::text, reverses, metadata::text
from entries where tenant_id = $1 and seq > $2 and seq <= $3 order by seq, booked_at limit $4`

func (w *walker) readEntries(ctx context.Context, from, to int64) error {
	rows, err := w.q.Query(ctx, sqlWalkEntries, pgx.QueryResultFormats{pgx.BinaryFormatCode}, w.tenant, from, to, walkPage)
	if err != nil {
		return fmt.Errorf("ledger: read entries of %s: %w", w.tenant, err)
	}
	defer rows.Close()
	w.page, w.buf = w.page[:0], w.buf[:0]
	for rows.Next() {
		raw := rows.RawValues()
		e := walkedEntry{id: string(raw[0]), seq: rawInt(raw[1]), kind: w.text(raw[2]), currency: w.text(raw[5]),
			legs: rawInt(raw[6]), bookedAt: rawTime(raw[8])}
		start := len(w.buf)
		b := putRaw(w.buf, raw[0])
		b = putInt(b, e.seq)
		for _, text := range raw[2:6] {
			b = putRaw(b, text)
		}
		b = putInt(b, e.legs)
		b = putRaw(b, raw[7])
		b = putInt(b, e.bookedAt)
		for _, text := range raw[9:12] {
			b = putRaw(b, text)
		}
		w.buf = putText(b, canonicalMetadata(raw[12]))
		// A buffer that grows moves; slices of the old one stay as they were.
		e.bytes = w.buf[start:len(w.buf):len(w.buf)]
		w.page = append(w.page, e)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("ledger: read entries of %s: %w", w.tenant, err)
	}
	return nil
}

const sqlWalkPostings = `
select entry_seq, leg::bigint, account_id, amount, account_seq, balance_after, hold_id, booked_at
from postings where tenant_id = $1 and entry_seq > $2 and entry_seq <= $3 order by entry_seq, leg`

// readPostings brings the postings in (from, to] together with the page's entries.
func (w *walker) readPostings(ctx context.Context, from, to int64) error {
	rows, err := w.q.Query(ctx, sqlWalkPostings, pgx.QueryResultFormats{pgx.BinaryFormatCode}, w.tenant, from, to)
	if err != nil {
		return fmt.Errorf("ledger: read postings of %s: %w", w.tenant, err)
	}
	defer rows.Close()
	at := 0
	w.begin(at)
	var scratch []byte
	for rows.Next() {
		raw := rows.RawValues()
		p := walkedPosting{seq: rawInt(raw[0]), leg: rawInt(raw[1]), raw: raw[2], account: w.known[string(raw[2])],
			amount: rawInt(raw[3]), accountSeq: rawInt(raw[4]), balanceAfter: rawInt(raw[5]), counted: raw[4] != nil,
			bookedAt: rawTime(raw[7])}
		for at < len(w.page) && w.page[at].seq < p.seq {
			if err := w.end(at); err != nil {
				return err
			}
			at++
			w.begin(at)
		}
		var e *walkedEntry
		if at < len(w.page) && w.page[at].seq == p.seq {
			e = &w.page[at]
			scratch = p.append(scratch[:0], raw)
			w.hash.Write(scratch)
			e.digest.parts = append(e.digest.parts, crc32.Checksum(scratch, w.table))
		}
		if w.posting != nil {
			w.posting(e, &p)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("ledger: read postings of %s: %w", w.tenant, err)
	}
	for ; at < len(w.page); at++ {
		if err := w.end(at); err != nil {
			return err
		}
		w.begin(at + 1)
	}
	return nil
}

// append writes the posting's canonical bytes.
func (p *walkedPosting) append(b []byte, raw [][]byte) []byte {
	b = putInt(b, p.leg)
	b = putRaw(b, raw[2])
	if p.account == nil {
		b = putNull(b)
	} else {
		b = putText(b, p.account.identity[:])
	}
	b = putInt(b, p.amount)
	b = putRawInt(b, raw[4])
	b = putRawInt(b, raw[5])
	b = putRaw(b, raw[6])
	return putInt(b, p.bookedAt)
}

func (w *walker) begin(at int) {
	if at >= len(w.page) {
		return
	}
	e := &w.page[at]
	w.hash.Reset()
	w.hash.Write(e.bytes)
	e.digest = digest{seq: e.seq, parts: append(make([]uint32, 0, 3), crc32.Checksum(e.bytes, w.table))}
}

func (w *walker) end(at int) error {
	e := &w.page[at]
	w.hash.Sum(e.digest.hash[:0])
	if w.entry == nil {
		return nil
	}
	return w.entry(e)
}

// text returns a short, often repeated text without allocating it again.
func (w *walker) text(raw []byte) string {
	if known, ok := w.texts[string(raw)]; ok {
		return known
	}
	text := string(raw)
	w.texts[text] = text
	return text
}

// rawTime reads a timestamptz in PostgreSQL's binary form as microseconds since 1970.
func rawTime(raw []byte) int64 {
	if len(raw) != 8 {
		return 0
	}
	at := int64(binary.BigEndian.Uint64(raw))
	if at > math.MaxInt64-postgresEpoch {
		return math.MaxInt64 // infinity, which only a superuser can have written
	}
	return at + postgresEpoch
}

func microTime(at int64) time.Time { return time.UnixMicro(at).UTC() }

// walkedAccount is an account with what a walk finds out about it.
type walkedAccount struct {
	id       string
	typ      Type
	class    Class
	book     Book
	currency string
	side     Side
	status   Status
	floored  bool
	floor    int64
	posted   int64
	held     int64
	lastSeq  int64
	// identity is SHA-256 over the canonical bytes of what never changes.
	identity [sha256.Size]byte

	walked accountHistory
}

const sqlWalkAccounts = `
select a.id, a.type, a.class, a.book, a.currency, a.normal_side, a.status, a.floor, a.posted, a.held, a.last_seq,
  a.owner, a.name, a.gl_code
from ledger_accounts a where a.tenant_id = $1`

const sqlWalkAccountsBetween = sqlWalkAccounts + ` and a.id in (
  select p.account_id from postings p where p.tenant_id = $1 and p.entry_seq > $2 and p.entry_seq <= $3)`

// loadAccounts reads all accounts of the tenant.
func (w *walker) loadAccounts(ctx context.Context) error {
	_, err := w.readAccounts(ctx, sqlWalkAccounts, w.tenant)
	return err
}

// loadAccountsBetween reads the accounts of the postings in (from, to] and
// returns those that were not known before.
func (w *walker) loadAccountsBetween(ctx context.Context, from, to int64) ([]*walkedAccount, error) {
	return w.readAccounts(ctx, sqlWalkAccountsBetween, w.tenant, from, to)
}

func (w *walker) readAccounts(ctx context.Context, sql string, args ...any) (added []*walkedAccount, err error) {
	rows, err := w.q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("ledger: read accounts of %s: %w", w.tenant, err)
	}
	var a walkedAccount
	var floor *int64
	var owner, name, glCode string
	_, err = pgx.ForEachRow(rows, []any{&a.id, &a.typ, &a.class, &a.book, &a.currency, &a.side, &a.status, &floor,
		&a.posted, &a.held, &a.lastSeq, &owner, &name, &glCode}, func() error {
		if w.known[a.id] != nil {
			return nil
		}
		b := make([]byte, 0, 192)
		for _, text := range []string{a.id, string(a.typ), string(a.class), string(a.book), string(a.side), glCode, owner, name, a.currency} {
			b = putText(b, []byte(text))
		}
		found := a
		found.identity = sha256.Sum256(b)
		if floor != nil {
			found.floored, found.floor = true, *floor
		}
		w.known[found.id] = &found
		added = append(added, &found)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: read accounts of %s: %w", w.tenant, err)
	}
	return added, nil
}
