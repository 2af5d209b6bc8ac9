package sandbox_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/app"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/h5"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/jsapi"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"github.com/suanpan/suanpan/sandbox/keys"
	"github.com/suanpan/suanpan/sandbox/wechatpay"
)

// browse opens a page as a browser does, without following it further.
func browse(t *testing.T, address string) (status int, to, body string) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get(address)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, response.Header.Get("Location"), string(text)
}

func TestJSAPIOrdersArePaidByTheOpenIDTheyAreFor(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	service := jsapi.JsapiApiService{Client: b.weChat()}
	order := func(number, openid string) jsapi.PrepayRequest {
		return jsapi.PrepayRequest{
			Appid: core.String(weChatApp), Mchid: core.String(mchID), Description: core.String("茶"), OutTradeNo: core.String(number),
			NotifyUrl: core.String("https://merchant.example/n"), Amount: &jsapi.Amount{Total: core.Int64(100)},
			Payer: &jsapi.Payer{Openid: core.String(openid)},
		}
	}
	mine := wechatpay.OpenID(weChatApp, "one")
	_, _, err := service.Prepay(ctx, order("ORDER001", "nobody"))
	requireCode(t, err, 400, "PARAM_ERROR")
	_, _, err = service.Prepay(ctx, order("ORDER001", wechatpay.OpenID("wx0000000000000000", "one")))
	requireCode(t, err, 500, "OPENID_MISMATCH")
	ready, _, err := service.PrepayWithRequestPayment(ctx, order("ORDER001", mine))
	require.NoError(t, err)
	_, _, err = service.Prepay(ctx, order("ORDER001", wechatpay.OpenID(weChatApp, "two")))
	requireCode(t, err, 400, "INVALID_REQUEST")

	params := url.Values{"appId": {*ready.Appid}, "timeStamp": {*ready.TimeStamp}, "nonceStr": {*ready.NonceStr},
		"package": {*ready.Package}, "signType": {*ready.SignType}, "paySign": {*ready.PaySign}}
	status, to, _ := browse(t, b.url+wechatpay.JSAPIPath+"?"+params.Encode())
	require.Equal(t, http.StatusFound, status)
	require.Contains(t, to, "/pay/")
	for name, spoiled := range map[string]string{"timeStamp": "1", "nonceStr": "x", "appId": "wx0000000000000000", "paySign": "AAAA"} {
		changed, err := url.ParseQuery(params.Encode())
		require.NoError(t, err)
		changed.Set(name, spoiled)
		status, _, _ = browse(t, b.url+wechatpay.JSAPIPath+"?"+changed.Encode())
		require.Equal(t, http.StatusForbidden, status, name)
	}
	b.pay("wechatpay", "ORDER001")
	paid, _, err := service.QueryOrderByOutTradeNo(ctx, jsapi.QueryOrderByOutTradeNoRequest{OutTradeNo: core.String("ORDER001"), Mchid: core.String(mchID)})
	require.NoError(t, err)
	require.Equal(t, "JSAPI", *paid.TradeType)
	require.Equal(t, mine, *paid.Payer.Openid)
}

func TestAppOrdersAreOpenedWithTheMerchantsSignature(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	service := app.AppApiService{Client: b.weChat()}
	ready, _, err := service.PrepayWithRequestPayment(ctx, app.PrepayRequest{
		Appid: core.String(weChatApp), Mchid: core.String(mchID), Description: core.String("茶"), OutTradeNo: core.String("ORDER001"),
		NotifyUrl: core.String("https://merchant.example/n"), Amount: &app.Amount{Total: core.Int64(100)},
	})
	require.NoError(t, err)
	params := url.Values{"appid": {weChatApp}, "partnerid": {*ready.PartnerId}, "prepayid": {*ready.PrepayId}, "package": {*ready.Package},
		"noncestr": {*ready.NonceStr}, "timestamp": {*ready.TimeStamp}, "sign": {*ready.Sign}}
	status, to, _ := browse(t, b.url+wechatpay.AppPath+"?"+params.Encode())
	require.Equal(t, http.StatusFound, status)
	require.Contains(t, to, "/pay/")
	params.Set("timestamp", "1")
	status, _, _ = browse(t, b.url+wechatpay.AppPath+"?"+params.Encode())
	require.Equal(t, http.StatusForbidden, status)
	status, _, _ = browse(t, b.url+wechatpay.AppPath+"?prepayid=wxnone")
	require.Equal(t, http.StatusNotFound, status)
	b.pay("wechatpay", "ORDER001")
	paid, _, err := service.QueryOrderByOutTradeNo(ctx, app.QueryOrderByOutTradeNoRequest{OutTradeNo: core.String("ORDER001"), Mchid: core.String(mchID)})
	require.NoError(t, err)
	require.Equal(t, "APP", *paid.TradeType)
}

