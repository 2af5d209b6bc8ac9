package channeltest_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/channels/alipay"
	"github.com/suanpan/suanpan/channels/channeltest"
	"github.com/suanpan/suanpan/channels/wechatpay"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/sandbox"
	"github.com/suanpan/suanpan/sandbox/keys"
)

func TestAlipayConforms(t *testing.T) {
	t.Parallel()
	channeltest.Exercise(t, func(t *testing.T, contract channeltest.Contract) channeltest.Harness {
		return openStand(t, alipay.Name, contract)
	})
}

func TestWeChatPayConforms(t *testing.T) {
	t.Parallel()
	channeltest.Exercise(t, func(t *testing.T, contract channeltest.Contract) channeltest.Harness {
		return openStand(t, wechatpay.Name, contract)
	})
}

// stand is a Harness: one adapter of either provider, and a sandbox of its own.
type stand struct {
	provider          string
	url               string
	server            *sandbox.Server
	adapter, stranger channel.Adapter
	notify            *httptest.Server
	mu                sync.Mutex
	arrived           []channeltest.Delivery
}

// merchantKey signs for every merchant here; making one is slow.
var merchantKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// providerKeys are the sandbox's key files, made once and copied.
var providerKeys = sync.OnceValue(func() map[string][]byte {
	dir, err := os.MkdirTemp("", "channeltest-keys")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if _, err := keys.LoadOrCreate(dir); err != nil {
		panic(err)
	}
	files := map[string][]byte{}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		if files[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			panic(err)
		}
	}
	return files
})

func openStand(t *testing.T, provider string, contract channeltest.Contract) *stand {
	t.Helper()
	s := &stand{provider: provider}
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "keys"), 0o700))
	for name, content := range providerKeys() {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "keys", name), content, 0o600))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.url = "http://" + listener.Addr().String()
	s.server, err = sandbox.Open(sandbox.Config{DataDir: dir, PublicURL: s.url})
	require.NoError(t, err)
	web := &httptest.Server{Listener: listener, Config: &http.Server{Handler: s.server.Handler(), ReadHeaderTimeout: time.Second}}
	web.Start()
	s.notify = httptest.NewServer(http.HandlerFunc(s.receive))
	t.Cleanup(func() {
		s.server.Wait()
		web.Close()
		s.notify.Close()
		require.NoError(t, s.server.Close())
	})
	if provider == alipay.Name {
		s.adapter = s.openAlipay(t, "2021000000000001", "2088000000000001", contract)
		s.stranger = s.openAlipay(t, "2021000000000002", "2088000000000002", contract)
	} else {
		s.adapter = s.openWeChatPay(t, "1900000109", contract)
		s.stranger = s.openWeChatPay(t, "1900000110", contract)
	}
	return s
}

// client makes a connection per request, so that net/http does not repeat a
// question whose answer was lost.
func client() *http.Client {
	transport := &http.Transport{DisableKeepAlives: true}
	return &http.Client{Transport: transport}
}

func privatePEM(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(merchantKey())
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func (s *stand) openAlipay(t *testing.T, app, seller string, contract channeltest.Contract) channel.Adapter {
	t.Helper()
	var answer map[string]string
	s.control(t, http.MethodPost, "/control/alipay/apps", map[string]any{
		"app_id": app, "seller_id": seller, "app_public_key": keys.PublicPEM(merchantKey()), "fee_basis_points": 60,
		"refund_fee_returned": contract.FeeReturned,
	}, &answer)
	a, err := alipay.New(alipay.Config{
		GatewayURL: s.url + "/alipay/gateway.do", AppID: app, SellerID: seller, AppPrivateKey: privatePEM(t),
		AlipayPublicKey: answer["alipay_public_key"], HTTPClient: client(), Timeout: channeltest.Patience,
	})
	require.NoError(t, err)
	return a
}

func (s *stand) openWeChatPay(t *testing.T, mchID string, contract channeltest.Contract) channel.Adapter {
	t.Helper()
	const app, serial, apiV3Key = "wx8888888888888888", "5157F09EFDC096DE15EBE81A47057A7232F1B8E1", "0123456789abcdef0123456789abcdef"
	var answer map[string]string
	s.control(t, http.MethodPost, "/control/wechatpay/merchants", map[string]any{
		"mchid": mchID, "appid": app, "merchant_serial": serial, "merchant_public_key": keys.PublicPEM(merchantKey()),
		"api_v3_key": apiV3Key, "app_secret": "s3cret", "fee_basis_points": 60, "refund_fee_returned": contract.FeeReturned,
	}, &answer)
	a, err := wechatpay.New(wechatpay.Config{
		BaseURL: s.url + "/wechatpay", MchID: mchID, AppID: app, MchCertSerial: serial, MchPrivateKey: privatePEM(t),
		PublicKeyID: answer["public_key_id"], PublicKey: answer["public_key"], APIv3Key: []byte(apiV3Key),
		AppSecret: "s3cret", HTTPClient: client(), Timeout: channeltest.Patience,
	})
	require.NoError(t, err)
	return a
}

// control calls the sandbox's own API.
func (s *stand) control(t *testing.T, method, path string, body, into any) {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(text))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s %s: %s", method, path, answer)
	if into != nil {
		require.NoError(t, json.Unmarshal(answer, into))
	}
}

