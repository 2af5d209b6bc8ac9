package sandbox_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// neutral replaces what differs from run to run.
func (b *bundle) neutral(text string) string {
	for pattern, name := range map[string]string{
		`"sign":"[^"]+"`:                        `"sign":"<sign>"`,
		`pay\\?/[0-9a-z]{26}`:                   `pay/<token>`,
		`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`:        `<time>`,
		`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00`: `<time>`,
		`token=[0-9a-f]{48}`:                    `token=<token>`,
		`prepay_id(=|":")wx[0-9a-z]{26}`:        `prepay_id${1}<prepay_id>`,
		`"hash_value":"[0-9a-f]{40}"`:           `"hash_value":"<hash>"`,
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, name)
	}
	text = strings.ReplaceAll(text, strings.ReplaceAll(b.url, "/", `\/`), "<sandbox>")
	return strings.ReplaceAll(text, b.url, "<sandbox>")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "-update rewrites %s", path)
}

func TestAlipayWire(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock(billDay + "T12:00:00+08:00")
	var transcript strings.Builder
	for _, step := range []struct{ method, biz, act string }{
		{"alipay.trade.precreate", `{"out_trade_no":"T1","total_amount":"199.00","subject":"茶 <tea> a/b"}`, ""},
		{"alipay.trade.query", `{"out_trade_no":"T1"}`, "scan"},
		{"alipay.trade.query", `{"out_trade_no":"T1"}`, "pay"},
		{"alipay.trade.query", `{"out_trade_no":"T1"}`, ""},
		{"alipay.trade.close", `{"out_trade_no":"T1"}`, ""},
		{"alipay.trade.refund", `{"out_trade_no":"T1","out_request_no":"R1","refund_amount":"50.00"}`, ""},
		{"alipay.trade.refund", `{"out_trade_no":"T1","out_request_no":"R1","refund_amount":"50.00"}`, ""},
		{"alipay.trade.fastpay.refund.query", `{"out_trade_no":"T1","out_request_no":"R1"}`, ""},
		{"alipay.trade.fastpay.refund.query", `{"out_trade_no":"T1","out_request_no":"R2"}`, ""},
		{"alipay.fund.trans.uni.transfer", `{"out_biz_no":"W1","trans_amount":"10.00",` +
			`"product_code":"TRANS_ACCOUNT_NO_PWD","biz_scene":"DIRECT_TRANSFER","order_title":"x",` +
			`"payee_info":{"identity":"2088123456789012","identity_type":"ALIPAY_USER_ID"}}`, ""},
		{"alipay.fund.trans.common.query", `{"out_biz_no":"W1","product_code":"TRANS_ACCOUNT_NO_PWD","biz_scene":"DIRECT_TRANSFER"}`, ""},
		{"alipay.data.dataservice.bill.downloadurl.query", `{"bill_type":"trade","bill_date":"2026-02-28"}`, ""},
	} {
		answer := b.callAlipay(map[string]string{"method": step.method, "biz_content": step.biz}, nil)
		transcript.WriteString("> " + step.method + " " + step.biz + "\n< " + b.neutral(answer) + "\n")
		if step.act != "" {
			transcript.WriteString("= the payer: " + step.act + "\n")
			b.control("POST", "/control/"+step.act, map[string]any{"provider": "alipay", "number": "T1"}, nil)
		}
	}
	golden(t, "alipay_wire.txt", transcript.String())
}

