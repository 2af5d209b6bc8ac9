package wechatpay

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

const (
	noticeID    = "EV-2018022511223320873"
	gcmNonce    = "fdasflkja484"
	tradeNotice = `{"mchid":"` + testMch + `","appid":"` + testApp + `","out_trade_no":"` + testTrade +
		`","transaction_id":"4200000000000000000000000001","trade_type":"NATIVE","trade_state":"SUCCESS","trade_state_desc":"支付成功",` +
		`"bank_type":"CMC","success_time":"2026-03-01T11:22:33+08:00","payer":{"openid":"o"},"amount":{"total":8888,"payer_total":8888,` +
		`"currency":"CNY","payer_currency":"CNY"}}`
	refundNotice = `{"mchid":"` + testMch + `","out_trade_no":"` + testTrade + `","transaction_id":"4200000000000000000000000001",` +
		`"out_refund_no":"` + testRefund + `","refund_id":"50000000382019052709732678859","refund_status":"SUCCESS",` +
		`"success_time":"2026-03-01T12:00:01+08:00","user_received_account":"支付用户零钱","amount":{"total":8888,"refund":100,` +
		`"payer_total":8888,"payer_refund":100}}`
)

// envelope is a notification's body: content sealed with the APIv3 key.
func envelope(t *testing.T, event, original, content, key string) string {
	t.Helper()
	block, err := aes.NewCipher([]byte(key))
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	sealed := base64.StdEncoding.EncodeToString(gcm.Seal(nil, []byte(gcmNonce), []byte(content), []byte(original)))
	return `{"id":"` + noticeID + `","create_time":"2026-03-01T11:22:34+08:00","event_type":"` + event + `","resource_type":"encrypt-resource",` +
		`"summary":"支付成功","resource":{"original_type":"` + original + `","algorithm":"AEAD_AES_256_GCM","ciphertext":"` + sealed +
		`","associated_data":"` + original + `","nonce":"` + gcmNonce + `"}}`
}

// read gives body, sealed well and then changed, to the adapter.
func read(t *testing.T, a *Adapter, body string, change func(*http.Request)) (channel.Notification, error) {
	t.Helper()
	request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, testNotify, nil)
	seal(request.Header, body, testKeys().wechat, testKeyID, time.Now())
	if change != nil {
		change(request)
	}
	return a.ReadNotification(t.Context(), request, []byte(body))
}

func TestNotifications(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, "https://api.mch.weixin.qq.com")
	var sent string
	note := func(r *http.Request) {
		sent = r.Header.Get("Wechatpay-Timestamp") + "/" + r.Header.Get("Wechatpay-Nonce")
	}
	got, err := read(t, a, envelope(t, "TRANSACTION.SUCCESS", "transaction", tradeNotice, testAPIKey), note)
	require.NoError(t, err)
	require.Greater(t, len(sent), 20)
	require.Equal(t, sent, got.Nonce)
	got.Nonce = ""
	require.Equal(t, channel.Notification{
		ID: noticeID, Kind: channel.NotifyTrade, Number: testTrade, TradeNumber: testTrade, Amount: money.Fen(8888), State: "SUCCESS",
	}, got)
	for _, event := range []string{"REFUND.SUCCESS", "REFUND.ABNORMAL", "REFUND.CLOSED"} {
		got, err = read(t, a, envelope(t, event, "refund", refundNotice, testAPIKey), note)
		require.NoError(t, err)
		require.Equal(t, channel.Notification{
			ID: noticeID, Kind: channel.NotifyRefund, Number: testRefund, TradeNumber: testTrade, Amount: money.Fen(100),
			TradeAmount: money.Fen(8888), State: "SUCCESS", Nonce: sent,
		}, got)
	}
	// The request handed in is left readable and whole.
	body := envelope(t, "TRANSACTION.SUCCESS", "transaction", tradeNotice, testAPIKey)
	_, err = read(t, a, body, func(r *http.Request) { r.Header.Set("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048") })
	require.NoError(t, err)
}