func TestH5OrdersNeedAScene(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	service := h5.H5ApiService{Client: b.weChat()}
	order := func(scene *h5.SceneInfo) h5.PrepayRequest {
		return h5.PrepayRequest{
			Appid: core.String(weChatApp), Mchid: core.String(mchID), Description: core.String("茶"), OutTradeNo: core.String("ORDER001"),
			NotifyUrl: core.String("https://merchant.example/n"), Amount: &h5.Amount{Total: core.Int64(100)}, SceneInfo: scene,
		}
	}
	for _, scene := range []string{
		``,
		`,"scene_info":{"payer_client_ip":"not an address","h5_info":{"type":"Wap"}}`,
		`,"scene_info":{"payer_client_ip":"203.0.113.7","h5_info":{"type":"PC"}}`,
		`,"scene_info":{"payer_client_ip":"203.0.113.7"}`,
	} {
		_, text, _ := b.callWeChat(weChatCall{method: "POST", path: "/v3/pay/transactions/h5", body: nativeBody(mchID, "ORDER001", scene)})
		require.Contains(t, text, `"code":"PARAM_ERROR"`)
	}
	ready, _, err := service.Prepay(ctx, order(&h5.SceneInfo{PayerClientIp: core.String("203.0.113.7"), H5Info: &h5.H5Info{Type: core.String("Wap")}}))
	require.NoError(t, err)
	status, to, _ := browse(t, *ready.H5Url+"&redirect_url="+url.QueryEscape("https://merchant.example/back?a=1"))
	require.Equal(t, http.StatusFound, status)
	require.Contains(t, to, "/pay/")
	var found struct {
		Orders []struct {
			ReturnURL string `json:"return_url"`
		}
	}
	b.control("GET", "/control/orders?provider=wechatpay&number=ORDER001", nil, &found)
	require.Equal(t, "https://merchant.example/back?a=1", found.Orders[0].ReturnURL)
	status, _, _ = browse(t, *ready.H5Url+"&redirect_url=javascript:alert(1)")
	require.Equal(t, http.StatusBadRequest, status)
	b.pay("wechatpay", "ORDER001")
	paid, _, err := service.QueryOrderByOutTradeNo(ctx, h5.QueryOrderByOutTradeNoRequest{OutTradeNo: core.String("ORDER001"), Mchid: core.String(mchID)})
	require.NoError(t, err)
	require.Equal(t, "MWEB", *paid.TradeType)
}

func codeBody(number, code, extra string) string {
	return `{"appid":"` + weChatApp + `","mchid":"` + mchID + `","description":"x","out_trade_no":"` + number +
		`","amount":{"total":100},"payer":{"auth_code":"` + code + `"},"scene_info":{"store_info":{"id":"0001"}` + extra + `}}`
}

func (b *bundle) scanCode(number, code string) (int, string) {
	b.t.Helper()
	status, text, _ := b.callWeChat(weChatCall{method: "POST", path: "/v3/pay/transactions/codepay", body: codeBody(number, code, "")})
	return status, text
}

func (b *bundle) newCode(outcome string) string {
	b.t.Helper()
	var made map[string]string
	b.control("POST", "/control/codes", map[string]any{"provider": "wechatpay", "outcome": outcome}, &made)
	return made["auth_code"]
}

func (b *bundle) tradeState(number string) string {
	b.t.Helper()
	_, text, _ := b.callWeChat(weChatCall{path: "/v3/pay/transactions/out-trade-no/" + number + "?mchid=" + mchID})
	var shown struct {
		Code       string
		TradeState string `json:"trade_state"`
	}
	require.NoError(b.t, json.Unmarshal([]byte(text), &shown))
	return or(shown.TradeState, shown.Code)
}

