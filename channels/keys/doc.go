// Package keys owns what the providers' key material looks like: which identifiers
// and keys an account needs, whether texts are such keys and belong together, and
// what a provider's refusal of a signed query says about them.
//
// It makes no call and keeps nothing; no key may appear in its errors.
package keys