func TestRefusedNotifications(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, "https://api.mch.weixin.qq.com")
	good := envelope(t, "TRANSACTION.SUCCESS", "transaction", tradeNotice, testAPIKey)
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	trade := func(from, to string) string {
		require.Contains(t, tradeNotice, from)
		return envelope(t, "TRANSACTION.SUCCESS", "transaction", strings.Replace(tradeNotice, from, to, 1), testAPIKey)
	}
	back := func(from, to string) string {
		require.Contains(t, refundNotice, from)
		return envelope(t, "REFUND.SUCCESS", "refund", strings.Replace(refundNotice, from, to, 1), testAPIKey)
	}
	for name, c := range map[string]struct {
		body   string
		change func(*http.Request)
		why    string
	}{
		"no signature":        {good, func(r *http.Request) { r.Header.Del("Wechatpay-Signature") }, "does not verify"},
		"no serial":           {good, func(r *http.Request) { r.Header.Del("Wechatpay-Serial") }, "does not verify"},
		"another serial":      {good, header("Wechatpay-Serial", "PUB_KEY_ID_1"), "does not verify"},
		"probe":               {good, header("Wechatpay-Signature", "WECHATPAY/SIGNTEST/AAAA"), "probe"},
		"another nonce":       {good, header("Wechatpay-Nonce", "x"), "does not verify"},
		"another time":        {good, header("Wechatpay-Timestamp", "1"), "does not verify"},
		"signature type SM2":  {good, header("Wechatpay-Signature-Type", "WECHATPAY2-SM2-WITH-SM3"), "does not verify"},
		"signature type none": {good, header("Wechatpay-Signature-Type", "none"), "does not verify"},
		"five minutes old": {good, func(r *http.Request) {
			seal(r.Header, good, testKeys().wechat, testKeyID, time.Now().Add(-301*time.Second))
		}, "does not verify"},
		"five minutes ahead": {good, func(r *http.Request) {
			seal(r.Header, good, testKeys().wechat, testKeyID, time.Now().Add(301*time.Second))
		}, "does not verify"},
		"two signatures":   {good, func(r *http.Request) { r.Header.Add("Wechatpay-Signature", "AAAA") }, "stands twice"},
		"two nonces":       {good, func(r *http.Request) { r.Header.Add("Wechatpay-Nonce", "x") }, "stands twice"},
		"our own key":      {good, func(r *http.Request) { seal(r.Header, good, testKeys().merchant, testKeyID, time.Now()) }, "does not verify"},
		"a stranger's key": {good, func(r *http.Request) { seal(r.Header, good, testKeys().stranger, testKeyID, time.Now()) }, "does not verify"},
		"of another body": {good, func(r *http.Request) {
			seal(r.Header, good+" ", testKeys().wechat, testKeyID, time.Now())
		}, "does not verify"},
		"not a POST":              {good, func(r *http.Request) { r.Method = http.MethodPut }, "POST"},
		"another APIv3 key":       {envelope(t, "TRANSACTION.SUCCESS", "transaction", tradeNotice, strings.Repeat("k", 32)), nil, "does not verify"},
		"short nonce":             {strings.Replace(good, gcmNonce, "short", 1), nil, "12 bytes"},
		"long nonce":              {strings.Replace(good, gcmNonce, gcmNonce+gcmNonce, 1), nil, "12 bytes"},
		"another nonce inside":    {strings.Replace(good, gcmNonce, "fdasflkja485", 1), nil, "does not verify"},
		"another tag":             {strings.Replace(good, `","associated_data"`, `AAAA","associated_data"`, 1), nil, "does not verify"},
		"another context":         {strings.Replace(good, `"associated_data":"transaction"`, `"associated_data":"refund"`, 1), nil, "does not verify"},
		"another algorithm":       {strings.Replace(good, "AEAD_AES_256_GCM", "AES_ECB", 1), nil, "does not verify"},
		"no resource":             {`{"id":"x","event_type":"TRANSACTION.SUCCESS"}`, nil, "12 bytes"},
		"null resource":           {`{"id":"x","event_type":"TRANSACTION.SUCCESS","resource":null}`, nil, "12 bytes"},
		"repeated key":            {strings.Replace(good, `"id"`, `"id":"other","id"`, 1), nil, "repeated"},
		"no id":                   {strings.Replace(good, noticeID, "", 1), nil, "id is missing"},
		"empty":                   {"", nil, "not a JSON object"},
		"XML":                     {`<xml><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><appid>&a;</appid></xml>`, nil, "not a JSON object"},
		"another event":           {envelope(t, "PAYSCORE.USER_OPEN_SERVICE", "payscore", tradeNotice, testAPIKey), nil, "event_type"},
		"payment of another kind": {envelope(t, "TRANSACTION.SUCCESS", "refund", tradeNotice, testAPIKey), nil, "not a transaction"},
		"refund of another kind":  {envelope(t, "REFUND.SUCCESS", "transaction", refundNotice, testAPIKey), nil, "not a refund"},
		"content is no object":    {envelope(t, "TRANSACTION.SUCCESS", "transaction", `[]`, testAPIKey), nil, "the content"},
		"content repeats a key":   {trade(`{"mchid"`, `{"mchid":"1","mchid"`), nil, "repeated"},
		"another merchant":        {trade(testMch, "1900000110"), nil, "mchid"},
		"another application":     {trade(testApp, "wx0000000000000000"), nil, "appid"},
		"no number":               {trade(testTrade, ""), nil, "missing"},
		"no state":                {trade(`"trade_state":"SUCCESS"`, `"trade_state":""`), nil, "missing"},
		"no amount":               {trade(`"amount":{"total":8888,`, `"amount":{`), nil, "amount"},
		"no money":                {trade(`"total":8888,`, `"total":0,`), nil, "amount"},
		"negative":                {trade(`"total":8888,`, `"total":-1,`), nil, "amount"},
		"a fraction":              {trade(`"total":8888,`, `"total":88.88,`), nil, "not a transaction"},
		"dollars":                 {trade(`"currency":"CNY"`, `"currency":"USD"`), nil, "amount"},
		"refund of another":       {back(testMch, "1900000110"), nil, "mchid"},
		"refund without number":   {back(testRefund, ""), nil, "missing"},
		"refund without status":   {back(`"refund_status":"SUCCESS"`, `"refund_status":""`), nil, "missing"},
		"refund without amount":   {back(`"refund":100,`, ``), nil, "amount"},
		"refund without total":    {back(`"total":8888,`, ``), nil, "amount"},
		"refund in dollars":       {back(`"total":8888,`, `"total":8888,"currency":"USD",`), nil, "amount"},
	} {
		_, err := read(t, a, c.body, c.change)
		require.ErrorContains(t, err, c.why, name)
		require.Less(t, len(err.Error()), 200, name)
	}
}

