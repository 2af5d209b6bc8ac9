package recon_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

func TestABalancedDaySettlesTheChannel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noon := mustDay(t, yesterday).Start().Add(12 * time.Hour)
	p := w.paid(w.account, 10000, 60, noon)
	late := w.paidLate(3000, 18, noon)
	refund := w.refunded(p, 2500, 15, noon.Add(time.Hour))
	w.paid(w.other, 700, 4, noon)
	w.paid(w.account, 900, 5, noon.Add(24*time.Hour))
	w.refunded(p, 100, 1, noon.Add(24*time.Hour))

	done := w.reconcile(billOf(yesterday, lineOf(p), lineOf(late), lineOf(refund)))
	r := done.Reconciliation
	require.Equal(t, recon.Balanced, r.Status)
	require.Empty(t, w.report(r.ID))
	require.Equal(t, int64(3), r.Report.MatchedCount)
	require.Equal(t, []int64{2, 13000, 1, 2500}, []int64{r.Report.Ours.PaymentCount, r.Report.Ours.PaymentAmount,
		r.Report.Ours.RefundCount, r.Report.Ours.RefundAmount})
	require.Equal(t, "0.63", r.Report.Ours.Fee.StringFixed(2))
	require.True(t, r.Report.Ours.Fee.Equal(r.Report.Theirs.Fee))
	require.Equal(t, r.Report.Ours.PaymentAmount, r.Report.Theirs.PaymentAmount)
	require.Equal(t, int64(13000-2500-63), r.Report.SettledFen)
	require.NotNil(t, r.FinishedAt)
	require.Equal(t, "reconciliation/"+w.account+"/"+yesterday+"/1", r.WorkflowID())

	require.Len(t, done.Bookings, 1)
	require.Equal(t, r.Report.SettledFen, w.balance(ledger.ChannelBalance))
	require.Equal(t, int64(700-4+900-5-100+1), w.balance(ledger.ChannelUnsettled))
	w.requireSound()

	w.must(func(ctx context.Context, tx pgx.Tx) error {
		again, err := recon.Finish(ctx, tx, w.tenant, r.ID, recon.DefaultRules())
		require.True(t, again.Replayed)
		require.Empty(t, again.Bookings)
		require.Equal(t, r, again.Reconciliation)
		return err
	})
}

func TestARerunReportsTheSameAndBooksNothingTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noon := mustDay(t, yesterday).Start().Add(12 * time.Hour)
	good, missing := w.paid(w.account, 10000, 60, noon), w.paid(w.account, 10100, 61, noon)
	amount, cheap := w.paid(w.account, 10200, 61, noon), w.paid(w.account, 10300, 62, noon)
	dear, rounding := w.paid(w.account, 10400, 62, noon), w.paid(w.account, 10500, 63, noon)
	unpaid, foreign := w.unpaid(500), w.paid(w.other, 600, 4, noon)
	refund := w.refunded(good, 1000, 6, noon)
	unknown := recon.Record{Kind: channel.BillPayment, Number: id.Number(), Amount: money.Fen(42), At: noon}

	lines := []channel.BillLine{lineOf(good), lineOf(amount), lineOf(cheap), lineOf(dear), lineOf(rounding), lineOf(unpaid),
		lineOf(foreign), lineOf(refund), lineOf(unknown), lineOf(good)}
	lines[1].Amount.Minor += 100
	lines[2].FeeText = "1.05000"
	lines[3].FeeText = "9.99000"
	lines[4].FeeText = "0.63100"
	lines[5].At = noon
	lines[7].FeeText = "-0.07"
	lines[7].Status = "REFUND/SUCCESS"
	bill := billOf(yesterday, lines...)

	first := w.reconcile(bill)
	require.Equal(t, recon.Discrepant, first.Reconciliation.Status)
	want := []string{
		key(recon.DuplicateLine, recon.DiscrepancyOpen, good.Number),
		key(recon.MissingInBill, recon.DiscrepancyOpen, missing.Number),
		key(recon.AmountMismatch, recon.DiscrepancyOpen, amount.Number),
		key(recon.FeeMismatch, recon.DiscrepancyAdjusted, cheap.Number),
		key(recon.FeeMismatch, recon.DiscrepancyOpen, dear.Number),
		key(recon.FeeRounding, recon.DiscrepancyExplained, rounding.Number),
		key(recon.MissingInBooks, recon.DiscrepancyOpen, unpaid.Number),
		key(recon.ForeignLine, recon.DiscrepancyOpen, foreign.Number),
		key(recon.FeeMismatch, recon.DiscrepancyAdjusted, refund.Number),
		key(recon.MissingInBooks, recon.DiscrepancyOpen, unknown.Number),
	}
	require.ElementsMatch(t, want, w.report(first.Reconciliation.ID))
	require.Equal(t, int64(7), first.Reconciliation.Report.OpenCount)
	settled := int64(10000-60) + (10300 - 62 - 43) + (10500 - 63) - (1000 - 6 - 1)
	require.Equal(t, settled, first.Reconciliation.Report.SettledFen)
	require.Equal(t, settled, w.balance(ledger.ChannelBalance))
	require.Len(t, first.Bookings, 3)
	entries := w.count(`select count(*) from entries`)

	for _, d := range w.discrepancies(recon.DiscrepancyFilter{Kind: recon.FeeMismatch, Status: recon.DiscrepancyAdjusted, Limit: 10}) {
		require.NotNil(t, d.AdjustmentEntryID)
		require.Equal(t, d.Number == refund.Number, d.RefundID != nil)
		require.NotNil(t, d.PaymentID)
	}

	second := w.reconcile(bill)
	require.Equal(t, 2, second.Reconciliation.Run)
	require.Empty(t, second.Bookings)
	require.ElementsMatch(t, want, w.report(second.Reconciliation.ID))
	require.Equal(t, first.Reconciliation.Report, second.Reconciliation.Report)
	require.Equal(t, entries, w.count(`select count(*) from entries`))
	require.Equal(t, 1, w.count(`select count(*) from bill_files`))
	require.Equal(t, len(lines), w.count(`select count(*) from bill_lines`))
	w.requireSound()
}

