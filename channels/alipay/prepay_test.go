package alipay

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
)

// carried reads what the payer's side carries to Alipay, whose signature holds.
func carried(t *testing.T, a *Adapter, product channel.Product) (url.Values, channel.Action) {
	t.Helper()
	order := prepayOrder()
	order.Product, order.ReturnURL = product, testReturn
	out, err := a.Prepay(t.Context(), order)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, out.Outcome)
	text := out.Action.Params["order_string"]
	if out.Action.URL != "" {
		address, err := url.Parse(out.Action.URL)
		require.NoError(t, err)
		text = address.RawQuery
	}
	values, err := url.ParseQuery(text)
	require.NoError(t, err)
	require.NoError(t, verifyRequest(values))
	return values, out.Action
}

// TestWhatThePayersSideCarries: field names from smartwalle/alipay/v3 v3.2.30
// trade_type.go (TradePagePay, TradeAppPay) and wap_type.go (TradeWapPay). Nothing
// is sent.
func TestWhatThePayersSideCarries(t *testing.T) {
	t.Parallel()
	g, a := serve(t, node(`{}`))
	a.appAuthToken = "201510BBaabdb44d8fd04607abf8d5931ec75D84"
	for product, want := range map[channel.Product][2]string{
		channel.ProductPage: {"alipay.trade.page.pay", `"product_code":"FAST_INSTANT_TRADE_PAY"`},
		channel.ProductWAP:  {"alipay.trade.wap.pay", `"product_code":"QUICK_WAP_WAY","quit_url":"` + testReturn + `"`},
		channel.ProductApp:  {"alipay.trade.app.pay", `"product_code":"QUICK_MSECURITY_PAY"`},
	} {
		values, action := carried(t, a, product)
		require.Equal(t, want[0], values.Get("method"))
		require.Equal(t, testApp, values.Get("app_id"))
		require.Equal(t, testNotify, values.Get("notify_url"))
		require.Equal(t, a.appAuthToken, values.Get("app_auth_token"))
		require.Contains(t, values.Get("biz_content"), want[1])
		require.JSONEq(t, `{"out_trade_no":"`+testTrade+`","total_amount":"88.88","subject":"一杯咖啡 & a <cake>","time_expire":"2026-03-01 12:00:00",`+
			want[1]+`}`, values.Get("biz_content"))
		if product == channel.ProductApp {
			require.Equal(t, channel.ActionApp, action.Type)
			require.Empty(t, values.Get("return_url"))
			continue
		}
		require.Equal(t, channel.ActionRedirect, action.Type)
		require.True(t, strings.HasPrefix(action.URL, g.URL+"/gateway.do?"), action.URL)
		require.Equal(t, testReturn, values.Get("return_url"))
	}
	require.Empty(t, g.requests())
}

// TestOpenIDsHaveAFieldOfTheirOwn, and every call acts for the merchant who let it.
func TestOpenIDsHaveAFieldOfTheirOwn(t *testing.T) {
	t.Parallel()
	g, a := serve(t, node(`{"code":"10000","out_trade_no":"`+testTrade+`","trade_no":"1"}`))
	a.appAuthToken = "201510BBaabdb44d8fd04607abf8d5931ec75D84"
	order := prepayOrder()
	order.Product, order.PayerID = channel.ProductJSAPI, "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5"
	_, err := a.Prepay(t.Context(), order)
	require.NoError(t, err)
	sent := g.requests()[0]
	require.Equal(t, order.PayerID, sent.Biz["buyer_open_id"])
	require.NotContains(t, sent.Biz, "buyer_id")
	require.Equal(t, a.appAuthToken, sent.Params.Get("app_auth_token"))
}

