package wechatpay

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
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
	testMch    = "1900000109"
	testApp    = "wx8888888888888888"
	testSerial = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
	testKeyID  = "PUB_KEY_ID_0114232134912410000000000000"
	testAPIKey = "0123456789abcdef0123456789abcdef"
	testTrade  = "01J8ZQ4M6W3N5P7R9S1T2V4X6Y"
	testRefund = "01J8ZQ5A1B2C3D4E5F6G7H8J9K"
	testNotify = "https://pay.example/notify/wechatpay/chn_1"
	testDay    = "2026-03-01"
	testPayer  = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
	testCode   = "130061098828009406"
	testCard   = "6222020000000000000"
	testHolder = "张三"
	testSub    = "1900000209"
	testSubApp = "wx9999999999999999"
)

// testKeys are made once for the package: the merchant's, WeChat's, a stranger's.
var testKeys = sync.OnceValue(func() (keys struct{ merchant, wechat, stranger *rsa.PrivateKey }) {
	for _, k := range []**rsa.PrivateKey{&keys.merchant, &keys.wechat, &keys.stranger} {
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

// seal sets the headers that sign body at a moment.
func seal(header http.Header, body string, key *rsa.PrivateKey, keyID string, at time.Time) {
	const nonce = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"
	timestamp := strconv.FormatInt(at.Unix(), 10)
	header.Set("Wechatpay-Timestamp", timestamp)
	header.Set("Wechatpay-Nonce", nonce)
	header.Set("Wechatpay-Serial", keyID)
	header.Set("Wechatpay-Signature", sign(key, timestamp+"\n"+nonce+"\n"+body+"\n"))
}

// request is one call as the gateway saw it.
type request struct{ Method, URI, Body string }

// gateway checks each request's Authorization and answers as the test says.
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

// serve starts a gateway under the path /wechatpay and an adapter for it.
func serve(t *testing.T, answer func(w http.ResponseWriter, r request)) (*gateway, *Adapter) {
	t.Helper()
	g := &gateway{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		uri, inside := strings.CutPrefix(r.RequestURI, "/wechatpay")
		call := request{Method: r.Method, URI: uri, Body: string(body)}
		oauth := strings.HasPrefix(uri, "/sns/") // the one address that asks for no signature
		if err != nil || !inside || !oauth && !authorized(r.Header.Get("Authorization"), call) {
			http.Error(w, "the request's signature does not verify", http.StatusTeapot)
			return
		}
		g.mu.Lock()
		g.calls = append(g.calls, call)
		g.mu.Unlock()
		answer(w, call)
	}))
	t.Cleanup(g.Close)
	return g, newAdapter(t, g.URL+"/wechatpay/")
}

// authorized verifies the signature of a request over the canonical path.
func authorized(header string, call request) bool {
	part := func(name string) string {
		match := regexp.MustCompile(name + `="([^"]*)"`).FindStringSubmatch(header)
		if match == nil {
			return ""
		}
		return match[1]
	}
	text := call.Method + "\n" + call.URI + "\n" + part("timestamp") + "\n" + part("nonce_str") + "\n" + call.Body + "\n"
	digest := sha256.Sum256([]byte(text))
	signature, err := base64.StdEncoding.DecodeString(part("signature"))
	return err == nil && strings.HasPrefix(header, "WECHATPAY2-SHA256-RSA2048 ") && part("mchid") == testMch && part("serial_no") == testSerial &&
		rsa.VerifyPKCS1v15(&testKeys().merchant.PublicKey, crypto.SHA256, digest[:], signature) == nil
}

func newAdapter(t *testing.T, baseURL string) *Adapter {
	t.Helper()
	a, err := New(testConfig(t, baseURL))
	require.NoError(t, err)
	return a
}

func testConfig(t *testing.T, baseURL string) Config {
	t.Helper()
	private, err := x509.MarshalPKCS8PrivateKey(testKeys().merchant)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&testKeys().wechat.PublicKey)
	require.NoError(t, err)
	return Config{
		BaseURL: baseURL, MchID: testMch, AppID: testApp, MchCertSerial: testSerial,
		MchPrivateKey: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		PublicKeyID:   testKeyID, PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		APIv3Key: []byte(testAPIKey), Timeout: 2 * time.Second,
	}
}

