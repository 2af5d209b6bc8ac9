// Package alipay plays Alipay's open gateway: it verifies requests as the
// gateway does, keeps the trades and transfers in the books, signs its answers
// and writes its notifications.
//
// It may not use any client library of the provider: it is written from the
// provider's rules, so that it can judge a client.
package alipay
