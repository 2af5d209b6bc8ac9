// Package faults owns the misbehaviour that a test orders: which requests are
// hit, and what the caller sees instead of the answer. Rules live in memory and
// end with the process.
//
// It may not touch the books: a fault changes what is said, never what was done.
package faults
