package alipay

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// Fixed content of every order in these tests.
const (
	testApp    = "9021000122689420"
	testSeller = "2088101117955611"
	testTrade  = "01J8ZQ4M6W3N5P7R9S1T2V4X6Y"
	testRefund = "01J8ZQ5A1B2C3D4E5F6G7H8J9K"
	testPayout = "01J8ZQ6Z9Y8X7W6V5T4S3R2Q1P"
	testNotify = "https://pay.example/notify/alipay/chn_1"
	testDay    = "2026-03-01"
	testCode   = "287654321098765432"
	testReturn = "https://shop.example/back?order=1"
	testBuyer  = "2088102177846880"
)

// Operations that share their outcomes with another and are made by a call of
// their own.
const (
	jsapi    operation = "jsapi"
	fundBill operation = "fund bill"
)

// testKeys are made once for the package: the app's, Alipay's and a stranger's.
var testKeys = sync.OnceValue(func() (keys struct{ app, alipay, stranger *rsa.PrivateKey }) {
	for _, k := range []**rsa.PrivateKey{&keys.app, &keys.alipay, &keys.stranger} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		*k = key
	}
	return keys
})

func sign(key *rsa.PrivateKey, text string) string {
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(signature)
}

// envelope is a whole answer: the node signed as it stands.
func envelope(method, node string, key *rsa.PrivateKey) string {
	name := strings.ReplaceAll(method, ".", "_") + "_response"
	return `{"` + name + `":` + node + `,"sign":"` + sign(key, node) + `"}`
}

// request is one call as the gateway saw it.
type request struct {
	Params url.Values
	Biz    map[string]any
	// Raw is biz_content as sent.
	Raw string
}

// gateway is a server that checks each request's signature and answers as the
// test says.
type gateway struct {
	*httptest.Server
	mu    sync.Mutex
	calls []request
}

func (g *gateway) requests() []request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]request{}, g.calls...)
}

// serve starts a gateway and an adapter that speaks to it.
func serve(t *testing.T, answer func(w http.ResponseWriter, r request)) (*gateway, *Adapter) {
	t.Helper()
	g := &gateway{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || verifyRequest(r.PostForm) != nil {
			http.Error(w, "the request's signature does not verify", http.StatusTeapot)
			return
		}
		call := request{Params: r.PostForm, Raw: r.PostForm.Get("biz_content")}
		_ = json.Unmarshal([]byte(call.Raw), &call.Biz)
		g.mu.Lock()
		g.calls = append(g.calls, call)
		g.mu.Unlock()
		answer(w, call)
	}))
	t.Cleanup(g.Close)
	return g, newAdapter(t, g.URL+"/gateway.do")
}

// verifyRequest checks RSA2 over every parameter but sign, sorted and raw.
func verifyRequest(values url.Values) error {
	var pairs []string
	for name := range values {
		if name != "sign" {
			pairs = append(pairs, name+"="+values.Get(name))
		}
	}
	sort.Strings(pairs)
	digest := sha256.Sum256([]byte(strings.Join(pairs, "&")))
	signature, err := base64.StdEncoding.DecodeString(values.Get("sign"))
	if err != nil {
		return err
	}
	return rsa.VerifyPKCS1v15(&testKeys().app.PublicKey, crypto.SHA256, digest[:], signature)
}

func newAdapter(t *testing.T, gatewayURL string) *Adapter {
	t.Helper()
	a, err := New(testConfig(t, gatewayURL))
	require.NoError(t, err)
	return a
}

func testConfig(t *testing.T, gatewayURL string) Config {
	t.Helper()
	private, err := x509.MarshalPKCS8PrivateKey(testKeys().app)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&testKeys().alipay.PublicKey)
	require.NoError(t, err)
	return Config{
		GatewayURL: gatewayURL, AppID: testApp, SellerID: testSeller,
		AppPrivateKey:   base64.StdEncoding.EncodeToString(private),
		AlipayPublicKey: base64.StdEncoding.EncodeToString(public),
		Timeout:         2 * time.Second,
	}
}

// node answers every call with node, properly signed.
func node(node string) func(http.ResponseWriter, request) {
	return func(w http.ResponseWriter, r request) {
		_, _ = w.Write([]byte(envelope(r.Params.Get("method"), node, testKeys().alipay)))
	}
}

