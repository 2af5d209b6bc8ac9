// Package books owns the accounting of every money flow: one pure function per
// flow, from a small struct of ids and amounts to ledger entries. It is the only
// place that knows which accounts a flow touches. docs/books.md shows each flow
// as T-accounts and is generated from these functions.
//
// The functions do not fail and do not look anything up. What makes no sense (a
// negative amount, two currencies) becomes an entry that ledger.Post refuses
// with a typed error, so nothing wrong can be booked through them. Parts of
// zero are left out; a flow of nothing gives no entries.
//
// It may import ledger and money, and it may not book: callers hand the entries
// to ledger.Post in the transaction that changes the status.
package books
