package books_test

import (
	"slices"

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

// flows is one story in order, so that each flow finds the money it needs.
func flows() []flow {
	return slices.Concat(paymentFlows(), creditFlows(), userFlows(), correctionFlows())
}

// paymentFlows: a payment of 200.00 for a shop, of which its agent receives 10.00
// and the platform 4.00; the provider keeps 1.20.
func paymentFlows() []flow {
	const shop, agent, alipay = "shop", "agent", "alipay"
	pending, agents := books.Pocket{Merchant: shop}, books.Pocket{Merchant: agent, Available: true}
	const day = "2026-11-23"
	payout := books.Payout{Withdrawal: "wdr_1", Merchant: shop, ChannelAccount: alipay, Amount: money.Fen(5000), Hold: "withdrawal wdr_1"}
	failed, returned := payout, payout
	sentBack := books.ReturnedRefund{Refund: "rfd_2", Turn: 1, ChannelAccount: alipay, Amount: money.Fen(1000), ChannelDate: day}
	failed.Withdrawal, failed.Hold = "wdr_2", ""
	returned.Hold = ""
	hold := func(reference string, available bool, fen int64) *ledger.HoldRequest {
		return &ledger.HoldRequest{Account: books.MerchantAccount(shop, money.CNY, available), Amount: fen, Reference: reference}
	}
	return []flow{
		{title: "Own top-up", words: "Before it begins, the tenant brings 30.00 of its own into custody, from which it bears what providers keep.",
			entries: always(books.OwnTopup(books.OwnMove{Number: "top_1", Custody: books.ChannelBalanceAccount(alipay, money.CNY), Amount: money.Fen(3000)}))},
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
		{title: "Refund returned by the bank", words: "Days later the payer's bank sends it back: the money lies at the provider, outside the balance, and is nobody's yet.",
			entries: always(books.RefundReturned(sentBack))},
		{title: "Refund sent on", words: "The tenant says where else it goes, and the provider pays.",
			entries: always(books.RefundSentOn(sentBack))},
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
	}
}

// creditFlows: a kiosk cannot give back what its payer gets back.
func creditFlows() []flow {
	const kiosk, alipay = "kiosk", "alipay"
	kiosks := books.Pocket{Merchant: kiosk, Available: true}
	legs, missing := books.Waterfall(kiosk, money.Fen(3000), books.Funds{Pending: 500, Available: 1200, Deposit: 800})
	legs[1].Amount, _ = legs[1].Amount.Add(missing) // the advance arrives in the available pocket
	credit := books.Credit{Number: "rfd_4", Merchant: kiosk, Amount: missing}
	recovery, rest, cover := credit, credit, credit
	recovery.Number, recovery.Amount = "rcv_1", money.Fen(300)
	rest.Number, rest.Amount = "rcv_2", money.Fen(200)
	cover.Number, cover.Amount = "los_1", money.Fen(150)
	collect := func(attempt string, fen int64, to books.Pocket) []ledger.Entry {
		return books.Collect(books.Collection{Attempt: attempt, ChannelAccount: alipay, To: to, Amount: money.Fen(fen)})
	}
	return []flow{
		{title: "Deposit kept", words: "A kiosk was paid 5.00, still pending, and 20.00, of which 8.00 are kept as its deposit 保证金.",
			entries: always(slices.Concat(collect("att_3", 500, books.Pocket{Merchant: kiosk}), collect("att_4", 2000, kiosks),
				books.KeepDeposit(books.DepositMove{Number: "dep_1", Merchant: kiosk, Amount: money.Fen(800)}))),
			refusedBy: noClients},
		{title: "Refund with an advance", words: "A payer gets 30.00 back. The waterfall: 5.00 pending of this payment, 12.00 available, 8.00 deposit, and 5.00 that the kiosk " +
			"does not have. The tenant advances them out of its stake, and the kiosk owes them.",
			entries: always(append(books.Advance(credit), books.Refund(books.MoneyBack{Refund: "rfd_4", ChannelAccount: alipay,
				Amount: money.Fen(3000), Merchants: legs})...)),
			refusedBy: noClients},
		{title: "Advance recovered", words: "The kiosk earns 6.00 and pays 3.00 of it back.",
			entries: always(append(collect("att_5", 600, kiosks), books.AdvanceRecovery(recovery)...)), refusedBy: noClients},
		{title: "Advance written off", words: "The other 2.00 will not come: the tenant's loss. The money left custody with the refund, so only the own book moves.",
			entries: always(books.WriteOff(rest))},
		{title: "Loss covered", words: "1.50 of the kiosk's money was lost through a fault of the tenant, which makes it whole. No client bears a loss of custody.",
			entries: always(books.LossCover(cover)), refusedBy: noClients},
		{title: "Deposit returned", words: "Another deposit, of 1.00, is kept and returned.",
			entries: always(append(books.KeepDeposit(books.DepositMove{Number: "dep_2", Merchant: kiosk, Amount: money.Fen(100)}),
				books.ReturnDeposit(books.DepositMove{Number: "dep_2", Merchant: kiosk, Amount: money.Fen(100)})...)),
			refusedBy: noClients},
	}
}

// userFlows: users who have money and bonuses.
func userFlows() []flow {
	const alipay = "alipay"
	li, wang := books.UserAccount("usr_li", money.CNY, ""), books.UserAccount("usr_wang", money.CNY, "savings")
	kiosks := books.Pocket{Merchant: "kiosk", Available: true}
	bonus := func(number string, fen int64) books.Bonus {
		return books.Bonus{Number: number, User: "usr_li", Amount: money.Fen(fen)}
	}
	return []flow{
		{title: "Recharge", words: "A user pays 50.00 into its account.",
			entries:   always(books.Recharge(books.Recharging{Attempt: "att_6", ChannelAccount: alipay, To: li, Amount: money.Fen(5000)})),
			refusedBy: noPayouts},
		{title: "Transfer", words: "And gives 8.00 to another user's second account, held before.",
			hold: &ledger.HoldRequest{Account: li, Amount: 800, Reference: "transfer trf_1"},
			entries: always(books.Transfer(books.Moving{Transfer: "trf_1", From: li, To: wang,
				Amount: money.Fen(800), Hold: "transfer trf_1"})),
			refusedBy: noPayouts},
		{title: "Bonus granted", words: "The tenant grants a bonus of 6.00: a promise, and an expense at once. No money moves, and it cannot be withdrawn.",
			entries: always(books.BonusGranted(bonus("grt_1", 600)))},
		{title: "Bonus spent", words: "The user buys for 4.00 of it: real money goes from the tenant's stake to the kiosk.",
			entries: always(books.BonusSpent(bonus("pay_7", 400), kiosks)), refusedBy: noClients},
		{title: "Bonus restored", words: "1.00 of that is refunded: bonus comes back as bonus, after all cash.",
			entries: always(books.BonusRestored(bonus("rfd_7", 100), kiosks, "")), refusedBy: noClients},
		{title: "Bonus expired", words: "A part that nobody spent, 2.00, ends.",
			entries: always(books.BonusExpired(bonus("grt_1", 200)))},
	}
}

// correctionFlows: custody moves, and what reconciliation and people put right.
func correctionFlows() []flow {
	const alipay, day = "alipay", "2026-11-23"
	correct := func(number string, cause books.Cause, fen int64) []ledger.Entry {
		return books.Adjustment(books.Correction{Discrepancy: number, ChannelAccount: alipay, Cause: cause, Amount: money.Fen(fen), ChannelDate: day})
	}
	return []flow{
		{title: "Custody to the bank", words: "40.00 of the balance at the provider go to the custodian bank 存管.",
			entries: always(books.BankTransfer(books.BankMove{Number: "bnk_1", From: books.ChannelBalanceAccount(alipay, money.CNY),
				To: books.CustodyBankAccount("icbc", money.CNY), Amount: money.Fen(4000)}))},
		{title: "Own sweep", words: "The tenant takes 5.00 of its own out of custody.",
			entries: always(books.OwnSweep(books.OwnMove{Number: "swp_1", Custody: books.ChannelBalanceAccount(alipay, money.CNY), Amount: money.Fen(500)}))},
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
