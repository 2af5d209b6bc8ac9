// Package control owns the sandbox's own JSON API under /control/: it registers
// merchants, plays the payer, orders faults, moves the business clock,
// falsifies bills and shows the books.
//
// It is a tool for development: it answers only callers on the same machine.
// It may not decide what a provider would do: it asks the gateways.
package control