func (b *bundle) reverse(number string) (int, string) {
	b.t.Helper()
	status, text, _ := b.callWeChat(weChatCall{method: "POST", path: "/v3/pay/transactions/out-trade-no/" + number + "/reverse",
		body: `{"appid":"` + weChatApp + `","mchid":"` + mchID + `"}`})
	return status, text
}

func TestPaymentCodes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, code := range []string{"", "13345678901234567", "163456789012345678", "1334567890123456789", "28345678901234567x"} {
		status, text := b.scanCode("ORDER000", code)
		require.Equal(t, 400, status, code)
		require.Contains(t, text, "PARAM_ERROR")
		require.Contains(t, text, `"value":null`, "a code is not repeated in an answer")
	}
	status, text, _ := b.callWeChat(weChatCall{method: "POST", path: "/v3/pay/transactions/codepay",
		body: strings.Replace(codeBody("ORDER000", "134567890123456780", ""), `"store_info":{"id":"0001"}`, "", 1)})
	require.Equal(t, 400, status, text)

	status, text = b.scanCode("ORDER001", "134567890123456789")
	require.Equal(t, 200, status, text)
	require.Contains(t, text, `"trade_state":"SUCCESS"`)
	require.Contains(t, text, `"trade_type":"MICROPAY"`)
	status, text = b.scanCode("ORDER002", "134567890123456789")
	require.Equal(t, 400, status, text)
	require.Contains(t, text, "AUTH_CODE_INVALID", "a code is good once")
	require.Equal(t, "ORDER_NOT_EXIST", b.tradeState("ORDER002"))
	status, text = b.scanCode("ORDER001", "134567890123456789")
	require.Equal(t, 403, status)
	require.Contains(t, text, "OUT_TRADE_NO_USED")
	require.Len(t, b.movements("ORDER001"), 2)

	for outcome, want := range map[string]int{"NOT_ENOUGH": 403, "TRADE_ERROR": 403, "RULE_LIMIT": 403, "BANK_ERROR": 500} {
		number := "DECLINED" + outcome
		status, text = b.scanCode(number, b.newCode(outcome))
		require.Equal(t, want, status, text)
		require.Contains(t, text, `"code":"`+outcome+`"`)
		require.Equal(t, "PAYERROR", b.tradeState(number))
		status, _ := b.controlRaw("POST", "/control/pay", map[string]any{"provider": "wechatpay", "number": number})
		require.Equal(t, http.StatusConflict, status)
		require.Empty(t, b.movements(number))
	}

	confirm := b.newCode("confirm")
	for range 2 { // the till asks again: nothing changes
		status, text = b.scanCode("ORDER003", confirm)
		require.Equal(t, 202, status, text)
		require.Contains(t, text, `"code":"USERPAYING"`)
	}
	require.Equal(t, "USERPAYING", b.tradeState("ORDER003"))
	b.pay("wechatpay", "ORDER003")
	require.Equal(t, "SUCCESS", b.tradeState("ORDER003"))

	status, _ = b.scanCode("ORDER004", b.newCode("confirm"))
	require.Equal(t, 202, status)
	b.control("POST", "/control/decline", map[string]any{"provider": "wechatpay", "number": "ORDER004"}, nil)
	require.Equal(t, "PAYERROR", b.tradeState("ORDER004"))

	status, text = b.scanCode("ORDER005", b.newCode("SYSTEM_ERROR"))
	require.Equal(t, 500, status, text)
	require.Equal(t, "USERPAYING", b.tradeState("ORDER005"))
}

