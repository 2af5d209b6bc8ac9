package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/downloader"
	"github.com/wechatpay-apiv3/wechatpay-go/core/option"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/native"
	"github.com/wechatpay-apiv3/wechatpay-go/services/refunddomestic"

	"github.com/suanpan/suanpan/sandbox/keys"
)

func nativeOrder(number, notifyURL string) native.PrepayRequest {
	return native.PrepayRequest{
		Appid: core.String(weChatApp), Mchid: core.String(mchID), Description: core.String("茶 & <tea>, 一"),
		OutTradeNo: core.String(number), NotifyUrl: core.String(notifyURL),
		Amount: &native.Amount{Total: core.Int64(199_00)},
	}
}

func prepay(t *testing.T, client *core.Client, number, notifyURL string) string {
	t.Helper()
	service := native.NativeApiService{Client: client}
	rsp, _, err := service.Prepay(context.Background(), nativeOrder(number, notifyURL))
	require.NoError(t, err)
	return *rsp.CodeUrl
}

func weChatRefund(client *core.Client, order, number, notifyURL string, amount, total int64) (*refunddomestic.Refund, error) {
	request := refunddomestic.CreateRequest{
		OutTradeNo: core.String(order), OutRefundNo: core.String(number),
		Amount: &refunddomestic.AmountReq{Refund: core.Int64(amount), Total: core.Int64(total), Currency: core.String("CNY")},
	}
	if notifyURL != "" {
		request.NotifyUrl = core.String(notifyURL)
	}
	service := refunddomestic.RefundsApiService{Client: client}
	rsp, _, err := service.Create(context.Background(), request)
	return rsp, err
}

// requireCode wants the error answer of the API with this status and code.
func requireCode(t *testing.T, err error, status int, code string) {
	t.Helper()
	var answer *core.APIError
	require.ErrorAs(t, err, &answer)
	require.Equal(t, fmt.Sprint(status, " ", code), fmt.Sprint(answer.StatusCode, " ", answer.Code), answer.Message)
}

func TestWeChatOrderLivesAsAtTheProvider(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	client := b.weChat()
	service := native.NativeApiService{Client: client}
	query := func(number string) (*string, error) {
		rsp, _, err := service.QueryOrderByOutTradeNo(ctx, native.QueryOrderByOutTradeNoRequest{OutTradeNo: core.String(number), Mchid: core.String(mchID)})
		if err != nil {
			return nil, err
		}
		return rsp.TradeState, nil
	}
	_, err := query("ORDER001")
	requireCode(t, err, 404, "ORDER_NOT_EXIST")
	code := prepay(t, client, "ORDER001", "https://merchant.example/notify")
	require.Equal(t, code, prepay(t, client, "ORDER001", "https://merchant.example/notify"))
	state, err := query("ORDER001")
	require.NoError(t, err)
	require.Equal(t, "NOTPAY", *state)
	other := nativeOrder("ORDER001", "https://merchant.example/notify")
	other.Amount.Total = core.Int64(1)
	_, _, err = service.Prepay(ctx, other)
	requireCode(t, err, 400, "INVALID_REQUEST")

	b.pay("wechatpay", "ORDER001")
	paid, _, err := service.QueryOrderByOutTradeNo(ctx, native.QueryOrderByOutTradeNoRequest{OutTradeNo: core.String("ORDER001"), Mchid: core.String(mchID)})
	require.NoError(t, err)
	require.Equal(t, "SUCCESS", *paid.TradeState)
	require.Equal(t, int64(199_00), *paid.Amount.PayerTotal)
	byID, _, err := service.QueryOrderById(ctx, native.QueryOrderByIdRequest{TransactionId: paid.TransactionId, Mchid: core.String(mchID)})
	require.NoError(t, err)
	require.Equal(t, "ORDER001", *byID.OutTradeNo)
	_, err = service.CloseOrder(ctx, native.CloseOrderRequest{OutTradeNo: core.String("ORDER001"), Mchid: core.String(mchID)})
	requireCode(t, err, 400, "ORDERPAID")
	_, _, err = service.Prepay(ctx, nativeOrder("ORDER001", "https://merchant.example/notify"))
	requireCode(t, err, 403, "OUT_TRADE_NO_USED")

	prepay(t, client, "ORDER002", "https://merchant.example/notify")
	result, err := service.CloseOrder(ctx, native.CloseOrderRequest{OutTradeNo: core.String("ORDER002"), Mchid: core.String(mchID)})
	require.NoError(t, err, "204 is signed too")
	require.Equal(t, http.StatusNoContent, result.Response.StatusCode)
	_, err = service.CloseOrder(ctx, native.CloseOrderRequest{OutTradeNo: core.String("ORDER002"), Mchid: core.String(mchID)})
	requireCode(t, err, 400, "ORDER_CLOSED")
	_, _, err = service.Prepay(ctx, nativeOrder("ORDER002", "https://merchant.example/notify"))
	requireCode(t, err, 400, "ORDER_CLOSED")
	status, _ := b.controlRaw("POST", "/control/pay", map[string]any{"provider": "wechatpay", "number": "ORDER002"})
	require.Equal(t, http.StatusConflict, status)
	b.control("POST", "/control/pay", map[string]any{"provider": "wechatpay", "number": "ORDER002", "late": true}, nil)
	state, err = query("ORDER002")
	require.NoError(t, err)
	require.Equal(t, "SUCCESS", *state)

	_, _, err = service.QueryOrderByOutTradeNo(ctx, native.QueryOrderByOutTradeNoRequest{OutTradeNo: core.String("ORDER001"), Mchid: core.String("1900000110")})
	requireCode(t, err, 403, "NO_AUTH")
}

