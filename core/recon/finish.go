package recon

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Finished is what Finish did.
type Finished struct {
	Reconciliation Reconciliation
	// Bookings is what this run added to the books: nothing when an earlier run
	// of the day had booked the same.
	Bookings []Booking
	// Replayed: the run had ended before, and nothing was done now. The caller
	// emits its event only when it is false.
	Replayed bool
}

// Finish compares our records of the day with the stored bill, records the
// discrepancies, books what the rules allow and ends the run as balanced or
// discrepant, all in tx. It is idempotent: a run that has ended so is returned
// as it is. Running a day again books only what changed since, because bookings
// are kept by account, date, kind and number and not by run.
//
// A run that failed, or has no bill stored, is an error.
func Finish(ctx context.Context, tx pgx.Tx, tenant, reconciliationID string, rules Rules) (Finished, error) {
	r, err := lock(ctx, tx, tenant, reconciliationID)
	if err != nil {
		return Finished{}, err
	}
	switch {
	case r.Report != nil:
		return Finished{Reconciliation: r, Replayed: true}, nil
	case r.Status != Processing:
		return Finished{}, fmt.Errorf("reconciliation %s is %s and cannot be finished", r.ID, r.Status)
	case r.BillVersion == 0:
		return Finished{}, fmt.Errorf("reconciliation %s has no bill: store it first", r.ID)
	}
	found, err := compare(ctx, tx, tenant, r, rules)
	if err != nil {
		return Finished{}, err
	}
	bookings, entries, err := bookChanges(ctx, tx, tenant, r, found)
	if err != nil {
		return Finished{}, err
	}
	if err := storeDifferences(ctx, tx, tenant, r, found.Differences, entries); err != nil {
		return Finished{}, err
	}
	if err := storeReport(ctx, tx, tenant, r, found); err != nil {
		return Finished{}, err
	}
	r, err = Get(ctx, tx, tenant, r.ID)
	return Finished{Reconciliation: r, Bookings: bookings}, err
}

// compare streams both sides from the database through a Matcher.
func compare(ctx context.Context, tx pgx.Tx, tenant string, r Reconciliation, rules Rules) (Result, error) {
	day, err := ParseDay(r.Date)
	if err != nil {
		return Result{}, err
	}
	around, err := findNeighbours(ctx, tx, tenant, r, day)
	if err != nil {
		return Result{}, err
	}
	m := NewMatcher(day, rules, around.carries)
	if err := eachRecord(ctx, tx, tenant, r, day, around, rules, m.AddRecord); err != nil {
		return Result{}, err
	}
	if err := eachLine(ctx, tx, tenant, r, m.AddLine); err != nil {
		return Result{}, err
	}
	if err := lookUp(ctx, tx, tenant, r, day, around, m.Wanted(), m.AddRecord); err != nil {
		return Result{}, err
	}
	return m.Result()
}

func storeReport(ctx context.Context, tx pgx.Tx, tenant string, r Reconciliation, found Result) error {
	status, open := Balanced, found.Open()
	if open > 0 {
		status = Discrepant
	}
	ours, theirs := found.Ours, found.Theirs
	tag, err := tx.Exec(ctx, `
		update reconciliations set status = $3, waiting_for = null, finished_at = suanpan_now(),
			our_payment_count = $4, our_payment_amount = $5, our_refund_count = $6, our_refund_amount = $7, our_fee = $8,
			bill_payment_count = $9, bill_payment_amount = $10, bill_refund_count = $11, bill_refund_amount = $12,
			bill_fee = $13::text::numeric,
			matched_count = $14, discrepancy_count = $15, open_count = $16, settled_amount = $17
		where tenant_id = $1 and id = $2 and status = 'processing'`,
		tenant, r.ID, status,
		ours.PaymentCount, ours.PaymentAmount, ours.RefundCount, ours.RefundAmount, ours.Fee.Shift(2).IntPart(),
		theirs.PaymentCount, theirs.PaymentAmount, theirs.RefundCount, theirs.RefundAmount, theirs.Fee.String(),
		found.Matched, len(found.Differences), open, found.SettledFen)
	if err != nil {
		return fmt.Errorf("report of reconciliation %s: %w", r.ID, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("reconciliation %s was changed meanwhile", r.ID)
	}
	return nil
}