// TestNotificationsForASubMerchant: the service provider and the sub-merchant
// must both be ours, and an ordinary merchant's message is neither's.
func TestNotificationsForASubMerchant(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, "https://api.mch.weixin.qq.com")
	cfg.SubMchID = "1900000111"
	a, err := New(cfg)
	require.NoError(t, err)
	trade := strings.Replace(tradeNotice, `"mchid":"`+testMch+`","appid":"`+testApp+`"`,
		`"sp_mchid":"`+testMch+`","sp_appid":"`+testApp+`","sub_mchid":"1900000111"`, 1)
	back := strings.Replace(refundNotice, `"mchid":"`+testMch+`"`, `"sp_mchid":"`+testMch+`","sub_mchid":"1900000111"`, 1)
	require.NotEqual(t, tradeNotice, trade)
	require.NotEqual(t, refundNotice, back)
	got, err := read(t, a, envelope(t, "TRANSACTION.SUCCESS", "transaction", trade, testAPIKey), nil)
	require.NoError(t, err)
	require.Equal(t, testTrade, got.Number)
	_, err = read(t, a, envelope(t, "REFUND.SUCCESS", "refund", back, testAPIKey), nil)
	require.NoError(t, err)
	for _, changed := range [][2]string{{"1900000111", "1900000112"}, {testMch, "1900000112"}, {`,"sub_mchid":"1900000111"`, ""}} {
		_, err = read(t, a, envelope(t, "TRANSACTION.SUCCESS", "transaction", strings.Replace(trade, changed[0], changed[1], 1), testAPIKey), nil)
		require.ErrorContains(t, err, "another's", changed)
		_, err = read(t, a, envelope(t, "REFUND.SUCCESS", "refund", strings.Replace(back, changed[0], changed[1], 1), testAPIKey), nil)
		require.ErrorContains(t, err, "another's", changed)
	}
	_, err = read(t, a, envelope(t, "TRANSACTION.SUCCESS", "transaction", tradeNotice, testAPIKey), nil)
	require.ErrorContains(t, err, "another's")
	_, err = read(t, newAdapter(t, "https://api.mch.weixin.qq.com"), envelope(t, "TRANSACTION.SUCCESS", "transaction", trade, testAPIKey), nil)
	require.ErrorContains(t, err, "another's")
}