func TestWeChatPlatformCertificateMode(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	boot, err := core.NewClient(ctx, option.WithMerchantCredential(mchID, mchSerial, merchantKey()), option.WithoutValidator(), b.weChatHTTP())
	require.NoError(t, err)
	certificates, err := downloader.NewCertificateDownloaderWithClient(ctx, boot, apiV3Key)
	require.NoError(t, err)
	_, known := certificates.Get(ctx, b.weChatKeys["platform_serial"])
	require.True(t, known)
	client, err := core.NewClient(ctx, option.WithMerchantCredential(mchID, mchSerial, merchantKey()),
		option.WithVerifier(verifiers.NewSHA256WithRSAVerifier(certificates)), b.weChatHTTP())
	require.NoError(t, err)
	require.NotEmpty(t, prepay(t, client, "ORDER001", "http://127.0.0.1:1/notify"))
}

func TestWeChatRefunds(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	client := b.weChat()
	prepay(t, client, "ORDER001", "https://merchant.example/notify")
	_, err := weChatRefund(client, "ORDER001", "REFUND1", "", 1_00, 199_00)
	requireCode(t, err, 400, "INVALID_REQUEST")
	b.pay("wechatpay", "ORDER001")
	_, err = weChatRefund(client, "ORDER009", "REFUND1", "", 1_00, 199_00)
	requireCode(t, err, 404, "RESOURCE_NOT_EXISTS")
	_, err = weChatRefund(client, "ORDER001", "REFUND1", "", 1_00, 198_00)
	requireCode(t, err, 400, "INVALID_REQUEST")
	first, err := weChatRefund(client, "ORDER001", "REFUND1", "", 50_00, 199_00)
	require.NoError(t, err)
	require.Equal(t, refunddomestic.STATUS_PROCESSING, *first.Status)
	again, err := weChatRefund(client, "ORDER001", "REFUND1", "", 50_00, 199_00)
	require.NoError(t, err)
	require.Equal(t, first.RefundId, again.RefundId)
	_, err = weChatRefund(client, "ORDER001", "REFUND1", "", 50_01, 199_00)
	requireCode(t, err, 400, "INVALID_REQUEST")
	_, err = weChatRefund(client, "ORDER001", "REFUND2", "", 149_01, 199_00)
	requireCode(t, err, 400, "INVALID_REQUEST")

	b.wait(2 * time.Second)
	service := refunddomestic.RefundsApiService{Client: client}
	queried, _, err := service.QueryByOutRefundNo(ctx, refunddomestic.QueryByOutRefundNoRequest{OutRefundNo: core.String("REFUND1")})
	require.NoError(t, err)
	require.Equal(t, refunddomestic.STATUS_SUCCESS, *queried.Status)
	require.NotNil(t, queried.SuccessTime)
	_, _, err = service.QueryByOutRefundNo(ctx, refunddomestic.QueryByOutRefundNoRequest{OutRefundNo: core.String("REFUND9")})
	requireCode(t, err, 404, "RESOURCE_NOT_EXISTS")
	trade, _, err := (&native.NativeApiService{Client: client}).QueryOrderByOutTradeNo(ctx,
		native.QueryOrderByOutTradeNoRequest{OutTradeNo: core.String("ORDER001"), Mchid: core.String(mchID)})
	require.NoError(t, err)
	require.Equal(t, "REFUND", *trade.TradeState)
	require.Equal(t, []movement{{"refund_fee", 30, opening + 197_81 + 30}, {"refund", -50_00, opening + 148_11}}, b.movements("REFUND1"))

	b.control("POST", "/control/refunds", map[string]any{"provider": "wechatpay", "number": "REFUND1", "status": "ABNORMAL"}, nil)
	queried, _, err = service.QueryByOutRefundNo(ctx, refunddomestic.QueryByOutRefundNoRequest{OutRefundNo: core.String("REFUND1")})
	require.NoError(t, err)
	require.Equal(t, refunddomestic.STATUS_ABNORMAL, *queried.Status)
	status, _ := b.controlRaw("POST", "/control/refunds", map[string]any{"provider": "wechatpay", "number": "REFUND1", "status": "CLOSED"})
	require.Equal(t, http.StatusConflict, status)
}

