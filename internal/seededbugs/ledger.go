package main

// ledgerBugs are bugs of the books.
func ledgerBugs() []bug {
	return []bug{
		{
			name: "lock-order", says: "accounts are locked in the order of the call, so calls that cross wait in a circle",
			file: "migrations/026_book_plainly.sql",
			old:  "where a.floor is not null order by a.id for update of a", new: "where a.floor is not null order by k.n for update of a",
			pkg: "./ledger", test: "TestCrossingAccountsDoNotDeadlock",
		},
		{
			name: "plain-no-lock", says: "plain entries read balances without a lock, so two debits see the same money",
			file: "migrations/026_book_plainly.sql",
			old:  "where a.floor is not null order by a.id for update of a", new: "where a.floor is not null order by a.id",
			pkg: "./ledger", test: "TestRacingDebitsWinExactlyTheBalance",
		},
		{
			name: "plain-unbalanced", says: "plain entries need not balance in the trust book",
			file: "migrations/026_book_plainly.sql", old: "if (trust = 0 and own = 0) is not true then", new: "if (own = 0) is not true then",
			pkg: "./ledger", test: "TestBookPlainlyBooksNothingThatIsNotPlain",
		},
		{
			name: "plain-foreign", says: "the plain way books in any tenant",
			file: "migrations/026_book_plainly.sql",
			old:  "if tenant is distinct from current_setting('suanpan.tenant', true) then", new: "if tenant is null then",
			pkg: "./ledger", test: "TestBookPlainlyBooksNothingThatIsNotPlain",
		},
		{
			name: "no-lock", says: "balances are read without a lock, so two debits see the same money",
			file: "ledger/post_sql.go", old: "  order by a.id\n  for update of a\n", new: "  order by a.id\n",
			pkg: "./ledger", test: "TestRacingHoldsWinExactlyTheBalance",
		},
		{
			name: "lost-race-unseen", says: "entries whose references were used meanwhile are answered as booked and are nowhere",
			file: "ledger/post_sql.go", old: "b.columns(tenant, true)", new: "b.columns(tenant, false)",
			pkg: "./ledger", test: "TestOneReferenceOfUnlockedAccountsInCompanyIsOneEntry",
		},
		{
			name: "floor-not-judged", says: "a debit below the floor is left to the database, whose refusal names neither posting nor amount",
			file: "ledger/post.go",
			old:  "if floored && a.available() < before", new: "if floored && a.available() > before",
			pkg: "./ledger", test: "TestFloorsAreJudgedWhenAllLegsAreIn",
		},
		{
			name: "reference-content", says: "a reference with other content is answered as if it were booked",
			file: "ledger/post.go",
			old:  "if string(before.hash) != string(hash) {", new: "if len(before.hash) != len(hash) {",
			pkg: "./ledger", test: "TestAReferenceKeepsItsContent",
		},
		{
			name: "capture-beyond-hold", says: "more is captured than was held",
			file: "ledger/post.go", old: "case amount > hold.left():", new: "case amount > hold.amount:",
			pkg: "./ledger", test: "TestHoldIsCapturedInParts",
		},
		{
			name: "capture-after-release", says: "a released hold is captured",
			file: "ledger/post.go", old: "case hold.status != HoldOpen:", new: "case hold.status == HoldCaptured:",
			pkg: "./ledger", test: "TestReleaseFreesWhatIsLeft",
		},
		{
			name: "capture-after-expiry", says: "a hold is captured after its time",
			file: "ledger/post.go", old: "case hold.overdue:", new: "case hold.overdue && hold.captured == 0:",
			pkg: "./ledger", test: "TestHoldsExpire",
		},
		{
			name: "reversed-twice", says: "an entry is reversed a second time",
			file: "ledger/post.go",
			old:  "if err := known.checkReversal(e); err != nil {",
			new:  "if err := known.checkReversal(e); IsKind(err, NotFound) {",
			pkg:  "./ledger", test: "TestReversalUndoesOnce",
		},
		{
			name: "limit-of-held-money", says: "holds do not count against limits, so they announce what the limit refuses",
			file: "ledger/hold.go",
			old:  "if err := a.count(a.outSide(), r.Amount, field); err != nil {",
			new:  "if err := a.count(a.outSide(), 0, field); err != nil {",
			pkg:  "./ledger", test: "TestHoldsCountOnceAndReversalsNever",
		},
		{
			name: "anchor-unread", says: "the chain is not compared with what was anchored, so a rewritten past is not seen",
			file: "ledger/auditseals.go", old: "known, ok := a.opts.Pins.Seal(chain.Books, a.tenant, number)",
			new: "known, ok := chain.Seal{}, false",
			pkg: "./ledger", test: "TestARewrittenChainIsFoundByTheAnchor",
		},
		{
			name: "log-anchor-unread", says: "the audit log is not compared with what was anchored, so a rewritten one is not seen",
			file: "core/audit/verify.go", old: "if ok && !kept.Is(anchored) {", new: "if ok && kept.Number != anchored.Number {",
			pkg: "./core/audit", test: "TestARewrittenLogIsFoundByTheAnchors",
		},
		{
			name: "seal-unread", says: "verify believes a seal without computing it again",
			file: "ledger/auditseals.go",
			old:  "if !bytes.Equal(p.hash, sealHash(a.tenant, p.number, p.from, p.to, c.entries, p.prev, c.digests)) {",
			new:  "if len(p.hash) != len(sealHash(a.tenant, p.number, p.from, p.to, c.entries, p.prev, c.digests)) {",
			pkg:  "./ledger", test: "TestEveryTamperingIsFoundAndLocated",
		},
		{
			name: "balance-trigger", says: "the database lets an entry in whose postings do not balance",
			file: "migrations/013_books_guard.sql", old: "a.book = 'trust'), 0) <> 0", new: "a.book = 'trust'), 0) is null",
			pkg: "./ledger", test: "TestDirectSQLIsRefused",
		},
		{
			name: "balance-forged", says: "the database believes what a posting says of its account's balance",
			file: "migrations/013_books_guard.sql",
			old:  "else a.posted = m.start_credit and a.posted = m.end_credit end", new: "else true end",
			pkg: "./ledger", test: "TestDirectSQLIsRefused",
		},
		{
			name: "tenants-meet", says: "the application's role reads and writes the rows of other tenants",
			file: "migrations/001_foundation.sql",
			old: "    using (tenant_id = current_setting(''suanpan.tenant'', true))\n" +
				"    with check (tenant_id = current_setting(''suanpan.tenant'', true))",
			new: "    using (true)\n    with check (true)",
			pkg: "./ledger", test: "TestTenantsDoNotMeet",
		},
	}
}
