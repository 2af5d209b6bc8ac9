package alipay

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// noticeParams are those of a payment's notification.
func noticeParams() map[string]string {
	return map[string]string{
		"app_id": testApp, "auth_app_id": testApp, "charset": "utf-8", "version": "1.0", "sign_type": "RSA2",
		"notify_id": "2026030100222112233012345678901234", "notify_type": "trade_status_sync", "notify_time": "2026-03-01 11:22:34",
		"trade_no": "2026030122001000000000000001", "out_trade_no": testTrade, "seller_id": testSeller,
		"trade_status": "TRADE_SUCCESS", "total_amount": "88.88", "subject": "茶 + 糕点 & 100%", "gmt_payment": "2026-03-01 11:22:33",
	}
}

// signed encodes params with a signature by key over every parameter but sign,
// sign_type and alipay_cert_sn.
func signed(params map[string]string, key *rsa.PrivateKey) string {
	var pairs []string
	form := url.Values{}
	for name, value := range params {
		form.Set(name, value)
		if name != "sign_type" && name != "alipay_cert_sn" {
			pairs = append(pairs, name+"="+value)
		}
	}
	sort.Strings(pairs)
	form.Set("sign", sign(key, strings.Join(pairs, "&")))
	return form.Encode()
}

func read(t *testing.T, a *Adapter, body string) (channel.Notification, error) {
	t.Helper()
	// The address carries parameters of its own, which must not count.
	request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, testNotify+"?app_id=other", strings.NewReader(body))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return a.ReadNotification(t.Context(), request, []byte(body))
}

// TestPublishedNotification: a notification with its signature and Alipay's key, as
// published with the tests of another SDK of Alipay's; nobody here made it. A
// change of anything in it is seen.
func TestPublishedNotification(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/published/vectors.json")
	require.NoError(t, err)
	var vector struct {
		Source       string            `json:"source"`
		PublicKey    string            `json:"public_key"`
		Notification map[string]string `json:"notification"`
	}
	require.NoError(t, json.Unmarshal(text, &vector))
	require.NotEmpty(t, vector.Source)
	cfg := testConfig(t, "https://openapi.alipay.com/gateway.do")
	cfg.AppID, cfg.SellerID, cfg.AlipayPublicKey = vector.Notification["app_id"], vector.Notification["seller_id"], vector.PublicKey
	a, err := New(cfg)
	require.NoError(t, err)
	form := func(name, value string) string {
		values := url.Values{}
		for key, text := range vector.Notification {
			values.Set(key, text)
		}
		if name != "" {
			values.Set(name, value)
		}
		return values.Encode()
	}
	got, err := read(t, a, form("", ""))
	require.NoError(t, err)
	require.Equal(t, channel.Notification{ID: "2019081500222155624068450559358070", Kind: channel.NotifyTrade, State: "TRADE_SUCCESS",
		Amount: money.Fen(10), Number: "20190815155618536-564-57", TradeNumber: "20190815155618536-564-57"}, got)
	for name, text := range vector.Notification {
		if name != "sign_type" { // is not signed; any other is refused
			_, err = read(t, a, form(name, text+"1"))
			require.Error(t, err, name)
		}
	}
	_, err = read(t, a, form("gmt_refund", "2019-08-15 15:56:24"))
	require.ErrorContains(t, err, "signature", "nothing is added either")
}

func with(changes ...string) map[string]string {
	params := noticeParams()
	for i := 0; i < len(changes); i += 2 {
		params[changes[i]] = changes[i+1]
		if changes[i+1] == "\x00" {
			delete(params, changes[i])
		}
	}
	return params
}

func TestPaymentNotification(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, "https://openapi.alipay.com/gateway.do")
	want := channel.Notification{
		ID: "2026030100222112233012345678901234", Kind: channel.NotifyTrade, Number: testTrade, TradeNumber: testTrade,
		Amount: money.Fen(8888), State: "TRADE_SUCCESS",
	}
	for name, params := range map[string]map[string]string{
		"plain":                     with(),
		"unknown parameter":         with("brand_new", "value + more"),
		"signed empty parameter":    with("body", ""),
		"nothing refunded":          with("refund_fee", "0.00"),
		"a store's app on its part": with("auth_app_id", "2014000000000000"),
	} {
		got, err := read(t, a, signed(params, testKeys().alipay))
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
}

