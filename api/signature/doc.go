// Package signature owns the one way in which callers sign requests: a strict
// profile of HTTP Message Signatures (RFC 9421) with Ed25519 and Content-Digest
// (RFC 9530). What may be written in two ways is taken in one, so that whatever a
// verifier reads is what the signer meant; docs/api.md tells it to signers.
//
// It knows no keys, no database and no clock: it says who claims to have signed
// what and whether a public key proves it.
package signature
