package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/chain"
)

// SealPoint names a seal: where a verification ended and the next may begin.
type SealPoint struct {
	TenantID string `json:"tenant_id"`
	Number   int64  `json:"number"`
	ToSeq    int64  `json:"to_seq"`
	Hash     []byte `json:"hash"`
}

// sealRow is a seal as the database has it.
type sealRow struct {
	number, from, to, entries int64
	prev, hash                []byte
	digestsSum                []byte
}

// pin is what a block must be: by an anchor, or else by the database's own row.
type pin struct {
	number, from, to, entries int64
	prev, hash                []byte
	anchored                  bool
	row                       *sealRow
}

// chainCheck recomputes the blocks of a group of seals.
type chainCheck struct {
	pins     []pin
	at       int
	digests  []byte
	entries  int64
	wrong    []wrongBlock
	internal []*walkedAccount
	// block numbers the blocks as they come, from 1.
	block  int64
	totals map[int64]map[string]int64
	// latest is the latest booked_at so far, in microseconds since 1970.
	latest int64
}

type wrongBlock struct {
	pin
	digests []byte
}

// sealGroup bounds how many seals are looked at together, and groupEntries how
// many entries they may cover before the group is walked.
const (
	sealGroup    = 256
	groupEntries = 20000
)

// walkSeals walks all sealed entries seal by seal, and then those not sealed yet.
func (a *auditor) walkSeals(ctx context.Context) error {
	a.chain = chainCheck{block: 1}
	before := a.results["C7"].Broken
	last := pin{number: a.since.Number, to: a.since.ToSeq, hash: a.since.Hash}
	if last.number == 0 {
		last.hash = make([]byte, sha256.Size)
	} else if err := a.checkSince(ctx); err != nil {
		return err
	}
	final, err := a.lastSeal(ctx)
	if err != nil {
		return err
	}
	for last.number < final {
		pins, err := a.readPins(ctx, last, final)
		if err != nil {
			return err
		}
		if len(pins) == 0 { // nothing is left of these numbers
			last.number = min(last.number+sealGroup, final)
			continue
		}
		if err := a.walkGroup(ctx, pins); err != nil {
			return err
		}
		last = pins[len(pins)-1]
	}
	a.chain.pins, a.chain.at = nil, 0
	if err := a.walker.walk(ctx, math.MaxInt64); err != nil {
		return err
	}
	if last.number > 0 && a.results["C7"].Broken == before {
		a.heads = append(a.heads, SealPoint{TenantID: a.tenant, Number: last.number, ToSeq: last.to, Hash: last.hash})
	}
	return nil
}

// walkFrom begins before all entries: a seq below 1 is nothing this platform wrote.
func (a *auditor) walkFrom(last pin) int64 {
	if last.to == 0 {
		return math.MinInt64
	}
	return last.to
}

// checkSince makes sure that the seal a former verification ended with is still there.
func (a *auditor) checkSince(ctx context.Context) error {
	var hash []byte
	var to int64
	var latest time.Time
	err := a.tx.QueryRow(ctx, `select hash, to_seq, booked_to from seals where tenant_id = $1 and number = $2`, a.tenant, a.since.Number).
		Scan(&hash, &to, &latest)
	a.chain.latest = latest.UnixMicro()
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		a.fail("C7", a.sealName(a.since.Number), "was verified before and is missing")
	case err != nil:
		return err
	case !bytes.Equal(hash, a.since.Hash) || to != a.since.ToSeq:
		a.fail("C7", a.sealName(a.since.Number), "is not the one that was verified before")
	}
	return nil
}

func (a *auditor) sealName(number int64) string { return fmt.Sprintf("seal %d", number) }

func (a *auditor) lastSeal(ctx context.Context) (int64, error) {
	var last int64
	err := a.tx.QueryRow(ctx, `select coalesce(max(number), 0) from seals where tenant_id = $1`, a.tenant).Scan(&last)
	return max(last, a.opts.Pins.Last(chain.Books, a.tenant)), err
}

// readPins returns what the next blocks must be.
func (a *auditor) readPins(ctx context.Context, last pin, final int64) ([]pin, error) {
	rows, err := a.tx.Query(ctx, `
		select number, from_seq, to_seq, entries::bigint, prev_hash, hash
		from seals where tenant_id = $1 and number > $2 and number <= $3 order by number`,
		a.tenant, last.number, last.number+sealGroup)
	if err != nil {
		return nil, err
	}
	stored, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (sealRow, error) {
		var s sealRow
		err := row.Scan(&s.number, &s.from, &s.to, &s.entries, &s.prev, &s.hash)
		return s, err
	})
	if err != nil {
		return nil, err
	}
	var pins []pin
	covered := int64(0)
	for number := last.number + 1; number <= min(last.number+sealGroup, final) && covered < groupEntries; number++ {
		var row *sealRow
		if i := slices.IndexFunc(stored, func(s sealRow) bool { return s.number == number }); i >= 0 {
			row = &stored[i]
		}
		before := last
		if len(pins) > 0 {
			before = pins[len(pins)-1]
		}
		next, ok := a.pinOf(number, row, before)
		if ok {
			pins = append(pins, next)
			covered += next.entries
		}
	}
	return pins, nil
}

