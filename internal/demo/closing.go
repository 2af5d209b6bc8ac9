package demo

import (
	"context"
	"fmt"
	"slices"

	"github.com/oklog/ulid/v2"

	"github.com/suanpan/suanpan/client"
)

// seed is a difference put into a bill on purpose, and what must be found of it.
type seed struct {
	edit   billEdit
	kind   client.DiscrepancyKind
	status client.DiscrepancyStatus
	// Minor units; nil for a side that has nothing.
	ours, theirs *int64
	// feeOff is how much more the bill says the provider took.
	feeOff int64
}

// lies are the five seeded differences, on payments that nothing else happened to.
func (r *run) lies() []seed {
	const more, feeMore = 30, 3
	dropped, twice := r.sale("19"), r.sale("21") // Alipay
	amount, costly := r.sale("20"), r.sale("22") // WeChat Pay
	stranger, unknown := ulid.Make().String(), int64(8_800)
	on := func(channel, edit, number string) billEdit {
		return billEdit{Provider: channel, Merchant: r.rates[channel].merchant, Date: r.day, Edit: edit, Number: number}
	}
	added := on(wechatpay, "add_line", stranger)
	added.Kind, added.Amount, added.Fee = "payment", unknown, "0.53"
	changed := on(wechatpay, "change_amount", amount.number)
	changed.Amount = amount.fen + more
	charged := on(wechatpay, "change_fee", costly.number)
	charged.Fee = yuan(r.fee(costly) + feeMore)
	return []seed{
		{edit: on(alipay, "drop_line", dropped.number), kind: client.DiscrepancyKindMissingInBill,
			status: client.DiscrepancyStatusOpen, ours: &dropped.fen},
		{edit: on(alipay, "duplicate_line", twice.number), kind: client.DiscrepancyKindDuplicateLine,
			status: client.DiscrepancyStatusOpen, ours: &twice.fen, theirs: &twice.fen},
		{edit: added, kind: client.DiscrepancyKindMissingInBooks, status: client.DiscrepancyStatusOpen, theirs: &unknown},
		{edit: changed, kind: client.DiscrepancyKindAmountMismatch, status: client.DiscrepancyStatusOpen,
			ours: &amount.fen, theirs: ptr(amount.fen + more)},
		{edit: charged, kind: client.DiscrepancyKindFeeMismatch, status: client.DiscrepancyStatusAdjusted,
			ours: &costly.fen, theirs: &costly.fen, feeOff: feeMore},
	}
}

// closeDay falsifies the day's bills, moves on to the next morning and has the
// day settled and reconciled: exactly the lies must come out.
func (r *run) closeDay(ctx context.Context) error {
	r.seeds = r.lies()
	for _, s := range r.seeds {
		if err := r.sandbox.falsify(ctx, s.edit); err != nil {
			return err
		}
	}
	r.say.done("%d differences seeded in the two bills of %s", len(r.seeds), r.day)
	morning, err := nextMorning(r.day)
	if err != nil {
		return err
	}
	if err := r.moveClocks(ctx, "morning", morning); err != nil {
		return err
	}
	if err := r.operate(ctx); err != nil {
		return fmt.Errorf("daily operations of %s: %w", r.day, err)
	}
	for _, channel := range []string{alipay, wechatpay} {
		if err := r.reconciled(ctx, channel); err != nil {
			return fmt.Errorf("reconciliation of %s for %s: %w", channel, r.day, err)
		}
	}
	if err := r.compareFindings(); err != nil {
		return err
	}
	r.say.done("the day is settled and reconciled: all %d seeded differences found, none invented", len(r.seeds))
	return nil
}

// operate runs the day's closing work. The schedule may have been faster: then
// its run is as good.
func (r *run) operate(ctx context.Context) error {
	var err error
	r.daily, err = created[client.DailyOperation](r.api.CreateDailyOperationWithResponse(ctx,
		&client.CreateDailyOperationParams{IdempotencyKey: r.key("daily")}, client.CreateDailyOperation{BusinessDate: r.day}))
	if client.IsCode(err, "daily_operations_processing") {
		page, listErr := got[client.DailyOperationPage](r.api.ListDailyOperationsWithResponse(ctx,
			&client.ListDailyOperationsParams{BusinessDate: &r.day, Limit: ptr(1)}))
		if err = listErr; err == nil && len(page.Data) == 1 {
			r.daily = page.Data[0]
		}
	}
	if err != nil {
		return err
	}
	return await(ctx, "its status", func() (string, error) {
		r.daily, err = got[client.DailyOperation](r.api.GetDailyOperationWithResponse(ctx, r.daily.ID))
		switch {
		case err != nil:
			return "", err
		case r.daily.Status == client.DailyOperationStatusDone:
			return "", nil
		case r.daily.Status == client.DailyOperationStatusFailed:
			return "", fmt.Errorf("expected done, got failed: %s", *r.daily.Failure)
		}
		r.say.count("settling and reconciling%s", because(r.daily.WaitingFor))
		return "it is processing" + because(r.daily.WaitingFor), nil
	})
}

