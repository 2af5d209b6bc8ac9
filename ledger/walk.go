package ledger

import (
	"context"
	"crypto/sha256"
	"hash/crc32"

	"github.com/suanpan/suanpan/internal/chain"
	"github.com/suanpan/suanpan/internal/pg"
)

// walkedEntry is an entry as a walk meets it. It is valid only inside the call
// that is given it.
type walkedEntry struct {
	id       []byte
	seq      int64
	kind     string
	currency string
	legs     int64
	// bookedAt is in microseconds since 1970.
	bookedAt int64
	digest   chain.Digest

	bytes []byte // canonical
	sum   uint32 // CRC-32C of bytes
}

// walkedPosting is a posting as a walk meets it.
type walkedPosting struct {
	seq      int64
	leg      int64
	account  *walkedAccount
	raw      []byte // the account's id
	hold     []byte // nil is null
	amount   int64
	bookedAt int64
	// accountSeq is meaningful when counted, balanceAfter when balanced.
	accountSeq, balanceAfter int64
	counted, balanced        bool
}

// walker meets a tenant's entries with their postings in the order of booking,
// each exactly once, and computes their digests.
type walker struct {
	q      pg.Querier
	tenant string
	known  map[string]*walkedAccount
	// met is given the ids of accounts that are not in known, for it to put them
	// there; nil when all there are are known.
	met func(ctx context.Context, ids []string) error
	// posting is called for each posting, entry nil when the posting has none;
	// entry is called after an entry's postings. Both may be nil.
	posting func(e *walkedEntry, p *walkedPosting)
	entry   func(e *walkedEntry) error

	pager   *pager
	page    *page // nil: the next is to be read
	entryAt int   // the next of the page
	postAt  int
	table   *crc32.Table
	parts   []uint32
	buf     []byte
}

func newWalker(q pg.Querier, tenant string) *walker {
	return &walker{q: q, tenant: tenant, known: map[string]*walkedAccount{}, table: crc32.MakeTable(crc32.Castagnoli)}
}

// open begins after seq from; nothing after seq to is ever met.
func (w *walker) open(from, to int64) { w.pager = newPager(w.q, w.tenant, from, to) }

// walk meets what comes next, up to and with seq to.
func (w *walker) walk(ctx context.Context, to int64) error {
	for {
		if w.page == nil {
			if err := w.turn(ctx); err != nil {
				return err
			}
		}
		if err := w.meet(to); err != nil || to < w.page.end || w.page.last {
			return err
		}
		w.pager.done(w.page)
		w.page = nil
	}
}

// turn takes the next page and finds the accounts of its postings.
func (w *walker) turn(ctx context.Context) (err error) {
	if w.page, err = w.pager.next(ctx); err != nil {
		return err
	}
	w.entryAt, w.postAt = 0, 0
	var missing []string
	asked := map[string]bool{}
	for i := range w.page.postings {
		p := &w.page.postings[i]
		if p.account = w.known[string(p.raw)]; p.account == nil && w.met != nil && !asked[string(p.raw)] {
			asked[string(p.raw)] = true
			missing = append(missing, string(p.raw))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := w.met(ctx, missing); err != nil {
		return err
	}
	for i := range w.page.postings {
		if p := &w.page.postings[i]; p.account == nil {
			p.account = w.known[string(p.raw)]
		}
	}
	return nil
}

// meet brings the page's entries up to seq to together with their postings.
func (w *walker) meet(to int64) error {
	entries := w.page.entries
	for ; w.entryAt < len(entries) && entries[w.entryAt].seq <= to; w.entryAt++ {
		e := &entries[w.entryAt]
		w.meetPostings(nil, e.seq-1)
		w.parts, w.buf = append(w.parts[:0], e.sum), append(w.buf[:0], e.bytes...)
		w.meetPostings(e, e.seq)
		e.digest = chain.Digest{Seq: e.seq, Hash: sha256.Sum256(w.buf), Parts: w.parts}
		if w.entry == nil {
			continue
		}
		if err := w.entry(e); err != nil {
			return err
		}
	}
	w.meetPostings(nil, to)
	return nil
}

// meetPostings meets the next postings up to and with seq to, which are e's.
func (w *walker) meetPostings(e *walkedEntry, to int64) {
	postings := w.page.postings
	for ; w.postAt < len(postings) && postings[w.postAt].seq <= to; w.postAt++ {
		p := &postings[w.postAt]
		if e != nil {
			start := len(w.buf)
			w.buf = p.append(w.buf)
			w.parts = append(w.parts, crc32.Checksum(w.buf[start:], w.table))
		}
		if w.posting != nil {
			w.posting(e, p)
		}
	}
}

// append writes the posting's canonical bytes.
func (p *walkedPosting) append(b []byte) []byte {
	b = chain.PutInt(b, p.leg)
	b = chain.PutRaw(b, p.raw)
	if p.account == nil {
		b = chain.PutNull(b)
	} else {
		b = chain.PutText(b, p.account.identity[:])
	}
	b = chain.PutInt(b, p.amount)
	b = putIntOrNull(b, p.accountSeq, p.counted)
	b = putIntOrNull(b, p.balanceAfter, p.balanced)
	b = chain.PutRaw(b, p.hold)
	return chain.PutInt(b, p.bookedAt)
}
