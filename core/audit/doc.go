// Package audit owns the audit log: who changed what, from what to what. Triggers of
// the database write it (migrations/028_audit.sql), in the transaction of the change,
// so that no code can forget it; this package says who acts, reads the log, seals it
// and looks for what was done to it since. docs/audit.md says what it proves.
//
// It may not know the objects whose changes it tells of.
package audit
