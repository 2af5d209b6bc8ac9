package books

import (
	"strconv"

	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// Collection is a payment that a provider confirmed.
type Collection struct {
	// Attempt is the id of the attempt that was paid.
	Attempt        string
	ChannelAccount string
	To             Pocket
	Amount         money.Amount
	// ChannelDate is the provider's day of the payment, YYYY-MM-DD, or "".
	ChannelDate string
}

// Collect books money that arrived at a provider for a merchant.
func Collect(c Collection) []ledger.Entry {
	return begin(ledger.Collect, c.Attempt, phasePaid, c.Amount.Currency).channelDate(c.ChannelDate).
		debit(ChannelUnsettledAccount(c.ChannelAccount, c.Amount.Currency), c.Amount).
		credit(c.To.Account(c.Amount.Currency), c.Amount).
		entries()
}

// LateMoney is money of a payment that was closed before it was paid.
type LateMoney struct {
	// Number is the attempt's id for the receipt, the refund's id for its refund.
	Number         string
	ChannelAccount string
	Amount         money.Amount
	ChannelDate    string
}

// LateReceipt books money paid after the payment was closed: it belongs to no
// merchant, and waits among the unidentified receipts until it is refunded.
func LateReceipt(l LateMoney) []ledger.Entry {
	return begin(ledger.Collect, l.Number, phaseLate, l.Amount.Currency).channelDate(l.ChannelDate).
		debit(ChannelUnsettledAccount(l.ChannelAccount, l.Amount.Currency), l.Amount).
		credit(UnidentifiedAccount(l.ChannelAccount, l.Amount.Currency), l.Amount).
		entries()
}

// LateRefund books that a late receipt went back to the payer.
func LateRefund(l LateMoney) []ledger.Entry {
	return begin(ledger.Refund, l.Number, phaseLate, l.Amount.Currency).channelDate(l.ChannelDate).
		debit(UnidentifiedAccount(l.ChannelAccount, l.Amount.Currency), l.Amount).
		credit(ChannelUnsettledAccount(l.ChannelAccount, l.Amount.Currency), l.Amount).
		entries()
}

// ChannelCharge is a provider's fee.
type ChannelCharge struct {
	// Number is the attempt's id for a fee, the refund's id for a returned fee.
	Number         string
	ChannelAccount string
	Amount         money.Amount
	ChannelDate    string
}

// ChannelFee books the fee that a provider keeps from what it collected. The
// tenant bears it out of its own stake. A fee of zero gives no entry.
func ChannelFee(c ChannelCharge) []ledger.Entry {
	if c.Amount.IsZero() {
		return nil
	}
	return begin(ledger.Fee, c.Number, phaseChannel, c.Amount.Currency).channelDate(c.ChannelDate).
		loseStake(c.Amount).
		credit(ChannelUnsettledAccount(c.ChannelAccount, c.Amount.Currency), c.Amount).
		debit(own(ledger.ChannelFeeExpense, c.Amount.Currency), c.Amount).
		entries()
}

// ChannelFeeRefund books the fee that a provider gives back with a refund.
func ChannelFeeRefund(c ChannelCharge) []ledger.Entry {
	if c.Amount.IsZero() {
		return nil
	}
	return begin(ledger.FeeRefund, c.Number, phaseChannel, c.Amount.Currency).channelDate(c.ChannelDate).
		debit(ChannelUnsettledAccount(c.ChannelAccount, c.Amount.Currency), c.Amount).
		gainStake(c.Amount).
		credit(own(ledger.ChannelFeeExpense, c.Amount.Currency), c.Amount).
		entries()
}

// Part is what one merchant receives of a payment.
type Part struct {
	To     Pocket
	Amount money.Amount
}

// Division is a payment divided among merchants after it was collected for one.
type Division struct {
	// Payment is the id of the payment.
	Payment string
	From    Pocket
	Parts   []Part
}

// Split books what other merchants receive of a payment: one entry for all
// levels. Parts of zero, and what stays where it is, are left out; with nothing
// to move there is no entry.
func Split(d Division) []ledger.Entry {
	var e *draft
	for _, part := range d.Parts {
		if part.Amount.IsZero() || part.To == d.From {
			continue
		}
		currency := part.Amount.Currency
		if e == nil {
			e = begin(ledger.Split, d.Payment, phaseBooked, currency)
		}
		e.debit(d.From.Account(currency), part.Amount).
			credit(part.To.Account(currency), part.Amount)
	}
	if e == nil {
		return nil
	}
	return e.entries()
}

// PlatformCharge is the tenant's own part of a payment.
type PlatformCharge struct {
	// Payment is the id of the payment.
	Payment string
	// Leg tells several charges on one payment apart: its position in the split.
	Leg    int
	From   Pocket
	Amount money.Amount
}

// PlatformFee books what the tenant earns on a payment: the money stays in
// custody as the tenant's own stake. A fee of zero gives no entry.
func PlatformFee(c PlatformCharge) []ledger.Entry {
	if c.Amount.IsZero() {
		return nil
	}
	phase := phasePlatform + "/" + strconv.Itoa(c.Leg)
	return begin(ledger.Fee, c.Payment, phase, c.Amount.Currency).
		debit(c.From.Account(c.Amount.Currency), c.Amount).
		gainStake(c.Amount).
		credit(own(ledger.FeeIncome, c.Amount.Currency), c.Amount).
		entries()
}

// Settlement is a merchant's pending money of one day that becomes available.
type Settlement struct {
	// Settlement is the id of the settlement.
	Settlement string
	Merchant   string
	Amount     money.Amount
}

// Settle books that pending money became available (T+n).
func Settle(s Settlement) []ledger.Entry {
	return begin(ledger.Settle, s.Settlement, phaseBooked, s.Amount.Currency).
		debit(MerchantAccount(s.Merchant, s.Amount.Currency, false), s.Amount).
		credit(MerchantAccount(s.Merchant, s.Amount.Currency, true), s.Amount).
		entries()
}
