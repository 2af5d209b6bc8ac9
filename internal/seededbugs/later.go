package main

// laterBugs are bugs of what happens after the end: money that comes back, and money
// whose fate two persons decide.
func laterBugs() []bug {
	return []bug{
		{
			name: "bank-return-booked-twice", says: "a withdrawal that came back is booked again by whoever learns it second",
			file: "activities/returns.go",
			old:  "if err == nil && now.Status == payout.Succeeded {", new: "if err == nil && now.Status != payout.Failed {",
			pkg: "./activities", test: "TestWithdrawalThatTheBankSendsBack",
		},
		{
			name: "return-of-another-amount", says: "a withdrawal of another amount that came back gives the merchant all of ours",
			file: "activities/returns.go",
			old:  "case (cameBack || answer.Outcome == channel.Succeeded) && answer.Amount != w.Amount:",
			new:  "case answer.Outcome == channel.Succeeded && answer.Amount != w.Amount:",
			pkg:  "./activities", test: "TestWithdrawalThatTheBankSendsBack",
		},
		{
			name: "late-abnormal-ignored", says: "a refund that comes back after it was paid stays where it is",
			file: "activities/returns.go",
			old:  "case answer.Outcome != channel.Pending || answer.Code != channel.CodeAbnormal:",
			new:  "case answer.Outcome != channel.Succeeded:",
			pkg:  "./activities", test: "TestRefundThatTheBankSendsBack",
		},
		{
			name: "old-news-believed", says: "a refund that came back counts as paid again by an answer from before",
			file: "activities/returns.go",
			old:  "answer.Outcome == channel.Succeeded && answer.RefundedAt.Equal(*r.PaidLastAt()):",
			new:  "answer.Outcome == channel.Succeeded && answer.RefundedAt.IsZero():",
			pkg:  "./activities", test: "TestReturnedRefundGoesElsewhere",
		},
		{
			name: "looks-for-ever", says: "the provider is asked for ever whether a withdrawal came back",
			file: "core/returns/returns.go",
			old:  "set return_look_at = case when suanpan_now() < due.paid_at + $1::interval",
			new:  "set return_look_at = case when suanpan_now() > due.paid_at - $1::interval",
			pkg:  "./activities", test: "TestLooksForReturnsBecomeSeldomAndEnd",
		},
		{
			name: "decided-by-one", says: "one person alone decides what becomes of money whose fate nobody knows",
			file: "core/approval/policy.go",
			old:  "return Need{true, DefaultExpiry}", new: "return Need{}",
			pkg: "./api", test: "TestAnUnknownOutcomeIsDecidedByTwo",
		},
		{
			name: "decision-against-the-provider", says: "what was declared failed fails although the provider says nothing usable",
			file: "activities/unresolved.go",
			old:  "if c == nil || outcome(answer) != NotFound {", new: "if c == nil || outcome(answer) == Pending {",
			pkg: "./activities", test: "TestWhatWasDeclaredFailed",
		},
		{
			name: "unresolved-untold", says: "nobody is told that an order waits for the decision of two persons",
			file: "activities/unresolved.go",
			old:  "if err != nil || !news {\n\t\treturn err\n\t}\n\tlogger", new: "if err != nil || news {\n\t\treturn err\n\t}\n\tlogger",
			pkg: "./activities", test: "TestWhatMayNotBeSentAgainIsAskedOnly",
		},
		{
			name: "sent-beyond-the-time", says: "an order is sent again although the provider said that the time for it is over",
			file: "activities/withdrawal.go",
			old:  "if w.Unresolved != nil || repeatOver(w.SentAt, a.RepeatWindow) {",
			new:  "if w.Unresolved != nil && repeatOver(w.SentAt, a.RepeatWindow) {",
			pkg:  "./activities", test: "TestWhatMayNotBeSentAgainIsAskedOnly",
		},
		{
			name: "destination-shown-whole", says: "the payer's whole card number is shown to whoever approves, and kept",
			file: "api/refunds.go",
			old:  "party.MaskCard(body.Card.Number)", new: "body.Card.Number + party.MaskCard(\"\")",
			pkg: "./api", test: "TestTheDestinationOfARedirectIsShownMasked",
		},
	}
}
