package main

import "slices"

// bugs returns the whole list.
func bugs() []bug {
	return slices.Concat(ledgerBugs(), requestBugs(), movingBugs(), outsideBugs(), noticeBugs(), collectBugs(), laterBugs())
}

// requestBugs are bugs of what is accepted and divided.
func requestBugs() []bug {
	return []bug{
		{
			name: "key-not-checked", says: "an Idempotency-Key with another body is answered with the first object",
			file: "core/accept/accept.go", old: "if seen.route != req.Route || !bytes.Equal(seen.bodyHash, hash) {",
			new: "if seen.route != req.Route || bytes.Equal(seen.bodyHash, nil) {",
			pkg: "./core/accept", test: "TestKeyOfAnotherRequestIsRefused",
		},
		{
			name: "key-not-locked", says: "two callers with one key do not wait for each other",
			file: "core/accept/accept.go", old: "select pg_advisory_xact_lock(hashtextextended($1 || ' ' || k.key, 0))",
			new: "select hashtextextended($1 || ' ' || k.key, 0)",
			pkg: "./core/accept", test: "TestRaceOfOneKeyCreatesOneObject",
		},
		{
			name: "event-outside-transaction", says: "the event is committed although the change is rolled back",
			file: "core/event/event.go", old: "\tif err := tx.SendBatch(ctx, statement([]*tellCall{call})).Close(); err != nil {",
			new: "\town, err := pgx.ConnectConfig(ctx, tx.Conn().Config())\n\tif err != nil {\n\t\treturn \"\", err\n\t}\n" +
				"\tdefer own.Close(ctx)\n\tif err := own.SendBatch(ctx, statement([]*tellCall{call})).Close(); err != nil {",
			pkg: "./core/event", test: "TestARolledBackChangeLeavesNoEventAndNoDelivery",
		},
		{
			name: "status-overwritten", says: "a status is changed although another transaction changed it meanwhile",
			file: "core/status/status.go", old: "where tenant_id = $1 and id = $2 and status = $3`, args...)",
			new: "where tenant_id = $1 and id = $2 and $3 <> ''`, args...)",
			pkg: "./core/payment", test: "TestEveryPairOfStatusesInTheDatabase",
		},
		{
			name: "float-in-a-split", says: "shares are computed with floating point and rounded to the nearest",
			file: "core/split/compute.go",
			old:  "if shares[i], err = amount.Share(int64(leg.BasisPoints), wholeBasisPoints); err != nil {",
			new: "shares[i] = amount\n\t\tshares[i].Minor = int64(float64(amount.Minor)*float64(leg.BasisPoints)/wholeBasisPoints + 0.5)" +
				"\n\t\tif err != nil {",
			pkg: "./core/split", test: "TestComputeAgreesWithTheNaiveModel",
		},
		{
			name: "refunds-in-flight", says: "refunds under way do not count, so two of them give back more than was paid",
			file: "core/refund/refund.go",
			old:  "left := p.Amount.Minor - p.Refunded.Minor - p.Refunding.Minor",
			new:  "left := p.Amount.Minor - p.Refunded.Minor",
			pkg:  "./core/refund", test: "TestRefundsRaceForOnePayment",
		},
		{
			name: "withdrawal-not-held", says: "a withdrawal is accepted without holding its money",
			file: "core/payout/withdrawal.go",
			old:  "\tif err := holdMoney(ctx, tx, tenantID, n); err != nil {\n\t\treturn err\n\t}\n",
			new:  "\t_ = holdMoney\n",
			pkg:  "./core/payout", test: "TestWithdrawalsRaceForOneBalance",
		},
		{
			name: "scope-not-asked", says: "a key does what its scopes do not allow",
			file: "api/middleware.go",
			old:  "!p.Operator(), !p.Allows(op.scope):", new: "!p.Operator(), !p.Allows(op.scope) && op.scope == \"\":",
			pkg: "./api", test: "TestEveryOperationNeedsItsScope",
		},
	}
}

