package sandbox_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartwalle/alipay/v3"
	"github.com/stretchr/testify/require"
	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/option"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"github.com/suanpan/suanpan/sandbox"
	"github.com/suanpan/suanpan/sandbox/keys"
)

const (
	appID      = "2021000000000001"
	sellerID   = "2088000000000001"
	mchID      = "1900000109"
	weChatApp  = "wx8888888888888888"
	mchSerial  = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
	apiV3Key   = "0123456789abcdef0123456789abcdef"
	opening    = 1_000_000_00
	weChatHost = "api.mch.weixin.qq.com"
)

// merchantKey is the key pair of every merchant in these tests.
var merchantKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// providerKeys are files made once and copied, because making keys is slow.
var providerKeys = sync.OnceValue(func() map[string][]byte {
	dir, err := os.MkdirTemp("", "sandbox-keys")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if _, err := keys.LoadOrCreate(dir); err != nil {
		panic(err)
	}
	files := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		panic(err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			panic(err)
		}
		files[entry.Name()] = content
	}
	return files
})

type bundle struct {
	t      *testing.T
	dir    string
	url    string
	server *sandbox.Server
	http   *httptest.Server
	// shift moves protocol time; the real SDKs need it to stay 0.
	shift *atomic.Int64
	// weChatKeys is what registering the merchant answered.
	weChatKeys map[string]string
	aliKey     string
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, dir: t.TempDir(), shift: &atomic.Int64{}}
	require.NoError(t, os.MkdirAll(filepath.Join(b.dir, "keys"), 0o700))
	for name, content := range providerKeys() {
		require.NoError(t, os.WriteFile(filepath.Join(b.dir, "keys", name), content, 0o600))
	}
	b.start()
	b.register()
	return b
}

func (b *bundle) start() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b.t, err)
	b.url = "http://" + listener.Addr().String()
	b.server, err = sandbox.Open(sandbox.Config{
		DataDir: b.dir, PublicURL: b.url, TimeScale: 1,
		Now: func() time.Time { return time.Now().Add(time.Duration(b.shift.Load())) },
	})
	require.NoError(b.t, err)
	b.http = httptest.NewUnstartedServer(b.server.Handler())
	require.NoError(b.t, b.http.Listener.Close())
	b.http.Listener = listener
	b.http.Start()
	server, web := b.server, b.http
	b.t.Cleanup(func() {
		web.Close()
		server.Wait()
		_ = server.Close() // closed before by tests that restart
	})
}

// restart ends the sandbox and opens it again on the same data.
func (b *bundle) restart() {
	b.http.Close()
	b.server.Wait()
	require.NoError(b.t, b.server.Close())
	b.start()
}

func (b *bundle) register() {
	var answer map[string]string
	b.control("POST", "/control/alipay/apps", map[string]any{"app_id": appID, "seller_id": sellerID,
		"app_public_key": keys.PublicPEM(merchantKey()), "fee_basis_points": 60, "balance": opening}, &answer)
	b.aliKey = answer["alipay_public_key"]
	b.control("POST", "/control/wechatpay/merchants", map[string]any{"mchid": mchID, "appid": weChatApp,
		"merchant_serial": mchSerial, "merchant_public_key": keys.PublicPEM(merchantKey()),
		"api_v3_key": apiV3Key, "fee_basis_points": 60, "balance": opening}, &b.weChatKeys)
}

// due runs what is due once, notifications included.
func (b *bundle) due() time.Time {
	b.t.Helper()
	next, err := b.server.RunDue(context.Background())
	require.NoError(b.t, err)
	b.server.Wait()
	return next
}

// wait moves protocol time and runs what became due.
func (b *bundle) wait(d time.Duration) {
	b.t.Helper()
	b.shift.Add(int64(d))
	b.due()
}