func TestAReplacedBillCorrectsWhatWasBooked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noon := mustDay(t, yesterday).Start().Add(12 * time.Hour)
	a, b := w.paid(w.account, 10000, 60, noon), w.paid(w.account, 5000, 30, noon)
	wrong := lineOf(a)
	wrong.FeeText = "0.65"
	w.reconcile(billOf(yesterday, wrong))
	require.Equal(t, int64(9935), w.balance(ledger.ChannelBalance))
	require.Equal(t, int64(95), w.balance(ledger.ChannelFeeExpense))

	// The provider replaces its bill: the fee is right now and b is there.
	again := w.reconcile(billOf(yesterday, lineOf(a), lineOf(b)))
	require.Equal(t, recon.Balanced, again.Reconciliation.Status)
	require.Equal(t, 2, again.Reconciliation.BillVersion)
	require.Equal(t, int64(9940+4970), w.balance(ledger.ChannelBalance))
	require.Equal(t, int64(90), w.balance(ledger.ChannelFeeExpense))
	require.Zero(t, w.balance(ledger.ChannelUnsettled))
	w.requireSound()

	w.must(func(ctx context.Context, tx pgx.Tx) error {
		files, err := recon.BillFiles(ctx, tx, w.tenant, w.account, yesterday)
		require.Len(t, files, 2)
		require.NotEqual(t, files[0].Raw, files[1].Raw)
		return err
	})

	// And a third time, wrong again: the same key is booked as its next phase.
	third := w.reconcile(billOf(yesterday, wrong, lineOf(b)))
	require.Equal(t, int64(95), w.balance(ledger.ChannelFeeExpense))
	require.Equal(t, 3, third.Bookings[len(third.Bookings)-1].Phase)
	require.Equal(t, int64(9935+4970), w.balance(ledger.ChannelBalance))
	w.requireSound()
}

