package sandbox_test

import (
	"encoding/json"
	"flag"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/sandbox/keys"
	"github.com/suanpan/suanpan/sandbox/wechatpay"
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

// documented are the names of the fields of an answer in a transcript that the
// adapters are held to, with its source; the newest of several exchanges that has any.
func documented(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../channels", file))
	require.NoError(t, err)
	var script struct {
		Source, Answer string
		Then           []struct {
			Request struct{ URI string }
			Answer  string
		}
	}
	require.NoError(t, json.Unmarshal(text, &script))
	require.NotEmpty(t, script.Source)
	for _, next := range script.Then {
		if strings.HasSuffix(next.Request.URI, "/reverse") {
			return fieldsOf(t, next.Answer)
		}
	}
	return fieldsOf(t, script.Answer)
}

func fieldsOf(t *testing.T, answer string) []string {
	t.Helper()
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(answer), &fields), answer)
	return slices.Sorted(maps.Keys(fields))
}

// TestAnswersHaveTheDocumentedFields holds the sandbox to the same transcripts as
// the adapters, where the providers' SDKs have no types for an answer.
func TestAnswersHaveTheDocumentedFields(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock(billDay + "T12:00:00+08:00")
	b.control("POST", "/control/wechatpay/merchants", map[string]any{"mchid": mchID, "appid": weChatApp, "app_secret": "s3cret",
		"merchant_serial": mchSerial, "merchant_public_key": keys.PublicPEM(merchantKey()), "api_v3_key": apiV3Key}, nil)
	status, _ := b.scanCode("ORDER001", "134567890123456789")
	require.Equal(t, 200, status)
	status, text := b.reverse("ORDER001")
	require.Equal(t, 200, status)
	require.Equal(t, documented(t, "wechatpay/testdata/wire/reverse_ok.json"), fieldsOf(t, text))

	prepay(t, b.weChat(), "ORDER002", "https://merchant.example/n")
	b.pay("wechatpay", "ORDER002")
	b.clock("2026-03-02T12:00:00+08:00")
	for path, file := range map[string]string{
		"/v3/bill/tradebill?bill_type=ALL&bill_date=" + billDay:         "bill_trade_ok.json",
		"/v3/bill/fundflowbill?account_type=BASIC&bill_date=" + billDay: "bill_fund_ok.json",
	} {
		status, text, _ := b.callWeChat(weChatCall{path: path})
		require.Equal(t, 200, status, text)
		require.Equal(t, documented(t, "wechatpay/testdata/wire/"+file), fieldsOf(t, text))
	}

	asked := url.Values{"appid": {weChatApp}, "redirect_uri": {"https://cashier.example/back"}, "response_type": {"code"},
		"scope": {"snsapi_base"}, "state": {"s1"}}
	_, to, _ := browse(t, b.url+wechatpay.AuthorizePath+"?"+asked.Encode())
	back, err := url.Parse(to)
	require.NoError(t, err)
	for code, file := range map[string]string{back.Query().Get("code"): "payer_found.json", "x": "payer_bad_code.json"} {
		_, _, text := browse(t, b.url+wechatpay.TokenPath+"?"+url.Values{"appid": {weChatApp}, "secret": {"s3cret"}, "code": {code},
			"grant_type": {"authorization_code"}}.Encode())
		require.Equal(t, documented(t, "wechatpay/testdata/wire/"+file), fieldsOf(t, text))
	}

	answer := b.callAlipay(map[string]string{"method": "alipay.data.dataservice.bill.downloadurl.query",
		"biz_content": `{"bill_type":"trade","bill_date":"2026-02-28"}`}, nil)
	var node map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(answer), &node))
	require.Equal(t, documented(t, "alipay/testdata/wire/bill_ok.json"),
		fieldsOf(t, string(node["alipay_data_dataservice_bill_downloadurl_query_response"])))
}