// control calls the control API, wants 200 and decodes the answer into out.
func (b *bundle) control(method, path string, body, out any) {
	b.t.Helper()
	status, text := b.controlRaw(method, path, body)
	require.Equal(b.t, http.StatusOK, status, "%s", text)
	if out != nil {
		require.NoError(b.t, json.Unmarshal(text, out))
	}
}

func (b *bundle) controlRaw(method, path string, body any) (int, []byte) {
	b.t.Helper()
	encoded, err := json.Marshal(body)
	require.NoError(b.t, err)
	request, err := http.NewRequest(method, b.url+path, bytes.NewReader(encoded))
	require.NoError(b.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(b.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	return response.StatusCode, text
}

func (b *bundle) pay(provider, number string) {
	b.t.Helper()
	b.control("POST", "/control/pay", map[string]any{"provider": provider, "number": number}, nil)
}

func (b *bundle) fault(rule map[string]any) {
	b.t.Helper()
	b.control("POST", "/control/faults", rule, nil)
}

// movements returns the kinds and amounts the books have for a number.
func (b *bundle) movements(number string) []movement {
	b.t.Helper()
	var answer struct{ Movements []movement }
	b.control("GET", "/control/books/movements?number="+number, nil, &answer)
	return answer.Movements
}

type movement struct {
	Kind    string
	Amount  int64
	Balance int64
}

// alipay returns a real client whose gateway is the sandbox.
func (b *bundle) alipay() *alipay.Client {
	b.t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	require.NoError(b.t, err)
	private := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(merchantKey()))
	client, err := alipay.New(appID, private, false, alipay.WithSandboxGateway(b.url+"/alipay/gateway.do"),
		alipay.WithTimeLocation(zone), alipay.WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}))
	require.NoError(b.t, err)
	block, _ := pem.Decode([]byte(b.aliKey))
	require.NoError(b.t, client.LoadAliPayPublicKey(base64.StdEncoding.EncodeToString(block.Bytes)))
	return client
}

// redirect sends the calls for WeChat Pay's host to the sandbox.
type redirect struct{ to *url.URL }

func (r redirect) RoundTrip(request *http.Request) (*http.Response, error) {
	clone := request.Clone(request.Context())
	if clone.URL.Host == weChatHost {
		clone.URL.Scheme, clone.URL.Host = r.to.Scheme, r.to.Host
		clone.URL.Path = "/wechatpay" + clone.URL.Path
		if clone.URL.RawPath != "" {
			clone.URL.RawPath = "/wechatpay" + clone.URL.RawPath
		}
	}
	return http.DefaultTransport.RoundTrip(clone)
}

func (b *bundle) weChatHTTP() core.ClientOption {
	to, err := url.Parse(b.url)
	require.NoError(b.t, err)
	return option.WithHTTPClient(&http.Client{Transport: redirect{to}})
}

// weChat returns a real client in public-key mode.
func (b *bundle) weChat() *core.Client {
	b.t.Helper()
	public, err := utils.LoadPublicKey(b.weChatKeys["public_key"])
	require.NoError(b.t, err)
	client, err := core.NewClient(context.Background(), option.WithWechatPayPublicKeyAuthCipher(
		mchID, mchSerial, merchantKey(), b.weChatKeys["public_key_id"], public), b.weChatHTTP())
	require.NoError(b.t, err)
	return client
}

// sink is a merchant's notification address.
type sink struct {
	*httptest.Server
	mu       sync.Mutex
	answers  []func(http.ResponseWriter)
	requests []received
}

type received struct {
	header http.Header
	body   string
}

// newSink answers with the given answers in turn, and with the last for ever.
func newSink(t *testing.T, answers ...func(http.ResponseWriter)) *sink {
	t.Helper()
	s := &sink{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.requests = append(s.requests, received{r.Header.Clone(), string(body)})
		answer := s.answers[min(len(s.requests), len(s.answers))-1]
		s.mu.Unlock()
		answer(w)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *sink) received() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.requests...)
}

func say(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// lastSegment is the token in a QR code.
func lastSegment(address string) string { return address[strings.LastIndex(address, "/")+1:] }