func TestMidnightBetweenTwoDays(t *testing.T) {
	t.Parallel()
	for name, inOrder := range map[string]bool{"in order": true, "the later day first": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			midnight := mustDay(t, yesterday).Start()
			late := w.paid(w.account, 1000, 6, midnight.Add(-100*time.Millisecond)) // printed on the next day
			lost := w.paid(w.account, 2000, 12, midnight.Add(-200*time.Millisecond))
			early := w.paid(w.account, 3000, 18, midnight.Add(100*time.Millisecond)) // printed on the day before
			lateLine, earlyLine := lineOf(late), lineOf(early)
			lateLine.At, earlyLine.At = midnight, midnight.Add(-time.Second)
			dayOne, dayTwo := billOf(earlier, earlyLine), billOf(yesterday, lateLine)

			var one, two recon.Finished
			if inOrder {
				one, two = w.reconcile(dayOne), w.reconcile(dayTwo)
			} else {
				two, one = w.reconcile(dayTwo), w.reconcile(dayOne)
			}
			wantOne := []string{key(recon.NextDay, recon.DiscrepancyExplained, late.Number),
				key(recon.NextDay, recon.DiscrepancyExplained, early.Number)}
			wantTwo := []string{key(recon.NextDay, recon.DiscrepancyExplained, late.Number)}
			missing := key(recon.MissingInBill, recon.DiscrepancyOpen, lost.Number)
			if inOrder {
				wantOne = append(wantOne, key(recon.NextDay, recon.DiscrepancyExplained, lost.Number))
				wantTwo = append(wantTwo, key(recon.NextDay, recon.DiscrepancyExplained, early.Number), missing)
			} else {
				// Nothing was known of the day before: early is missing until its bill is read.
				wantOne = append(wantOne, missing)
				wantTwo = append(wantTwo, key(recon.MissingInBill, recon.DiscrepancyOpen, early.Number))
			}
			require.ElementsMatch(t, wantOne, w.report(one.Reconciliation.ID))
			require.ElementsMatch(t, wantTwo, w.report(two.Reconciliation.ID))
			require.Equal(t, int64(994+2982), w.balance(ledger.ChannelBalance))
			require.Equal(t, int64(1988), w.balance(ledger.ChannelUnsettled), "only the lost one is left")

			again := w.reconcile(dayOne)
			require.ElementsMatch(t, wantOne, w.report(again.Reconciliation.ID))
			require.Empty(t, again.Bookings)
			w.requireSound()
		})
	}
}

func TestOneOpeningOfFiftyWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	var opened []recon.Reconciliation
	var refused int
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			var r recon.Reconciliation
			err := w.in(func(ctx context.Context, tx pgx.Tx) (err error) {
				r, err = recon.Open(ctx, tx, w.tenant, w.account, yesterday)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				opened = append(opened, r)
			} else if fault.Is(err, "reconciliation_processing") {
				refused++
			}
		})
	}
	wait.Wait()
	require.Len(t, opened, 1)
	require.Equal(t, 49, refused)
	require.Equal(t, 1, opened[0].Run)

	w.must(func(ctx context.Context, tx pgx.Tx) error {
		require.NoError(t, recon.SetWaiting(ctx, tx, w.tenant, opened[0].ID, "the provider has not made the bill"))
		r, err := recon.Get(ctx, tx, w.tenant, opened[0].ID)
		require.NoError(t, err)
		require.Equal(t, "the provider has not made the bill", r.WaitingFor)
		failed, err := recon.Fail(ctx, tx, w.tenant, r.ID, "the provider refuses")
		require.NoError(t, err)
		require.Equal(t, recon.Failed, failed.Status)
		again, err := recon.Fail(ctx, tx, w.tenant, r.ID, "another reason")
		require.NoError(t, err)
		require.Equal(t, failed, again)
		require.Equal(t, "the provider refuses", again.Failure)
		_, err = recon.Finish(ctx, tx, w.tenant, r.ID, recon.DefaultRules())
		require.Error(t, err)
		next, err := recon.Open(ctx, tx, w.tenant, w.account, yesterday)
		require.Equal(t, 2, next.Run)
		return err
	})
}

func TestWhatCannotBeOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _, stranger := w.addTenant()
	for _, c := range []struct{ account, date, code string }{
		{w.account, today, "bill_not_possible_yet"},
		{w.account, "2026-03-11", "bill_not_possible_yet"},
		{w.account, "9999-12-31", "bill_not_possible_yet"},
		{w.account, "10.3.2026", "date_malformed"},
		{id.New(id.ChannelAccount), yesterday, "not_found"},
		{stranger, yesterday, "not_found"},
	} {
		err := w.in(func(ctx context.Context, tx pgx.Tx) error {
			_, err := recon.Open(ctx, tx, w.tenant, c.account, c.date)
			return err
		})
		require.True(t, fault.Is(err, c.code), "%v %v", c, err)
	}
	// One second after midnight in Shanghai, the day that ended is possible.
	w.setClock(today + " 00:00:01+08")
	w.must(func(ctx context.Context, tx pgx.Tx) error {
		_, err := recon.Open(ctx, tx, w.tenant, w.account, yesterday)
		return err
	})
}

func TestABillMustBeWhatItSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.paid(w.account, 1000, 6, mustDay(t, yesterday).Start())
	var r recon.Reconciliation
	w.must(func(ctx context.Context, tx pgx.Tx) (err error) {
		r, err = recon.Open(ctx, tx, w.tenant, w.account, yesterday)
		return err
	})
	store := func(bill channel.Bill) error {
		return w.in(func(ctx context.Context, tx pgx.Tx) error {
			_, err := recon.StoreBill(ctx, tx, w.box, w.tenant, r.ID, bill)
			return err
		})
	}
	finish := func() (done recon.Finished, err error) {
		err = w.in(func(ctx context.Context, tx pgx.Tx) error {
			done, err = recon.Finish(ctx, tx, w.tenant, r.ID, recon.DefaultRules())
			return err
		})
		return done, err
	}
	_, err := finish()
	require.ErrorContains(t, err, "no bill")
	for name, spoil := range map[string]func(*channel.Bill){
		"date":     func(b *channel.Bill) { b.Date = today },
		"digest":   func(b *channel.Bill) { b.Raw = append(b.Raw, 'x') },
		"counts":   func(b *channel.Bill) { b.PaymentCount++ },
		"no bytes": func(b *channel.Bill) { b.Raw, b.SHA256 = nil, "" },
		"kind":     func(b *channel.Bill) { b.Lines[0].Kind = "payout" },
		"row":      func(b *channel.Bill) { b.Lines[0].Row = 0 },
	} {
		bill := billOf(yesterday, lineOf(p))
		spoil(&bill)
		require.Error(t, store(bill), name)
	}
	require.Zero(t, w.count(`select count(*) from bill_files`))

	// An empty bill is a bill: what our books have is missing in it.
	require.NoError(t, store(billOf(yesterday)))
	require.NoError(t, store(billOf(yesterday)))
	done, err := finish()
	require.NoError(t, err)
	require.Equal(t, recon.Discrepant, done.Reconciliation.Status)
	require.Equal(t, []string{key(recon.MissingInBill, recon.DiscrepancyOpen, p.Number)}, w.report(r.ID))
	require.Error(t, store(billOf(yesterday)), "the run has ended")

	// And on a day without anything on either side it balances.
	require.Equal(t, recon.Balanced, w.reconcile(billOf(earlier)).Reconciliation.Status)
	w.exec(`update bill_files set raw = raw`)
	require.Error(t, w.in(func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `update bill_files set raw = ''`)
		return err
	}), "evidence cannot be changed by the platform")
}

func TestListsArePagedFilteredAndWalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noon := mustDay(t, yesterday).Start().Add(12 * time.Hour)
	for range 5 {
		w.paid(w.account, 1000, 6, noon)
	}
	done := w.reconcile(billOf(yesterday))
	w.reconcile(billOf(earlier))

	var seen []string
	before := ""
	for {
		page := w.discrepancies(recon.DiscrepancyFilter{ReconciliationID: done.Reconciliation.ID, Status: recon.DiscrepancyOpen,
			Kind: recon.MissingInBill, Before: before, Limit: 2})
		for _, d := range page {
			seen = append(seen, d.ID)
			before = d.ID
		}
		if len(page) < 2 {
			break
		}
	}
	require.Len(t, seen, 5)
	require.True(t, slices.IsSortedFunc(seen, func(a, b string) int { return -compare(a, b) }))
	require.Empty(t, w.discrepancies(recon.DiscrepancyFilter{Kind: recon.FeeMismatch, Limit: 10}))

	w.must(func(ctx context.Context, tx pgx.Tx) error {
		d, err := recon.GetDiscrepancy(ctx, tx, w.tenant, seen[0])
		require.NoError(t, err)
		require.Equal(t, int64(1000), *d.OurAmount)
		require.Nil(t, d.TheirAmount)
		list, err := recon.List(ctx, tx, w.tenant, recon.Filter{Date: yesterday, Limit: 10})
		require.NoError(t, err)
		require.Equal(t, []recon.Reconciliation{done.Reconciliation}, list)
		list, err = recon.List(ctx, tx, w.tenant, recon.Filter{ChannelAccountID: w.account, Status: recon.Balanced, Limit: 10})
		require.Len(t, list, 1)
		return err
	})

	stranger, _, _ := w.addTenant()
	ctx := context.Background()
	require.NoError(t, w.DB.InTenant(ctx, stranger, func(tx pgx.Tx) error {
		_, err := recon.Get(ctx, tx, stranger, done.Reconciliation.ID)
		require.True(t, fault.Is(err, "not_found"))
		_, err = recon.Get(ctx, tx, w.tenant, done.Reconciliation.ID)
		require.True(t, fault.Is(err, "not_found"), "the wall holds even with the right tenant named")
		_, err = recon.GetDiscrepancy(ctx, tx, w.tenant, seen[0])
		require.True(t, fault.Is(err, "not_found"))
		return nil
	}))
}

