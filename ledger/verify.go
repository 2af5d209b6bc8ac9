package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/chain"
)

// Invariant is a statement about rows that must hold at every moment, and the
// SQL that looks for what breaks it. Other packages declare their own and
// `starter verify` runs them all through Check.
//
// Both queries take the tenant id as $1, or "" for all tenants, and must read
// only. An invariant of the ledger without queries is judged while all entries
// are walked once in the order of booking.
type Invariant struct {
	// ID is the number in the catalogue, such as C1, and Name a short title.
	ID   string
	Name string
	// Rule is the invariant in one sentence.
	Rule string
	// Count returns one bigint: how many rows or groups are looked at.
	Count string
	// Breaks returns (tenant_id text, subject text, detail text), one row per
	// break: whose it is, the id of the broken thing, and what is wrong.
	Breaks string
}

func (i Invariant) walked() bool { return i.Breaks == "" }

// Break is one violation of an invariant.
type Break struct {
	TenantID string `json:"tenant_id"`
	Subject  string `json:"subject"`
	Detail   string `json:"detail"`
}

// Result is what became of one invariant.
type Result struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Rule    string `json:"rule"`
	Checked int64  `json:"checked"`
	// Breaks are the first of Broken violations.
	Breaks []Break `json:"breaks"`
	Broken int64   `json:"broken"`
	// Took is the time of the query; those judged on the walk share its time.
	Took time.Duration `json:"took_ns"`
}

// Report is what a run of invariants found on one snapshot.
type Report struct {
	// Snapshot is the business time of the snapshot, Tenant the scope or "".
	Snapshot time.Time `json:"snapshot"`
	Tenant   string    `json:"tenant_id,omitempty"`
	// Incremental says that sealed entries verified before were not read again.
	Incremental bool     `json:"incremental"`
	Results     []Result `json:"results"`
	// Entries is how many were walked.
	Entries int64 `json:"entries"`
	// Seals are the last seals found good: where an incremental run may begin.
	Seals []SealPoint `json:"seals"`
	// Sound says that no invariant is broken.
	Sound bool `json:"sound"`
}

// Add takes another invariant's result in, and tells progress of it unless that is nil.
func (r *Report) Add(result Result, progress func(Result)) {
	r.Results = append(r.Results, result)
	r.Sound = r.Sound && result.Broken == 0
	if progress != nil {
		progress(result)
	}
}

// VerifyOptions narrow a run and follow it.
type VerifyOptions struct {
	// Tenant limits the run to one tenant; "" checks all.
	Tenant string
	// MaxBreaks bounds the violations listed per invariant; 0 means 100.
	MaxBreaks int
	// Progress, when set, is called after each invariant.
	Progress func(Result)
	// Walked, when set, is called every few thousand entries with how many were
	// read so far.
	Walked func(tenant string, entries int64)
	// Since are seals that an earlier run found good: only what came after them
	// is walked, and invariants outside the ledger are left out.
	Since []SealPoint
	// Beside, when set, runs fn in another transaction of the system role on the
	// named snapshot, and does not run it again: pg.DB.Beside. Entries and postings
	// are then read over two more connections while they are checked; the snapshot
	// must hold all that tx sees. Without it, tx reads everything.
	Beside func(ctx context.Context, snapshot string, fn func(tx pgx.Tx) error) error
	// Pins are what the anchors say, nil without anchors.
	Pins *chain.Pins
}

func (o VerifyOptions) since(tenant string) SealPoint {
	for _, point := range o.Since {
		if point.TenantID == tenant {
			return point
		}
	}
	return SealPoint{}
}

// Verify checks the ledger's own invariants. tx should be one read-only
// REPEATABLE READ transaction of the system role: pg.DB.Snapshot.
func Verify(ctx context.Context, tx pgx.Tx, opts VerifyOptions) (Report, error) {
	return Check(ctx, tx, Invariants(), opts)
}

// A run may take longer than a statement of the API, and each page of the walk
// is planned for itself: a plan made for a small page is wrong for a large one.
const sqlTakeTime = `
select set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true),
  set_config('plan_cache_mode', 'force_custom_plan', true), set_config('work_mem', '64MB', true), set_config('jit', 'off', true)`

// Who does nothing but read pages in the order of their index plans once, and is
// held to that index: sorting, and planning over all partitions for each page, took
// longer than reading.
const sqlReadInOrder = `
select set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true),
  set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true),
  set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true)`

// Check runs invariants on the snapshot of tx. A broken invariant is in the
// report; an error means that the check itself could not run.
func Check(ctx context.Context, tx pgx.Tx, invariants []Invariant, opts VerifyOptions) (Report, error) {
	if opts.MaxBreaks <= 0 {
		opts.MaxBreaks = 100
	}
	report := Report{Tenant: opts.Tenant, Incremental: len(opts.Since) > 0, Sound: true, Seals: []SealPoint{}}
	if err := tx.QueryRow(ctx, `select suanpan_now()`).Scan(&report.Snapshot); err != nil {
		return report, fmt.Errorf("verify: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlTakeTime); err != nil {
		return report, fmt.Errorf("verify: %w", err)
	}
	walk := &auditor{tx: tx, opts: opts, results: map[string]*Result{}}
	for _, invariant := range invariants {
		if invariant.walked() {
			walk.results[invariant.ID] = newResult(invariant)
		}
	}
	if len(walk.results) > 0 {
		began := time.Now()
		if err := walk.runAhead(ctx); err != nil {
			return report, fmt.Errorf("verify: walk the books: %w", err)
		}
		for _, result := range walk.results {
			result.Took = time.Since(began)
		}
		report.Entries = walk.walked
		report.Seals = append(report.Seals, walk.heads...)
	}
	for _, invariant := range invariants {
		result := walk.results[invariant.ID]
		if !invariant.walked() {
			if report.Incremental && !invariant.ledgers() {
				continue
			}
			var err error
			if result, err = check(ctx, tx, invariant, opts); err != nil {
				return report, fmt.Errorf("verify %s (%s): %w", invariant.ID, invariant.Name, err)
			}
		}
		report.Add(*result, opts.Progress)
	}
	return report, nil
}

func newResult(invariant Invariant) *Result {
	return &Result{ID: invariant.ID, Name: invariant.Name, Rule: invariant.Rule, Breaks: []Break{}}
}

func check(ctx context.Context, tx pgx.Tx, invariant Invariant, opts VerifyOptions) (*Result, error) {
	began := time.Now()
	result := newResult(invariant)
	if err := tx.QueryRow(ctx, invariant.Count, opts.Tenant).Scan(&result.Checked); err != nil {
		return result, fmt.Errorf("count: %w", err)
	}
	rows, err := tx.Query(ctx, invariant.Breaks, opts.Tenant)
	if err != nil {
		return result, err
	}
	var found Break
	_, err = pgx.ForEachRow(rows, []any{&found.TenantID, &found.Subject, &found.Detail}, func() error {
		if result.Broken++; len(result.Breaks) < opts.MaxBreaks {
			result.Breaks = append(result.Breaks, found)
		}
		return nil
	})
	result.Took = time.Since(began)
	return result, err
}
