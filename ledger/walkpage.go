package ledger

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/suanpan/suanpan/internal/chain"
	"github.com/suanpan/suanpan/internal/pg"
)

// page is some of a tenant's entries in the order of booking, with every posting
// in the same range of seq, also those that belong to no entry.
type page struct {
	from, end int64 // from < seq <= end
	last      bool
	entries   []walkedEntry
	postings  []walkedPosting
	// text is what the texts of entries and postings are slices of.
	text []byte
}

// newPage has a text that is not nil, so that no empty slice of it is.
func newPage() *page { return &page{text: []byte{}} }

// A page ends after so many entries, or so many legs.
const (
	pageEntries = 10000
	pageLegs    = 4 * pageEntries
)

// pagesAhead is how many pages exist at once while they are read ahead: one being
// walked, one at each of the two readers, and one ready.
const pagesAhead = 4

// pager reads the entries of a tenant with from < seq <= to page by page.
type pager struct {
	tenant   string
	from, to int64
	table    *crc32.Table
	texts    map[string]string
	dates    dateTexts

	entries, postings pg.Querier
	one               *page // without reading ahead: the page under way

	free, ready chan *page
	group       *errgroup.Group
	cancel      context.CancelFunc
}

func newPager(q pg.Querier, tenant string, from, to int64) *pager {
	return &pager{tenant: tenant, from: from, to: to, entries: q, postings: q, one: newPage(),
		table: crc32.MakeTable(crc32.Castagnoli), texts: map[string]string{}}
}

// readAhead reads the pages while others are walked: entries by one transaction,
// their postings by another, which must see the same snapshot.
func (r *pager) readAhead(ctx context.Context, entries, postings pg.Querier) {
	r.entries, r.postings = entries, postings
	ctx, r.cancel = context.WithCancel(ctx)
	r.group, ctx = errgroup.WithContext(ctx)
	r.free, r.ready = make(chan *page, pagesAhead), make(chan *page, 1)
	for range pagesAhead {
		r.free <- newPage()
	}
	half := make(chan *page)
	r.group.Go(func() error {
		defer close(half)
		return pass(ctx, r.free, half, r.readEntries)
	})
	r.group.Go(func() error {
		defer close(r.ready)
		return pass(ctx, half, r.ready, r.readPostings)
	})
}

