// Package wire owns the edge between an adapter and a provider's server: one
// HTTP transport that never follows a redirect, never reads more than it was
// told to, refuses bodies that two readers could read differently, and says of
// each failure what it means under the outcome law. It also owns the checks
// that every adapter makes of an order before anything is sent.
//
// It knows no provider and may not import a vendor SDK. It may not read the
// environment, so it takes no proxy from there.
package wire