// TestRefundNotificationIsNotASecondPayment, in each of the shapes it may have.
func TestRefundNotificationIsNotASecondPayment(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, "https://openapi.alipay.com/gateway.do")
	for name, params := range map[string]map[string]string{
		"partial":     with("refund_fee", "1.00", "gmt_refund", "2026-03-01 12:00:01.000", "out_biz_no", testRefund),
		"full":        with("refund_fee", "88.88", "gmt_refund", "2026-03-01 12:00:01.000", "out_biz_no", testRefund, "trade_status", "TRADE_CLOSED"),
		"fee only":    with("refund_fee", "1.00"),
		"time only":   with("gmt_refund", "2026-03-01 12:00:01.000"),
		"number only": with("out_biz_no", testRefund),
	} {
		got, err := read(t, a, signed(params, testKeys().alipay))
		require.NoError(t, err, name)
		require.Equal(t, channel.NotifyRefund, got.Kind, name)
		require.Equal(t, testTrade, got.TradeNumber, name)
		require.Equal(t, params["out_biz_no"], got.Number, name)
		require.Equal(t, money.Fen(8888), got.TradeAmount, name)
		require.True(t, got.Cumulative, name)
		if fee := params["refund_fee"]; fee != "" {
			amount, err := channel.ParseYuan(fee)
			require.NoError(t, err)
			require.Equal(t, amount, got.Amount, name)
		}
	}
	_, err := read(t, a, signed(with("refund_fee", "1e2"), testKeys().alipay))
	require.ErrorContains(t, err, "refund_fee")
}

func TestRefusedNotifications(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, "https://openapi.alipay.com/gateway.do")
	good := signed(with(), testKeys().alipay)
	unsigned := url.Values{}
	for name, value := range noticeParams() {
		unsigned.Set(name, value)
	}
	form, err := url.ParseQuery(good)
	require.NoError(t, err)
	form.Set("total_amount", "0.01")
	respelled := func(change func(sign string) string) string {
		form, err := url.ParseQuery(good)
		require.NoError(t, err)
		form.Set("sign", change(form.Get("sign")))
		require.NotEqual(t, good, form.Encode())
		return form.Encode()
	}
	for name, c := range map[string]struct{ body, why string }{
		"no signature": {unsigned.Encode(), "signature"},
		"stray bits at the end": {respelled(func(sign string) string {
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
			last := len(sign) - 3 // two equals signs follow; four of its six bits are nobody's
			return sign[:last] + alphabet[strings.IndexByte(alphabet, sign[last])|1:][:1] + "=="
		}), "spelled"},
		"a line break":            {respelled(func(sign string) string { return sign[:76] + "\n" + sign[76:] }), "spelled"},
		"our own key":             {signed(with(), testKeys().app), "signature"},
		"a stranger's key":        {signed(with(), testKeys().stranger), "signature"},
		"changed after signing":   {form.Encode(), "signature"},
		"added after signing":     {good + "&passback_params=x", "signature"},
		"repeated":                {good + "&total_amount=0.01", "stands 2 times"},
		"repeated alike":          {good + "&app_id=" + testApp, "stands 2 times"},
		"repeated signature":      {good + "&sign=AAAA", "stands 2 times"},
		"signature type none":     {signed(with("sign_type", "none"), testKeys().alipay), "sign_type"},
		"signature type MD5":      {signed(with("sign_type", "MD5"), testKeys().alipay), "sign_type"},
		"signature type RSA":      {signed(with("sign_type", "RSA"), testKeys().alipay), "sign_type"},
		"no signature type":       {signed(with("sign_type", "\x00"), testKeys().alipay), "sign_type"},
		"certificate of nobody":   {signed(with("alipay_cert_sn", "00"), testKeys().alipay), "signature"},
		"another application":     {signed(with("app_id", "2014000000000000"), testKeys().alipay), "app_id"},
		"no application":          {signed(with("app_id", "\x00"), testKeys().alipay), "app_id"},
		"another seller":          {signed(with("seller_id", "2088000000000000"), testKeys().alipay), "seller_id"},
		"no seller":               {signed(with("seller_id", "\x00"), testKeys().alipay), "seller_id"},
		"another type":            {signed(with("notify_type", "dut_user_sign"), testKeys().alipay), "notify_type"},
		"no id":                   {signed(with("notify_id", "\x00"), testKeys().alipay), "notify_id"},
		"no number":               {signed(with("out_trade_no", ""), testKeys().alipay), "out_trade_no"},
		"no status":               {signed(with("trade_status", ""), testKeys().alipay), "trade_status"},
		"another currency":        {signed(with("trans_currency", "HKD"), testKeys().alipay), "trans_currency"},
		"amount with an exponent": {signed(with("total_amount", "1e2"), testKeys().alipay), "total_amount"},
		"amount of nothing":       {signed(with("total_amount", "0.00"), testKeys().alipay), "total_amount"},
		"signed in GBK":           {signed(with("charset", "GBK"), testKeys().alipay), "charset"},
		"text in GBK":             {signed(with("subject", "\xb2\xe8"), testKeys().alipay), "UTF-8"},
		"shouted name":            {signed(with("Body", "x"), testKeys().alipay), "name"},
		"endless name":            {signed(with(strings.Repeat("a", 65), "x"), testKeys().alipay), "name"},
		"not a form":              {"%zz", "form"},
		"semicolons":              {"a=1;b=2", "form"},
		"empty":                   {"", "sign_type"},
		"XML":                     {`<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>`, ""},
	} {
		_, err := read(t, a, c.body)
		require.ErrorContains(t, err, c.why, name)
		require.Less(t, len(err.Error()), 200, name)
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, testNotify, nil)
	_, err = a.ReadNotification(t.Context(), request, []byte(good))
	require.ErrorContains(t, err, "POST")
}

