package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
)

// readings is how often each read is timed, in turns over all sizes.
const readings = 200

// The three parts of growth, by which -only chooses.
const (
	growthReads   = "reading"
	growthPosts   = "posting"
	growthVerifys = "verify"
)

// histories opens databases of 10^3, 10^4 … postings up to o.growth, filling those
// that are not there. Only reading compares sizes; otherwise it is the largest alone.
func histories(ctx context.Context, s *server, o options) (all []*history, err error) {
	first := min(1000, o.growth)
	if !o.wants(growthReads) {
		first = o.growth
	}
	for postings := first; ; postings = min(postings*10, o.growth) {
		h, err := openHistory(ctx, s, postings, o)
		if err != nil {
			closeAll(all)
			return nil, err
		}
		if all = append(all, h); postings == o.growth {
			return all, nil
		}
	}
}

func closeAll(all []*history) {
	for _, h := range all {
		h.close()
	}
}

// read is one way to read the books whose time must not grow.
type read struct {
	name string
	// limit is the allowed ratio of the slowest history, of whatever size, to the
	// smallest; 0 sets none.
	limit float64
	run   func(ctx context.Context, tx pgx.Tx, h *history) error
}

// busiest is the account of the merchant with a tenth of all entries, channel the
// internal account that is in each of them.
func busiest() string { return fmt.Sprintf("acc_%026d", 1) }
func channel() string { return fmt.Sprintf("acc_%026d", 0) }

const (
	readNow  = "balance now"
	readPast = "balance at a past moment"
)

func reads() []read {
	now := func(account string) func(context.Context, pgx.Tx, *history) error {
		return func(ctx context.Context, tx pgx.Tx, h *history) error {
			_, err := ledger.GetAccount(ctx, tx, h.tenant, account)
			return err
		}
	}
	past := func(account string) func(context.Context, pgx.Tx, *history) error {
		return func(ctx context.Context, tx pgx.Tx, h *history) error {
			seal, err := ledger.SealAt(ctx, tx, h.tenant, ledger.Moment{At: time.Now()})
			if err == nil {
				_, err = ledger.PostedAt(ctx, tx, h.tenant, account, seal)
			}
			return err
		}
	}
	page := func(account string) func(context.Context, pgx.Tx, *history) error {
		return func(ctx context.Context, tx pgx.Tx, h *history) error {
			_, err := ledger.GetStatement(ctx, tx, h.tenant, ledger.StatementQuery{AccountID: account,
				From: time.Now().AddDate(0, 0, -20).Format(time.DateOnly), To: time.Now().Format(time.DateOnly)})
			return err
		}
	}
	return []read{
		{readNow + ", a merchant", 1.5, now(busiest())},
		{readNow + ", an internal account", 1.5, now(channel())},
		{"first page of a statement, a merchant", 1.5, page(busiest())},
		{"first page of a statement, an internal account", 1.5, page(channel())},
		{readPast + ", a merchant", 0, past(busiest())},
		{readPast + ", an internal account", 0, past(channel())},
	}
}

// timings are medians, by read and history.
type timings [][]time.Duration