// pinOf says what block number must be; the anchors have the say.
func (a *auditor) pinOf(number int64, row *sealRow, before pin) (pin, bool) {
	a.count("C7", 1)
	known, ok := a.opts.Pins.Seal(chain.Books, a.tenant, number)
	anchored := pin{number: number, from: known.From, to: known.To, entries: known.Entries, prev: known.Prev, hash: known.Hash, anchored: true}
	switch {
	case row == nil && !ok:
		a.fail("C7", a.sealName(number), "is missing")
		return pin{}, false
	case row == nil:
		a.fail("C7", a.sealName(number), "is missing; an anchor has it with entries up to seq %d", anchored.to)
		return anchored, true
	case ok:
		anchored.row = row
		if row.from != anchored.from || row.to != anchored.to || row.entries != anchored.entries ||
			!bytes.Equal(row.hash, anchored.hash) || !bytes.Equal(row.prev, anchored.prev) {
			a.fail("C7", a.sealName(number), "is not the one that an anchor has (entries after seq %d up to %d)", anchored.from, anchored.to)
		}
		return anchored, true
	}
	if before.number == number-1 && (row.from != before.to || !bytes.Equal(row.prev, before.hash)) {
		a.fail("C7", a.sealName(number), "does not continue the one before")
	}
	return pin{number: number, from: row.from, to: row.to, entries: row.entries, prev: row.prev, hash: row.hash, row: row}, true
}

// walkGroup walks the entries of some seals and names what differs.
func (a *auditor) walkGroup(ctx context.Context, pins []pin) error {
	c := &a.chain
	c.pins, c.at, c.wrong = pins, 0, nil
	c.digests, c.entries, c.internal = c.digests[:0], 0, c.internal[:0]
	c.block++
	if err := a.readDigestSums(ctx, pins); err != nil {
		return err
	}
	if err := a.readTotals(ctx, pins); err != nil {
		return err
	}
	if err := a.walker.walk(ctx, pins[len(pins)-1].to); err != nil {
		return err
	}
	for c.at < len(c.pins) {
		c.close(a)
	}
	for _, wrong := range c.wrong {
		if err := a.locate(ctx, wrong); err != nil {
			return err
		}
	}
	return nil
}

// readDigestSums reads what hashes to half a megabyte per seal, so of these pins only.
func (a *auditor) readDigestSums(ctx context.Context, pins []pin) error {
	rows, err := a.tx.Query(ctx, `select number, sha256(digests) from seals where tenant_id = $1 and number >= $2 and number <= $3`,
		a.tenant, pins[0].number, pins[len(pins)-1].number)
	if err != nil {
		return err
	}
	var number int64
	var sum []byte
	_, err = pgx.ForEachRow(rows, []any{&number, &sum}, func() error {
		if i := slices.IndexFunc(pins, func(p pin) bool { return p.number == number }); i >= 0 && pins[i].row != nil {
			pins[i].row.digestsSum = bytes.Clone(sum)
		}
		return nil
	})
	return err
}

func (a *auditor) readTotals(ctx context.Context, pins []pin) error {
	rows, err := a.tx.Query(ctx, `
		select seal, account_id, posted from seal_balances where tenant_id = $1 and seal >= $2 and seal <= $3`,
		a.tenant, pins[0].number, pins[len(pins)-1].number)
	if err != nil {
		return err
	}
	a.chain.totals = map[int64]map[string]int64{}
	var seal, posted int64
	var account string
	_, err = pgx.ForEachRow(rows, []any{&seal, &account, &posted}, func() error {
		if a.chain.totals[seal] == nil {
			a.chain.totals[seal] = map[string]int64{}
		}
		a.chain.totals[seal][account] = posted
		return nil
	})
	return err
}

// see takes the next entry into the block under way.
func (c *chainCheck) see(a *auditor, e *walkedEntry) error {
	if e.bookedAt < c.latest-dateTolerance.Microseconds() {
		a.fail("C20", string(e.id), "booked at %s, after an entry of %s",
			microTime(e.bookedAt).Format(time.RFC3339), microTime(c.latest).Format(time.RFC3339))
	}
	c.latest = max(c.latest, e.bookedAt)
	if e.seq < 1 {
		a.fail("C7", string(e.id), "entry seq %d lies before everything that can be sealed", e.seq)
	}
	for c.at < len(c.pins) && e.seq > c.pins[c.at].to {
		c.close(a)
	}
	if c.at > 0 && e.seq <= c.pins[c.at-1].to { // a second one of the block's last seq
		a.fail("C7", string(e.id), "entry seq %d was not there when seal %d was made", e.seq, c.pins[c.at-1].number)
	}
	if c.at == len(c.pins) || e.seq <= c.pins[c.at].from {
		return nil
	}
	c.digests = e.digest.Append(c.digests)
	c.entries++
	for _, account := range a.entry.touched {
		if !account.floored && account.walked.block != c.block {
			account.walked.block = c.block
			c.internal = append(c.internal, account)
		}
	}
	if e.seq == c.pins[c.at].to {
		c.close(a)
	}
	return nil
}

