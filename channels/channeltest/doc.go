// Package channeltest owns the conformance suite that every channel adapter
// passes: what the port promises, tried against a provider that misbehaves on
// request and keeps books of its own to judge by.
//
// It knows the port only. It may import neither an adapter nor the sandbox:
// a Harness, written in tests, brings both.
package channeltest
