// Package wechatpay plays WeChat Pay API v3: it verifies requests as the
// provider does, keeps orders and refunds in the books, signs its answers with
// the key the client names and writes encrypted notifications.
//
// It may not use any client library of the provider: it is written from the
// provider's rules, so that it can judge a client.
package wechatpay