// close judges the block under way and begins the next.
func (c *chainCheck) close(a *auditor) {
	p := c.pins[c.at]
	if !bytes.Equal(p.hash, sealHash(a.tenant, p.number, p.from, p.to, c.entries, p.prev, c.digests)) {
		c.wrong = append(c.wrong, wrongBlock{p, bytes.Clone(c.digests)})
	} else if sum := sha256.Sum256(c.digests); p.row != nil && !bytes.Equal(sum[:], p.row.digestsSum) {
		a.fail("C7", a.sealName(p.number), "its entries are as sealed, but the digests kept with it were changed")
	}
	kept := c.totals[p.number]
	for _, account := range c.internal {
		a.count("C20", 1)
		if posted, ok := kept[account.id]; !ok || posted != account.walked.balance {
			a.fail("C20", account.id, "seal %d keeps the balance %d (kept: %t), the postings come to %d",
				p.number, posted, ok, account.walked.balance)
		}
		delete(kept, account.id)
	}
	for account := range kept {
		a.fail("C20", account, "seal %d keeps a balance without a posting", p.number)
	}
	c.at++
	c.digests, c.entries = c.digests[:0], 0
	c.internal = c.internal[:0]
	c.block++
}

// locate names what differs between a block as it is and as it was sealed.
func (a *auditor) locate(ctx context.Context, wrong wrongBlock) error {
	by := "its own hash"
	if wrong.anchored {
		by = "the anchored hash"
	}
	name := a.sealName(wrong.number)
	a.fail("C7", name, "the entries after seq %d up to %d do not give %s", wrong.from, wrong.to, by)
	var kept []byte
	err := a.tx.QueryRow(ctx, `select digests from seals where tenant_id = $1 and number = $2`, a.tenant, wrong.number).Scan(&kept)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	if !bytes.Equal(wrong.hash, sealHash(a.tenant, wrong.number, wrong.from, wrong.to, wrong.entries, wrong.prev, kept)) {
		a.fail("C7", name, "nor do the digests kept with it: nothing smaller than the block can be named")
		return nil
	}
	sealed, err := chain.ReadDigests(kept)
	if err != nil {
		return err
	}
	found, err := chain.ReadDigests(wrong.digests)
	if err != nil {
		return err
	}
	return a.compare(ctx, wrong.number, sealed, found)
}

// compare names what differs between a seal's digests and those found.
func (a *auditor) compare(ctx context.Context, number int64, sealed, found []chain.Digest) error {
	return chain.Compare(sealed, found,
		func(missing chain.Digest) error {
			a.fail("C7", fmt.Sprintf("entry seq %d", missing.Seq), "was sealed in seal %d and is missing", number)
			return nil
		},
		func(extra chain.Digest) error {
			return a.nameEntry(ctx, extra.Seq, "was not there when seal %d was made", number)
		},
		func(sealed, found chain.Digest) error {
			return a.nameEntry(ctx, found.Seq, "%s as seal %d has it", difference(sealed, found), number)
		})
}

func (a *auditor) nameEntry(ctx context.Context, seq int64, format string, args ...any) error {
	var id string
	err := a.tx.QueryRow(ctx, `select id from entries where tenant_id = $1 and seq = $2 limit 1`, a.tenant, seq).Scan(&id)
	if err != nil {
		return err
	}
	a.fail("C7", id, "entry seq %d "+format, append([]any{seq}, args...)...)
	return nil
}

// difference says which part of an entry is not as sealed.
func difference(sealed, found chain.Digest) string {
	if sealed.Parts[0] != found.Parts[0] {
		return "itself is not"
	}
	if len(sealed.Parts) == len(found.Parts) {
		for i := range sealed.Parts[1:] {
			if sealed.Parts[i+1] != found.Parts[i+1] {
				return fmt.Sprintf("has its posting %d not", i+1)
			}
		}
		return "is not"
	}
	for i, part := range sealed.Parts[1:] {
		if !slices.Contains(found.Parts[1:], part) {
			return fmt.Sprintf("has %d postings, its posting %d not", len(found.Parts)-1, i+1)
		}
	}
	return fmt.Sprintf("has %d postings, more than %d: not", len(found.Parts)-1, len(sealed.Parts)-1)
}