// movingBugs are bugs of the steps that talk to providers and book what they say.
func movingBugs() []bug {
	return []bug{
		{
			name: "paid-amount-not-compared", says: "a payment of another amount is booked as the one asked for",
			file: "activities/payment.go", old: "trade.State == channel.TradePaid && trade.Amount != c.Amount {",
			new: "trade.State == channel.TradePaid && trade.Amount.Currency != c.Amount.Currency {",
			pkg: "./activities", test: "TestQueryAttemptWithAnotherAmountBooksNothing",
		},
		{
			name: "sent-a-second-time", says: "money that may have been sent is sent again without asking first",
			file: "activities/withdrawal.go",
			old:  "if w.Sent && !again {", new: "if w.Sent && w.Status != payout.Processing {",
			pkg: "./activities", test: "TestMoneyIsSentOnceUnlessToldOtherwise",
		},
		{
			name: "new-number-on-retry", says: "an order that is sent again has another number, so the provider pays twice",
			file: "activities/withdrawal.go",
			old:  "Number:       w.Number,",
			new:  "Number:       map[bool]string{false: w.Number, true: \"2\" + w.Number[1:]}[again],",
			pkg:  "./activities", test: "TestMoneyIsSentOnceUnlessToldOtherwise",
		},
		{
			name: "hold-released-on-unknown", says: "an unknown outcome gives the merchant the money back while the provider may pay",
			file: "activities/withdrawal.go",
			old:  "\tstate := w.state(outcome(answer.Answer), answer.Code)\n\treturn state,",
			new: "\tif answer.Outcome == channel.Unknown {\n\t\treturn a.change(ctx, in, w, Done, answer.Code, " +
				"func(tx pgx.Tx, now *payout.Withdrawal) error {\n" +
				"\t\t\treturn bookNotPaidOut(ctx, tx, in.Tenant, now, payment.Failure{Code: \"channel_refused\"})\n\t\t})\n\t}\n" +
				"\tstate := w.state(outcome(answer.Answer), answer.Code)\n\treturn state,",
			pkg: "./activities", test: "TestQueryWithdrawal",
		},
		{
			name: "refusal-believed-at-once", says: "a refused withdrawal fails without asking once more",
			file: "activities/withdrawal.go",
			old:  "if answer.Outcome != channel.Failed {\n\t\treturn a.learn(ctx, in, w, answer)\n\t}",
			new:  "if answer.Outcome == \"\" {\n\t\treturn a.learn(ctx, in, w, answer)\n\t}",
			pkg:  "./activities", test: "TestRefuseWithdrawal",
		},
		{
			name: "booked-by-a-zombie", says: "a step that comes late books a refund that was booked before",
			file: "activities/refund.go",
			old:  "if now.Status == refund.Processing {", new: "if now.Status != refund.Failed {",
			pkg: "./activities", test: "TestRefundByTwoZombiesBooksOnce",
		},
		{
			name: "fee-returned-by-part", says: "each part of a refund returns its own rounded fee, so the parts do not add up to the whole",
			file: "activities/booking.go",
			old:  "return upTo.Sub(already)",
			new:  "_, _ = upTo, already\n\treturn fee.ShareHalfUp(r.Amount.Minor, p.Amount.Minor)",
			pkg:  "./activities", test: "TestRefundsInPartsGiveTheWholeFeeBack",
		},
		{
			name: "resent-too-early", says: "an order is sent again after one query that did not find it, which may have overtaken it",
			file: "workflows/moving.go", old: "const unseenBeforeResend = 2", new: "const unseenBeforeResend = 1",
			pkg: "./workflows", test: "TestMovingMoney",
		},
		{
			name: "closed-although-refused", says: "a payment is closed although the provider refused to, for its payer was faster",
			file: "activities/payment.go",
			old:  "case answer.Outcome == channel.Succeeded || unseen && over:",
			new:  "case answer.Outcome != channel.Unknown || unseen && over:",
			pkg:  "./activities", test: "TestCloseAttempt",
		},
		{
			name: "paid-by-two", says: "the money of a second attempt is the payment's as well, although another has won",
			file: "activities/booking.go",
			old:  "\tif p.Status.Final() {\n\t\treturn bookLate(ctx, tx, tenantID, p, account, trade)\n\t}\n",
			new:  "\t_ = bookLate\n",
			pkg:  "./activities", test: "TestEveryTruthOfTwoAttempts",
		},
		{
			name: "undone-and-booked", says: "what a query says counts while the code is being undone, so money that went back stays booked",
			file: "activities/payment.go",
			old:  "if p.Attempt.CancelSentAt != nil {", new: "if p.Attempt.CancelSentAt != nil && p.Attempt.SentAt == nil {",
			pkg: "./activities", test: "TestPaidAnswersDoNotCountWhileTheCodeIsUndone",
		},
		{
			name: "code-used-twice", says: "the payer's code is sent to the provider a second time",
			file: "activities/bycode.go",
			old:  "if p.Attempt.Status != payment.Preparing || p.Attempt.SentAt != nil || p.Status.Final() || p.CancelRequested {",
			new:  "if p.Attempt.Status != payment.Preparing || p.Status.Final() || p.CancelRequested {",
			pkg:  "./activities", test: "TestPayByCodeIsMadeOnce",
		},
		{
			name: "closed-unseen", says: "an attempt that its provider has not seen counts as closed although its time is not over",
			file: "activities/payment.go",
			old:  "unseen && over:", new: "unseen:",
			pkg: "./activities", test: "TestCloseAttemptThatIsNotSeenYet",
		},
	}
}

