// Package channel owns the words in which this platform talks about payment
// providers: the outcome of a call, the small ports an adapter implements,
// channel accounts, stored notifications and bill lines.
//
// The outcome law lives here: an answer is Succeeded, Pending, Failed or
// Unknown, and Unknown is never treated as Failed. The package may not import
// an adapter or a vendor SDK; adapters import it.
//
// The exact conversion between fen and the yuan text of providers and bills
// lives here too (yuan.go): it rounds nothing and accepts one plain grammar.
package channel
