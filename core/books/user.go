package books

import (
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// Recharging is money that a user paid in through a provider.
type Recharging struct {
	// Attempt is the id of the attempt that was paid.
	Attempt        string
	ChannelAccount string
	// To is one of the user's accounts: UserAccount.
	To          ledger.AccountKey
	Amount      money.Amount
	ChannelDate string
}

// Recharge books money that arrived at a provider for a user.
func Recharge(r Recharging) []ledger.Entry {
	return begin(ledger.Collect, r.Attempt, phaseRecharged, r.Amount.Currency).channelDate(r.ChannelDate).
		debit(ChannelUnsettledAccount(r.ChannelAccount, r.Amount.Currency), r.Amount).
		credit(r.To, r.Amount).
		entries()
}

// Moving is money that changes its owner inside custody.
type Moving struct {
	// Transfer is the id of the transfer.
	Transfer string
	// From and To are accounts of users or merchants.
	From, To ledger.AccountKey
	Amount   money.Amount
	// Hold is the reference of the hold it captures, or "" for free money.
	Hold string
}

// Transfer books that money went from one client to another.
func Transfer(m Moving) []ledger.Entry {
	return begin(ledger.Transfer, m.Transfer, phaseBooked, m.Amount.Currency).
		debit(m.From, m.Amount).fromHold(m.Hold).
		credit(m.To, m.Amount).
		entries()
}

// Bonus is a grant to a user: not the user's money, and not withdrawable.
type Bonus struct {
	// Number is the grant's id, or the payment's or refund's that moves it.
	Number string
	User   string
	Amount money.Amount
}

// BonusGranted books a bonus as marketing expense. No money moves until it is spent.
func BonusGranted(b Bonus) []ledger.Entry {
	return begin(ledger.MarketingFunding, b.Number, phaseGranted, b.Amount.Currency).
		debit(own(ledger.MarketingExpense, b.Amount.Currency), b.Amount).
		credit(bonusAccount(b.User, b.Amount.Currency), b.Amount).
		entries()
}

// BonusExpired books that what was left of a bonus is gone.
func BonusExpired(b Bonus) []ledger.Entry {
	return begin(ledger.MarketingFunding, b.Number, phaseExpired, b.Amount.Currency).
		debit(bonusAccount(b.User, b.Amount.Currency), b.Amount).
		credit(own(ledger.MarketingExpense, b.Amount.Currency), b.Amount).
		entries()
}

// BonusSpent books that a user paid a merchant with bonus: real money goes from
// the tenant's own stake to the merchant. It needs the bonus, not the user's cash,
// and is spent before it.
func BonusSpent(b Bonus, to Pocket) []ledger.Entry {
	return begin(ledger.MarketingFunding, b.Number, phaseSpent, b.Amount.Currency).
		loseStake(b.Amount).
		credit(to.Account(b.Amount.Currency), b.Amount).
		debit(bonusAccount(b.User, b.Amount.Currency), b.Amount).
		entries()
}

// BonusRestored books the part of a refund that was paid with bonus: the merchant
// gives the money back to the tenant's stake, and the user has the bonus again.
// Cash is given back first, bonus last. hold is the hold it captures, or "".
func BonusRestored(b Bonus, from Pocket, hold string) []ledger.Entry {
	return begin(ledger.MarketingFunding, b.Number, phaseRestored, b.Amount.Currency).
		debit(from.Account(b.Amount.Currency), b.Amount).fromHold(hold).
		gainStake(b.Amount).
		credit(bonusAccount(b.User, b.Amount.Currency), b.Amount).
		entries()
}