// respond answers with status and body, properly signed.
func respond(status int, body string) func(http.ResponseWriter, request) {
	return func(w http.ResponseWriter, _ request) {
		seal(w.Header(), body, testKeys().wechat, testKeyID, time.Now())
		w.WriteHeader(status)
		_, _ = io.Copy(w, bytes.NewReader([]byte(body)))
	}
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

// Operations of the tests alone: further products' prepay.
const (
	jsapiPrepay operation = "prepay jsapi"
	appPrepay   operation = "prepay app"
	h5Prepay    operation = "prepay h5"
	// The addresses of the bill of the balance, and of WeChat's OAuth.
	fundBill     operation = "fund bill"
	payerFinding operation = "find payer"
)

func codeOrder() channel.CodeOrder {
	return channel.CodeOrder{Number: testTrade, Amount: money.Fen(8888), Subject: "一杯咖啡 & a <cake>", AuthCode: testCode, PayerIP: "203.0.113.8"}
}

func abnormalRefund() channel.AbnormalRefund {
	return channel.AbnormalRefund{RefundOrder: refundOrder(), ChannelRefundNo: "50000000382019052709732678859",
		Bank: "ICBC_DEBIT", Card: testCard, Holder: testHolder}
}

// result is what any of the five calls and the bill give, flattened.
type result struct {
	channel.Answer
	QRCode, State, ProviderNo string
	Amount                    money.Amount
	At                        time.Time
	Refunded                  bool
	Action                    channel.Action
}

// perform makes the call op with the fixed content.
func perform(ctx context.Context, a *Adapter, op operation) (result, error) {
	switch op {
	case prepay:
		out, err := a.Prepay(ctx, prepayOrder())
		return result{Answer: out.Answer, QRCode: out.Action.QRCode}, err
	case query:
		out, err := a.QueryTrade(ctx, testTrade)
		return result{Answer: out.Answer, State: string(out.State), ProviderNo: out.ChannelTradeNo, Amount: out.Amount, At: out.PaidAt}, err
	case codePay:
		out, err := a.PayByCode(ctx, codeOrder())
		return result{Answer: out.Answer, State: string(out.State), ProviderNo: out.ChannelTradeNo, Amount: out.Amount, At: out.PaidAt}, err
	case reversal:
		out, err := a.CancelTrade(ctx, testTrade)
		return result{Answer: out.Answer, Refunded: out.Refunded}, err
	case redirect:
		out, err := a.RedirectRefund(ctx, abnormalRefund())
		return result{Answer: out.Answer, ProviderNo: out.ChannelRefundNo, Amount: out.Amount, At: out.RefundedAt}, err
	case jsapiPrepay, appPrepay, h5Prepay:
		order := prepayOrder()
		order.Product = map[operation]channel.Product{
			jsapiPrepay: channel.ProductJSAPI, appPrepay: channel.ProductApp, h5Prepay: channel.ProductWAP,
		}[op]
		order.PayerID, order.PayerIP, order.ReturnURL = testPayer, "203.0.113.7", "https://shop.example/back?order=1"
		out, err := a.Prepay(ctx, order)
		return result{Answer: out.Answer, Action: out.Action}, err
	case closing:
		out, err := a.CloseTrade(ctx, testTrade)
		return result{Answer: out}, err
	case refund:
		out, err := a.Refund(ctx, refundOrder())
		return result{Answer: out.Answer, ProviderNo: out.ChannelRefundNo, Amount: out.Amount, At: out.RefundedAt}, err
	case refundQuery:
		out, err := a.QueryRefund(ctx, refundOrder())
		return result{Answer: out.Answer, ProviderNo: out.ChannelRefundNo, Amount: out.Amount, At: out.RefundedAt}, err
	case payerFinding:
		a.appSecret = "0123456789abcdef0123456789abcdee"
		out, err := a.FindPayer(ctx, "071i4k0w3b4OAW2")
		return result{Answer: out.Answer, ProviderNo: out.ID}, err
	case fundBill:
		out, err := a.FetchFundBill(ctx, testDay)
		return result{Answer: out.Answer, State: string(out.State)}, err
	default:
		out, err := a.FetchTradeBill(ctx, testDay)
		return result{Answer: out.Answer, State: string(out.State)}, err
	}
}

func operations() []operation {
	return []operation{prepay, query, closing, refund, refundQuery, billURL, codePay, reversal, redirect}
}
