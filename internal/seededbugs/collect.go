package main

// collectBugs are bugs of the guards around collecting: of notifications' identity,
// of calls to providers, of payers' ways, and of the keys of channel accounts.
func collectBugs() []bug {
	return []bug{
		{
			name: "rotation-slept-through", says: "a payment fails because the process did not know WeChat Pay's new certificate yet",
			file: "channels/wechatpay/platform.go", old: "return known || err != nil", new: "return !known && err != nil",
			pkg: "./channels/wechatpay", test: "TestARotationThatWasSleptThrough",
		},
		{
			name: "other-seller", says: "a notification of another seller's payment is taken for ours",
			file: "channels/alipay/notify.go",
			old:  "case values.Get(\"seller_id\") != a.sellerID:", new: "case values.Get(\"seller_id\") == \"\":",
			pkg: "./channels/alipay", test: "TestRefusedNotifications",
		},
		{
			name: "dollars-taken-for-yuan", says: "a notification in another currency counts as yuan",
			file: "channels/alipay/notify.go",
			old:  "currency != \"\" && currency != string(money.CNY) {", new: "currency != \"\" && currency == string(money.CNY)+\"?\" {",
			pkg: "./channels/alipay", test: "TestRefusedNotifications",
		},
		{
			name: "dollars-of-wechat", says: "WeChat Pay's notification in another currency counts as yuan",
			file: "channels/wechatpay/notify.go",
			old:  "(currency != \"\" && currency != string(money.CNY))", new: "(currency != \"\" && currency == string(money.CNY)+\"?\")",
			pkg: "./channels/wechatpay", test: "TestRefusedNotifications",
		},
		{
			name: "bulkhead-without-walls", says: "calls of one channel account take every place there is",
			file: "channels/guard/guard.go",
			old:  "room: make(chan struct{}, g.limits.MaxInFlight)", new: "room: make(chan struct{}, 10_000)",
			pkg: "./channels/guard", test: "TestABulkheadPerAccount",
		},
		{
			name: "breaker-hears-nothing", says: "an account that does not answer is asked on and on",
			file: "channels/guard/call.go",
			old:  "return func(heard error) { tell(heard); leave() }, \"\", nil",
			new:  "return func(error) { tell(nil); leave() }, \"\", nil",
			pkg:  "./channels/guard", test: "TestTheBreakerOpensAndRecovers",
		},
		{
			name: "failover-after-sending", says: "a payment moves to another account although the first may have it",
			file: "activities/payment.go",
			old:  "if p.Attempt.Asked == 1 && !p.Status.Final()", new: "if p.Attempt.Asked >= 1 && !p.Status.Final()",
			pkg: "./activities", test: "TestPrepareAttemptGoesToAnotherAccount",
		},
		{
			name: "second-success-kept", says: "a payer who paid twice is not given the second payment back",
			file: "activities/late.go",
			old:  "if err := refund.CreateLate(ctx, tx, tenantID, *p, refundID); err != nil {",
			new: "if p.Status == payment.Succeeded {\n\t\treturn emit(ctx, tx, tenantID, event.PaymentPaidTwice, p.ID, string(p.Status))\n\t}\n\t" +
				"if err := refund.CreateLate(ctx, tx, tenantID, *p, refundID); err != nil {",
			pkg: "./activities", test: "TestEveryTruthOfTwoAttempts",
		},
		{
			name: "link-used-too-often", says: "a payment link makes more payments than it may",
			file: "core/paymentlink/open.go",
			old:  "if err := link.check(); err != nil {", new: "if err := link.check(); err != nil && link.Over {",
			pkg: "./core/paymentlink", test: "TestUsesAreCountedExactly",
		},
		{
			name: "state-used-twice", says: "an OAuth state leads to a payment a second time",
			file: "core/oauth/trip.go",
			old:  "where state_hash = $1 and used_at is null and expires_at", new: "where state_hash = $1 and expires_at",
			pkg: "./core/oauth", test: "TestAStateIsGoodOnce",
		},
		{
			name: "return-to-a-script", says: "the payer is sent back to a script instead of an address",
			file: "core/payment/payment.go",
			old:  "u.User != nil || u.Scheme != \"http\" && u.Scheme != \"https\" || len(address) > 512",
			new:  "u.User != nil || len(address) > 512",
			pkg:  "./core/payment", test: "TestCreateRefuses",
		},
		{
			name: "sealed-for-anywhere", says: "sealed keys open when they are copied to another account's row",
			file: "core/secret/box.go",
			old:  "range []string{p.Tenant, p.Field, p.Row}", new: "range []string{p.Tenant, p.Field}",
			pkg: "./core/tenant", test: "TestCopiedCredentialsDoNotOpen",
		},
		{
			name: "redirected-twice", says: "an abnormal refund is sent another way twice for one request",
			file: "activities/redirect.go",
			old:  "now.Redirect.Status != refund.RedirectRequested {", new: "now.Redirect.Status == refund.RedirectRefused {",
			pkg: "./activities", test: "TestRedirectsThatComeToNothing",
		},
	}
}