func (s *stand) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.mu.Lock()
	s.arrived = append(s.arrived, channeltest.Delivery{Request: r, Body: body})
	s.mu.Unlock()
	s.adapter.Acknowledge(w, true)
}

func (s *stand) Adapter() channel.Adapter  { return s.adapter }
func (s *stand) Stranger() channel.Adapter { return s.stranger }
func (s *stand) ExistsBeforeScan() bool    { return s.provider == wechatpay.Name }
func (s *stand) NotifyURL() string         { return s.notify.URL + "/notify" }

func (s *stand) Stage(product channel.Product) (prepared, followed channel.TradeState) {
	switch {
	case s.provider == wechatpay.Name, product == channel.ProductJSAPI:
		return channel.TradeAwaiting, channel.TradeAwaiting
	case product == channel.ProductPage, product == channel.ProductWAP: // nobody has logged in
		return channel.TradeNotFound, channel.TradeNotFound
	}
	return channel.TradeNotFound, channel.TradeAwaiting
}

// address is where the payer's side takes an action.
func (s *stand) address(action channel.Action) string {
	query := url.Values{}
	for name, value := range action.Params {
		query.Set(name, value)
	}
	switch action.Type {
	case channel.ActionRedirect:
		return action.URL
	case channel.ActionQRCode:
		return action.QRCode
	case channel.ActionApp:
		if s.provider == alipay.Name {
			return s.url + "/alipay/client/app?" + action.Params["order_string"]
		}
		return s.url + "/wechatpay/client/app?" + query.Encode()
	}
	return s.url + "/" + s.provider + "/client/jsapi?" + query.Encode()
}

// visit opens an address in a browser that follows redirects and reads the page.
func visit(t *testing.T, address string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	response, err := client().Do(request)
	require.NoError(t, err)
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response, string(page)
}

func (s *stand) Follow(t *testing.T, _ channel.Product, action channel.Action) {
	t.Helper()
	response, page := visit(t, s.address(action))
	require.Equal(t, http.StatusOK, response.StatusCode, page)
	require.Contains(t, page, `id="pay"`)
}

func (s *stand) Refuses(t *testing.T, _ channel.Product, action channel.Action) {
	t.Helper()
	response, page := visit(t, s.address(action))
	require.GreaterOrEqual(t, response.StatusCode, http.StatusBadRequest, page)
	require.NotContains(t, page, `id="pay"`)
}

func (s *stand) Payer(*testing.T) string {
	return map[string]string{alipay.Name: "2088102177846880", wechatpay.Name: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}[s.provider]
}

func (s *stand) Code(t *testing.T, phone channeltest.Phone) string {
	t.Helper()
	outcome := map[channeltest.Phone]string{channeltest.PhonePays: "pay", channeltest.PhoneAsks: "confirm", channeltest.PhoneEmpty: "NOT_ENOUGH"}[phone]
	if phone == channeltest.PhoneEmpty && s.provider == alipay.Name {
		outcome = "ACQ.BUYER_BALANCE_NOT_ENOUGH"
	}
	var answer struct {
		AuthCode string `json:"auth_code"`
	}
	s.control(t, http.MethodPost, "/control/codes", map[string]any{"provider": s.provider, "outcome": outcome}, &answer)
	return answer.AuthCode
}

func (s *stand) Decline(t *testing.T, number string) {
	t.Helper()
	s.control(t, http.MethodPost, "/control/decline", map[string]any{"provider": s.provider, "number": number}, nil)
}

func (s *stand) Authorize(t *testing.T, address string) *url.URL {
	t.Helper()
	browser := client()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	response, err := browser.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusFound, response.StatusCode)
	back, err := response.Location()
	require.NoError(t, err)
	return back
}

func (s *stand) CodeParameter() string {
	return map[string]string{alipay.Name: "auth_code", wechatpay.Name: "code"}[s.provider]
}

func (s *stand) Funds(t *testing.T, day string) []channeltest.Fund {
	t.Helper()
	var answer struct {
		Movements []struct {
			Number          string
			Amount, Balance int64
			At              time.Time
		}
	}
	query := url.Values{"provider": {s.provider}, "merchant": {s.merchant()}}
	s.control(t, http.MethodGet, "/control/books/movements?"+query.Encode(), nil, &answer)
	funds := []channeltest.Fund{}
	for _, m := range answer.Movements {
		if m.At.In(time.FixedZone("Asia/Shanghai", 8*60*60)).Format(time.DateOnly) == day {
			funds = append(funds, channeltest.Fund{Number: m.Number, Fen: m.Amount, Balance: m.Balance})
		}
	}
	return funds
}

func (s *stand) merchant() string {
	return map[string]string{alipay.Name: "2021000000000001", wechatpay.Name: "1900000109"}[s.provider]
}

