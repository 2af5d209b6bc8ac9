package sandbox_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/smartwalle/alipay/v3"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/sandbox/keys"
)

// openPage is a browser: it tells the page and where it was led.
func openPage(t *testing.T, method, address string, form url.Values) (status int, page, at string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text), response.Request.URL.String()
}

func pageOrder(number string) alipay.Trade {
	return alipay.Trade{OutTradeNo: number, TotalAmount: "199.00", Subject: "茶", ProductCode: "FAST_INSTANT_TRADE_PAY",
		ReturnURL: "https://shop.example/back?order=1"}
}

// TestAlipayCashierOnAPC: the real client's address leads to the cashier; the trade
// exists once the payer has logged in, and the browser goes back with a signed word.
func TestAlipayCashierOnAPC(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client := b.alipay()
	status := func() string {
		rsp, err := client.TradeQuery(t.Context(), alipay.TradeQuery{OutTradeNo: "T1"})
		require.NoError(t, err)
		return string(rsp.TradeStatus) + rsp.SubCode
	}
	address, err := client.TradePagePay(alipay.TradePagePay{Trade: pageOrder("T1")})
	require.NoError(t, err)
	code, page, cashier := openPage(t, http.MethodGet, address.String(), nil)
	require.Equal(t, http.StatusOK, code, page)
	for _, id := range []string{`id="pay"`, `id="decline"`, `id="wait"`, `id="back" href="https://shop.example/back?order=1"`, "¥199.00"} {
		require.Contains(t, page, id)
	}
	require.Equal(t, "ACQ.TRADE_NOT_EXIST", status(), "nobody has logged in")
	_, page, _ = openPage(t, http.MethodPost, cashier, url.Values{"action": {"wait"}})
	require.Contains(t, page, `id="pay"`)
	require.Equal(t, "WAIT_BUYER_PAY", status())
	_, page, _ = openPage(t, http.MethodPost, cashier, url.Values{"action": {"decline"}})
	require.Contains(t, page, "Declined")
	_, page, _ = openPage(t, http.MethodPost, cashier, url.Values{"action": {"pay"}})
	require.Equal(t, "TRADE_SUCCESS", status())
	require.NotContains(t, page, `id="pay"`)
	_, rest, found := strings.Cut(page, `id="back" href="`)
	require.True(t, found)
	link, _, _ := strings.Cut(rest, `"`)
	back, err := url.Parse(strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(link))
	require.NoError(t, err)
	values := back.Query()
	require.Equal(t, "T1", values.Get("out_trade_no"))
	require.Equal(t, "199.00", values.Get("total_amount"))
	require.Equal(t, "1", values.Get("order"))
	values.Del("order") // the shop's own is not signed
	require.NoError(t, client.VerifySign(t.Context(), values))
	// Coming again shows what became of it.
	code, page, _ = openPage(t, http.MethodGet, address.String(), nil)
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, page, "支付成功")
}

// TestAlipayPagesRefuse: what the payer's side carries is held to the same rules as
// a call, and a refusal names the provider's code.
func TestAlipayPagesRefuse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client := b.alipay()
	open := func(change func(*alipay.Trade), spoil func(url.Values)) (int, string) {
		trade := pageOrder("T1")
		if change != nil {
			change(&trade)
		}
		address, err := client.TradePagePay(alipay.TradePagePay{Trade: trade})
		require.NoError(t, err)
		values := address.Query()
		if spoil != nil {
			spoil(values)
		}
		address.RawQuery = values.Encode()
		code, page, _ := openPage(t, http.MethodGet, address.String(), nil)
		return code, page
	}
	code, page := open(nil, nil)
	require.Equal(t, http.StatusOK, code, page)
	for subCode, c := range map[string]struct {
		change func(*alipay.Trade)
		spoil  func(url.Values)
	}{
		"isv.invalid-signature":    {nil, func(v url.Values) { v.Set("biz_content", strings.Replace(v.Get("biz_content"), "199.00", "1.00", 1)) }},
		"isv.missing-signature":    {nil, func(v url.Values) { v.Del("sign") }},
		"isv.invalid-app-id":       {nil, func(v url.Values) { v.Set("app_id", "1") }},
		"ACQ.CONTEXT_INCONSISTENT": {func(o *alipay.Trade) { o.TotalAmount = "199.01" }, nil},
		"ACQ.INVALID_PARAMETER":    {func(o *alipay.Trade) { o.ProductCode = "QUICK_WAP_WAY" }, nil},
		"ACQ.PARTNER_ERROR":        {func(o *alipay.Trade) { o.SellerId = "2088999999999999" }, nil},
	} {
		code, page = open(c.change, c.spoil)
		require.Equal(t, http.StatusBadRequest, code, subCode)
		require.Contains(t, page, `<code id="code">`+subCode+`</code>`)
	}
	past := func(o *alipay.Trade) {
		o.OutTradeNo, o.TimeExpire = "T2", time.Now().Add(-time.Hour).Format("2006-01-02 15:04:05")
	}
	code, page = open(past, nil)
	require.Equal(t, http.StatusBadRequest, code, page)
	// A call is no page, and the app's string is for the app.
	code, page, _ = openPage(t, http.MethodGet, b.url+"/alipay/gateway.do?method=alipay.trade.query", nil)
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, page, "isv.invalid-http-method")
	text, err := client.TradeAppPay(alipay.TradeAppPay{Trade: alipay.Trade{OutTradeNo: "A1", TotalAmount: "1.00", Subject: "x", ProductCode: "QUICK_MSECURITY_PAY"}})
	require.NoError(t, err)
	require.Contains(t, b.callAlipay(map[string]string{"method": "alipay.trade.app.pay"}, nil), "isv.invalid-method")
	code, page, _ = openPage(t, http.MethodPost, b.url+"/alipay/client/app", url.Values{"order_string": {text}})
	require.Equal(t, http.StatusOK, code, page)
	require.Contains(t, page, `id="pay"`)
	_, page, _ = openPage(t, http.MethodGet, b.url+"/alipay/client/app", nil)
	require.Contains(t, page, `id="order"`)
}

