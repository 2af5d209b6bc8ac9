// Package workflows owns the order of things: which step follows which, what is
// waited for, and for how long. Each process has one file that reads from top
// to bottom; names, timeouts and retry policies have theirs.
//
// A workflow may not touch the database, a provider, the clock of its machine or
// anything random: all of that happens in activities. It may be started on any
// row that is not final and goes on from the row's state.
package workflows