func codeOrder() channel.CodeOrder {
	return channel.CodeOrder{Number: testTrade, Amount: money.Fen(8888), Subject: "一杯咖啡 & a <cake>", AuthCode: testCode,
		PayerIP: "203.0.113.7", NotifyURL: testNotify}
}

func prepayOrder() channel.PrepayOrder {
	return channel.PrepayOrder{
		Number: testTrade, Amount: money.Fen(8888), Subject: "一杯咖啡 & a <cake>", NotifyURL: testNotify,
		ExpiresAt: time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC),
	}
}

func refundOrder() channel.RefundOrder {
	return channel.RefundOrder{
		Number: testRefund, TradeNumber: testTrade, Amount: money.Fen(100), TradeAmount: money.Fen(8888),
		Reason: "不要了", NotifyURL: testNotify,
	}
}

func transferOrder() channel.TransferOrder {
	return channel.TransferOrder{
		Number: testPayout, Amount: money.Fen(5000), PayeeAccount: "payee@example.com", PayeeName: "张三", Title: "提现",
	}
}

// result is what any of the calls gives, flattened.
type result struct {
	channel.Answer
	QRCode, State, ProviderNo string
	Amount, Fee               money.Amount
	At                        time.Time
}

// perform makes the call op with the fixed content.
func perform(ctx context.Context, a *Adapter, op operation) (result, error) {
	switch op {
	case prepay:
		out, err := a.Prepay(ctx, prepayOrder())
		return result{Answer: out.Answer, QRCode: out.Action.QRCode}, err
	case jsapi:
		order := prepayOrder()
		order.Product, order.PayerID = channel.ProductJSAPI, testBuyer
		out, err := a.Prepay(ctx, order)
		return result{Answer: out.Answer, ProviderNo: out.Action.Params["trade_no"]}, err
	case codePay:
		out, err := a.PayByCode(ctx, codeOrder())
		return result{Answer: out.Answer, State: string(out.State), ProviderNo: out.ChannelTradeNo, Amount: out.Amount, At: out.PaidAt}, err
	case cancelling:
		out, err := a.CancelTrade(ctx, testTrade)
		return result{Answer: out.Answer, State: map[bool]string{true: "refunded"}[out.Refunded]}, err
	case payerFinding:
		out, err := a.FindPayer(ctx, "4b203fe6c11548bcabd8da5bb087a83b")
		return result{Answer: out.Answer, ProviderNo: out.ID}, err
	case fundBill:
		out, err := a.FetchFundBill(ctx, testDay)
		return result{Answer: out.Answer, State: string(out.State)}, err
	case query:
		out, err := a.QueryTrade(ctx, testTrade)
		return result{Answer: out.Answer, State: string(out.State), ProviderNo: out.ChannelTradeNo, Amount: out.Amount, At: out.PaidAt}, err
	case closing:
		out, err := a.CloseTrade(ctx, testTrade)
		return result{Answer: out}, err
	case refund:
		out, err := a.Refund(ctx, refundOrder())
		return result{Answer: out.Answer, ProviderNo: out.ChannelRefundNo, Amount: out.Amount, At: out.RefundedAt}, err
	case refundQuery:
		out, err := a.QueryRefund(ctx, refundOrder())
		return result{Answer: out.Answer, ProviderNo: out.ChannelRefundNo, Amount: out.Amount, At: out.RefundedAt}, err
	case transfer:
		out, err := a.Transfer(ctx, transferOrder())
		return result{Answer: out.Answer, ProviderNo: out.ChannelTransferNo, Amount: out.Amount, Fee: out.Fee, At: out.PaidAt}, err
	case transferQuery:
		out, err := a.QueryTransfer(ctx, testPayout)
		return result{Answer: out.Answer, ProviderNo: out.ChannelTransferNo, Amount: out.Amount, Fee: out.Fee, At: out.PaidAt}, err
	default:
		out, err := a.FetchTradeBill(ctx, testDay)
		return result{Answer: out.Answer, State: string(out.State)}, err
	}
}

func operations() []operation {
	return []operation{prepay, jsapi, codePay, cancelling, payerFinding, query, closing, refund, refundQuery, transfer, transferQuery,
		billURL, fundBill}
}
