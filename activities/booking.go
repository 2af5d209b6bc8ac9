package activities

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/books"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/core/split"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// What is booked together: each function here is one business fact with its
// status, its entries and its event, inside the caller's transaction.

// basisPoints is the denominator of rates.
const basisPoints = 10_000

// receiptOf puts a provider's confirmed payment into our words. The fee accrues
// by the channel account's rate, rounded half up as the providers do.
func receiptOf(p payment.Payment, account tenant.ChannelAccount, trade channel.Trade) (payment.Receipt, error) {
	fee, err := p.Amount.ShareHalfUp(int64(account.FeeBasisPoints), basisPoints)
	return payment.Receipt{ChannelTradeNo: trade.ChannelTradeNo, PaidAt: trade.PaidAt, Fee: fee}, err
}

func dayOf(at time.Time) string { return recon.DayOf(at).String() }

// bookMoney books a payer's money: as the payment's, or, when that has ended, as
// late money to be given back.
func bookMoney(
	ctx context.Context, tx pgx.Tx, tenantID string, p *payment.Payment, account tenant.ChannelAccount, trade channel.Trade,
) error {
	if p.Status.Final() {
		return bookLate(ctx, tx, tenantID, p, account, trade)
	}
	return bookPaid(ctx, tx, tenantID, p, account, trade)
}

// bookPaid books a payment's money: collected for the merchant, divided by the
// split rules, less the provider's fee.
func bookPaid(
	ctx context.Context, tx pgx.Tx, tenantID string, p *payment.Payment, account tenant.ChannelAccount, trade channel.Trade,
) error {
	receipt, err := receiptOf(*p, account, trade)
	if err != nil {
		return err
	}
	if err := payment.PaidNow(ctx, tx, tenantID, p, receipt); err != nil {
		return err
	}
	day := dayOf(receipt.PaidAt)
	legs, err := split.Record(ctx, tx, tenantID, split.Payment{ID: p.ID, MerchantID: p.MerchantID, Amount: p.Amount, PaidOn: day})
	if err != nil {
		return err
	}
	_, err = ledger.Post(ctx, tx, tenantID, paidEntries(*p, account.ID, receipt, day, legs)...)
	return err
}

func paidEntries(p payment.Payment, accountID string, r payment.Receipt, day string, legs []split.BookedLeg) []ledger.Entry {
	own := books.Pocket{Merchant: p.MerchantID}
	division := books.Division{Payment: p.ID}
	var platform []books.PlatformCharge
	for _, leg := range legs {
		switch {
		case leg.Receiver == split.ToPlatform:
			platform = append(platform, books.PlatformCharge{Payment: p.ID, Leg: leg.Position, Amount: leg.Amount})
		case leg.MerchantID == p.MerchantID && leg.Level == 0:
			own.Available = leg.Available
		default:
			division.Parts = append(division.Parts, books.Part{
				To: books.Pocket{Merchant: leg.MerchantID, Available: leg.Available}, Amount: leg.Amount})
		}
	}
	division.From = own
	entries := books.Collect(books.Collection{
		Attempt: p.Attempt.ID, ChannelAccount: accountID, To: own, Amount: p.Amount, ChannelDate: day})
	entries = append(entries, books.Split(division)...)
	for _, charge := range platform {
		charge.From = own
		entries = append(entries, books.PlatformFee(charge)...)
	}
	return append(entries, books.ChannelFee(books.ChannelCharge{
		Number: p.Attempt.ID, ChannelAccount: accountID, Amount: r.Fee, ChannelDate: day})...)
}

// postLateReceipt books money that is not its payment's: it belongs to nobody yet.
func postLateReceipt(ctx context.Context, tx pgx.Tx, tenantID string, p payment.Payment, r payment.Receipt) error {
	day := dayOf(r.PaidAt)
	entries := slices.Concat(
		books.LateReceipt(books.LateMoney{
			Number: p.Attempt.ID, ChannelAccount: p.Attempt.ChannelAccountID, Amount: p.Amount, ChannelDate: day}),
		books.ChannelFee(books.ChannelCharge{
			Number: p.Attempt.ID, ChannelAccount: p.Attempt.ChannelAccountID, Amount: r.Fee, ChannelDate: day}))
	_, err := ledger.Post(ctx, tx, tenantID, entries...)
	return err
}

