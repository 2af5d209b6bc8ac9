// Package event owns what the platform tells the tenant's systems: events
// (written in the transaction of the change they report), webhook endpoints with
// their signing secrets, deliveries, and the dispatcher that posts them under
// Standard Webhooks 1.0.
//
// Reading order: event.go (the outbox) → endpoint.go → dispatcher.go (claim,
// post, record) → sender.go (one HTTP exchange) → guard.go (where we may connect).
//
// It may not hold a database transaction open while it talks HTTP, follow a
// redirect, connect to an address the Guard has not checked, or put amounts,
// names, accounts or secrets into a payload. Receivers must expect an event more
// than once and out of order; the id never changes and sequence counts per object.
package event
