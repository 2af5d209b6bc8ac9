// Package payout owns money leaving the platform: withdrawals of a merchant's
// available balance to its registered account. Payouts to others and batches
// will live beside them.
//
// Money for a withdrawal is held when it is accepted. The package may not call
// a provider, and it never releases a hold while the outcome is unknown.
package payout