func compare(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

func TestDailyOperations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	errDone := errors.New("roll back")
	w.must(func(ctx context.Context, tx pgx.Tx) error {
		d, err := recon.StartDaily(ctx, tx, w.tenant, yesterday)
		require.NoError(t, err)
		require.Equal(t, recon.DailyProcessing, d.Status)
		_, err = recon.StartDaily(ctx, tx, w.tenant, yesterday)
		require.True(t, fault.Is(err, "daily_operations_processing"))
		_, err = recon.StartDaily(ctx, tx, w.tenant, "2026-03-11")
		require.True(t, fault.Is(err, "day_not_over"))
		_, err = recon.StartDaily(ctx, tx, w.tenant, "")
		require.True(t, fault.Is(err, "date_malformed"))
		require.NoError(t, recon.SetDailyWaiting(ctx, tx, w.tenant, d.ID, "bills"))

		r, err := recon.OpenForDaily(ctx, tx, w.tenant, d.ID, w.account, yesterday)
		require.NoError(t, err)
		same, err := recon.OpenForDaily(ctx, tx, w.tenant, d.ID, w.account, yesterday)
		require.NoError(t, err)
		require.Equal(t, r, same)
		require.Equal(t, d.ID, r.DailyOperationID)
		_, err = recon.OpenForDaily(ctx, tx, w.tenant, id.New(id.Daily), w.account, earlier)
		require.True(t, fault.Is(err, "not_found"))

		done, err := recon.FinishDaily(ctx, tx, w.tenant, d.ID)
		require.NoError(t, err)
		require.Equal(t, recon.DailyDone, done.Status)
		require.Empty(t, done.WaitingFor)
		_, err = recon.FinishDaily(ctx, tx, w.tenant, d.ID)
		require.NoError(t, err)
		_, err = recon.FailDaily(ctx, tx, w.tenant, d.ID, "x")
		require.Error(t, err)

		second, err := recon.StartDaily(ctx, tx, w.tenant, yesterday)
		require.NoError(t, err)
		failed, err := recon.FailDaily(ctx, tx, w.tenant, second.ID, "no bill")
		require.NoError(t, err)
		require.Equal(t, "no bill", failed.Failure)
		list, err := recon.ListDaily(ctx, tx, w.tenant, recon.DailyFilter{BusinessDate: yesterday, Limit: 10})
		require.NoError(t, err)
		require.Len(t, list, 2)
		list, err = recon.ListDaily(ctx, tx, w.tenant, recon.DailyFilter{Status: recon.DailyDone, Limit: 10})
		require.NoError(t, err)
		require.Equal(t, []recon.Daily{done}, list)
		return nil
	})
	require.ErrorIs(t, w.in(func(ctx context.Context, tx pgx.Tx) error {
		_, err := recon.GetDaily(ctx, tx, w.tenant, "dop_unknown")
		require.True(t, fault.Is(err, "not_found"))
		return errDone
	}), errDone)
}

func TestEveryPairOfStatuses(t *testing.T) {
	t.Parallel()
	all := []recon.Status{recon.Processing, recon.Balanced, recon.Discrepant, recon.Failed}
	for _, from := range all {
		for _, to := range all {
			require.Equal(t, from == recon.Processing && to != recon.Processing, from.CanBecome(to), "%s %s", from, to)
		}
	}
	daily := []recon.DailyStatus{recon.DailyProcessing, recon.DailyDone, recon.DailyFailed}
	for _, from := range daily {
		for _, to := range daily {
			require.Equal(t, from == recon.DailyProcessing && to != recon.DailyProcessing, from.CanBecome(to), "%s %s", from, to)
		}
	}
	for _, k := range recon.Kinds() {
		require.True(t, k.Known())
	}
	require.False(t, recon.Kind("other").Known())
}
