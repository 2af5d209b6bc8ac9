// Package activities owns the steps of the workflows: one step is at most one
// call to a provider and then one database transaction that books what was
// learned, with its status change and its event. Every step is idempotent: it
// may run again after any crash and ends in the same state.
//
// A provider's uncertain answer is a result here, never an error; an error is
// our own trouble and is retried. The package decides no order of steps.
package activities