func (s *stand) Scan(t *testing.T, number string) {
	t.Helper()
	s.control(t, http.MethodPost, "/control/scan", map[string]any{"provider": s.provider, "number": number}, nil)
}

func (s *stand) Pay(t *testing.T, number string, late bool) {
	t.Helper()
	s.control(t, http.MethodPost, "/control/pay", map[string]any{"provider": s.provider, "number": number, "late": late}, nil)
}

func (s *stand) TopUp(t *testing.T, fen int64) {
	t.Helper()
	s.control(t, http.MethodPost, "/control/topups", map[string]any{
		"provider": s.provider, "merchant": s.merchant(), "number": rand.Text(), "amount": fen,
	}, nil)
}

// FinishRefund has nothing to do at Alipay, where a refund is done at once.
func (s *stand) FinishRefund(t *testing.T, number string) {
	t.Helper()
	if s.provider == wechatpay.Name {
		s.control(t, http.MethodPost, "/control/refunds", map[string]any{
			"provider": s.provider, "number": number, "status": "SUCCESS",
		}, nil)
	}
}

// operationNames are the sandbox's words for the operations of the suite.
func (s *stand) operationName(op channeltest.Operation) string {
	names := map[channeltest.Operation][2]string{
		channeltest.Prepay:        {"alipay.trade.precreate", "POST /v3/pay/transactions/native"},
		channeltest.QueryTrade:    {"alipay.trade.query", "GET /v3/pay/transactions/out-trade-no/{out_trade_no}"},
		channeltest.CloseTrade:    {"alipay.trade.close", "POST /v3/pay/transactions/out-trade-no/{out_trade_no}/close"},
		channeltest.Refund:        {"alipay.trade.refund", "POST /v3/refund/domestic/refunds"},
		channeltest.QueryRefund:   {"alipay.trade.fastpay.refund.query", "GET /v3/refund/domestic/refunds/{out_refund_no}"},
		channeltest.Transfer:      {"alipay.fund.trans.uni.transfer", ""},
		channeltest.QueryTransfer: {"alipay.fund.trans.common.query", ""},
		channeltest.BillAddress:   {"alipay.data.dataservice.bill.downloadurl.query", "GET /v3/bill/tradebill"},
		channeltest.BillFile:      {"GET /alipay/bill/download", "GET /v3/billdownload/file"},
		channeltest.PayByCode:     {"alipay.trade.pay", "POST /v3/pay/transactions/codepay"},
		channeltest.CancelTrade:   {"alipay.trade.cancel", "POST /v3/pay/transactions/out-trade-no/{out_trade_no}/reverse"},
		channeltest.FindPayer:     {"alipay.system.oauth.token", "GET /sns/oauth2/access_token"},
	}
	if s.provider == alipay.Name {
		return names[op][0]
	}
	return names[op][1]
}

func (s *stand) Make(t *testing.T, trouble channeltest.Trouble, op channeltest.Operation, number string) {
	t.Helper()
	rule := map[string]any{"provider": s.provider, "operation": s.operationName(op), "number": number}
	switch trouble {
	case channeltest.LostReply:
		rule["kind"] = "lose_reply"
	case channeltest.ErrorAfterSuccess:
		rule["kind"] = "error_after_success"
	case channeltest.ProxyPage:
		rule["kind"], rule["answer"] = "error_after_success", "http_502"
	case channeltest.ErrorBefore:
		rule["kind"] = "error_before"
	case channeltest.BadSignature:
		rule["kind"] = "bad_signature"
	case channeltest.Garbage:
		rule["kind"] = "garbage"
	case channeltest.Slow:
		rule["kind"], rule["delay_ms"] = "slow", 60_000
	}
	s.control(t, http.MethodPost, "/control/faults", rule, nil)
}

func (s *stand) Now(t *testing.T) time.Time {
	t.Helper()
	var clock struct{ Now time.Time }
	s.control(t, http.MethodGet, "/control/clock", nil, &clock)
	return clock.Now
}

func (s *stand) Advance(t *testing.T, by time.Duration) {
	t.Helper()
	s.control(t, http.MethodPost, "/control/clock", map[string]any{"advance_seconds": int64(by / time.Second)}, nil)
}

func (s *stand) Movements(t *testing.T, number string) []channeltest.Movement {
	t.Helper()
	var answer struct {
		Movements []struct {
			Kind, Number string
			Amount       int64
		}
	}
	query := url.Values{"provider": {s.provider}, "number": {number}}
	s.control(t, http.MethodGet, "/control/books/movements?"+query.Encode(), nil, &answer)
	var moved []channeltest.Movement
	for _, m := range answer.Movements {
		moved = append(moved, channeltest.Movement{Kind: m.Kind, Number: m.Number, Fen: m.Amount})
	}
	return moved
}

func (s *stand) Notifications(t *testing.T) []channeltest.Delivery {
	t.Helper()
	_, err := s.server.RunDue(t.Context())
	require.NoError(t, err)
	s.server.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	arrived := s.arrived
	s.arrived = nil
	return arrived
}