// TestAlipayMakesTradesForBuyersAndCodes: fields, codes and states are refused with
// the provider's own sub_codes.
func TestAlipayMakesTradesForBuyersAndCodes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	call := func(method, biz string) string {
		return b.callAlipay(map[string]string{"method": method, "biz_content": biz}, nil)
	}
	const jsapi = `{"out_trade_no":"J1","total_amount":"1.00","subject":"x","product_code":"JSAPI_PAY"`
	for extra, subCode := range map[string]string{
		`}`: "ACQ.INVALID_PARAMETER", `,"buyer_id":"2088"}`: "ACQ.INVALID_PARAMETER", `,"buyer_id":"` + sellerID + `"}`: "ACQ.BUYER_SELLER_EQUAL",
		`,"buyer_open_id":"0abcdeABCDEFGHIJKLMNOPQRSTUVWXYZ"}`:             "ACQ.INVALID_PARAMETER",
		`,"buyer_id":"2088102177846880","buyer_open_id":"0abcdeABCDEFGH"}`: "ACQ.INVALID_PARAMETER",
	} {
		require.Contains(t, call("alipay.trade.create", jsapi+extra), `"sub_code":"`+subCode+`"`, extra)
	}
	require.Contains(t, call("alipay.trade.create", jsapi+`,"buyer_id":"2088102177846880"}`), `"trade_no":"`)
	require.Contains(t, call("alipay.trade.query", `{"out_trade_no":"J1"}`), "WAIT_BUYER_PAY")

	pay := func(number, code, extra string) string {
		return call("alipay.trade.pay", `{"out_trade_no":"`+number+`","total_amount":"5.00","subject":"x","auth_code":"`+code+`"`+extra+`}`)
	}
	const scene = `,"scene":"bar_code"`
	require.Contains(t, pay("C1", "280000000000000001", ""), "ACQ.INVALID_PARAMETER")
	for _, code := range []string{"", "310000000000000001", "240000000000000001", "28000000000000001", "28000000000000000x"} {
		require.Contains(t, pay("C1", code, scene), "ACQ.PAYMENT_AUTH_CODE_INVALID", code)
	}
	require.Contains(t, pay("C1", "250000000000000001", scene), `"code":"10000"`)
	require.Contains(t, pay("C1", "250000000000000001", scene), "ACQ.TRADE_HAS_SUCCESS")
	require.Contains(t, pay("C2", "250000000000000001", scene), "ACQ.PAYMENT_AUTH_CODE_INVALID", "good once")
	for code, outcome := range map[string]string{"300000000000000001": "confirm", "300000000000000002": "ACQ.BUYER_BALANCE_NOT_ENOUGH",
		"300000000000000003": "ACQ.SYSTEM_ERROR"} {
		b.control("POST", "/control/codes", map[string]any{"provider": "alipay", "code": code, "outcome": outcome}, nil)
		want := outcome
		if outcome == "confirm" {
			want = `"code":"10003"`
		}
		require.Contains(t, pay("W"+code, code, scene), want)
	}
	require.Contains(t, call("alipay.trade.cancel", `{"out_trade_no":"W300000000000000001"}`), `"action":"close"`)
	// Cancelling: closes, gives back once, and knows its hours.
	require.Contains(t, call("alipay.trade.cancel", `{"out_trade_no":"C1"}`), `"action":"refund"`)
	again := call("alipay.trade.cancel", `{"out_trade_no":"C1"}`)
	require.Contains(t, again, `"retry_flag":"N"`)
	require.NotContains(t, again, `"action"`)
	require.NotContains(t, call("alipay.trade.cancel", `{"out_trade_no":"NEVER"}`), `"action"`)
	require.Contains(t, pay("C5", "260000000000000001", scene), `"code":"10000"`)
	require.Contains(t, call("alipay.trade.refund", `{"out_trade_no":"C5","refund_amount":"1.00","out_request_no":"R1"}`), `"fund_change":"Y"`)
	require.Contains(t, call("alipay.trade.cancel", `{"out_trade_no":"C5"}`), "ACQ.CANCEL_NOT_ALLOWED")
	require.Contains(t, pay("C6", "270000000000000001", scene), `"code":"10000"`)
	b.control("POST", "/control/clock", map[string]any{"advance_seconds": 25 * 3600}, nil)
	require.Contains(t, call("alipay.trade.cancel", `{"out_trade_no":"C6"}`), "ACQ.TRADE_CANCEL_TIME_OUT")
	require.Equal(t, []movement{{"payment", 5_00, opening + 5_00}, {"payment_fee", -3, opening + 4_97}, {"refund", -5_00, opening - 3}}, b.movements("C1"))
}

