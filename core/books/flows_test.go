package books_test

import (
	"github.com/suanpan/suanpan/core/books"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// flow is one money flow as docs/books.md shows it and as the test books it.
type flow struct {
	title string
	words string
	// hold is placed before, when the flow captures one.
	hold *ledger.HoldRequest
	// entries writes the flow; booked is what the flow before it left, for the
	// reversal, which needs an entry to reverse.
	entries func(booked ledger.BookedEntry) []ledger.Entry
	// refusedBy are the custody modes that refuse it.
	refusedBy []string
}

func always(entries []ledger.Entry) func(ledger.BookedEntry) []ledger.Entry {
	return func(ledger.BookedEntry) []ledger.Entry { return entries }
}

var (
	// Who holds no client's money refuses every flow that touches it; who keeps a
	// memo of money at the channel refuses to pay it out.
	noClients = []string{"own_funds"}
	noPayouts = []string{"channel_split", "own_funds"}
)

// flows is one story in order, so that each flow finds the money it needs: a
// payment of 200.00 for a shop, of which its agent receives 10.00 and the
// platform 4.00; the provider keeps 1.20.
func flows() []flow {
	const shop, agent, alipay = "shop", "agent", "alipay"
	pending, agents := books.Pocket{Merchant: shop}, books.Pocket{Merchant: agent, Available: true}
	const day = "2026-11-23"
	payout := books.Payout{Withdrawal: "wdr_1", Merchant: shop, ChannelAccount: alipay, Amount: money.Fen(5000), Hold: "withdrawal wdr_1"}
	failed, returned := payout, payout
	failed.Withdrawal, failed.Hold = "wdr_2", ""
	returned.Hold = ""
	correct := func(number string, cause books.Cause, fen int64) []ledger.Entry {
		return books.Adjustment(books.Correction{Discrepancy: number, ChannelAccount: alipay, Cause: cause, Amount: money.Fen(fen), ChannelDate: day})
	}
	hold := func(reference string, available bool, fen int64) *ledger.HoldRequest {
		return &ledger.HoldRequest{Account: books.MerchantAccount(shop, money.CNY, available), Amount: fen, Reference: reference}
	}
	return []flow{
		{title: "Collect", words: "A provider confirms a payment of 200.00. The money is at the provider and owed to the shop; a T+0 merchant receives it as available instead of pending.",
			entries:   always(books.Collect(books.Collection{Attempt: "att_1", ChannelAccount: alipay, To: pending, Amount: money.Fen(20000), ChannelDate: day})),
			refusedBy: noClients},
		{title: "Split", words: "The shop's rule gives 10.00 to its agent: one entry for all levels. Each receiver has its own pocket, by its own settlement terms.",
			entries:   always(books.Split(books.Division{Payment: "pay_1", From: pending, Parts: []books.Part{{To: agents, Amount: money.Fen(1000)}}})),
			refusedBy: noClients},
		{title: "Platform fee", words: "The platform's leg, 4.00. The money stays in custody but is the tenant's now: its stake in the trust book grows, " +
			"and the own book mirrors it as a claim and as income.",
			entries:   always(books.PlatformFee(books.PlatformCharge{Payment: "pay_1", Leg: 2, From: pending, Amount: money.Fen(400)})),
			refusedBy: noClients},
		{title: "Channel fee", words: "The provider keeps 1.20 of what it collected. The tenant bears it out of its stake.",
			entries: always(books.ChannelFee(books.ChannelCharge{Number: "att_1", ChannelAccount: alipay, Amount: money.Fen(120), ChannelDate: day}))},
		{title: "Refund before settlement", words: "20.00 go back to the payer: the shop gives 18.60 out of the hold placed at the request, the agent 1.00, the platform 0.40 of its fee.",
			hold: hold("refund rfd_1", false, 1860),
			entries: always(books.Refund(books.MoneyBack{Refund: "rfd_1", ChannelAccount: alipay, Amount: money.Fen(2000), Platform: money.Fen(40), ChannelDate: day,
				Merchants: []books.RefundLeg{{From: pending, Amount: money.Fen(1860), Hold: "refund rfd_1"}, {From: agents, Amount: money.Fen(100)}}})),
			refusedBy: noClients},
		{title: "Channel fee returned", words: "A provider that returns its fee with a refund gives 0.12 back.",
			entries: always(books.ChannelFeeRefund(books.ChannelCharge{Number: "rfd_1", ChannelAccount: alipay, Amount: money.Fen(12), ChannelDate: day}))},
		{title: "Settle", words: "T+1: what was pending of the day becomes available to the shop.",
			entries:   always(books.Settle(books.Settlement{Settlement: "stl_1", Merchant: shop, Amount: money.Fen(16740)})),
			refusedBy: noClients},
		{title: "Refund after settlement", words: "The same refund a day later comes out of the available money.",
			hold: hold("refund rfd_2", true, 1000),
			entries: always(books.Refund(books.MoneyBack{Refund: "rfd_2", ChannelAccount: alipay, Amount: money.Fen(1000), ChannelDate: day,
				Merchants: []books.RefundLeg{{From: books.Pocket{Merchant: shop, Available: true}, Amount: money.Fen(1000), Hold: "refund rfd_2"}}})),
			refusedBy: noClients},
		{title: "Late receipt", words: "Paid after the payment was closed: the money belongs to no merchant.",
			entries: always(books.LateReceipt(books.LateMoney{Number: "att_2", ChannelAccount: alipay, Amount: money.Fen(3000), ChannelDate: day}))},
		{title: "Late refund", words: "It goes back to the payer by itself.",
			entries: always(books.LateRefund(books.LateMoney{Number: "rfd_3", ChannelAccount: alipay, Amount: money.Fen(3000), ChannelDate: day}))},
		{title: "Custody transfer", words: "The provider settles the day into our balance there. On a day with more refunds than receipts it runs the other way.",
			entries: always(books.CustodyTransfer(books.CustodyMove{Number: "alipay 2026-11-23", ChannelAccount: alipay, Amount: money.Fen(16000), ChannelDate: day}))},
		{title: "Payout accepted", words: "The provider accepts a withdrawal of 50.00, held since it was requested.",
			hold:    hold("withdrawal wdr_1", true, 5000),
			entries: always(books.PayoutAccepted(payout)), refusedBy: noPayouts},
		{title: "Payout done", words: "The provider paid.",
			entries: always(books.PayoutDone(payout)), refusedBy: noPayouts},
		{title: "Payout returned by the bank", words: "Days later the bank sends it back (退票): a new entry, and the shop has its money again.",
			entries: always(books.PayoutReturned(returned)), refusedBy: noPayouts},
		{title: "Payout failed after it was accepted", words: "Another withdrawal is accepted and then fails at the provider: what was in transit is the shop's again.",
			entries: always(append(books.PayoutAccepted(failed), books.PayoutFailed(failed)...)), refusedBy: noPayouts},
		{title: "Adjustment: a higher fee", words: "Reconciliation finds that the provider kept 0.03 more than we accrued.",
			entries: always(correct("dsc_1", books.FeeDiffers, 3))},
		{title: "Adjustment: a lower fee", words: "Or 0.02 less.",
			entries: always(correct("dsc_2", books.FeeDiffers, -2))},
		{title: "Adjustment: unknown money", words: "The provider holds 8.00 that our books do not have. It is nobody's until somebody finds out whose.",
			entries: always(correct("dsc_3", books.ReceiptUnknown, 800))},
		{title: "Adjustment: missing money", words: "Our books have 1.00 that the provider does not. The tenant bears it, never a client.",
			entries: always(correct("dsc_4", books.MoneyMissing, 100))},
		{title: "Reversal", words: "An entry booked in error is undone by its exact opposite, once; here the adjustment before.",
			entries: func(booked ledger.BookedEntry) []ledger.Entry { return books.Reversal(booked, "booked in error") }},
	}
}