func TestReversal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	status, text := b.reverse("ORDER001")
	require.Equal(t, 404, status, text)
	status, _ = b.scanCode("ORDER001", "134567890123456789")
	require.Equal(t, 200, status)
	for range 2 {
		status, text = b.reverse("ORDER001")
		require.Equal(t, 200, status, text)
		require.Contains(t, text, `"out_trade_no":"ORDER001"`)
	}
	require.Equal(t, "REVOKED", b.tradeState("ORDER001"))
	require.Equal(t, []movement{{"payment", 100, opening + 100}, {"payment_fee", -1, opening + 99}, {"refund_fee", 1, opening + 100}, {"refund", -100, opening}},
		b.movements("ORDER001"))
	status, text, _ = b.callWeChat(weChatCall{method: "POST", path: "/v3/refund/domestic/refunds",
		body: `{"out_trade_no":"ORDER001","out_refund_no":"R1","amount":{"refund":1,"total":100,"currency":"CNY"}}`})
	require.Equal(t, 400, status, text)

	status, _ = b.scanCode("ORDER002", b.newCode("confirm"))
	require.Equal(t, 202, status)
	status, _ = b.reverse("ORDER002")
	require.Equal(t, 200, status)
	require.Equal(t, "REVOKED", b.tradeState("ORDER002"))
	status, _ = b.controlRaw("POST", "/control/pay", map[string]any{"provider": "wechatpay", "number": "ORDER002"})
	require.Equal(t, http.StatusConflict, status)
	b.control("POST", "/control/pay", map[string]any{"provider": "wechatpay", "number": "ORDER002", "late": true}, nil)
	require.Equal(t, "SUCCESS", b.tradeState("ORDER002"), "a payment that raced the reversal")

	status, text, _ = b.callWeChat(weChatCall{method: "POST", path: "/v3/pay/transactions/native", body: nativeBody(mchID, "ORDER003", "")})
	require.Equal(t, 200, status, text)
	status, text = b.reverse("ORDER003")
	require.Equal(t, 400, status, "only orders by code are reversed")
	require.Contains(t, text, "INVALID_REQUEST")

	b.control("POST", "/control/wechatpay/settings", map[string]any{"reverse_after_seconds": 15}, nil)
	status, _ = b.scanCode("ORDER004", b.newCode("pay"))
	require.Equal(t, 200, status)
	status, _ = b.reverse("ORDER004")
	require.Equal(t, 400, status, "too soon")
	b.control("POST", "/control/clock", map[string]any{"advance_seconds": 16}, nil)
	status, _ = b.reverse("ORDER004")
	require.Equal(t, 200, status)

	status, _ = b.scanCode("ORDER005", b.newCode("pay"))
	require.Equal(t, 200, status)
	b.control("POST", "/control/clock", map[string]any{"advance_seconds": 8 * 24 * 3600}, nil)
	status, _ = b.reverse("ORDER005")
	require.Equal(t, 400, status, "after seven days")
}

