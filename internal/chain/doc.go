// Package chain owns what makes rows that are only ever added provable afterwards:
// the canonical bytes of a row, the digest that is kept of it, the hash that ties a
// block of digests to the block before, and the signed anchors that take these hashes
// out of the database.
// The books (package ledger) and the audit log (package core/audit) are sealed by it.
//
// It may not know what is sealed.
package chain
