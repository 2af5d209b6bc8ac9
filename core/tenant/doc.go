// Package tenant owns tenants, their API keys and their accounts at the
// providers: who may call the platform, and through which provider account
// their money moves, by catalogue, health and weight (route.go).
//
// API keys are stored as SHA-256 digests only. Channel accounts hold public
// identifiers; their keys are sealed by core/secret, in a form that only the
// callers know, and are opened for nothing but making an adapter. The package may
// not know payments or money flows, and of merchants only their ids.
//
// Creating tenants and API keys is an operator's act: those functions need a
// transaction of the system role (pg.DB.AsSystem).
package tenant