func TestWeChatAllowsFiftyRefundsAndThenNoMore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client := b.weChat()
	prepay(t, client, "ORDER001", "https://merchant.example/notify")
	b.pay("wechatpay", "ORDER001")
	for i := range 50 {
		_, err := weChatRefund(client, "ORDER001", fmt.Sprintf("REFUND%d", i), "", 1, 199_00)
		require.NoError(t, err)
	}
	_, err := weChatRefund(client, "ORDER001", "REFUND50", "", 1, 199_00)
	requireCode(t, err, 400, "INVALID_REQUEST")
}

func TestWeChatRefundNeedsTheMerchantsBalance(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.control("POST", "/control/wechatpay/merchants", map[string]any{"mchid": "1900000110", "appid": weChatApp, "merchant_serial": mchSerial,
		"merchant_public_key": keys.PublicPEM(merchantKey()), "api_v3_key": apiV3Key, "fee_basis_points": 60, "refund_fee_returned": false}, nil)
	status, _, _ := b.callWeChat(weChatCall{mchid: "1900000110", method: "POST", path: "/v3/pay/transactions/native", body: nativeBody("1900000110", "ORDER001", "")})
	require.Equal(t, http.StatusOK, status)
	b.pay("wechatpay", "ORDER001")
	refund := weChatCall{mchid: "1900000110", method: "POST", path: "/v3/refund/domestic/refunds",
		body: `{"out_trade_no":"ORDER001","out_refund_no":"R1","amount":{"refund":100,"total":100,"currency":"CNY"}}`}
	status, text, _ := b.callWeChat(refund)
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, text, "NOT_ENOUGH")
	b.control("POST", "/control/topups", map[string]any{"provider": "wechatpay", "merchant": "1900000110", "number": "U1", "amount": 1}, nil)
	status, _, _ = b.callWeChat(refund)
	require.Equal(t, http.StatusOK, status)
}

func nativeBody(mchid, number, extra string) string {
	return `{"appid":"` + weChatApp + `","mchid":"` + mchid + `","description":"x","out_trade_no":"` + number +
		`","notify_url":"https://merchant.example/n","amount":{"total":100}` + extra + `}`
}

