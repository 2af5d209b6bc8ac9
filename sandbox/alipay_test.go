package sandbox_test

import (
	"context"
	"fmt"
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

// precreate announces an order of 199.00 yuan with the real client.
func precreate(t *testing.T, client *alipay.Client, number, notifyURL string) string {
	t.Helper()
	rsp, err := client.TradePreCreate(context.Background(), alipay.TradePreCreate{Trade: alipay.Trade{
		OutTradeNo: number, TotalAmount: "199.00", Subject: "茶 & tea <a/b>", NotifyURL: notifyURL,
	}})
	require.NoError(t, err)
	require.True(t, rsp.IsSuccess(), "%s %s", rsp.SubCode, rsp.SubMsg)
	return rsp.QRCode
}

func refundOf(number, request, amount string) alipay.TradeRefund {
	return alipay.TradeRefund{OutTradeNo: number, OutRequestNo: request, RefundAmount: amount}
}

func TestAlipayTradeLivesAsAtTheProvider(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	client := b.alipay()
	code := precreate(t, client, "T1", "")
	require.True(t, strings.HasPrefix(code, b.url+"/pay/"), code)
	require.Equal(t, code, precreate(t, client, "T1", ""), "the same request returns the same code")

	unscanned, err := client.TradeQuery(ctx, alipay.TradeQuery{OutTradeNo: "T1"})
	require.NoError(t, err)
	require.Equal(t, "ACQ.TRADE_NOT_EXIST", unscanned.SubCode)
	closed, err := client.TradeClose(ctx, alipay.TradeClose{OutTradeNo: "T1"})
	require.NoError(t, err)
	require.Equal(t, "ACQ.TRADE_NOT_EXIST", closed.SubCode)

	page, err := http.Get(code)
	require.NoError(t, err)
	html, err := io.ReadAll(page.Body)
	require.NoError(t, err)
	require.NoError(t, page.Body.Close())
	require.Contains(t, string(html), "¥199.00")
	require.Contains(t, string(html), "茶 &amp; tea &lt;a/b&gt;")
	waiting, err := client.TradeQuery(ctx, alipay.TradeQuery{OutTradeNo: "T1"})
	require.NoError(t, err)
	require.Equal(t, alipay.TradeStatus("WAIT_BUYER_PAY"), waiting.TradeStatus)

	paidPage, err := http.PostForm(code, url.Values{"action": {"pay"}})
	require.NoError(t, err)
	require.NoError(t, paidPage.Body.Close())
	paid, err := client.TradeQuery(ctx, alipay.TradeQuery{TradeNo: waiting.TradeNo})
	require.NoError(t, err)
	require.Equal(t, alipay.TradeStatusSuccess, paid.TradeStatus)
	require.Equal(t, "199.00", paid.TotalAmount)
	require.Equal(t, "199.00", paid.FundBillList[0].Amount)
	require.Len(t, paid.TradeNo, 28)

	again, err := client.TradePreCreate(ctx, alipay.TradePreCreate{Trade: alipay.Trade{OutTradeNo: "T1", TotalAmount: "199.00", Subject: "x"}})
	require.NoError(t, err)
	require.Equal(t, "ACQ.TRADE_HAS_SUCCESS", again.SubCode)
	closed, err = client.TradeClose(ctx, alipay.TradeClose{OutTradeNo: "T1"})
	require.NoError(t, err)
	require.Equal(t, "ACQ.TRADE_STATUS_ERROR", closed.SubCode)
	require.Equal(t, []movement{{"payment", 199_00, opening + 199_00}, {"payment_fee", -1_19, opening + 197_81}}, b.movements("T1"))
}

func TestAlipayRefunds(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	client := b.alipay()
	precreate(t, client, "T1", "")
	b.pay("alipay", "T1")
	for _, step := range []struct{ request, amount, change, cumulative, subCode string }{
		{"R1", "50.00", "Y", "50.00", ""},
		{"R1", "50.00", "N", "50.00", ""},
		{"R1", "50.01", "", "", "ACQ.DISCORDANT_REPEAT_REQUEST"},
		{"R2", "149.01", "", "", "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"},
		{"R2", "0", "", "", "ACQ.INVALID_PARAMETER"},
		{"R2", "149.00", "Y", "199.00", ""},
		{"R1", "50.00", "N", "199.00", ""},
		{"R3", "0.01", "", "", "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"},
	} {
		rsp, err := client.TradeRefund(ctx, refundOf("T1", step.request, step.amount))
		require.NoError(t, err)
		require.Equal(t, step.subCode, rsp.SubCode, "%+v", step)
		require.Equal(t, step.change, rsp.FundChange, "%+v", step)
		require.Equal(t, step.cumulative, rsp.RefundFee, "%+v", step)
	}
	queried, err := client.TradeFastPayRefundQuery(ctx, alipay.TradeFastPayRefundQuery{OutTradeNo: "T1", OutRequestNo: "R2"})
	require.NoError(t, err)
	require.Equal(t, "REFUND_SUCCESS", queried.RefundStatus)
	require.Equal(t, "149.00", queried.RefundAmount)
	absent, err := client.TradeFastPayRefundQuery(ctx, alipay.TradeFastPayRefundQuery{OutTradeNo: "T1", OutRequestNo: "R9"})
	require.NoError(t, err)
	require.True(t, absent.IsSuccess())
	require.Empty(t, absent.RefundStatus)
	trade, err := client.TradeQuery(ctx, alipay.TradeQuery{OutTradeNo: "T1"})
	require.NoError(t, err)
	require.Equal(t, alipay.TradeStatusClosed, trade.TradeStatus)
	require.Equal(t, []movement{{"refund", -50_00, opening + 147_81}}, b.movements("R1"))
}

func TestAlipayRefundNeedsTheSellersBalance(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	client := b.alipay()
	b.control("POST", "/control/alipay/apps", map[string]any{"app_id": "2021000000000002", "seller_id": "2088000000000002",
		"app_public_key": keys.PublicPEM(merchantKey()), "fee_basis_points": 10000, "refund_fee_returned": true}, nil)
	params := map[string]string{"app_id": "2021000000000002", "method": "alipay.trade.precreate",
		"biz_content": `{"out_trade_no":"T1","total_amount":"1.00","subject":"x"}`}
	require.Contains(t, b.callAlipay(params, nil), `"code":"10000"`)
	b.pay("alipay", "T1")
	params["method"], params["biz_content"] = "alipay.trade.refund", `{"out_trade_no":"T1","refund_amount":"1.00"}`
	require.Contains(t, b.callAlipay(params, nil), `"fund_change":"Y"`, "the returned fee covers the refund")

	b.control("POST", "/control/alipay/apps", map[string]any{"app_id": "2021000000000002", "seller_id": "2088000000000002",
		"app_public_key": keys.PublicPEM(merchantKey()), "fee_basis_points": 60}, nil)
	params["method"], params["biz_content"] = "alipay.trade.precreate", `{"out_trade_no":"T2","total_amount":"1.00","subject":"x"}`
	require.Contains(t, b.callAlipay(params, nil), `"code":"10000"`)
	b.pay("alipay", "T2")
	params["method"], params["biz_content"] = "alipay.trade.refund", `{"out_trade_no":"T2","refund_amount":"1.00"}`
	require.Contains(t, b.callAlipay(params, nil), "ACQ.SELLER_BALANCE_NOT_ENOUGH")
	b.control("POST", "/control/topups", map[string]any{"provider": "alipay", "merchant": "2021000000000002", "number": "U1", "amount": 100}, nil)
	require.Contains(t, b.callAlipay(params, nil), `"fund_change":"Y"`)
	_, err := client.TradeQuery(ctx, alipay.TradeQuery{OutTradeNo: "T2"})
	require.NoError(t, err)
}

func TestAlipayTransfers(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	client := b.alipay()
	b.control("POST", "/control/alipay/payees", map[string]any{"identity": "13800000000", "name": "张三"}, nil)
	b.control("POST", "/control/alipay/payees", map[string]any{"identity": "13800000009", "problem": "PERM_AML_NOT_REALNAME_REV"}, nil)
	send := func(number, amount, payee, name string) *alipay.FundTransUniTransferRsp {
		rsp, err := client.FundTransUniTransfer(ctx, alipay.FundTransUniTransfer{OutBizNo: number, TransAmount: amount,
			ProductCode: "TRANS_ACCOUNT_NO_PWD", BizScene: "DIRECT_TRANSFER", OrderTitle: "提现",
			PayeeInfo: &alipay.PayeeInfo{Identity: payee, IdentityType: "ALIPAY_LOGON_ID", Name: name}})
		require.NoError(t, err)
		return rsp
	}
	query := func(number string) *alipay.FundTransCommonQueryRsp {
		rsp, err := client.FundTransCommonQuery(ctx, alipay.FundTransCommonQuery{OutBizNo: number,
			ProductCode: "TRANS_ACCOUNT_NO_PWD", BizScene: "DIRECT_TRANSFER"})
		require.NoError(t, err)
		return rsp
	}
	require.Equal(t, "ORDER_NOT_EXIST", query("W1").SubCode)
	done := send("W1", "100.00", "13800000000", "张三")
	require.Equal(t, "SUCCESS", done.Status)
	require.Equal(t, done.OrderId, send("W1", "100.00", "13800000000", "张三").OrderId)
	require.Equal(t, "SUCCESS", query("W1").Status)
	require.Equal(t, "100.00", query("W1").TransAmount)
	for _, refused := range []struct{ number, amount, payee, name, subCode string }{
		{"W1", "100.01", "13800000000", "张三", "PAYMENT_INFO_INCONSISTENCY"},
		{"W2", "100.00", "13800000000", "李四", "PAYEE_USER_INFO_ERROR"},
		{"W2", "100.00", "nobody@example.com", "某", "PAYEE_NOT_EXIST"},
		{"W2", "100.00", "not an account", "某", "PAYEE_NOT_EXIST"},
		{"W2", "100.00", "13800000009", "某", "PERM_AML_NOT_REALNAME_REV"},
		{"W2", "0.09", "13800000000", "张三", "EXCEED_LIMIT_SM_MIN_AMOUNT"},
		{"W2", "1.001", "13800000000", "张三", "INVALID_PARAMETER"},
		{"W2", "10.00", "13800000000", "", "INVALID_PARAMETER"},
		{"W2", "50000.00", "13800000000", "张三", "MEMO_REQUIRED_IN_TRANSFER_ERROR"},
	} {
		require.Equal(t, refused.subCode, send(refused.number, refused.amount, refused.payee, refused.name).SubCode, "%+v", refused)
	}
	require.Equal(t, "ORDER_NOT_EXIST", query("W2").SubCode, "a refused transfer leaves nothing")
	require.Equal(t, []movement{{"transfer", -100_00, opening - 100_00}}, b.movements("W1"))

	b.control("POST", "/control/transfers", map[string]any{"provider": "alipay", "number": "W1", "status": "REFUND"}, nil)
	b.control("POST", "/control/transfers", map[string]any{"provider": "alipay", "number": "W1", "status": "REFUND"}, nil)
	require.Equal(t, "REFUND", query("W1").Status)
	require.Equal(t, []movement{{"transfer", -100_00, opening - 100_00}, {"transfer_return", 100_00, opening}}, b.movements("W1"))

	require.Equal(t, "SUCCESS", send("W5", "7.00", "13800000000", "张三").Status)
	b.control("POST", "/control/transfers", map[string]any{"provider": "alipay", "number": "W5", "status": "REFUND", "after_seconds": 3 * 86400}, nil)
	b.control("POST", "/control/clock", map[string]any{"advance_seconds": 2 * 86400}, nil)
	b.wait(time.Second)
	require.Equal(t, "SUCCESS", query("W5").Status, "its day has not come")
	b.control("POST", "/control/clock", map[string]any{"advance_seconds": 86400}, nil)
	b.wait(time.Second)
	require.Equal(t, "REFUND", query("W5").Status)
	require.Equal(t, []movement{{"transfer", -7_00, opening - 7_00}, {"transfer_return", 7_00, opening}}, b.movements("W5"))

	big, err := client.FundTransUniTransfer(ctx, alipay.FundTransUniTransfer{OutBizNo: "W3", TransAmount: "99999999.00",
		ProductCode: "TRANS_ACCOUNT_NO_PWD", BizScene: "DIRECT_TRANSFER", OrderTitle: "提现", Remark: "r",
		PayeeInfo: &alipay.PayeeInfo{Identity: "2088123456789012", IdentityType: "ALIPAY_USER_ID"}})
	require.NoError(t, err)
	require.Equal(t, "PAYER_BALANCE_NOT_ENOUGH", big.SubCode)

	card, err := client.FundTransUniTransfer(ctx, alipay.FundTransUniTransfer{OutBizNo: "W4", TransAmount: "5.00",
		ProductCode: "TRANS_BANKCARD_NO_PWD", BizScene: "DIRECT_TRANSFER", OrderTitle: "提现",
		PayeeInfo: &alipay.PayeeInfo{Identity: "6216261000000000018", IdentityType: "BANKCARD_ACCOUNT", Name: "全渠道"}})
	require.NoError(t, err)
	require.Equal(t, "DEALING", card.Status)
	b.wait(2 * time.Second)
	settled, err := client.FundTransCommonQuery(ctx, alipay.FundTransCommonQuery{OrderId: card.OrderId})
	require.NoError(t, err)
	require.Equal(t, "SUCCESS", settled.Status)
}

// callAlipay sends a hand-made request: defaults, then params, signed, then
// spoiled. A spoiled value of "" removes the parameter.
func (b *bundle) callAlipay(params, spoil map[string]string) string {
	b.t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	require.NoError(b.t, err)
	all := map[string]string{"app_id": appID, "method": "alipay.trade.query", "format": "JSON", "charset": "utf-8",
		"sign_type": "RSA2", "version": "1.0", "biz_content": `{"out_trade_no":"T1"}`,
		"timestamp": time.Now().Add(time.Duration(b.shift.Load())).In(zone).Format("2006-01-02 15:04:05")}
	for name, value := range params {
		all[name] = value
	}
	form := url.Values{}
	pairs := make([]string, 0, len(all))
	for _, name := range []string{"app_auth_token", "app_cert_sn", "app_id", "biz_content", "charset", "encrypt_type", "format", "method", "notify_url", "sign_type", "timestamp", "version"} {
		if all[name] != "" {
			pairs = append(pairs, name+"="+all[name])
			form.Set(name, all[name])
		}
	}
	signature, err := keys.Sign(merchantKey(), strings.Join(pairs, "&"))
	require.NoError(b.t, err)
	form.Set("sign", signature)
	for name, value := range spoil {
		form.Del(name)
		if value != "" {
			form.Set(name, value)
		}
	}
	response, err := http.PostForm(b.url+"/alipay/gateway.do", form)
	require.NoError(b.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	return string(text)
}

func TestAlipayRefusesWhatTheGatewayRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		params, spoil map[string]string
		code, subCode string
		unsigned      bool
	}{
		"good":                 {code: "40004", subCode: "ACQ.TRADE_NOT_EXIST"},
		"no method":            {spoil: map[string]string{"method": ""}, code: "40001", subCode: "isv.missing-method", unsigned: true},
		"no app_id":            {spoil: map[string]string{"app_id": ""}, code: "40001", subCode: "isv.missing-app-id", unsigned: true},
		"unknown app_id":       {params: map[string]string{"app_id": "1"}, code: "40002", subCode: "isv.invalid-app-id", unsigned: true},
		"no sign":              {spoil: map[string]string{"sign": ""}, code: "40001", subCode: "isv.missing-signature"},
		"no sign_type":         {spoil: map[string]string{"sign_type": ""}, code: "40001", subCode: "isv.missing-signature-type"},
		"no timestamp":         {spoil: map[string]string{"timestamp": ""}, code: "40001", subCode: "isv.missing-timestamp"},
		"no version":           {spoil: map[string]string{"version": ""}, code: "40001", subCode: "isv.missing-version"},
		"sign of other text":   {spoil: map[string]string{"biz_content": `{"out_trade_no":"T2"}`}, code: "40002", subCode: "isv.invalid-signature"},
		"sign is not base64":   {spoil: map[string]string{"sign": "!"}, code: "40002", subCode: "isv.invalid-signature"},
		"added parameter":      {spoil: map[string]string{"notify_url": "http://evil.example"}, code: "40002", subCode: "isv.invalid-signature"},
		"RSA":                  {params: map[string]string{"sign_type": "RSA"}, code: "40002", subCode: "isv.invalid-signature-type"},
		"old timestamp":        {params: map[string]string{"timestamp": "2020-01-01 00:00:00"}, code: "40002", subCode: "isv.invalid-timestamp"},
		"timestamp is no time": {params: map[string]string{"timestamp": "now"}, code: "40002", subCode: "isv.invalid-timestamp"},
		"gbk":                  {params: map[string]string{"charset": "gbk"}, code: "40002", subCode: "isv.invalid-charset"},
		"xml":                  {params: map[string]string{"format": "XML"}, code: "40002", subCode: "isv.invalid-format"},
		"unknown method":       {params: map[string]string{"method": "alipay.trade.bogus"}, code: "40002", subCode: "isv.invalid-method"},
		"certificate mode":     {params: map[string]string{"app_cert_sn": "x"}, code: "40002", subCode: "isv.invalid-parameter"},
		"token":                {params: map[string]string{"app_auth_token": "x"}, code: "20001", subCode: "aop.invalid-app-auth-token"},
		"body is no JSON":      {params: map[string]string{"biz_content": "{"}, code: "40002", subCode: "isv.invalid-parameter"},
		"no biz_content":       {params: map[string]string{"biz_content": ""}, code: "40001", subCode: "isv.missing-biz-content"},
		"neither number":       {params: map[string]string{"biz_content": "{}"}, code: "40004", subCode: "ACQ.INVALID_PARAMETER"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := b.callAlipay(c.params, c.spoil)
			require.Contains(t, text, fmt.Sprintf(`"code":"%s"`, c.code))
			require.Contains(t, text, fmt.Sprintf(`"sub_code":"%s"`, c.subCode))
			require.Equal(t, !c.unsigned, strings.Contains(text, `"sign":`), text)
		})
	}
}

