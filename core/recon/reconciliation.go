package recon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// Reconciliation is one run over one channel account's provider day.
type Reconciliation struct {
	ID               string
	ChannelAccountID string
	// Date is the provider's day, yyyy-mm-dd.
	Date string
	// Run is 1 for the first time the day is reconciled.
	Run int
	// DailyOperationID is empty when a person asked for the run.
	DailyOperationID string
	Status           Status
	// WaitingFor says in words why a processing run has not finished.
	WaitingFor string
	Failure    string
	// BillVersion counts the different bills received for the day, 0 before any;
	// BillSHA256 names the file this run used, or is empty.
	BillVersion int
	BillSHA256  string
	// Report is nil until the run is balanced or discrepant.
	Report     *Report
	CreatedAt  time.Time
	FinishedAt *time.Time
}

// Report is the outcome of a run in numbers. Amounts are fen of renminbi.
type Report struct {
	Ours, Theirs     Totals
	MatchedCount     int64
	DiscrepancyCount int64
	// OpenCount is how many discrepancies the run left to a person.
	OpenCount int64
	// SettledFen is what the provider settled by this bill and both sides agree
	// on, net of refunds and fees; it may be negative.
	SettledFen int64
}

const columns = `id, channel_account_id, to_char(bill_date, 'YYYY-MM-DD'), run, coalesce(daily_operation_id, ''), status,
	coalesce(waiting_for, ''), coalesce(failure, ''), coalesce(bill_version, 0), coalesce(bill_sha256, ''),
	coalesce(our_payment_count, 0), coalesce(our_payment_amount, 0), coalesce(our_refund_count, 0),
	coalesce(our_refund_amount, 0), coalesce(our_fee, 0),
	coalesce(bill_payment_count, 0), coalesce(bill_payment_amount, 0), coalesce(bill_refund_count, 0),
	coalesce(bill_refund_amount, 0), coalesce(bill_fee, 0)::text,
	coalesce(matched_count, 0), coalesce(discrepancy_count, 0), coalesce(open_count, 0), coalesce(settled_amount, 0),
	created_at, finished_at`

func scan(row pgx.CollectableRow) (Reconciliation, error) {
	var r Reconciliation
	var p Report
	var ourFee int64
	var billFee string
	err := row.Scan(&r.ID, &r.ChannelAccountID, &r.Date, &r.Run, &r.DailyOperationID, &r.Status,
		&r.WaitingFor, &r.Failure, &r.BillVersion, &r.BillSHA256,
		&p.Ours.PaymentCount, &p.Ours.PaymentAmount, &p.Ours.RefundCount, &p.Ours.RefundAmount, &ourFee,
		&p.Theirs.PaymentCount, &p.Theirs.PaymentAmount, &p.Theirs.RefundCount, &p.Theirs.RefundAmount, &billFee,
		&p.MatchedCount, &p.DiscrepancyCount, &p.OpenCount, &p.SettledFen, &r.CreatedAt, &r.FinishedAt)
	if err != nil {
		return r, err
	}
	if r.Status == Balanced || r.Status == Discrepant {
		p.Ours.Fee = decimal.New(ourFee, -2)
		if p.Theirs.Fee, err = decimal.NewFromString(billFee); err != nil {
			return r, fmt.Errorf("fee of the bill: %w", err)
		}
		r.Report = &p
	}
	return r, nil
}

