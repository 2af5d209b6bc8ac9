// Package oauth owns the trips of payers to a provider's OAuth and back: a state
// that cannot be guessed, stands for one payment and one channel account, and is
// good once and for ten minutes.
//
// It may not call a provider, and it never sees who the payer is.
package oauth
