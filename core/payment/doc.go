// Package payment owns payments (what a tenant asks a payer for) and attempts
// (one try to collect it at one provider): their words, their status tables and
// their records. A payment's money is booked by the caller in the same
// transaction that changes its status here.
//
// It may not call a provider, know a workflow engine, or import the packages of
// splits, payouts, refunds and reconciliation, which build on it.
package payment