// weChatCall is a hand-made request; empty fields take what is right.
type weChatCall struct {
	mchid, method, path, body string
	serial, scheme, wechatpay string
	nonce, signature          string
	header                    string
	age                       time.Duration
	spoilBody                 string
	noAccept                  bool
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func (b *bundle) callWeChat(c weChatCall) (int, string, http.Header) {
	b.t.Helper()
	method, path := or(c.method, "GET"), or(c.path, "/v3/pay/transactions/out-trade-no/ORDER001?mchid="+mchID)
	timestamp := time.Now().Add(time.Duration(b.shift.Load()) - c.age).Unix()
	nonce := or(c.nonce, fmt.Sprintf("%x", time.Now().UnixNano()))
	signature, err := keys.Sign(merchantKey(), fmt.Sprintf("%s\n%s\n%d\n%s\n%s\n", method, path, timestamp, nonce, c.body))
	require.NoError(b.t, err)
	request, err := http.NewRequest(method, b.url+"/wechatpay"+path, strings.NewReader(c.body+c.spoilBody))
	require.NoError(b.t, err)
	request.Header.Set("Content-Type", "application/json")
	if !c.noAccept {
		request.Header.Set("Accept", "*/*")
	}
	request.Header.Set("Wechatpay-Serial", or(c.wechatpay, b.weChatKeys["public_key_id"]))
	request.Header.Set("Authorization", or(c.header, fmt.Sprintf(`%s mchid="%s",nonce_str="%s",timestamp="%d",serial_no="%s",signature="%s"`,
		or(c.scheme, "WECHATPAY2-SHA256-RSA2048"), or(c.mchid, mchID), nonce, timestamp, or(c.serial, mchSerial), or(c.signature, signature))))
	response, err := http.DefaultClient.Do(request)
	require.NoError(b.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	return response.StatusCode, string(text), response.Header
}

func TestWeChatVerifiesRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		call   weChatCall
		status int
		code   string
	}{
		"good":                {weChatCall{}, 404, "ORDER_NOT_EXIST"},
		"299 s old":           {weChatCall{age: 298 * time.Second}, 404, "ORDER_NOT_EXIST"},
		"301 s old":           {weChatCall{age: 301 * time.Second}, 401, "SIGN_ERROR"},
		"301 s ahead":         {weChatCall{age: -302 * time.Second}, 401, "SIGN_ERROR"},
		"unknown mchid":       {weChatCall{mchid: "1"}, 401, "SIGN_ERROR"},
		"other serial":        {weChatCall{serial: "AB"}, 401, "SIGN_ERROR"},
		"other scheme":        {weChatCall{scheme: "WECHATPAY2-SM2-WITH-SM3"}, 401, "SIGN_ERROR"},
		"no base64":           {weChatCall{signature: "!"}, 401, "SIGN_ERROR"},
		"other signature":     {weChatCall{signature: "AAAA"}, 401, "SIGN_ERROR"},
		"other body":          {weChatCall{method: "POST", path: "/v3/pay/transactions/native", body: "{}", spoilBody: " "}, 401, "SIGN_ERROR"},
		"half header":         {weChatCall{header: `WECHATPAY2-SHA256-RSA2048 mchid="1900000109"`}, 401, "SIGN_ERROR"},
		"doubled field":       {weChatCall{header: `WECHATPAY2-SHA256-RSA2048 mchid="1",mchid="2"`}, 401, "SIGN_ERROR"},
		"no accept":           {weChatCall{noAccept: true}, 400, "PARAM_ERROR"},
		"unknown key named":   {weChatCall{wechatpay: "PUB_KEY_ID_1"}, 400, "PARAM_ERROR"},
		"unknown path":        {weChatCall{path: "/v3/bogus"}, 404, "NOT_FOUND"},
		"other method":        {weChatCall{method: "PUT"}, 404, "NOT_FOUND"},
		"mchid missing":       {weChatCall{path: "/v3/pay/transactions/out-trade-no/ORDER001"}, 400, "PARAM_ERROR"},
		"body is no JSON":     {weChatCall{method: "POST", path: "/v3/pay/transactions/native", body: "{"}, 400, "PARAM_ERROR"},
		"bill of a sub":       {weChatCall{path: "/v3/bill/tradebill?bill_date=2026-03-01&sub_mchid=1"}, 403, "NO_AUTH"},
		"refund of a sub":     {weChatCall{method: "POST", path: "/v3/refund/domestic/refunds", body: `{"sub_mchid":"1"}`}, 403, "NO_AUTH"},
		"wrong type of field": {weChatCall{method: "POST", path: "/v3/pay/transactions/native", body: `{"amount":{"total":"1"}}`}, 400, "PARAM_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, text, header := b.callWeChat(c.call)
			require.Equal(t, c.status, status, text)
			require.Contains(t, text, `"code":"`+c.code+`"`)
			require.NotEmpty(t, header.Get("Wechatpay-Signature"))
		})
	}
	replay := weChatCall{nonce: "593BEC0C930BF1AFEB40B4A08C8FB242"}
	status, _, _ := b.callWeChat(replay)
	require.Equal(t, http.StatusNotFound, status)
	status, text, _ := b.callWeChat(replay)
	require.Equal(t, http.StatusUnauthorized, status, text)
}

