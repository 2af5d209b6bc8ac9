// Package cashier owns the pages on which a payer pays: the checkout of one
// payment, the page of a payment link, and the way to a provider's OAuth and back.
// It knows browsers, languages, HTML and headers.
//
// A page is rendered whole on the server, works by form posts and a refresh when
// there is no JavaScript, and holds nothing that the token in its address does not
// stand for. What is on it comes from a Desk, and so does every decision: this
// package may not know business rules, providers or SQL.
//
// Reading order: desk.go → handler.go → screen.go → templates/.
package cashier
