// Package transfer owns transfers: money of one merchant that becomes another's
// inside custody, one by one or in batches. A transfer is final when it is
// accepted: its row, its entry and its event commit in the accepting transaction,
// and no workflow follows.
//
// Reading order: transfer.go (the noun and its rules) → create.go (accepting one)
// → batch.go (accepting many) → records.go, verify.go.
//
// It may not decide about balances, limits or custody modes, which the ledger
// does under its locks, and it may not call a provider.
package transfer
