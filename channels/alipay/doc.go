// Package alipay owns the conversation with Alipay's open gateway: every product
// (QR code, page, WAP, app, JSAPI, payment code with its cancel), query and close,
// who a payer is, refunds, transfers to an Alipay account, the daily trade bill and
// the account's journal, and notifications; for the app itself or for a merchant
// who lets it act. Signing and verifying are smartwalle/alipay's;
// what an answer means for the money is decided here, in outcome.go.
//
// It may not know payments, books or SQL, and nothing outside this package may
// import the SDK. Every answer that is late, unsigned, unreadable, about
// another number or of another amount is Unknown, never Failed.
//
// Facts a reader of this package should know: a precreated trade does not
// exist at Alipay until somebody scans it, and one for a browser or an app is only
// signed here, and unknown to Alipay until the payer comes; code 10000 on a refund is not proof
// that money moved (fund_change is); and the SDK ignores the HTTP status and
// returns business failures without an error, so this package checks both.
package alipay
