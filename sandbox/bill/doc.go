// Package bill owns the providers' daily bill files: which lines a day has, the
// edits that falsify them on purpose, the exact text of the files and their
// short-lived download tokens.
//
// It may not decide when a bill can be had, which is the gateways' business.
package bill