// TestNoParameterHidesInAnother: the signed text escapes nothing, so the same
// signature fits every way to cut it into parameters. One way is Alipay's.
func TestNoParameterHidesInAnother(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, "https://openapi.alipay.com/gateway.do")
	merge := func(params map[string]string, into string, names ...string) string {
		form, err := url.ParseQuery(signed(params, testKeys().alipay))
		require.NoError(t, err)
		for _, name := range names {
			form.Set(into, form.Get(into)+"&"+name+"="+form.Get(name))
			form.Del(name)
		}
		return form.Encode()
	}
	foreign := with("app_id", "2014000000000000", "auth_app_id", "2014000000000000", "seller_id", "2088000000000000",
		"body", "x&app_id="+testApp+"&notify_id=n&notify_type=trade_status_sync&out_trade_no="+testTrade+"&seller_id="+testSeller+
			"&total_amount=0.01&trade_status=TRADE_SUCCESS&zzz=")
	inside, err := url.ParseQuery(signed(foreign, testKeys().alipay))
	require.NoError(t, err)
	sign := inside.Get("sign")
	delete(inside, "sign")
	delete(inside, "sign_type")
	var pairs []string
	for name := range inside {
		pairs = append(pairs, name+"="+inside.Get(name))
	}
	sort.Strings(pairs)
	text := strings.Join(pairs, "&")
	cut := url.Values{"sign": {sign}, "sign_type": {"RSA2"}}
	// The foreign order's own parameters become one with a strange name, those in
	// its description the message, and the rest one that nobody reads.
	head, rest, _ := strings.Cut(text, "&app_id="+testApp)
	middle, tail, _ := strings.Cut("app_id="+testApp+rest, "&zzz=")
	first := strings.LastIndex(head, "=")
	cut.Set(head[:first], head[first+1:])
	for _, pair := range strings.Split(middle, "&") {
		name, value, _ := strings.Cut(pair, "=")
		cut.Set(name, value)
	}
	cut.Set("zzz", tail)

	refund := with("gmt_refund", "2026-03-01 12:00:01", "refund_fee", "1.00", "point_amount", "0.00")
	for name, c := range map[string]struct{ body, why string }{
		"a currency in the status":      {merge(with("trans_currency", "USD"), "trade_status", "trans_currency"), "holds another"},
		"a refund's time":               {merge(refund, "gmt_payment", "gmt_refund"), "holds another"},
		"a refund's amount":             {merge(refund, "point_amount", "refund_fee"), "holds another"},
		"what nobody reads":             {merge(with("buyer_id", "2088", "buyer_logon_id", "a"), "buyer_id", "buyer_logon_id"), "holds another"},
		"a message in another's order":  {cut.Encode(), ""},
		"a name with an equals sign":    {merge(with("gmt=a", "b"), "gmt=a"), "name"},
		"a subject that is a parameter": {signed(with("subject", "tea&total_amount=0.01"), testKeys().alipay), "holds another"},
	} {
		_, err := read(t, a, c.body)
		require.ErrorContains(t, err, c.why, name)
		require.NotContains(t, err.Error(), "signature", "%s: the signature itself is good", name)
	}
}