func TestAlipayPrecreateChecksFields(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for biz, subCode := range map[string]string{
		`{"out_trade_no":"T-1","total_amount":"1.00","subject":"x"}`:                                    "ACQ.INVALID_PARAMETER",
		`{"out_trade_no":"","total_amount":"1.00","subject":"x"}`:                                       "ACQ.INVALID_PARAMETER",
		`{"out_trade_no":"` + strings.Repeat("T", 65) + `","total_amount":"1.00","subject":"x"}`:        "ACQ.INVALID_PARAMETER",
		`{"out_trade_no":"T1","total_amount":"0.00","subject":"x"}`:                                     "ACQ.INVALID_PARAMETER",
		`{"out_trade_no":"T1","total_amount":"0.001","subject":"x"}`:                                    "ACQ.INVALID_PARAMETER",
		`{"out_trade_no":"T1","total_amount":"1e2","subject":"x"}`:                                      "ACQ.INVALID_PARAMETER",
		`{"out_trade_no":"T1","total_amount":"-1.00","subject":"x"}`:                                    "ACQ.INVALID_PARAMETER",
		`{"out_trade_no":"T1","total_amount":"100000000.01","subject":"x"}`:                             "ACQ.INVALID_PARAMETER",
		`{"out_trade_no":"T1","total_amount":"1.00","subject":" "}`:                                     "ACQ.INVALID_PARAMETER",
		`{"out_trade_no":"T1","total_amount":"1.00","subject":"x","time_expire":"2020-01-01 00:00:00"}`: "ACQ.INVALID_PARAMETER",
		`{"out_trade_no":"T1","total_amount":"1.00","subject":"x","timeout_express":"16d"}`:             "ACQ.INVALID_PARAMETER",
		`{"out_trade_no":"T1","total_amount":"1.00","subject":"x","timeout_express":"1.5h"}`:            "ACQ.INVALID_PARAMETER",
		`{"out_trade_no":"T1","total_amount":"1.00","subject":"x","product_code":"QUICK_WAP_WAY"}`:      "ACQ.INVALID_PARAMETER",
		`{"out_trade_no":"T1","total_amount":"1.00","subject":"x","seller_id":"2088999999999999"}`:      "ACQ.PARTNER_ERROR",
		`{"out_trade_no":"T1","total_amount":1,"subject":"x"}`:                                          "isv.invalid-parameter",
	} {
		text := b.callAlipay(map[string]string{"method": "alipay.trade.precreate", "biz_content": biz}, nil)
		require.Contains(t, text, `"sub_code":"`+subCode+`"`, biz)
	}
	good := map[string]string{"method": "alipay.trade.precreate", "biz_content": `{"out_trade_no":"T1","total_amount":"1.00","subject":"x"}`}
	require.Contains(t, b.callAlipay(good, nil), `"qr_code":"http:\/\/127.0.0.1`, "slashes are escaped and signed so")
	good["biz_content"] = `{"out_trade_no":"T1","total_amount":"1.01","subject":"x"}`
	require.Contains(t, b.callAlipay(good, nil), "ACQ.CONTEXT_INCONSISTENT")
}