func TestWeChatPrepayChecksFields(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := func(field, value string) string {
		fields := map[string]string{"appid": `"` + weChatApp + `"`, "mchid": `"` + mchID + `"`, "description": `"x"`,
			"out_trade_no": `"ORDER001"`, "notify_url": `"https://merchant.example/n"`, "amount": `{"total":100}`}
		fields[field] = value
		var parts []string
		for name, v := range fields {
			parts = append(parts, `"`+name+`":`+v)
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	for _, c := range []struct{ field, value, code string }{
		{"mchid", `"1900000110"`, "NO_AUTH"},
		{"mchid", `""`, "PARAM_ERROR"},
		{"appid", `"wx0000000000000000"`, "APPID_MCHID_NOT_MATCH"},
		{"out_trade_no", `"SHORT"`, "PARAM_ERROR"},
		{"out_trade_no", `"` + strings.Repeat("A", 33) + `"`, "PARAM_ERROR"},
		{"out_trade_no", `"ORDER 01"`, "PARAM_ERROR"},
		{"description", `""`, "PARAM_ERROR"},
		{"description", `"` + strings.Repeat("茶", 128) + `"`, "PARAM_ERROR"},
		{"notify_url", `"http://merchant.example/n"`, "PARAM_ERROR"},
		{"notify_url", `"https://merchant.example/n?a=1"`, "PARAM_ERROR"},
		{"notify_url", `""`, "PARAM_ERROR"},
		{"amount", `{"total":0}`, "PARAM_ERROR"},
		{"amount", `{"total":1.5}`, "PARAM_ERROR"},
		{"amount", `{}`, "PARAM_ERROR"},
		{"amount", `{"total":1,"currency":"USD"}`, "PARAM_ERROR"},
		{"time_expire", `"2020-01-01T00:00:00+08:00"`, "PARAM_ERROR"},
		{"time_expire", `"tomorrow"`, "PARAM_ERROR"},
	} {
		_, text, _ := b.callWeChat(weChatCall{method: "POST", path: "/v3/pay/transactions/native", body: body(c.field, c.value)})
		require.Contains(t, text, `"code":"`+c.code+`"`, "%+v", c)
	}
	status, text, _ := b.callWeChat(weChatCall{method: "POST", path: "/v3/pay/transactions/native", body: body("notify_url", `"http://127.0.0.1:8080/n"`)})
	require.Equal(t, http.StatusOK, status, text)
}

func TestWeChatExpiryFollowsTheBusinessClock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	prepay(t, b.weChat(), "ORDER001", "https://merchant.example/n")
	b.control("POST", "/control/clock", map[string]any{"advance_seconds": 7201}, nil)
	_, text, _ := b.callWeChat(weChatCall{})
	require.Contains(t, text, `"trade_state":"CLOSED"`)
	status, _ := b.controlRaw("POST", "/control/pay", map[string]any{"provider": "wechatpay", "number": "ORDER001"})
	require.Equal(t, http.StatusConflict, status)
}

func TestFaultsAtWeChat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client := b.weChat()
	prepay(t, client, "ORDER001", "https://merchant.example/n")
	b.pay("wechatpay", "ORDER001")
	const operation = "POST /v3/refund/domestic/refunds"
	for i, c := range []struct {
		kind, answer string
		done         bool
		check        func(error)
	}{
		{"lose_reply", "", true, func(err error) { require.ErrorContains(t, err, "reset") }},
		{"error_after_success", "", true, func(err error) { requireCode(t, err, 500, "SYSTEM_ERROR") }},
		{"error_after_success", "http_502", true, func(err error) { requireCode(t, err, 502, "") }},
		{"error_before", "", false, func(err error) { requireCode(t, err, 500, "SYSTEM_ERROR") }},
		{"bad_signature", "", true, func(err error) { require.Error(t, err) }},
		{"garbage", "", true, func(err error) { require.Error(t, err) }},
	} {
		number := fmt.Sprintf("REFUND%d", i)
		b.fault(map[string]any{"provider": "wechatpay", "operation": operation, "kind": c.kind, "answer": c.answer, "number": number})
		_, err := weChatRefund(client, "ORDER001", number, "", 1_00, 199_00)
		c.check(errors.Join(err))
		require.Equal(t, c.done, len(b.movements(number)) > 0, c.kind)
		_, err = weChatRefund(client, "ORDER001", number, "", 1_00, 199_00)
		require.NoError(t, err, "the fault is used up and the resent call is the same refund")
		refunds := 0
		for _, m := range b.movements(number) {
			if m.Kind == "refund" {
				refunds++
			}
		}
		require.Equal(t, 1, refunds, c.kind)
	}
	b.fault(map[string]any{"provider": "wechatpay", "operation": "GET /v3/pay/transactions/out-trade-no/{out_trade_no}", "kind": "lose_reply"})
	_, _, err := (&native.NativeApiService{Client: client}).QueryOrderByOutTradeNo(context.Background(),
		native.QueryOrderByOutTradeNoRequest{OutTradeNo: core.String("ORDER001"), Mchid: core.String(mchID)})
	if err != nil { // the HTTP client may resend a lost GET by itself, and then succeeds
		require.NotContains(t, err.Error(), "SIGN_ERROR")
	}
}
