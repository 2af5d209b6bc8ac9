// Package paymentlink owns payment links: an address that a merchant gives to
// many payers, each of whom gets a payment of their own from it. It owns their
// words, their rules (amount, time, number of uses) and their records.
//
// Reading order: link.go → open.go → records.go. It may not drive the payments it
// makes: once made they are like any other.
package paymentlink
