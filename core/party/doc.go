// Package party owns the parties money belongs to: merchants, the tree they
// form, and where their withdrawals go. It is the only place with personal
// data: everything it returns is masked, except PayoutAccountOf, which exists
// for paying out.
//
// It may not know money, payments or providers.
package party
