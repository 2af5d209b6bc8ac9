// Package split owns how one payment's money is divided: the rules, the engine
// that applies them level by level, the record of what every receiver keeps,
// each receiver's part of a refund, and the settlement that turns pending
// shares into available ones.
//
// Compute and RefundParts are pure; Preview and Record use the same Compute, so
// a preview equals the booking to the minor unit. The package knows no ledger:
// it returns legs and amounts, and the caller books them through core/books in
// the same transaction.
package split
