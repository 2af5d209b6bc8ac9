// Command chaos runs the whole platform in two instances, as production would,
// on PostgreSQL with fsync on and the full Temporal server on PostgreSQL, loads
// it through package client, and kills, stops and cuts off its processes all the
// while by a plan that its seed decides. Then it lets everything come to rest and
// judges: what the clients were told, what the database holds and what the
// sandbox's own books say must be one and the same.
//
// Usage: chaos [-seed N] [-duration D] [-smoke] [-keep] [-data DIR] [-report FILE]
//
// Each file owns one thing: stack.go and services.go the processes, proxies.go
// and wire.go the network between them, load.go, flows.go, calls.go and days.go
// what clients do, journal.go what they write down, plan.go what shall go wrong
// when, faults.go how each kind of fault is done, hits.go what counts as a hit,
// judge.go the checks, oracle.go and database.go what they read, report.go what is
// told. A new kind of fault is one entry in faultKinds, a new check one in checks.
//
// It may not be imported, and it may end only processes that it started. Its SQL
// reads rows for the judge; it writes none.
package main