func TestServiceProviders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const sub, subApp = "1900000209", "wx0000000000000209"
	b.control("POST", "/control/wechatpay/sub-merchants", map[string]any{"sp_mchid": mchID, "sub_mchid": sub, "sub_appid": subApp}, nil)
	merchants := newSink(t, say(204, ""))
	body := func(number, extra string) string {
		return `{"sp_appid":"` + weChatApp + `","sp_mchid":"` + mchID + `","sub_mchid":"` + sub + `","description":"x","out_trade_no":"` + number +
			`","notify_url":"` + merchants.URL + `/n","amount":{"total":100}` + extra + `}`
	}
	const native = "/v3/pay/partner/transactions/native"
	status, text, _ := b.callWeChat(weChatCall{method: "POST", path: native, body: body("ORDER001", "")})
	require.Equal(t, 200, status, text)
	for name, c := range map[string]struct {
		path, body string
		status     int
		code       string
	}{
		"another's sub-merchant": {native, strings.Replace(body("ORDER002", ""), sub, "1900000999", 1), 403, "NO_AUTH"},
		"no sub-merchant":        {native, strings.Replace(body("ORDER002", ""), sub, "", 1), 400, "PARAM_ERROR"},
		"another provider":       {native, strings.Replace(body("ORDER002", ""), mchID, "1900000999", 1), 403, "NO_AUTH"},
		"another application":    {native, strings.Replace(body("ORDER002", ""), weChatApp, "wx1", 1), 400, "APPID_MCHID_NOT_MATCH"},
		"sub's other app":        {native, body("ORDER002", `,"sub_appid":"wx1"`), 400, "APPID_MCHID_NOT_MATCH"},
		"the merchant's path":    {"/v3/pay/transactions/native", body("ORDER002", ""), 400, "PARAM_ERROR"},
		"two payers": {"/v3/pay/partner/transactions/jsapi", body("ORDER002", `,"sub_appid":"`+subApp+`","payer":{"sp_openid":"a","sub_openid":"b"}`),
			400, "PARAM_ERROR"},
		"sub_openid alone": {"/v3/pay/partner/transactions/jsapi", body("ORDER002", `,"payer":{"sub_openid":"b"}`), 400, "PARAM_ERROR"},
	} {
		status, text, _ := b.callWeChat(weChatCall{method: "POST", path: c.path, body: c.body})
		require.Equal(t, c.status, status, "%s: %s", name, text)
		require.Contains(t, text, `"code":"`+c.code+`"`, name)
	}
	status, text, _ = b.callWeChat(weChatCall{method: "POST", path: "/v3/pay/partner/transactions/jsapi",
		body: body("ORDER003", `,"sub_appid":"`+subApp+`","payer":{"sub_openid":"`+wechatpay.OpenID(subApp, "one")+`"}`)})
	require.Equal(t, 200, status, text)
	require.Contains(t, text, "prepay_id")

	b.pay("wechatpay", "ORDER001")
	query := "/v3/pay/partner/transactions/out-trade-no/ORDER001?sp_mchid=" + mchID + "&sub_mchid=" + sub
	status, text, _ = b.callWeChat(weChatCall{path: query})
	require.Equal(t, 200, status, text)
	for _, part := range []string{`"sp_appid":"` + weChatApp, `"sp_mchid":"` + mchID, `"sub_mchid":"` + sub, `"trade_state":"SUCCESS"`, `"sp_openid":"o`} {
		require.Contains(t, text, part)
	}
	require.NotContains(t, text, `"mchid"`)
	status, _, _ = b.callWeChat(weChatCall{path: "/v3/pay/transactions/out-trade-no/ORDER001?mchid=" + mchID})
	require.Equal(t, 404, status, "it is the sub-merchant's order")

	refund := `{"sub_mchid":"` + sub + `","out_trade_no":"ORDER001","out_refund_no":"R1","amount":{"refund":40,"total":100,"currency":"CNY"}}`
	status, text, _ = b.callWeChat(weChatCall{method: "POST", path: "/v3/refund/domestic/refunds", body: refund})
	require.Equal(t, 200, status, text)
	status, _, _ = b.callWeChat(weChatCall{path: "/v3/refund/domestic/refunds/R1?sub_mchid=" + sub})
	require.Equal(t, 200, status)
	status, _, _ = b.callWeChat(weChatCall{path: "/v3/refund/domestic/refunds/R1"})
	require.Equal(t, 404, status)
	var totals struct {
		Movements []struct{ Account string }
	}
	b.control("GET", "/control/books/movements?provider=wechatpay&number=ORDER001", nil, &totals)
	for _, m := range totals.Movements {
		require.Equal(t, sub, m.Account, "the money is the sub-merchant's")
	}
	b.due()
	require.Len(t, merchants.received(), 1, "sealed with the provider's APIv3 key, so it could be sent")
}

func TestAbnormalRefundsGoAnotherWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client := b.weChat()
	prepay(t, client, "ORDER001", "https://merchant.example/n")
	b.pay("wechatpay", "ORDER001")
	refund, err := weChatRefund(client, "ORDER001", "R1", "", 100, 199_00)
	require.NoError(t, err)
	public, err := utils.LoadPublicKey(b.weChatKeys["public_key"])
	require.NoError(t, err)
	sealed := func(text string) string {
		out, err := utils.EncryptOAEPWithPublicKey(text, public)
		require.NoError(t, err)
		return out
	}
	path := "/v3/refund/domestic/refunds/" + *refund.RefundId + "/apply-abnormal-refund"
	body := func(card, name string) string {
		return `{"out_refund_no":"R1","type":"USER_BANK_CARD","bank_type":"CMB_DEBIT","bank_account":"` + card + `","real_name":"` + name + `"}`
	}
	good := body(sealed("6225880100000000"), sealed("张三"))
	status, text, _ := b.callWeChat(weChatCall{method: "POST", path: path, body: good})
	require.Equal(t, 400, status, "it is not abnormal: %s", text)
	require.Contains(t, text, `"code":"INVALID_REQUEST"`)
	b.control("POST", "/control/refunds", map[string]any{"provider": "wechatpay", "number": "R1", "status": "ABNORMAL"}, nil)
	for _, bad := range []string{
		body("6225880100000000", "张三"), body(sealed("not a card"), sealed("张三")), body(sealed("6225880100000000"), ""),
		`{"out_refund_no":"R1","type":"OTHER"}`, `{"out_refund_no":"R1","type":"USER_BANK_CARD"}`,
	} {
		status, text, _ = b.callWeChat(weChatCall{method: "POST", path: path, body: bad})
		require.Equal(t, 400, status, text)
		require.Contains(t, text, "PARAM_ERROR")
	}
	status, _, _ = b.callWeChat(weChatCall{method: "POST", path: path, body: strings.Replace(good, "R1", "R2", 1)})
	require.Equal(t, 404, status)
	for range 2 {
		status, text, _ = b.callWeChat(weChatCall{method: "POST", path: path, body: good})
		require.Equal(t, 200, status, text)
		require.Contains(t, text, `"status":"PROCESSING"`)
		require.Contains(t, text, `"channel":"OTHER_BANKCARD"`)
	}
	b.wait(2 * time.Second)
	status, text, _ = b.callWeChat(weChatCall{path: "/v3/refund/domestic/refunds/R1"})
	require.Equal(t, 200, status)
	require.Contains(t, text, `"status":"SUCCESS"`)
	refunds := 0
	for _, m := range b.movements("R1") {
		if m.Kind == "refund" {
			refunds++
		}
	}
	require.Equal(t, 1, refunds, "the money had left the balance before")
	var journal strings.Builder
	_, text2 := b.controlRaw("GET", "/control/books/file", nil)
	journal.Write(text2)
	require.NotContains(t, journal.String(), "6225880100000000")
	require.NotContains(t, journal.String(), "张三")
}

