// Package payment owns payments (what a tenant asks a payer for) and attempts
// (one try to collect a payment at one provider): their words, their status
// tables and their records. A payment may have several attempts, one after
// another or side by side; the first that is paid wins, and what any other
// brings is a late receipt, to be given back. A payment's money is booked by the
// caller in the same transaction that changes its status here.
//
// It may not call a provider, know a workflow engine, or import the packages of
// splits, payouts, refunds and reconciliation, which build on it.
package payment