// TestACancelThatDidNothingIsAskedAbout: a cancel without action says nothing.
func TestACancelThatDidNothingIsAskedAbout(t *testing.T) {
	t.Parallel()
	trade := func(status, paidAt string) string {
		return `{"code":"10000","msg":"Success","out_trade_no":"` + testTrade + `","total_amount":"88.88","trade_no":"1","trade_status":"` +
			status + `"` + paidAt + `}`
	}
	for name, c := range map[string]struct {
		query    string
		outcome  channel.Outcome
		code     string
		refunded bool
	}{
		"given back": {trade("TRADE_CLOSED", `,"send_pay_date":"2026-03-01 11:22:33"`), channel.Succeeded, "10000", true},
		"closed":     {trade("TRADE_CLOSED", ""), channel.Succeeded, "10000", false},
		"paid":       {trade("TRADE_SUCCESS", `,"send_pay_date":"2026-03-01 11:22:33"`), channel.Pending, "TRADE_SUCCESS", false},
		"waiting":    {trade("WAIT_BUYER_PAY", ""), channel.Pending, "WAIT_BUYER_PAY", false},
		"no trade":   {failureNode("ACQ.TRADE_NOT_EXIST"), channel.Failed, channel.CodeNotFound, false},
		"trouble":    {failureNode("ACQ.SYSTEM_ERROR"), channel.Unknown, "ACQ.SYSTEM_ERROR", false},
		"new status": {trade("TRADE_FROZEN", ""), channel.Unknown, channel.CodeBadBody, false},
	} {
		_, a := serve(t, func(w http.ResponseWriter, r request) {
			answer := `{"code":"10000","msg":"Success","out_trade_no":"` + testTrade + `","retry_flag":"N"}`
			if r.Params.Get("method") == "alipay.trade.query" {
				answer = c.query
			}
			node(answer)(w, r)
		})
		got, err := a.CancelTrade(t.Context(), testTrade)
		require.NoError(t, err)
		require.Equal(t, c.outcome, got.Outcome, name)
		require.Equal(t, c.code, got.Code, name)
		require.Equal(t, c.refunded, got.Refunded, name)
	}
}

func TestAuthorizeURL(t *testing.T) {
	t.Parallel()
	for gateway, want := range map[string]string{
		"https://openapi.alipay.com/gateway.do":                      "https://openauth.alipay.com/oauth2/publicAppAuthorize.htm",
		"https://openapi-sandbox.dl.alipaydev.com/gateway.do":        "https://openauth-sandbox.dl.alipaydev.com/oauth2/publicAppAuthorize.htm",
		"http://127.0.0.1:8900/alipay/gateway.do":                    "http://127.0.0.1:8900/alipay/oauth2/publicAppAuthorize.htm",
		"http://127.0.0.1:8900":                                      "http://127.0.0.1:8900/oauth2/publicAppAuthorize.htm",
		"https://proxy.example/providers/alipay/gateway.do?unused=1": "https://proxy.example/providers/alipay/oauth2/publicAppAuthorize.htm",
	} {
		cfg := testConfig(t, gateway)
		a, err := New(cfg)
		if err != nil {
			require.NoError(t, err, gateway)
		}
		require.Equal(t, want, a.authorizeURL, gateway)
	}
	cfg := testConfig(t, "https://openapi.alipay.com/gateway.do")
	cfg.AuthorizeURL = "openauth.alipay.com"
	_, err := New(cfg)
	require.ErrorContains(t, err, "AuthorizeURL")
}

// FuzzOrderString: whatever an order says, what the payer's side carries is read
// as it was meant and its signature holds.
func FuzzOrderString(f *testing.F) {
	for _, subject := range []string{"茶", "a&b=c", "a+b %2B", "\"quoted\" <b>", "&sign=x"} {
		f.Add(subject, "https://shop.example/back?order=1&x=%26")
	}
	f.Add("x", "https://shop.example/?a=b&return_url=https://evil.example")
	var a *Adapter // made once: keys take long
	f.Fuzz(func(t *testing.T, subject, back string) {
		if a == nil {
			a = newAdapter(t, "https://openapi.alipay.com/gateway.do")
		}
		order := prepayOrder()
		order.Product, order.Subject, order.ReturnURL = channel.ProductPage, subject, back
		out, err := a.Prepay(t.Context(), order)
		if err != nil {
			return
		}
		address, err := url.Parse(out.Action.URL)
		require.NoError(t, err)
		values, err := url.ParseQuery(address.RawQuery)
		require.NoError(t, err)
		require.NoError(t, verifyRequest(values))
		require.Equal(t, []string{back}, values["return_url"])
		for name, all := range values {
			require.Len(t, all, 1, name)
		}
	})
}
