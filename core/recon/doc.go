// Package recon owns reconciliation: one channel account and one provider day,
// its bill kept as evidence, the matching of bill lines with our payments and
// refunds, the differences and what is booked because of them; and the record
// of a tenant's daily operations, of which reconciliation is one part.
//
// Matcher is pure. Every line of a bill ends in exactly one of {matched,
// discrepancy}, and so does every record of ours that is due on the day. A
// report depends only on our records, the day's bill and the bill of the day
// before, so running a date again gives the same report and books nothing twice.
//
// Only differences of fees up to a limit are booked without a person;
// everything about principal stays open. The package may not call a provider
// (activities download the bill) and does not know the chart of accounts
// (core/books does).
package recon