func TestAcknowledge(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, "https://api.mch.weixin.qq.com")
	yes, no := httptest.NewRecorder(), httptest.NewRecorder()
	a.Acknowledge(yes, true)
	a.Acknowledge(no, false)
	require.Equal(t, http.StatusNoContent, yes.Code)
	require.Empty(t, yes.Body.String())
	require.Equal(t, http.StatusInternalServerError, no.Code)
	require.JSONEq(t, `{"code":"FAIL","message":"not received, send again"}`, no.Body.String())
}

// TestPublishedVectors: signature and encryption as published with the SDK. The
// notification is of 2021, so as a whole it is refused for its age.
func TestPublishedVectors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/published/vectors.json")
	require.NoError(t, err)
	var vectors struct {
		Source           string `json:"source"`
		PublicKey        string `json:"public_key"`
		Message          string `json:"message"`
		MessageSignature string `json:"message_signature"`
		Notification     struct {
			Serial, Timestamp, Nonce, Signature, Body, Plaintext string
			APIv3Key                                             string `json:"api_v3_key"`
		} `json:"notification"`
	}
	require.NoError(t, json.Unmarshal(text, &vectors))
	require.NotEmpty(t, vectors.Source)
	key, err := parsePublicKey(vectors.PublicKey)
	require.NoError(t, err)
	n := vectors.Notification
	verifier := verifiers.NewSHA256WithRSAPubkeyVerifier(n.Serial, *key)
	require.NoError(t, verifier.Verify(t.Context(), n.Serial, vectors.Message, vectors.MessageSignature))
	signed := n.Timestamp + "\n" + n.Nonce + "\n" + n.Body + "\n"
	require.NoError(t, verifier.Verify(t.Context(), n.Serial, signed, n.Signature))
	require.Error(t, verifier.Verify(t.Context(), n.Serial, signed+"x", n.Signature))

	var outer notify.Request
	require.NoError(t, json.Unmarshal([]byte(n.Body), &outer))
	block, err := aes.NewCipher([]byte(n.APIv3Key))
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	sealed, err := base64.StdEncoding.DecodeString(outer.Resource.Ciphertext)
	require.NoError(t, err)
	plain, err := gcm.Open(nil, []byte(outer.Resource.Nonce), sealed, []byte(outer.Resource.AssociatedData))
	require.NoError(t, err)
	require.Equal(t, n.Plaintext, string(plain))

	cfg := testConfig(t, "https://api.mch.weixin.qq.com")
	cfg.PublicKey, cfg.PublicKeyID = vectors.PublicKey, n.Serial
	a, err := New(cfg)
	require.NoError(t, err)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, testNotify, bytes.NewReader([]byte(n.Body)))
	for name, value := range map[string]string{"Serial": n.Serial, "Timestamp": n.Timestamp, "Nonce": n.Nonce, "Signature": n.Signature} {
		request.Header.Set("Wechatpay-"+name, value)
	}
	_, err = a.ReadNotification(t.Context(), request, []byte(n.Body))
	require.ErrorContains(t, err, "age")
}

// FuzzReadNotification: no body makes it panic, however well it is signed.
func FuzzReadNotification(f *testing.F) {
	f.Add(`{"id":"x","resource":{"nonce":"fdasflkja484","algorithm":"AEAD_AES_256_GCM","ciphertext":"AAAA"}}`)
	f.Add(`{"resource":{"nonce":"123456789012"}}`)
	var a *Adapter // made once: keys take long
	f.Fuzz(func(t *testing.T, body string) {
		if a == nil {
			a = newAdapter(t, "https://api.mch.weixin.qq.com")
		}
		_, err := read(t, a, body, nil)
		require.Error(t, err)
	})
}