// readAll times each read on each history in turns.
func readAll(ctx context.Context, all []*history) (timings, error) {
	samples := make([][][]time.Duration, len(reads()))
	for i := range samples {
		samples[i] = make([][]time.Duration, len(all))
	}
	for range readings {
		for j, h := range all {
			err := h.db.InTenant(ctx, h.tenant, func(tx pgx.Tx) error {
				for i, r := range reads() {
					began := time.Now()
					if err := r.run(ctx, tx, h); err != nil {
						return fmt.Errorf("%s of %d postings: %w", r.name, h.postings, err)
					}
					samples[i][j] = append(samples[i][j], time.Since(began))
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	out := make(timings, len(samples))
	for i := range samples {
		for _, times := range samples[i] {
			slices.Sort(times)
			out[i] = append(out[i], times[len(times)/2])
		}
	}
	return out, nil
}

// verified is what verify cost on one history.
type verified struct {
	sum, full, since time.Duration
	entries          int64
}

const sqlSum = `select count(*) from (select account_id, sum(amount) from postings group by account_id) s`

// verifyAll sums all postings, verifies them in full, books and seals a little more,
// and verifies what came since.
func (h *history) verifyAll(ctx context.Context, o options) (v verified, err error) {
	best := func(least time.Duration, fn func() error) (time.Duration, error) {
		began := time.Now()
		err := fn()
		if took := time.Since(began); least == 0 || took < least {
			least = took
		}
		return least, err
	}
	check := func(opts ledger.VerifyOptions) (report ledger.Report, err error) {
		opts.Beside = h.db.Beside
		err = h.db.Snapshot(ctx, func(tx pgx.Tx) error {
			report, err = ledger.Verify(ctx, tx, opts)
			return err
		})
		if err == nil && !report.Sound {
			err = fmt.Errorf("the books of %d postings are not sound: %+v", h.postings, report.Results)
		}
		return report, err
	}
	sum := func() error {
		return h.db.Snapshot(ctx, func(tx pgx.Tx) error {
			var n int64
			return errors.Join(unbounded(ctx, tx), tx.QueryRow(ctx, sqlSum).Scan(&n))
		})
	}
	for range 2 { // the first one warms the cache
		if v.sum, err = best(v.sum, sum); err != nil {
			return v, err
		}
	}
	var report ledger.Report
	v.full, err = best(0, func() (err error) { report, err = check(ledger.VerifyOptions{}); return err })
	if err != nil {
		return v, err
	}
	v.entries = report.Entries
	fmt.Fprintf(os.Stderr, "%d postings: SUM %s, verify %s\n", h.postings, brief(v.sum), brief(v.full))
	more := measure(ctx, 8, time.Second, drawn(h.together, h.receipt))
	if err := more.check("receipts before an incremental verify"); err != nil {
		return v, err
	}
	if _, err := ledger.SealNow(ctx, h.db); err != nil {
		return v, err
	}
	v.since, err = best(0, func() error { _, err := check(ledger.VerifyOptions{Since: report.Seals}); return err })
	return v, err
}

func unbounded(ctx context.Context, q pg.Querier) error {
	_, err := q.Exec(ctx, "set local statement_timeout = 0")
	return err
}

// besides is the same measurement on empty and on grown books.
type besides struct {
	name         string
	empty, grown sample
}

// growOp measures on empty and on grown books in turns.
func growOps(ctx context.Context, o options, s *server, grown *history) ([]besides, error) {
	empty, err := openBooks(ctx, s, "bench_empty", o)
	if err != nil {
		return nil, err
	}
	defer empty.close()
	callers := o.callers[len(o.callers)-1]
	few := *grown.books
	few.merchants = few.merchants[:min(o.accounts, len(few.merchants))]
	rows := []struct {
		name         string
		empty, grown operation
	}{
		{fmt.Sprintf("Post, %d callers, %d merchants", callers, len(few.merchants)),
			drawn(empty.together, empty.uniform), drawn(few.together, few.uniform)},
		{fmt.Sprintf("Post, %d callers, all of %d merchants", callers, len(grown.merchants)),
			drawn(empty.together, empty.uniform), drawn(grown.together, grown.uniform)},
	}
	var out []besides
	for _, row := range rows {
		var a, b []sample
		for round := range o.rounds {
			for _, side := range []struct {
				books *books
				op    operation
				to    *[]sample
				named string
			}{{empty, row.empty, &a, "empty"}, {grown.books, row.grown, &b, "grown"}} {
				got, err := side.books.weighed(ctx, o.duration(), func() (sample, error) {
					got := measure(ctx, callers, o.duration(), side.op)
					return got, got.check(row.name)
				})
				if err != nil {
					return nil, err
				}
				progress(round, row.name+", "+side.named, got)
				*side.to = append(*side.to, got)
			}
		}
		out = append(out, besides{row.name, medianOf(a), medianOf(b)})
	}
	return out, nil
}

// growth measures what history costs.
func growth(ctx context.Context, o options, s *server, r *report) error {
	all, err := histories(ctx, s, o)
	if err != nil {
		return err
	}
	defer closeAll(all)
	if o.fillOnly {
		return nil
	}
	if o.wants(growthReads) {
		times, err := readAll(ctx, all)
		if err != nil {
			return err
		}
		r.reads(all, times)
	}
	last := all[len(all)-1]
	if o.wants(growthPosts) {
		ops, err := growOps(ctx, o, s, last)
		if err != nil {
			return err
		}
		r.grown(last, ops)
	}
	if o.wants(growthVerifys) {
		v, err := last.verifyAll(ctx, o)
		if err != nil {
			return err
		}
		r.verified(last, v)
	}
	return nil
}