// bookRefunded books money that went back to the payer: each receiver's part out
// of its hold, the platform's out of its income, and what the provider returned
// of its fee.
func bookRefunded(
	ctx context.Context, tx pgx.Tx, tenantID string, r *refund.Refund, p payment.Payment, account tenant.ChannelAccount,
	answer channel.RefundState, mayReturn bool,
) error {
	returned, err := feeReturned(ctx, tx, tenantID, *r, p, account)
	if err != nil {
		return err
	}
	err = refund.SucceededNow(ctx, tx, tenantID, *r, refund.Receipt{
		ChannelRefundNo: answer.ChannelRefundNo, RefundedAt: answer.RefundedAt, FeeReturned: returned,
		MayReturn: mayReturn})
	if err != nil {
		return err
	}
	r.Status = refund.Succeeded
	day := dayOf(answer.RefundedAt)
	entries := books.ChannelFeeRefund(books.ChannelCharge{
		Number: r.ID, ChannelAccount: account.ID, Amount: returned, ChannelDate: day})
	if r.Origin == refund.LatePayment {
		entries = append(entries, books.LateRefund(books.LateMoney{
			Number: r.ID, ChannelAccount: account.ID, Amount: r.Amount, ChannelDate: day})...)
	} else {
		legs, err := refund.Legs(ctx, tx, tenantID, *r)
		if err != nil {
			return err
		}
		entries = append(entries, books.Refund(moneyBack(*r, account.ID, day, legs))...)
		if err := payment.RefundedNow(ctx, tx, tenantID, p, r.Amount); err != nil {
			return err
		}
	}
	if _, err := ledger.Post(ctx, tx, tenantID, entries...); err != nil {
		return err
	}
	return emit(ctx, tx, tenantID, event.RefundSucceeded, r.ID, string(r.Status))
}

func moneyBack(r refund.Refund, accountID, day string, legs []refund.Leg) books.MoneyBack {
	back := books.MoneyBack{Refund: r.ID, ChannelAccount: accountID, Amount: r.Amount,
		Platform: money.Of(0, r.Amount.Currency), ChannelDate: day}
	for _, leg := range legs {
		if leg.Receiver == split.ToPlatform {
			back.Platform.Minor += leg.Amount.Minor
			continue
		}
		back.Merchants = append(back.Merchants, books.RefundLeg{
			From: books.Pocket{Merchant: leg.MerchantID, Available: leg.Available}, Amount: leg.Amount, Hold: leg.Hold})
	}
	return back
}

// feeReturned is what the provider gives back of its fee with r, if it does at
// all: in proportion to what is refunded, so that the whole refund returns the
// whole fee whatever its parts were. Rounded half up as the providers do; a share
// of the whole never falls as the whole grows, so no part is negative.
func feeReturned(
	ctx context.Context, tx pgx.Tx, tenantID string, r refund.Refund, p payment.Payment, account tenant.ChannelAccount,
) (money.Amount, error) {
	none := money.Of(0, r.Amount.Currency)
	if !account.FeeReturned {
		return none, nil
	}
	fee, before := p.Attempt.Fee, p.Refunded
	if r.Origin == refund.LatePayment {
		late, err := payment.FindLateReceipt(ctx, tx, tenantID, p.Attempt.ID)
		if err != nil {
			return none, err
		}
		fee, before = late.Fee, none
	}
	after, err := before.Add(r.Amount)
	if err != nil {
		return none, err
	}
	upTo, err := fee.ShareHalfUp(after.Minor, p.Amount.Minor)
	if err != nil {
		return none, err
	}
	already, err := fee.ShareHalfUp(before.Minor, p.Amount.Minor)
	if err != nil {
		return none, err
	}
	return upTo.Sub(already)
}