func one(ctx context.Context, q pg.Querier, where string, args ...any) (Reconciliation, error) {
	rows, err := q.Query(ctx, `select `+columns+` from reconciliations `+where, args...)
	if err != nil {
		return Reconciliation{}, fmt.Errorf("reconciliation: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Reconciliation{}, fault.NotFound()
	}
	if err != nil {
		return Reconciliation{}, fmt.Errorf("reconciliation: %w", err)
	}
	return r, nil
}

// Get returns a reconciliation, or fault.NotFound.
func Get(ctx context.Context, q pg.Querier, tenant, reconciliationID string) (Reconciliation, error) {
	return one(ctx, q, `where tenant_id = $1 and id = $2`, tenant, reconciliationID)
}

// lock is Get with the row locked until the transaction ends.
func lock(ctx context.Context, tx pgx.Tx, tenant, reconciliationID string) (Reconciliation, error) {
	return one(ctx, tx, `where tenant_id = $1 and id = $2 for update`, tenant, reconciliationID)
}

// Filter narrows List; zero fields do not filter.
type Filter struct {
	ChannelAccountID string
	// Date is the provider's day, yyyy-mm-dd.
	Date             string
	Status           Status
	DailyOperationID string
	// Before is the id of the last reconciliation of the page before.
	Before string
	Limit  int
}

// List returns reconciliations, newest first.
func List(ctx context.Context, q pg.Querier, tenant string, f Filter) ([]Reconciliation, error) {
	rows, err := q.Query(ctx, `select `+columns+` from reconciliations
		where tenant_id = $1 and ($2::text = '' or channel_account_id = $2)
		  and ($3::text = '' or to_char(bill_date, 'YYYY-MM-DD') = $3) and ($4::text = '' or status = $4)
		  and ($5::text = '' or daily_operation_id = $5) and ($6::text = '' or id < $6)
		order by id desc limit $7`,
		tenant, f.ChannelAccountID, f.Date, string(f.Status), f.DailyOperationID, f.Before, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("reconciliations: %w", err)
	}
	return pgx.CollectRows(rows, scan)
}

// WorkflowType is the registered name of the workflow that drives a reconciliation.
const WorkflowType = "Reconciliation"

// WorkflowID is the id of the workflow that drives r: one per account, date and run.
func (r Reconciliation) WorkflowID() string {
	return fmt.Sprintf("reconciliation/%s/%s/%d", r.ChannelAccountID, r.Date, r.Run)
}

// Open begins a run over one account's provider day, date as yyyy-mm-dd. The
// run number is one more than the last of that day. Faults: not found for an
// unknown account; invalid for a malformed date; refused for today and the
// future, because there can be no bill yet; conflict while a run of that day is
// processing.
func Open(ctx context.Context, tx pgx.Tx, tenant, channelAccountID, date string) (Reconciliation, error) {
	return open(ctx, tx, tenant, "", channelAccountID, date)
}

// OpenForDaily is Open as part of a daily operation. It is idempotent: asked
// again for the same operation, account and date it returns the same run,
// whatever its status.
func OpenForDaily(ctx context.Context, tx pgx.Tx, tenant, dailyID, channelAccountID, date string) (Reconciliation, error) {
	day, err := ParseDay(date)
	if err != nil {
		return Reconciliation{}, err
	}
	earlier, err := one(ctx, tx, `where tenant_id = $1 and daily_operation_id = $2 and channel_account_id = $3
		and bill_date = $4`, tenant, dailyID, channelAccountID, day.Start())
	if !isNotFound(err) {
		return earlier, err
	}
	if _, err := GetDaily(ctx, tx, tenant, dailyID); err != nil {
		return Reconciliation{}, err
	}
	return open(ctx, tx, tenant, dailyID, channelAccountID, date)
}

func isNotFound(err error) bool { return errors.Is(err, &fault.Error{Kind: fault.KindNotFound}) }

func open(ctx context.Context, tx pgx.Tx, tenant, dailyID, accountID, date string) (Reconciliation, error) {
	day, err := ParseDay(date)
	if err != nil {
		return Reconciliation{}, err
	}
	today, err := businessDay(ctx, tx)
	if err != nil {
		return Reconciliation{}, err
	}
	if !day.Start().Before(today.Start()) {
		return Reconciliation{}, fault.Refused("date", "bill_not_possible_yet",
			"A day is reconciled after it has ended in Shanghai; the latest possible date is "+today.Previous().String()+".")
	}
	var known bool
	err = tx.QueryRow(ctx, `select exists (select from channel_accounts where tenant_id = $1 and id = $2)`,
		tenant, accountID).Scan(&known)
	if err != nil {
		return Reconciliation{}, fmt.Errorf("channel account %s: %w", accountID, err)
	}
	if !known {
		return Reconciliation{}, fault.NotFound()
	}
	// Both unique indexes refuse a second open run: of two openings at the same
	// time one waits for the other here and then inserts nothing.
	rows, err := tx.Query(ctx, `
		insert into reconciliations (tenant_id, id, channel_account_id, bill_date, run, daily_operation_id, status)
		select $1, $2, $3, $4, coalesce(max(run), 0) + 1, nullif($5, ''), 'processing'
		from reconciliations where tenant_id = $1 and channel_account_id = $3 and bill_date = $4
		on conflict do nothing returning `+columns,
		tenant, id.New(id.Reconciliation), accountID, day.Start(), dailyID)
	if err != nil {
		return Reconciliation{}, fmt.Errorf("open reconciliation: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Reconciliation{}, fault.Conflict("date", "reconciliation_processing",
			"This account's "+day.String()+" is being reconciled; wait until that run ends, then run the day again if needed.")
	}
	if err != nil {
		return Reconciliation{}, fmt.Errorf("open reconciliation: %w", err)
	}
	return r, nil
}

// SetWaiting notes in words what a processing run waits for, such as a bill the
// provider has not made yet. Idempotent; an ended run is left as it is.
func SetWaiting(ctx context.Context, tx pgx.Tx, tenant, reconciliationID, why string) error {
	_, err := tx.Exec(ctx, `update reconciliations set waiting_for = $3
		where tenant_id = $1 and id = $2 and status = 'processing' and waiting_for is distinct from $3`,
		tenant, reconciliationID, why)
	if err != nil {
		return fmt.Errorf("reconciliation %s waiting: %w", reconciliationID, err)
	}
	return nil
}

// Fail ends a run that could not be carried out, and says why. Idempotent: the
// first reason stays. Nothing was booked; the day may be run again.
func Fail(ctx context.Context, tx pgx.Tx, tenant, reconciliationID, why string) (Reconciliation, error) {
	r, err := lock(ctx, tx, tenant, reconciliationID)
	if err != nil || r.Status == Failed {
		return r, err
	}
	if !r.Status.CanBecome(Failed) {
		return Reconciliation{}, fmt.Errorf("reconciliation %s is %s and cannot become failed", reconciliationID, r.Status)
	}
	_, err = tx.Exec(ctx, `
		update reconciliations set status = 'failed', failure = $3, waiting_for = null, finished_at = suanpan_now()
		where tenant_id = $1 and id = $2 and status = 'processing'`, tenant, reconciliationID, why)
	if err != nil {
		return Reconciliation{}, fmt.Errorf("reconciliation %s to failed: %w", reconciliationID, err)
	}
	return Get(ctx, tx, tenant, reconciliationID)
}
