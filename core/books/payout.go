package books

import (
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// Payout is a merchant's money on its way out through a provider.
type Payout struct {
	// Withdrawal is the id of the withdrawal.
	Withdrawal     string
	Merchant       string
	ChannelAccount string
	Amount         money.Amount
	// Hold is the reference of the hold that PayoutAccepted captures.
	Hold        string
	ChannelDate string
}

// PayoutAccepted books that a provider accepted to pay: the money leaves the
// merchant's account and is in transit.
func PayoutAccepted(p Payout) []ledger.Entry {
	return begin(ledger.Payout, p.Withdrawal, phaseAccepted, p.Amount.Currency).channelDate(p.ChannelDate).
		debit(MerchantAccount(p.Merchant, p.Amount.Currency, true), p.Amount).fromHold(p.Hold).
		credit(TransitAccount(p.Merchant, p.Amount.Currency), p.Amount).
		entries()
}

// PayoutDone books that the provider paid, out of our balance there.
func PayoutDone(p Payout) []ledger.Entry {
	return begin(ledger.Payout, p.Withdrawal, phaseSucceeded, p.Amount.Currency).channelDate(p.ChannelDate).
		debit(TransitAccount(p.Merchant, p.Amount.Currency), p.Amount).
		credit(ChannelBalanceAccount(p.ChannelAccount, p.Amount.Currency), p.Amount).
		entries()
}

// PayoutFailed books that the provider, having accepted, did not pay: the money
// in transit is the merchant's again.
func PayoutFailed(p Payout) []ledger.Entry {
	return begin(ledger.PayoutReturn, p.Withdrawal, phaseFailed, p.Amount.Currency).channelDate(p.ChannelDate).
		debit(TransitAccount(p.Merchant, p.Amount.Currency), p.Amount).
		credit(MerchantAccount(p.Merchant, p.Amount.Currency, true), p.Amount).
		entries()
}

// PayoutReturned books a bank return (退票): days after it was paid, the money is
// back in our balance at the provider and the merchant's again.
func PayoutReturned(p Payout) []ledger.Entry {
	return begin(ledger.PayoutReturn, p.Withdrawal, phaseReturned, p.Amount.Currency).channelDate(p.ChannelDate).
		debit(ChannelBalanceAccount(p.ChannelAccount, p.Amount.Currency), p.Amount).
		credit(MerchantAccount(p.Merchant, p.Amount.Currency, true), p.Amount).
		entries()
}