func TestWeChatWire(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock(billDay + "T12:00:00+08:00")
	var transcript strings.Builder
	query := "/v3/pay/transactions/out-trade-no/ORDER001?mchid=" + mchID
	refund := `{"out_trade_no":"ORDER001","out_refund_no":"R1","amount":{"refund":40,"total":100,"currency":"CNY"}}`
	for _, step := range []struct{ method, path, body, act string }{
		{"POST", "/v3/pay/transactions/native", nativeBody(mchID, "ORDER001", `,"attach":"a"`), ""},
		{"GET", query, "", "pay"},
		{"GET", query, "", ""},
		{"POST", "/v3/pay/transactions/out-trade-no/ORDER001/close", `{"mchid":"` + mchID + `"}`, ""},
		{"POST", "/v3/refund/domestic/refunds", refund, ""},
		{"GET", "/v3/refund/domestic/refunds/R1", "", ""},
		{"GET", query, "", ""},
		{"GET", "/v3/bill/tradebill?bill_type=ALL&bill_date=" + billDay, "", ""},
		{"POST", "/v3/pay/transactions/native", nativeBody(mchID, "ORDER001", `,"time_expire":"x"`), ""},
	} {
		status, answer, _ := b.callWeChat(weChatCall{method: step.method, path: step.path, body: step.body})
		transcript.WriteString(strings.TrimSpace("> "+step.method+" "+step.path+" "+step.body) + "\n< " +
			b.neutral(strings.TrimSpace(strconv.Itoa(status)+" "+answer)) + "\n")
		if step.act != "" {
			transcript.WriteString("= the payer: " + step.act + "\n")
			b.control("POST", "/control/"+step.act, map[string]any{"provider": "wechatpay", "number": "ORDER001"}, nil)
		}
	}
	golden(t, "wechatpay_wire.txt", transcript.String())
}

// TestWeChatProductsWire pins the shapes of the products beside the QR code.
func TestWeChatProductsWire(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock(billDay + "T12:00:00+08:00")
	const sub = "1900000209"
	b.control("POST", "/control/wechatpay/sub-merchants", map[string]any{"sp_mchid": mchID, "sub_mchid": sub}, nil)
	b.control("POST", "/control/codes", map[string]any{"provider": "wechatpay", "code": "134567890123456780", "outcome": "confirm"}, nil)
	b.control("POST", "/control/codes", map[string]any{"provider": "wechatpay", "code": "134567890123456781", "outcome": "NOT_ENOUGH"}, nil)
	own, reverse := "/v3/pay/transactions/", `{"appid":"`+weChatApp+`","mchid":"`+mchID+`"}`
	partner := `{"sp_appid":"` + weChatApp + `","sp_mchid":"` + mchID + `","sub_mchid":"` + sub + `","description":"x","out_trade_no":"ORDER006",` +
		`"notify_url":"https://merchant.example/n","amount":{"total":100}}`
	var transcript strings.Builder
	for _, step := range []struct{ method, path, body, pays string }{
		{"POST", own + "jsapi", nativeBody(mchID, "ORDER001", `,"payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}`), ""},
		{"POST", own + "app", nativeBody(mchID, "ORDER002", ""), ""},
		{"POST", own + "h5", nativeBody(mchID, "ORDER003", `,"scene_info":{"payer_client_ip":"203.0.113.7","h5_info":{"type":"Wap"}}`), ""},
		{"POST", own + "codepay", codeBody("ORDER004", "134567890123456789", ""), ""},
		{"POST", own + "out-trade-no/ORDER004/reverse", reverse, ""},
		{"GET", own + "out-trade-no/ORDER004?mchid=" + mchID, "", ""},
		{"POST", own + "codepay", codeBody("ORDER005", "134567890123456780", ""), ""},
		{"GET", own + "out-trade-no/ORDER005?mchid=" + mchID, "", ""},
		{"POST", own + "codepay", codeBody("ORDER007", "134567890123456781", ""), ""},
		{"GET", own + "out-trade-no/ORDER007?mchid=" + mchID, "", ""},
		{"POST", "/v3/pay/partner/transactions/native", partner, "ORDER006"},
		{"GET", "/v3/pay/partner/transactions/out-trade-no/ORDER006?sp_mchid=" + mchID + "&sub_mchid=" + sub, "", ""},
	} {
		status, answer, _ := b.callWeChat(weChatCall{method: step.method, path: step.path, body: step.body})
		transcript.WriteString(strings.TrimSpace("> "+step.method+" "+step.path+" "+step.body) + "\n< " +
			b.neutral(strings.TrimSpace(strconv.Itoa(status)+" "+answer)) + "\n")
		if step.pays != "" {
			transcript.WriteString("= the payer: pay\n")
			b.pay("wechatpay", step.pays)
		}
	}
	golden(t, "wechatpay_products_wire.txt", transcript.String())
}
