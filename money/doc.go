// Package money owns amounts: an integer count of minor units (for CNY: fen)
// with its currency, the checked arithmetic on them, and the ways to divide
// them without losing a unit. It is pure and knows nothing of payments.
//
// It may not import any other package of this module, and it has no floating
// point: an overflow is an error, never a wrap.
package money
