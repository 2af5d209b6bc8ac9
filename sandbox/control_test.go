package sandbox_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/sandbox/keys"
)

func TestControlAnswersOnlyThisMachine(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		remote, host, origin string
		status               int
	}{
		"local":           {"127.0.0.1:1", "127.0.0.1:8900", "", http.StatusOK},
		"local six":       {"[::1]:1", "[::1]:8900", "", http.StatusOK},
		"local page":      {"127.0.0.1:1", "localhost:8900", "http://localhost:8900", http.StatusOK},
		"other machine":   {"192.0.2.1:1", "127.0.0.1:8900", "", http.StatusForbidden},
		"rebound name":    {"127.0.0.1:1", "evil.example:8900", "", http.StatusForbidden},
		"other page":      {"127.0.0.1:1", "127.0.0.1:8900", "https://evil.example", http.StatusForbidden},
		"page of no one":  {"127.0.0.1:1", "127.0.0.1:8900", "null", http.StatusForbidden},
		"broken address":  {"", "127.0.0.1:8900", "", http.StatusForbidden},
		"name like local": {"127.0.0.1:1", "localhost.evil.example", "", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := httptest.NewRequest(http.MethodGet, "/control/clock", nil)
			request.RemoteAddr, request.Host = c.remote, c.host
			if c.origin != "" {
				request.Header.Set("Origin", c.origin)
			}
			answer := httptest.NewRecorder()
			b.server.Handler().ServeHTTP(answer, request)
			require.Equal(t, c.status, answer.Code)
		})
	}
}

func TestControlRefusesBadInput(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good := keys.PublicPEM(merchantKey())
	for _, c := range []struct {
		path   string
		body   map[string]any
		status int
	}{
		{"/control/alipay/apps", map[string]any{"seller_id": sellerID, "app_public_key": good}, 400},
		{"/control/alipay/apps", map[string]any{"app_id": "1", "seller_id": "1", "app_public_key": good}, 400},
		{"/control/alipay/apps", map[string]any{"app_id": "1", "seller_id": sellerID, "app_public_key": "x"}, 400},
		{"/control/alipay/apps", map[string]any{"app_id": "1", "seller_id": sellerID, "app_public_key": good, "fee_basis_points": -1}, 400},
		{"/control/alipay/apps", map[string]any{"app_id": appID, "seller_id": "2088000000000009", "app_public_key": good}, 409},
		{"/control/wechatpay/merchants", map[string]any{"mchid": "abc"}, 400},
		{"/control/wechatpay/merchants", map[string]any{"mchid": "1", "appid": "wx", "api_v3_key": "short"}, 400},
		{"/control/wechatpay/merchants", map[string]any{"mchid": "1", "appid": "wx", "api_v3_key": apiV3Key, "merchant_public_key": good}, 400},
		{"/control/pay", map[string]any{"provider": "alipay", "number": "NONE"}, 404},
		{"/control/pay", map[string]any{"provider": "bogus", "number": "T1"}, 400},
		{"/control/pay", map[string]any{"bogus": 1}, 400},
		{"/control/clock", map[string]any{}, 400},
		{"/control/clock", map[string]any{"advance_seconds": int64(1) << 62}, 400},
		{"/control/clock", map[string]any{"now": "3000-01-01T00:00:00Z"}, 400},
		{"/control/topups", map[string]any{"provider": "alipay", "merchant": appID, "number": "U1", "amount": -1}, 400},
		{"/control/topups", map[string]any{"provider": "alipay", "merchant": "none", "number": "U1", "amount": 1}, 404},
		{"/control/notifications", map[string]any{"provider": "alipay", "kind": "bogus"}, 400},
		{"/control/refunds", map[string]any{"provider": "wechatpay", "number": "NONE", "status": "SUCCESS"}, 404},
		{"/control/transfers", map[string]any{"provider": "wechatpay"}, 400},
	} {
		status, text := b.controlRaw("POST", c.path, c.body)
		require.Equal(t, c.status, status, "%s %v %s", c.path, c.body, text)
	}
	status, _ := b.controlRaw("GET", "/control/bogus", nil)
	require.Equal(t, http.StatusNotFound, status)
}

func TestRegisteringTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, before := b.controlRaw("GET", "/control/books/file", nil)
	b.register()
	_, after := b.controlRaw("GET", "/control/books/file", nil)
	require.Equal(t, string(before), string(after))
}

func TestOneNumberAtTwoMerchantsNeedsTheMerchant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.control("POST", "/control/alipay/apps", map[string]any{"app_id": "2021000000000002", "seller_id": "2088000000000002",
		"app_public_key": keys.PublicPEM(merchantKey())}, nil)
	for _, app := range []string{appID, "2021000000000002"} {
		require.Contains(t, b.callAlipay(map[string]string{"app_id": app, "method": "alipay.trade.precreate",
			"biz_content": `{"out_trade_no":"T1","total_amount":"1.00","subject":"x"}`}, nil), `"code":"10000"`)
	}
	status, _ := b.controlRaw("POST", "/control/pay", map[string]any{"provider": "alipay", "number": "T1"})
	require.Equal(t, http.StatusBadRequest, status)
	b.control("POST", "/control/pay", map[string]any{"provider": "alipay", "number": "T1", "merchant": appID}, nil)
	require.Contains(t, b.callAlipay(nil, nil), "TRADE_SUCCESS")
	require.Contains(t, b.callAlipay(map[string]string{"app_id": "2021000000000002"}, nil), "ACQ.TRADE_NOT_EXIST")
	var orders struct {
		Orders []struct{ Merchant, State string }
	}
	b.control("GET", "/control/orders?provider=alipay&number=T1", nil, &orders)
	require.Len(t, orders.Orders, 2)
}

func TestTheClockMovesAndStaysMoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock("2026-03-01T12:00:00+08:00")
	b.control("POST", "/control/clock", map[string]any{"advance_seconds": 3600}, nil)
	b.restart()
	var shown struct{ Now, Real time.Time }
	b.control("GET", "/control/clock", nil, &shown)
	require.WithinDuration(t, time.Date(2026, 3, 1, 5, 0, 0, 0, time.UTC), shown.Now, time.Minute)
	require.WithinDuration(t, time.Now(), shown.Real, time.Minute)
}

func TestThePayersPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	code := prepay(t, b.weChat(), "ORDER001", "https://merchant.example/n")
	fetch := func(address string) string {
		response, err := http.Get(address)
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Contains(t, response.Header.Get("Content-Security-Policy"), "default-src 'none'")
		var text bytes.Buffer
		_, err = text.ReadFrom(response.Body)
		require.NoError(t, err)
		return text.String()
	}
	show := func() string { return fetch(code) }
	link := `href="/pay/` + lastSegment(code) + `"`
	require.Contains(t, fetch(b.url+"/"), link, "the list leads to what can be paid")
	act := func(action string) {
		response, err := http.PostForm(code, url.Values{"action": {action}})
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, "redirected back to the page")
	}
	require.Contains(t, show(), "待支付 Waiting for payment")
	act("decline")
	require.Contains(t, show(), "Declined, can still be paid")
	act("pay")
	act("pay")
	text := show()
	require.Contains(t, text, "支付成功 Paid")
	require.NotContains(t, text, "<form")
	require.NotContains(t, fetch(b.url+"/"), link)
	payments := 0
	for _, m := range b.movements("ORDER001") {
		if m.Kind == "payment" {
			payments++
		}
	}
	require.Equal(t, 1, payments)
	unknown, err := http.Get(b.url + "/pay/" + strings.Repeat("0", len(lastSegment(code))))
	require.NoError(t, err)
	require.NoError(t, unknown.Body.Close())
	require.Equal(t, http.StatusNotFound, unknown.StatusCode)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	b := setup(t)
	response, err := http.Get(b.url + "/healthz")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
}

func TestLargeBodiesAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	large := strings.Repeat("x", 2<<20)
	require.Contains(t, b.callAlipay(map[string]string{"biz_content": large}, nil), "isv.request-too-large")
	status, text, _ := b.callWeChat(weChatCall{method: "POST", path: "/v3/pay/transactions/native", body: large})
	require.Equal(t, http.StatusBadRequest, status, text)
}
