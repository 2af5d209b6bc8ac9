package books

import (
	"strconv"

	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// RefundLeg is what one merchant gives back, out of the hold placed for it.
type RefundLeg struct {
	From   Pocket
	Amount money.Amount
	// Hold is the reference of the hold it captures, or "" for free money.
	Hold string
}

// MoneyBack is a refund that a provider confirmed.
type MoneyBack struct {
	// Refund is the id of the refund.
	Refund         string
	ChannelAccount string
	// Amount is all that the payer receives: the merchants' parts and the platform's.
	Amount    money.Amount
	Merchants []RefundLeg
	// Platform is what the tenant gives back of its own fee; zero or unset for nothing.
	Platform    money.Amount
	ChannelDate string
}

// Refund books money that went back to a payer: every receiver of the payment
// gives back its own part, the tenant out of its fee income. Parts that do not
// add up to Amount make an entry that the ledger refuses as unbalanced.
func Refund(m MoneyBack) []ledger.Entry {
	e := begin(ledger.Refund, m.Refund, phaseRefunded, m.Amount.Currency).channelDate(m.ChannelDate)
	for _, leg := range m.Merchants {
		if leg.Amount.IsZero() {
			continue
		}
		e.debit(leg.From.Account(leg.Amount.Currency), leg.Amount).fromHold(leg.Hold)
	}
	if !m.Platform.IsZero() {
		e.loseStake(m.Platform).debit(own(ledger.FeeIncome, m.Platform.Currency), m.Platform)
	}
	return e.credit(ChannelUnsettledAccount(m.ChannelAccount, m.Amount.Currency), m.Amount).entries()
}

// ReturnedRefund is a refund that the payer's bank sent back after it was paid.
type ReturnedRefund struct {
	// Refund is the id of the refund, Turn how often it has come back, 1 for the first time.
	Refund         string
	Turn           int
	ChannelAccount string
	Amount         money.Amount
	ChannelDate    string
}

// RefundReturned books that a refund came back: the money lies at the provider, outside
// our balance, and is nobody's until somebody says where it goes.
func RefundReturned(r ReturnedRefund) []ledger.Entry {
	return begin(ledger.Refund, r.Refund, r.phase(phaseReturned), r.Amount.Currency).channelDate(r.ChannelDate).
		debit(ChannelSuspenseAccount(r.ChannelAccount, r.Amount.Currency), r.Amount).
		credit(UnidentifiedAccount(r.ChannelAccount, r.Amount.Currency), r.Amount).
		entries()
}

// RefundSentOn books that the provider paid a refund that had come back where it was
// told to.
func RefundSentOn(r ReturnedRefund) []ledger.Entry {
	return begin(ledger.Refund, r.Refund, r.phase(phaseSentOn), r.Amount.Currency).channelDate(r.ChannelDate).
		debit(UnidentifiedAccount(r.ChannelAccount, r.Amount.Currency), r.Amount).
		credit(ChannelSuspenseAccount(r.ChannelAccount, r.Amount.Currency), r.Amount).
		entries()
}

func (r ReturnedRefund) phase(of string) string { return of + "/" + strconv.Itoa(r.Turn) }