// TestAlipaySaysWhoAPayerIs with the real client.
func TestAlipaySaysWhoAPayerIs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client := b.alipay()
	query := url.Values{"app_id": {appID}, "scope": {"auth_user"}, "redirect_uri": {b.url + "/healthz?a=b"}, "state": {"s&1"}}
	page := b.url + "/alipay/oauth2/publicAppAuthorize.htm?" + query.Encode()
	_, text, _ := openPage(t, http.MethodGet, page, nil)
	require.Contains(t, text, `id="allow"`)
	_, _, at := openPage(t, http.MethodPost, page, url.Values{"action": {"allow"}, "payer": {"李四"}})
	back, err := url.Parse(at)
	require.NoError(t, err)
	require.Equal(t, "s&1", back.Query().Get("state"))
	token := alipay.SystemOauthToken{GrantType: "authorization_code", Code: back.Query().Get("auth_code")}
	got, err := client.SystemOauthToken(t.Context(), token)
	require.NoError(t, err)
	require.Regexp(t, `^2088[0-9]{12}$`, got.UserId)
	require.NotEqual(t, "2088102177846880", got.UserId)
	_, err = client.SystemOauthToken(t.Context(), token)
	require.ErrorContains(t, err, "授权码code无效", "a code is good once")
	for name, value := range map[string]string{"app_id": "1", "scope": "x", "redirect_uri": "javascript:1"} {
		bad := url.Values{}
		for k, v := range query {
			bad[k] = v
		}
		bad.Set(name, value)
		code, _, _ := openPage(t, http.MethodGet, b.url+"/alipay/oauth2/publicAppAuthorize.htm?"+bad.Encode(), nil)
		require.Equal(t, http.StatusBadRequest, code, name)
	}
	// An app in certificate mode is not listened to without its certificate's number.
	status, _ := b.controlRaw("POST", "/control/alipay/apps", map[string]any{"app_id": appID, "seller_id": sellerID,
		"app_public_key": keys.PublicPEM(merchantKey()), "app_certificate": "x"})
	require.Equal(t, http.StatusBadRequest, status)
}

// TestAlipayProductsWire pins what the further products answer; field names are
// those of smartwalle/alipay/v3 v3.2.30 (trade_type.go, authorize_type.go).
func TestAlipayProductsWire(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock(billDay + "T12:00:00+08:00")
	b.control("POST", "/control/codes", map[string]any{"provider": "alipay", "code": "280000000000000002", "outcome": "confirm"}, nil)
	var transcript strings.Builder
	for _, step := range []struct{ method, biz string }{
		{"alipay.trade.create", `{"out_trade_no":"J1","total_amount":"1.00","subject":"x","product_code":"JSAPI_PAY","buyer_id":"2088102177846880"}`},
		{"alipay.trade.pay", `{"out_trade_no":"C1","total_amount":"1.00","subject":"x","scene":"bar_code","auth_code":"280000000000000001"}`},
		{"alipay.trade.pay", `{"out_trade_no":"C2","total_amount":"1.00","subject":"x","scene":"bar_code","auth_code":"280000000000000001"}`},
		{"alipay.trade.pay", `{"out_trade_no":"C3","total_amount":"1.00","subject":"x","scene":"bar_code","auth_code":"280000000000000002"}`},
		{"alipay.trade.cancel", `{"out_trade_no":"C1"}`},
		{"alipay.trade.cancel", `{"out_trade_no":"C1"}`},
		{"alipay.trade.cancel", `{"out_trade_no":"C2"}`},
		{"alipay.trade.cancel", `{"out_trade_no":"C3"}`},
		{"alipay.system.oauth.token", ""},
	} {
		answer := b.callAlipay(map[string]string{"method": step.method, "biz_content": step.biz}, nil)
		transcript.WriteString(strings.TrimSpace("> "+step.method+" "+step.biz) + "\n< " + b.neutral(answer) + "\n")
	}
	golden(t, "alipay_products_wire.txt", transcript.String())
}
