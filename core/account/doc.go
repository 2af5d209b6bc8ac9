// Package account owns what a tenant decides about its merchants' accounts: opening
// named ones, freezing and closing them, limiting them, and setting money of them
// aside in holds. Each decision has a reason, which is kept for ever.
//
// Reading order: account.go (which account, and what may be decided about it) →
// change.go (status and limits) → limits.go (their names) → hold.go (placing and
// releasing; a transfer captures), expire.go, records.go → refusal.go, verify.go.
//
// It may not judge balances, statuses or limits, which the ledger does under its
// locks, and it may not let a decision stand in the way of a provider's fact.
package account
