package books

import (
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// CustodyMove is a provider's settlement of one day into our balance there.
type CustodyMove struct {
	// Number names the day: channel account and date, or the provider's own number.
	Number         string
	ChannelAccount string
	// Amount is what the day came to; negative when refunds exceeded receipts.
	Amount      money.Amount
	ChannelDate string
}

// CustodyTransfer books that a provider settled a day: what it had collected is
// now in our balance. A day of nothing gives no entry.
func CustodyTransfer(m CustodyMove) []ledger.Entry {
	balance := ChannelBalanceAccount(m.ChannelAccount, m.Amount.Currency)
	unsettled := ChannelUnsettledAccount(m.ChannelAccount, m.Amount.Currency)
	e := begin(ledger.CustodyTransfer, m.Number, phaseBooked, m.Amount.Currency).channelDate(m.ChannelDate)
	switch {
	case m.Amount.IsZero():
		return nil
	case m.Amount.IsNegative():
		return e.debit(unsettled, m.Amount.Neg()).credit(balance, m.Amount.Neg()).entries()
	}
	return e.debit(balance, m.Amount).credit(unsettled, m.Amount).entries()
}

// Cause says what a difference between a provider's bill and our books was, in
// the words of the books. It is kept with the entry.
type Cause string

const (
	// FeeDiffers: the provider kept another fee than we accrued.
	FeeDiffers Cause = "fee_differs"
	// ReceiptUnknown: the provider holds money that our books do not have. It is
	// nobody's until it is identified.
	ReceiptUnknown Cause = "receipt_unknown"
	// MoneyMissing: our books have money that the provider does not. The tenant
	// bears it; no client does.
	MoneyMissing Cause = "money_missing"
)

// Correction is a difference that reconciliation found and somebody, or a rule,
// decided to book.
type Correction struct {
	// Discrepancy is the id of the discrepancy.
	Discrepancy    string
	ChannelAccount string
	Cause          Cause
	// Amount for FeeDiffers is what the provider took more than accrued, negative
	// when it took less; for the other causes it is positive.
	Amount money.Amount
	// Reason is the sentence kept with the entry; no personal data.
	Reason      string
	ChannelDate string
}

// Adjustment books a correction (找平凭证). An unknown cause makes an entry that
// the ledger refuses; a correction of nothing gives no entry.
func Adjustment(c Correction) []ledger.Entry {
	if c.Amount.IsZero() {
		return nil
	}
	currency := c.Amount.Currency
	unsettled := ChannelUnsettledAccount(c.ChannelAccount, currency)
	e := begin(ledger.Adjustment, c.Discrepancy, phaseBooked, currency).channelDate(c.ChannelDate).note("cause", string(c.Cause))
	if c.Reason != "" {
		e.note("reason", c.Reason)
	}
	switch c.Cause {
	case FeeDiffers:
		if c.Amount.IsNegative() {
			less := c.Amount.Neg()
			e.debit(unsettled, less).gainStake(less).credit(own(ledger.ChannelFeeExpense, currency), less)
		} else {
			e.loseStake(c.Amount).credit(unsettled, c.Amount).debit(own(ledger.ChannelFeeExpense, currency), c.Amount)
		}
	case ReceiptUnknown:
		e.debit(unsettled, c.Amount).credit(UnidentifiedAccount(c.ChannelAccount, currency), c.Amount)
	case MoneyMissing:
		e.loseStake(c.Amount).credit(unsettled, c.Amount).debit(own(ledger.Loss, currency), c.Amount)
	}
	return e.entries()
}

// Reversal books the exact opposite of a booked entry, once. Holds are not
// placed again: money that a hold had set aside comes back free.
func Reversal(booked ledger.BookedEntry, reason string) []ledger.Entry {
	e := begin(ledger.Reversal, booked.ID, phaseBooked, booked.Currency).note("reason", reason)
	e.entry.Reverses = booked.ID
	for _, p := range booked.Postings {
		e.entry.Postings = append(e.entry.Postings, ledger.Posting{Account: p.Account, Amount: -p.Amount})
	}
	return e.entries()
}
