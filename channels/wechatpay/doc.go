// Package wechatpay owns the conversation with WeChat Pay's API v3: Native QR
// trades (prepay, query, close), refunds, the daily trade bill and
// notifications. Signing, verifying and decrypting are wechatpay-go's, in
// public-key mode; what an answer means for the money is decided here, in
// outcome.go.
//
// It may not know payments, books or SQL, and nothing outside this package may
// import the SDK. Every answer that is late, badly signed, unreadable, about
// another number, merchant or amount is Unknown, never Failed.
//
// Facts a reader of this package should know: an answer other than 2xx carries
// no checked signature, so on a moving call it is Failed only for codes listed
// in outcome.go; trade state REFUND means "some of it was refunded" and still
// is a paid trade; the SDK signs the path of api.mch.weixin.qq.com and not the
// host, which is why the adapter can be pointed elsewhere after signing.
package wechatpay