// TestApplicationThatAuthorisedUs counts where one is configured.
func TestApplicationThatAuthorisedUs(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, "https://openapi.alipay.com/gateway.do")
	cfg.AuthAppID = "2014000000000007"
	a, err := New(cfg)
	require.NoError(t, err)
	_, err = read(t, a, signed(with("auth_app_id", "2014000000000007"), testKeys().alipay))
	require.NoError(t, err)
	for _, other := range []string{testApp, "2014000000000008", "\x00"} {
		_, err = read(t, a, signed(with("auth_app_id", other), testKeys().alipay))
		require.ErrorContains(t, err, "auth_app_id", other)
	}
}

func TestAcknowledge(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, "https://openapi.alipay.com/gateway.do")
	yes, no := httptest.NewRecorder(), httptest.NewRecorder()
	a.Acknowledge(yes, true)
	a.Acknowledge(no, false)
	require.Equal(t, "200 success", yes.Result().Status[:4]+yes.Body.String())
	require.Equal(t, 500, no.Code)
	require.Equal(t, "fail", no.Body.String())
}

// FuzzReadNotification: no body makes it panic, and none without the key is taken.
func FuzzReadNotification(f *testing.F) {
	f.Add(signed(noticeParams(), testKeys().stranger))
	f.Add("sign_type=RSA2&sign=AAAA")
	var a *Adapter // made once: keys take long
	f.Fuzz(func(t *testing.T, body string) {
		if a == nil {
			a = newAdapter(t, "https://openapi.alipay.com/gateway.do")
		}
		_, err := read(t, a, body)
		require.Error(t, err)
	})
}

// TestTransferMessages: what Alipay tells our application's address about a transfer, as
// agreeing third-party code reads it; signed as any notification.
func TestTransferMessages(t *testing.T) {
	t.Parallel()
	a, err := New(testConfig(t, "https://openapi.alipay.com/gateway.do"))
	require.NoError(t, err)
	message := func(change map[string]string) map[string]string {
		params := map[string]string{"app_id": testApp, "charset": "utf-8", "version": "1.1", "sign_type": "RSA2", "utc_timestamp": "1772335353000",
			"notify_id": "2026030100262112233012345678901234", "msg_method": "alipay.fund.trans.order.changed",
			"biz_content": `{"action_type":"FINISH","biz_scene":"DIRECT_TRANSFER","order_id":"20260301110070001502000000000001","out_biz_no":"` +
				testTrade + `","pay_fund_order_id":"20260301070001502000000000000001","product_code":"TRANS_ACCOUNT_NO_PWD","status":"REFUND","trans_amount":"88.88"}`}
		for name, value := range change {
			params[name] = value
		}
		return params
	}
	n, err := read(t, a, signed(message(nil), testKeys().alipay))
	require.NoError(t, err)
	require.Equal(t, channel.Notification{ID: "2026030100262112233012345678901234", Kind: channel.NotifyTransfer, State: "REFUND",
		Amount: money.Fen(8888), Number: testTrade, TradeNumber: testTrade}, n)
	for name, body := range map[string]string{
		"another's key":     signed(message(nil), testKeys().stranger),
		"another app's":     signed(message(map[string]string{"app_id": "2021999999999999"}), testKeys().alipay),
		"no id":             signed(message(map[string]string{"notify_id": ""}), testKeys().alipay),
		"another message":   signed(message(map[string]string{"msg_method": "alipay.open.auth.appauth.cancelled"}), testKeys().alipay),
		"no JSON":           signed(message(map[string]string{"biz_content": "x"}), testKeys().alipay),
		"no number":         signed(message(map[string]string{"biz_content": `{"status":"REFUND","trans_amount":"88.88"}`}), testKeys().alipay),
		"no status":         signed(message(map[string]string{"biz_content": `{"out_biz_no":"1","trans_amount":"88.88"}`}), testKeys().alipay),
		"no amount":         signed(message(map[string]string{"biz_content": `{"out_biz_no":"1","status":"REFUND"}`}), testKeys().alipay),
		"a key twice":       signed(message(map[string]string{"biz_content": `{"out_biz_no":"1","out_biz_no":"2","status":"REFUND","trans_amount":"1.00"}`}), testKeys().alipay),
		"a parameter twice": signed(message(nil), testKeys().alipay) + "&notify_id=1",
	} {
		_, err := read(t, a, body)
		require.Error(t, err, name)
	}
}
