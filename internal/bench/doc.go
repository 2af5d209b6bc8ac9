// Command bench owns the measurements of docs/performance.md. It starts a
// PostgreSQL of its own with fsync on, brings it to the schema and the roles
// that production uses, and runs our postings and transfers beside pgbench's
// TPC-B on the same server, alternating, so that what it reports is ratios that
// travel to other machines.
//
// It may not be imported, and it may not switch a guarantee off except in the
// ablation, which says so in every row.
//
// Usage: bench [-smoke] [-rounds N] [-seconds N] [-callers 8,32,64] [-only LIST]
// [-growth N] [-append docs/performance.md]
package main
