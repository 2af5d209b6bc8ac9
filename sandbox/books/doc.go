// Package books owns what the sandbox remembers: an append-only journal of
// JSON lines and the state that follows from it (merchants, orders, refunds,
// transfers, movements of money, notifications to deliver, bill edits and the
// offset of the business clock).
//
// A record is written and flushed to the disk before any answer that depends
// on it leaves the process, so after a kill -9 the journal holds everything
// that was acknowledged, or more. The journal is the oracle of the tests: it
// says what really moved.
//
// It may not know HTTP, signatures or any provider's wire format, and it
// imports nothing of the platform it judges.
package books
