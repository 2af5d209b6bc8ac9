// Package party owns the parties money belongs to: merchants, the tree they
// form, and where their withdrawals go; and who pays, for as long as that takes. It is
// the only place with personal data. Each person's are sealed under a key of the
// person's own, so that destroying the key forgets the person wherever the data were
// copied. What is returned is sealed or masked, but for the two Open that exist for
// asking providers.
//
// It may not know money, payments or providers.
package party