// outsideBugs are bugs of what comes from outside and of what goes there.
func outsideBugs() []bug {
	return []bug{
		{
			name: "words-in-a-span", says: "what a provider wrote is sent to the collector of traces",
			file: "channels/guard/call.go",
			old:  "providerCode(answer), inconclusive)", new: "answer.Message, inconclusive)",
			pkg: "./channels/guard", test: "TestNothingPersonalIsKept",
		},
		{
			name: "text-in-a-span", says: "an error's text is the reason that a span gives",
			file: "internal/telemetry/vocabulary.go",
			old:  "!reasonForm.MatchString(out.status.Description) {", new: "out.status.Code != codes.Error {",
			pkg: "./internal/telemetry", test: "TestNothingThatAPersonWroteLeaves",
		},
		{
			name: "other-application", says: "a notification of another application's payment is taken for ours",
			file: "channels/alipay/notify.go",
			old:  "values.Get(\"app_id\") != a.appID:", new: "values.Get(\"app_id\") == \"\":",
			pkg: "./channels/alipay", test: "TestRefusedNotifications",
		},
		{
			name: "signature-not-verified", says: "anybody may tell us that a payment was paid",
			file: "channels/alipay/notify.go",
			old:  "if _, err := a.client.DecodeNotification(ctx, values); err != nil {",
			new:  "if _, err := a.client.DecodeNotification(ctx, values); err != nil && values.Get(\"sign\") == \"\" {",
			pkg:  "./channels/alipay", test: "TestRefusedNotifications",
		},
		{
			name: "refund-notice-is-a-payment", says: "the notification of a refund counts as a second payment",
			file: "channels/alipay/notify.go",
			old:  "if !isRefund(values) {", new: "if isRefund(values) || values != nil {",
			pkg: "./channels/alipay", test: "TestRefundNotificationIsNotASecondPayment",
		},
		{
			name: "probe-accepted", says: "WeChat Pay's forged probe signature is answered with success",
			file: "channels/wechatpay/notify.go",
			old:  "if strings.HasPrefix(r.Header.Get(\"Wechatpay-Signature\"), probePrefix) {",
			new: "if strings.HasPrefix(r.Header.Get(\"Wechatpay-Signature\"), probePrefix) {" +
				"\n\t\treturn channel.Notification{}, nil\n\t}\n\tif r.Method == \"\" {",
			pkg: "./channels/wechatpay", test: "TestRefusedNotifications",
		},
		{
			name: "system-error-is-a-refusal", says: "a provider's system error counts as a refusal, although the money may have moved",
			file: "channels/alipay/outcome.go",
			old:  "{prepay, \"ACQ.SYSTEM_ERROR\", channel.Unknown, \"\", docPay},",
			new:  "{prepay, \"ACQ.SYSTEM_ERROR\", channel.Failed, \"\", docPay},",
			pkg:  "./channels/alipay", test: "TestServiceTroubleIsNoRefusal",
		},
		{
			name: "delivered-by-both", says: "two instances claim the same webhook delivery",
			file: "core/event/claim.go",
			old:  "and (w.leased_until is null or w.leased_until <= clock.now)", new: "and (w.leased_until is null or true)",
			pkg: "./core/event", test: "TestTwoDispatchersDeliverEachMessageOnce",
		},
		{
			name: "dialled-inside", says: "a webhook address that resolves to the inside is dialled",
			file: "core/event/guard.go",
			old:  "if err != nil || !strings.HasPrefix(network, \"tcp\") || !g.permits(a) {",
			new:  "if err != nil || !strings.HasPrefix(network, \"tcp\") || !a.IsValid() {",
			pkg:  "./core/event", test: "TestTheDialledAddressIsCheckedAgain",
		},
		{
			name: "amount-difference-unseen", says: "a bill line of another amount matches our record",
			file: "core/recon/judge.go",
			old:  "case line.Amount != r.Amount:", new: "case line.Amount.Minor < 0 && line.Amount != r.Amount:",
			pkg: "./core/recon", test: "TestEveryDifferenceIsFoundAndNoneInvented",
		},
	}
}