// reconciled reads what the day's reconciliation of a channel found.
func (r *run) reconciled(ctx context.Context, channel string) error {
	accountID := r.rates[channel].accountID
	var report client.Reconciliation
	err := await(ctx, "its status", func() (string, error) {
		page, err := got[client.ReconciliationPage](r.api.ListReconciliationsWithResponse(ctx,
			&client.ListReconciliationsParams{ChannelAccountID: &accountID, BillDate: &r.day, Limit: ptr(1)}))
		switch {
		case err != nil:
			return "", err
		case len(page.Data) == 0:
			return "there is none", nil
		}
		report = page.Data[0]
		switch report.Status {
		case client.ReconciliationStatusProcessing:
			return "it is processing" + because(report.WaitingFor), nil
		case client.ReconciliationStatusFailed:
			return "", fmt.Errorf("expected discrepant, got failed: %s", *report.Failure)
		}
		return "", nil
	})
	if err != nil {
		return err
	}
	r.reports = append(r.reports, report)
	found, err := all(func(cursor *string) ([]client.Discrepancy, *string, error) {
		page, err := got[client.DiscrepancyPage](r.api.ListReconciliationDiscrepanciesWithResponse(ctx, report.ID,
			&client.ListReconciliationDiscrepanciesParams{Limit: ptr(100), Cursor: cursor}))
		return page.Data, page.NextCursor, err
	})
	if err != nil {
		return err
	}
	r.findings = append(r.findings, found...)
	return r.compareReport(channel, report)
}

// compareReport holds the two sides' totals against each other: they must
// differ by exactly the lies.
func (r *run) compareReport(channel string, report client.Reconciliation) error {
	var count, fen int64
	for _, s := range r.seeds {
		switch {
		case s.edit.Provider != channel:
		case s.edit.Edit == "drop_line":
			count, fen = count-1, fen-*s.ours
		case s.edit.Edit == "add_line" || s.edit.Edit == "duplicate_line":
			count, fen = count+1, fen+*s.theirs
		case s.edit.Edit == "change_amount":
			fen += *s.theirs - *s.ours
		}
	}
	if report.Ours == nil || report.Theirs == nil {
		return fmt.Errorf("it has no totals")
	}
	for _, err := range []error{
		same("the number of payments in the bill", report.Ours.PaymentCount+count, report.Theirs.PaymentCount),
		sameFen("the payments in the bill", report.Ours.PaymentAmount+fen, report.Theirs.PaymentAmount),
		same("the number of refunds in the bill", report.Ours.RefundCount, report.Theirs.RefundCount),
		sameFen("the refunds in the bill", report.Ours.RefundAmount, report.Theirs.RefundAmount),
		same("its status", client.ReconciliationStatusDiscrepant, report.Status),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// compareFindings compares what was found with what was seeded: by number, and
// each in kind, status and both sides' figures.
func (r *run) compareFindings() error {
	for _, f := range r.findings {
		at := slices.IndexFunc(r.seeds, func(s seed) bool { return s.edit.Number == f.Number && s.kind == f.Kind })
		if at < 0 {
			return fmt.Errorf("a difference that nobody seeded: %s on %s: %s", f.Kind, f.Number, f.Explanation)
		}
		if err := r.seeds[at].confirms(f); err != nil {
			return fmt.Errorf("the difference %s on %s: %w", f.Kind, f.Number, err)
		}
	}
	for _, s := range r.seeds {
		n := 0
		for _, f := range r.findings {
			if f.Number == s.edit.Number {
				n++
			}
		}
		what := fmt.Sprintf("how often the seeded difference %s on %s was found", s.kind, s.edit.Number)
		if err := same(what, 1, n); err != nil {
			return err
		}
	}
	return nil
}

func (s seed) confirms(f client.Discrepancy) error {
	for _, err := range []error{
		same("its status", s.status, f.Status),
		same("our amount", orNothing(s.ours), orNothing(f.OurAmount)),
		same("their amount", orNothing(s.theirs), orNothing(f.TheirAmount)),
	} {
		if err != nil {
			return err
		}
	}
	if s.feeOff == 0 {
		return nil
	}
	off, err := feeOff(f)
	if err != nil {
		return err
	}
	if f.AdjustmentEntryID == nil {
		return fmt.Errorf("expected an adjustment entry, got none")
	}
	return sameFen("what the fee differs by", s.feeOff, off)
}

// feeOff is how much more the bill says the provider took than we accrued.
func feeOff(f client.Discrepancy) (int64, error) {
	if f.OurFee == nil || f.TheirFee == nil {
		return 0, fmt.Errorf("expected the fees of both sides, got one")
	}
	theirs, err := fenOf(*f.TheirFee)
	return theirs - *f.OurFee, err
}

// orNothing shows an amount that may be absent.
func orNothing(fen *int64) string {
	if fen == nil {
		return "–"
	}
	return yuan(*fen)
}
