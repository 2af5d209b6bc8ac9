// Package tenant owns tenants, their API keys and their accounts at the
// providers: who may call the platform, and through which provider account
// their money moves.
//
// API keys are stored as SHA-256 digests only and channel accounts hold public
// identifiers only; private keys are files in the secrets directory. The
// package may not know payments, merchants or money flows.
//
// Creating tenants, keys and channel accounts is an operator's act: those
// functions need a transaction of the system role (pg.DB.AsSystem).
package tenant
