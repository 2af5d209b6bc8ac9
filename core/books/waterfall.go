package books

import (
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// Funds is what a merchant has to give back from, in minor units. Pending is what
// the payment itself left pending, not all that is.
type Funds struct {
	Pending, Available, Deposit int64
}

// Waterfall divides what a merchant gives back: the payment's own pending money
// first, then available money, then the deposit. Pockets that give nothing are
// left out. missing is what the merchant does not have: an Advance brings it into
// custody, and the merchant owes it; zero when all is there.
func Waterfall(merchantID string, amount money.Amount, funds Funds) (legs []RefundLeg, missing money.Amount) {
	left := max(amount.Minor, 0)
	for _, step := range []struct {
		pocket Pocket
		has    int64
	}{
		{Pocket{Merchant: merchantID}, funds.Pending},
		{Pocket{Merchant: merchantID, Available: true}, funds.Available},
		{Pocket{Merchant: merchantID, Deposit: true}, funds.Deposit},
	} {
		if part := min(left, step.has); part > 0 {
			legs = append(legs, RefundLeg{From: step.pocket, Amount: money.Of(part, amount.Currency)})
			left -= part
		}
	}
	return legs, money.Of(left, amount.Currency)
}

// Credit is money that the tenant lends to a merchant, or gets back from it.
type Credit struct {
	// Number is the refund's id for an advance, the recovery's own for a recovery.
	Number   string
	Merchant string
	Amount   money.Amount
}

// Advance books that the tenant steps in for a merchant that cannot give its part
// back (垫付): the money moves from the tenant's own stake to the merchant's
// available account, where the refund takes it, and the merchant owes it. A refund
// booked with it also has a leg of that amount from the available pocket.
func Advance(c Credit) []ledger.Entry {
	if c.Amount.IsZero() {
		return nil
	}
	return begin(ledger.Advance, c.Number, phaseBooked, c.Amount.Currency).
		loseStake(c.Amount).
		credit(MerchantAccount(c.Merchant, c.Amount.Currency, true), c.Amount).
		debit(receivableAccount(c.Merchant, c.Amount.Currency), c.Amount).
		entries()
}

// AdvanceRecovery books that a merchant paid back what was advanced, out of its
// available money.
func AdvanceRecovery(c Credit) []ledger.Entry {
	if c.Amount.IsZero() {
		return nil
	}
	return begin(ledger.AdvanceRecovery, c.Number, phaseBooked, c.Amount.Currency).
		debit(MerchantAccount(c.Merchant, c.Amount.Currency, true), c.Amount).
		gainStake(c.Amount).
		credit(receivableAccount(c.Merchant, c.Amount.Currency), c.Amount).
		entries()
}

// WriteOff books that what a merchant owes will not be paid: the tenant's loss.
func WriteOff(c Credit) []ledger.Entry {
	if c.Amount.IsZero() {
		return nil
	}
	return begin(ledger.LossCover, c.Number, phaseWriteOff, c.Amount.Currency).
		debit(own(ledger.Loss, c.Amount.Currency), c.Amount).
		credit(receivableAccount(c.Merchant, c.Amount.Currency), c.Amount).
		entries()
}

// LossCover books that the tenant makes a merchant whole for money that was lost,
// out of its own stake: no client bears a loss of custody.
func LossCover(c Credit) []ledger.Entry {
	if c.Amount.IsZero() {
		return nil
	}
	return begin(ledger.LossCover, c.Number, phaseBooked, c.Amount.Currency).
		loseStake(c.Amount).
		credit(MerchantAccount(c.Merchant, c.Amount.Currency, true), c.Amount).
		debit(own(ledger.Loss, c.Amount.Currency), c.Amount).
		entries()
}

// DepositMove is money of a merchant that becomes its security deposit.
type DepositMove struct {
	// Number names the move; a deposit and its return have numbers of their own.
	Number   string
	Merchant string
	Amount   money.Amount
}

// KeepDeposit books that available money is kept as deposit.
func KeepDeposit(d DepositMove) []ledger.Entry {
	return begin(ledger.Settle, d.Number, phaseDeposit, d.Amount.Currency).
		debit(Pocket{Merchant: d.Merchant, Available: true}.Account(d.Amount.Currency), d.Amount).
		credit(Pocket{Merchant: d.Merchant, Deposit: true}.Account(d.Amount.Currency), d.Amount).
		entries()
}

// ReturnDeposit books that deposit is free to withdraw again.
func ReturnDeposit(d DepositMove) []ledger.Entry {
	return begin(ledger.Settle, d.Number, phaseReturned, d.Amount.Currency).
		debit(Pocket{Merchant: d.Merchant, Deposit: true}.Account(d.Amount.Currency), d.Amount).
		credit(Pocket{Merchant: d.Merchant, Available: true}.Account(d.Amount.Currency), d.Amount).
		entries()
}
