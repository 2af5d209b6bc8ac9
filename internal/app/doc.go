// Package app owns the wiring that the mains share: connections, the providers'
// adapters, the workers' registrations, and the sweeps that run on every
// instance. It is the only place that constructs adapters.
//
// It holds no business rule and no SQL of its own.
package app