func TestWeChatOAuth(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.control("POST", "/control/wechatpay/merchants", map[string]any{"mchid": mchID, "appid": weChatApp, "app_secret": "s3cret",
		"merchant_serial": mchSerial, "merchant_public_key": keys.PublicPEM(merchantKey()), "api_v3_key": apiV3Key}, nil)
	authorize := func(change url.Values) (int, string, string) {
		q := url.Values{"appid": {weChatApp}, "redirect_uri": {"https://cashier.example/back?p=1"}, "response_type": {"code"},
			"scope": {"snsapi_base"}, "state": {"s1"}}
		for name, value := range change {
			q[name] = value
		}
		return browse(t, b.url+wechatpay.AuthorizePath+"?"+q.Encode())
	}
	exchange := func(change url.Values) map[string]any {
		q := url.Values{"appid": {weChatApp}, "secret": {"s3cret"}, "grant_type": {"authorization_code"}}
		for name, value := range change {
			q[name] = value
		}
		status, _, text := browse(t, b.url+wechatpay.TokenPath+"?"+q.Encode())
		require.Equal(t, 200, status)
		var out map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &out))
		return out
	}
	for name, bad := range map[string]url.Values{
		"app": {"appid": {"wx1"}}, "address": {"redirect_uri": {"javascript:alert(1)"}}, "scope": {"scope": {"all"}}, "type": {"response_type": {"token"}},
	} {
		status, _, _ := authorize(bad)
		require.Equal(t, 400, status, name)
	}
	status, to, _ := authorize(nil)
	require.Equal(t, http.StatusFound, status)
	back, err := url.Parse(to)
	require.NoError(t, err)
	require.Equal(t, "s1", back.Query().Get("state"))
	require.Equal(t, "1", back.Query().Get("p"))
	code := back.Query().Get("code")
	require.EqualValues(t, 40125, exchange(url.Values{"code": {code}, "secret": {"x"}})["errcode"])
	require.EqualValues(t, 40029, exchange(url.Values{"code": {"x"}})["errcode"])
	got := exchange(url.Values{"code": {code}})
	require.Equal(t, wechatpay.OpenID(weChatApp, ""), got["openid"])
	require.EqualValues(t, 40163, exchange(url.Values{"code": {code}})["errcode"], "a code is good once")

	b.fault(map[string]any{"provider": "wechatpay", "operation": "GET /sns/oauth2/access_token", "kind": "error_before"})
	require.EqualValues(t, -1, exchange(url.Values{"code": {"x"}})["errcode"])
	b.fault(map[string]any{"provider": "wechatpay", "operation": "GET /sns/oauth2/access_token", "kind": "refuse", "answer": "45011"})
	require.EqualValues(t, 45011, exchange(url.Values{"code": {"x"}})["errcode"])

	status, _, page := authorize(url.Values{"scope": {"snsapi_userinfo"}})
	require.Equal(t, 200, status)
	require.Contains(t, page, `id="allow"`)
	_, to, _ = authorize(nil)
	back, err = url.Parse(to)
	require.NoError(t, err)
	b.shift.Add(int64(6 * time.Minute))
	require.EqualValues(t, 42003, exchange(url.Values{"code": {back.Query().Get("code")}})["errcode"])
}