func TestAlipayExpiryFollowsTheBusinessClock(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	client := b.alipay()
	precreate(t, client, "T1", "")
	b.control("POST", "/control/scan", map[string]any{"provider": "alipay", "number": "T1"}, nil)
	b.control("POST", "/control/clock", map[string]any{"advance_seconds": 16 * 24 * 3600}, nil)
	rsp, err := client.TradeQuery(ctx, alipay.TradeQuery{OutTradeNo: "T1"})
	require.NoError(t, err)
	require.Equal(t, alipay.TradeStatusClosed, rsp.TradeStatus)
	status, _ := b.controlRaw("POST", "/control/pay", map[string]any{"provider": "alipay", "number": "T1"})
	require.Equal(t, http.StatusConflict, status)
	b.control("POST", "/control/pay", map[string]any{"provider": "alipay", "number": "T1", "late": true}, nil)
	rsp, err = client.TradeQuery(ctx, alipay.TradeQuery{OutTradeNo: "T1"})
	require.NoError(t, err)
	require.Equal(t, alipay.TradeStatusSuccess, rsp.TradeStatus)
	b.control("POST", "/control/clock", map[string]any{"advance_seconds": 366 * 24 * 3600}, nil)
	refund, err := client.TradeRefund(ctx, refundOf("T1", "R1", "1.00"))
	require.NoError(t, err)
	require.Equal(t, "ACQ.TRADE_HAS_FINISHED", refund.SubCode)
}
