// Package ledger owns the books on PostgreSQL: accounts, immutable entries with
// their postings, holds, limits, balances, and the check that all of it still
// adds up.
//
// Everything that changes the books runs inside a transaction of the caller, so
// that a status, its entries and its event commit together. The rules are kept
// twice: here, where a refusal becomes a typed *Error that names the field and
// the rule, and in migrations/002_ledger.sql, where the database refuses the
// same whoever writes.
//
// Reading order: chart.go (what accounts there are), entry.go (what an entry
// is), post.go (how it is booked), hold.go and release.go, limit.go and change.go
// (what guards an account), try.go, verify.go.
//
// It may import money, internal/id and internal/pg, and it may not know
// payments, merchants or channels: which accounts a money flow touches is the
// business of core/books.
package ledger