func TestAMerchantsCertificatesOverlap(t *testing.T) {
	t.Parallel()
	b := setup(t)
	next, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	b.control("POST", "/control/wechatpay/merchant-certificates", map[string]any{"mchid": mchID, "merchant_serial": "AB12",
		"merchant_public_key": keys.PublicPEM(next), "overlap_seconds": 60}, nil)
	status, text, _ := b.callWeChat(weChatCall{})
	require.Equal(t, 404, status, "the old one still signs: %s", text)
	status, _, _ = b.callWeChat(weChatCall{serial: "AB12"})
	require.Equal(t, 401, status, "the new serial is not the old key's")
	b.shift.Add(int64(61 * time.Second))
	status, _, _ = b.callWeChat(weChatCall{})
	require.Equal(t, 401, status)
}

func TestThePlatformCertificateRotates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := b.weChatKeys["platform_serial"]
	signedBy := func(named string) string {
		_, _, header := b.callWeChat(weChatCall{wechatpay: named})
		return header.Get("Wechatpay-Serial")
	}
	listed := func() int {
		_, text, _ := b.callWeChat(weChatCall{path: "/v3/certificates"})
		return strings.Count(text, "serial_no")
	}
	rotate := func(stage string) string {
		var out struct{ Signing string }
		b.control("POST", "/control/wechatpay/platform-certificates", map[string]any{"stage": stage}, &out)
		return out.Signing
	}
	require.Equal(t, old, signedBy(old))
	require.Equal(t, old, rotate("publish"))
	require.Equal(t, 2, listed())
	require.Equal(t, old, signedBy(old))
	next := rotate("switch")
	require.NotEqual(t, old, next)
	require.Equal(t, next, signedBy(old), "answers come under the new one while the old one is still named")
	require.Equal(t, b.weChatKeys["public_key_id"], signedBy(b.weChatKeys["public_key_id"]))
	rotate("retire")
	require.Equal(t, 1, listed())
	status, _, _ := b.callWeChat(weChatCall{wechatpay: old})
	require.Equal(t, 400, status)
	b.restart()
	require.Equal(t, next, signedBy(next))
	status, _ = b.controlRaw("POST", "/control/wechatpay/platform-certificates", map[string]any{"stage": "retire"})
	require.Equal(t, http.StatusConflict, status)
}

func TestFundFlowHasAnAccountForEachPurpose(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock(billDay + "T12:00:00+08:00")
	b.control("POST", "/control/topups", map[string]any{"provider": "wechatpay", "merchant": mchID, "number": "U1", "amount": 500, "account": "OPERATION"}, nil)
	b.clock("2026-03-02T12:00:00+08:00")
	for account, status := range map[string]int{"OPERATION": 200, "FEES": 400, "OTHER": 400} {
		got, text, _ := b.callWeChat(weChatCall{path: "/v3/bill/fundflowbill?bill_date=" + billDay + "&account_type=" + account})
		require.Equal(t, status, got, "%s %s", account, text)
	}
}

func TestFaultsThatAreSignedWell(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const query = "GET /v3/pay/transactions/out-trade-no/{out_trade_no}"
	status, _, _ := b.callWeChat(weChatCall{method: "POST", path: "/v3/pay/transactions/native", body: nativeBody(mchID, "ORDER001", "")})
	require.Equal(t, 200, status)
	b.fault(map[string]any{"provider": "wechatpay", "operation": query, "kind": "flip", "field": "total", "value": "1"})
	_, text, _ := b.callWeChat(weChatCall{})
	require.Contains(t, text, `"total":1,`)
	b.fault(map[string]any{"provider": "wechatpay", "operation": query, "kind": "refuse", "answer": "FREQUENCY_LIMITED"})
	status, text, _ = b.callWeChat(weChatCall{})
	require.Equal(t, 429, status)
	require.Contains(t, text, "FREQUENCY_LIMITED")
	b.fault(map[string]any{"provider": "wechatpay", "operation": query, "kind": "huge"})
	_, text, _ = b.callWeChat(weChatCall{})
	require.Greater(t, len(text), 50_000_000)
	_, text, _ = b.callWeChat(weChatCall{})
	require.Contains(t, text, `"total":100,`)
}