// bookRefundFailed gives back what was promised to a refund that the provider
// refused: the holds, the legs of the split and the payment's refundable amount.
func bookRefundFailed(ctx context.Context, tx pgx.Tx, tenantID string, r *refund.Refund, p payment.Payment, f payment.Failure) error {
	if err := refund.FailedNow(ctx, tx, tenantID, *r, f); err != nil {
		return err
	}
	r.Status = refund.Failed
	legs, err := refund.Legs(ctx, tx, tenantID, *r)
	if err != nil {
		return err
	}
	for _, leg := range legs {
		if leg.Hold == "" {
			continue
		}
		if err := ledger.ReleaseHold(ctx, tx, tenantID, leg.Hold); err != nil {
			return err
		}
	}
	if err := refund.TakeBack(ctx, tx, tenantID, legs); err != nil {
		return err
	}
	if r.Origin == refund.Requested {
		if err := payment.Refunding(ctx, tx, tenantID, p, r.Amount.Neg()); err != nil {
			return err
		}
	}
	return emit(ctx, tx, tenantID, event.RefundFailed, r.ID, string(r.Status))
}

func payoutOf(w payout.Withdrawal, day string) books.Payout {
	return books.Payout{Withdrawal: w.ID, Merchant: w.MerchantID, ChannelAccount: w.ChannelAccountID,
		Amount: w.Amount, Hold: payout.HoldReference(w.ID), ChannelDate: day}
}

// bookAccepted moves held money into transit when the provider took the order,
// once.
func bookAccepted(ctx context.Context, tx pgx.Tx, tenantID string, w payout.Withdrawal, channelName string) error {
	first, err := payout.AcceptedNow(ctx, tx, tenantID, w)
	if err != nil || !first {
		return err
	}
	if err := payout.Waiting(ctx, tx, tenantID, w.ID, channelName+" has accepted the order and works on it"); err != nil {
		return err
	}
	_, err = ledger.Post(ctx, tx, tenantID, books.PayoutAccepted(payoutOf(w, ""))...)
	return err
}

// bookPaidOut books that the payee has the money.
func bookPaidOut(ctx context.Context, tx pgx.Tx, tenantID string, w *payout.Withdrawal, answer channel.TransferState) error {
	if err := bookAccepted(ctx, tx, tenantID, *w, w.Channel); err != nil {
		return err
	}
	err := payout.SucceededNow(ctx, tx, tenantID, *w, payout.Receipt{
		ChannelTransferNo: answer.ChannelTransferNo, PaidAt: answer.PaidAt})
	if err != nil {
		return err
	}
	w.Status = payout.Succeeded
	if _, err := ledger.Post(ctx, tx, tenantID, books.PayoutDone(payoutOf(*w, dayOf(answer.PaidAt)))...); err != nil {
		return err
	}
	return emit(ctx, tx, tenantID, event.WithdrawalSucceeded, w.ID, string(w.Status))
}

// bookNotPaidOut gives the merchant the money back: out of transit if the
// provider had taken the order, else out of the hold.
func bookNotPaidOut(ctx context.Context, tx pgx.Tx, tenantID string, w *payout.Withdrawal, f payment.Failure) error {
	if err := payout.FailedNow(ctx, tx, tenantID, *w, f); err != nil {
		return err
	}
	w.Status = payout.Failed
	var err error
	if w.AcceptedAt != nil {
		_, err = ledger.Post(ctx, tx, tenantID, books.PayoutFailed(payoutOf(*w, ""))...)
	} else {
		err = ledger.ReleaseHold(ctx, tx, tenantID, payout.HoldReference(w.ID))
	}
	if err != nil {
		return err
	}
	return emit(ctx, tx, tenantID, event.WithdrawalFailed, w.ID, string(w.Status))
}
