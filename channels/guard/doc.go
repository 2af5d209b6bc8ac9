// Package guard owns what stands around every call to a payment provider, per
// channel account: a deadline, a bulkhead (how many calls may be under way), a
// circuit breaker, the provider's calls per second shared by all instances, metrics,
// and the record of the call for the payment's timeline.
//
// A call that the guard does not let go is answered Unknown with
// channel.CodeNotSent: another account may take it. The guard never repeats a call,
// because only a workflow knows whether that is harmless, and never changes what a
// provider answered. It may not use a database: it is handed functions that do.
package guard