// pass takes pages from one channel, reads into them and hands them on, up to the last.
func pass(ctx context.Context, from <-chan *page, to chan<- *page, read func(context.Context, *page) error) error {
	for {
		var p *page
		select {
		case p = <-from:
		case <-ctx.Done():
		}
		if p == nil {
			return ctx.Err()
		}
		if err := read(ctx, p); err != nil {
			return err
		}
		last := p.last
		select {
		case to <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
		if last {
			return nil
		}
	}
}

// next returns the next page, which is valid until it is given back by done.
func (r *pager) next(ctx context.Context) (*page, error) {
	if r.group != nil {
		if p := <-r.ready; p != nil {
			return p, nil
		}
		return nil, r.group.Wait()
	}
	if err := r.readEntries(ctx, r.one); err != nil {
		return nil, err
	}
	return r.one, r.readPostings(ctx, r.one)
}

// done gives a page back, to be filled again.
func (r *pager) done(p *page) {
	if r.group != nil {
		r.free <- p
	}
}

// stop ends the reading ahead.
func (r *pager) stop() {
	if r.group != nil {
		r.cancel()
		_ = r.group.Wait() // what went wrong was returned by next, or nobody needs it any more
	}
}

// Entries of one seq, of which there is more than one only after tampering, stay
// together; by time, which decides whose the postings are, they are sorted afterwards.
const sqlWalkEntries = `
select id, seq, kind, number, phase, currency, legs, content_hash, booked_at, business_date, channel_date, reverses, metadata
from entries where tenant_id = $1 and seq > $2 and seq <= $3 order by seq fetch first ($4) rows with ties`

func (r *pager) readEntries(ctx context.Context, p *page) error {
	p.from, p.end, p.last = r.from, r.to, true
	p.entries, p.postings, p.text = p.entries[:0], p.postings[:0], p.text[:0]
	rows, err := r.entries.Query(ctx, sqlWalkEntries, pgx.QueryResultFormats{pgx.BinaryFormatCode}, r.tenant, r.from, r.to, pageEntries)
	if err != nil {
		return fmt.Errorf("ledger: read entries of %s: %w", r.tenant, err)
	}
	defer rows.Close()
	legs := int64(0)
	for rows.Next() {
		raw := rows.RawValues()
		e := walkedEntry{seq: rawInt(raw[1]), kind: r.word(raw[2]), currency: r.word(raw[5]), legs: rawInt(raw[6]), bookedAt: rawTime(raw[8])}
		if legs >= pageLegs && e.seq != p.entries[len(p.entries)-1].seq {
			p.last = false
			break
		}
		p.add(&e, raw, &r.dates)
		e.sum = crc32.Checksum(e.bytes, r.table)
		p.entries = append(p.entries, e)
		legs += max(e.legs, 1)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return fmt.Errorf("ledger: read entries of %s: %w", r.tenant, err)
	}
	p.last = p.last && len(p.entries) < pageEntries
	if !p.last {
		// Postings that belong to no entry lie between the pages' entries, too.
		p.end = p.entries[len(p.entries)-1].seq
	}
	r.from = p.end
	byTime := func(x, y walkedEntry) int {
		return cmp.Or(cmp.Compare(x.seq, y.seq), cmp.Compare(x.bookedAt, y.bookedAt))
	}
	if !slices.IsSortedFunc(p.entries, byTime) {
		slices.SortFunc(p.entries, byTime)
	}
	return nil
}

// add writes an entry's canonical bytes to the page.
func (p *page) add(e *walkedEntry, raw [][]byte, dates *dateTexts) {
	start := len(p.text)
	b := chain.PutRaw(p.text, raw[0])
	b = chain.PutInt(b, e.seq)
	for _, text := range raw[2:6] {
		b = chain.PutRaw(b, text)
	}
	b = chain.PutInt(b, e.legs)
	b = chain.PutRaw(b, raw[7])
	b = chain.PutInt(b, e.bookedAt)
	b = chain.PutRaw(b, dates.text(raw[9]))
	b = chain.PutRaw(b, dates.text(raw[10]))
	b = chain.PutRaw(b, raw[11])
	p.text = chain.PutText(b, canonicalMetadata(rawJSON(raw[12])))
	// A buffer that grows moves; slices of the old one stay as they were.
	e.bytes = p.text[start:len(p.text):len(p.text)]
	e.id = e.bytes[4 : 4+len(raw[0])]
}

const sqlWalkPostings = `
select entry_seq, leg, account_id, amount, account_seq, balance_after, hold_id, booked_at
from postings where tenant_id = $1 and entry_seq > $2 and entry_seq <= $3 order by entry_seq, leg`

func (r *pager) readPostings(ctx context.Context, p *page) error {
	rows, err := r.postings.Query(ctx, sqlWalkPostings, pgx.QueryResultFormats{pgx.BinaryFormatCode}, r.tenant, p.from, p.end)
	if err != nil {
		return fmt.Errorf("ledger: read postings of %s: %w", r.tenant, err)
	}
	defer rows.Close()
	for rows.Next() {
		raw := rows.RawValues()
		p.postings = append(p.postings, walkedPosting{seq: rawInt(raw[0]), leg: rawInt(raw[1]), raw: p.keep(raw[2]), amount: rawInt(raw[3]),
			accountSeq: rawInt(raw[4]), counted: raw[4] != nil, balanceAfter: rawInt(raw[5]), balanced: raw[5] != nil,
			hold: p.keep(raw[6]), bookedAt: rawTime(raw[7])})
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("ledger: read postings of %s: %w", r.tenant, err)
	}
	return nil
}

// keep copies a text into the page; nil stays nil.
func (p *page) keep(raw []byte) []byte {
	if raw == nil {
		return nil
	}
	start := len(p.text)
	p.text = append(p.text, raw...)
	return p.text[start:len(p.text):len(p.text)]
}

// word returns a short, often repeated text without allocating it again.
func (r *pager) word(raw []byte) string {
	if known, ok := r.texts[string(raw)]; ok {
		return known
	}
	text := string(raw)
	r.texts[text] = text
	return text
}

// dateTexts writes dates as PostgreSQL does with the ISO style; the same date
// comes many times in a row.
type dateTexts struct {
	days int32
	last []byte
}

// text reads a date in PostgreSQL's binary form; nil stays nil.
func (d *dateTexts) text(raw []byte) []byte {
	if len(raw) != 4 {
		return nil
	}
	days := int32(binary.BigEndian.Uint32(raw))
	if d.last == nil || days != d.days {
		d.days, d.last = days, dateText(days)
	}
	return d.last
}

// dateText writes the date so many days after 2000-01-01.
func dateText(days int32) []byte {
	switch days {
	case math.MaxInt32:
		return []byte("infinity")
	case math.MinInt32:
		return []byte("-infinity")
	}
	date := time.Unix(postgresEpoch/1_000_000+int64(days)*24*60*60, 0).UTC()
	if date.Year() > 0 {
		return date.AppendFormat(nil, time.DateOnly)
	}
	return fmt.Appendf(nil, "%04d-%02d-%02d BC", 1-date.Year(), date.Month(), date.Day())
}

// rawJSON reads a jsonb in PostgreSQL's binary form: a version and the text.
func rawJSON(raw []byte) []byte {
	if len(raw) == 0 {
		return raw
	}
	return raw[1:]
}

// postgresEpoch is 2000-01-01 in microseconds since 1970.
const postgresEpoch = 946684800 * 1_000_000

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
