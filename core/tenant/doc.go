// Package tenant owns tenants, their API keys and their accounts at the
// providers: who may call the platform, and through which provider account
// their money moves, by catalogue, health and weight (route.go).
//
// API keys are stored as SHA-256 digests only (key.go), rotated with an overlap
// (rotation.go), and may demand that requests are signed (signingkey.go). Keys of
// those who run the platform belong to no tenant (operator.go). Rate counts what a
// tenant and a key may ask (rate.go). Channel accounts hold public
// identifiers; their keys are sealed by core/secret, in a form that only the
// callers know, and are opened for nothing but making an adapter. The package may
// not know payments or money flows, and of merchants only their ids.
//
// Creating tenants is an operator's act: those functions need a transaction of the
// system role (pg.DB.AsSystem). A tenant's keys are also made by its own keys.
package tenant
