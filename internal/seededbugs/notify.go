package main

// noticeBugs are bugs of the way by which providers' notifications come in. Most
// are seen by one class of TestForgedNotifications, in a run of its usual size.
func noticeBugs() []bug {
	return []bug{
		{
			name: "parameter-in-a-parameter", says: "a parameter that tells of a refund or of dollars hides in the one before it",
			file: "channels/alipay/notify.go",
			old:  "case hiddenParameter.MatchString(all[0]):", new: "case hiddenParameter.MatchString(all[0]) && name == \"\":",
			pkg: "./channels/alipay", test: "TestNoParameterHidesInAnother",
		},
		{
			name: "one-cut-of-many", says: "what is signed can be cut into other parameters than Alipay's",
			file: "channels/alipay/notify.go",
			old:  "case !parameterName.MatchString(name):", new: "case !parameterName.MatchString(name) && all[0] == \"\":",
			pkg: "./channels/alipay", test: "TestNoParameterHidesInAnother",
		},
		{
			name: "other-amount-believed", says: "a signed notification of one fen wakes the payment of a hundred yuan",
			file: "core/notice/notice.go",
			old:  "case n.Amount != a.amount:", new: "case n.Amount.Minor < 0:",
			pkg: "./internal/e2e", test: "TestForgedNotifications",
		},
		{
			name: "unknown-number-acknowledged", says: "a number that is not known yet is acknowledged, so the provider never sends it again",
			file: "core/notice/notice.go",
			old:  "func (v Verdict) Good() bool { return v == Taken || v == Repeated }",
			new:  "func (v Verdict) Good() bool { return v == Taken || v == Repeated || v == UnknownNumber }",
			pkg:  "./internal/e2e", test: "TestForgedNotifications",
		},
		{
			name: "number-of-another-account", says: "one channel account's notification speaks about another's order",
			file: "core/notice/notice.go",
			old:  "case a.account != n.ChannelAccountID:", new: "case a.account == \"\":",
			pkg: "./internal/e2e", test: "TestForgedNotifications",
		},
		{
			name: "acknowledged-unstored", says: "a notification is acknowledged although nobody kept it",
			file: "api/notify.go",
			old:  "account.notifier.Acknowledge(c.Writer, s.take(c, stored))",
			new:  "account.notifier.Acknowledge(c.Writer, s.take(c, stored) || stored.ID != \"\")",
			pkg:  "./api", test: "TestForgeriesNeverReachTheDatabase",
		},
		{
			name: "flood-reaches-the-database", says: "every forged notification costs a look into the database",
			file: "api/intake.go",
			old:  "account == nil || time.Since(account.at) > age", new: "account == nil || time.Since(account.at) >= 0",
			pkg: "./api", test: "TestForgeriesNeverReachTheDatabase",
		},
		{
			name: "refused-without-a-trace", says: "what a provider signed against our books leaves no audit row",
			file: "core/notice/notice.go",
			old:  "return verdict, channel.RefuseNotification(ctx, tx, n, string(verdict))", new: "return verdict, nil",
			pkg: "./api", test: "TestNotificationsThatContradictUs",
		},
		{
			name: "nonce-used-twice", says: "two notifications are taken with one nonce",
			file: "core/channel/notifications.go", old: "nullif($10, '')", new: "nullif($10, $10)",
			pkg: "./api", test: "TestNotificationsThatContradictUs",
		},
		{
			name: "merchant-not-compared", says: "a notification of another merchant's payment is taken for ours",
			file: "channels/wechatpay/notify.go",
			old:  "if field := a.stranger(trade.names); field != \"\" {", new: "if field := a.stranger(trade.names); field == \"none\" {",
			pkg: "./internal/e2e", test: "TestForgedNotifications",
		},
	}
}
