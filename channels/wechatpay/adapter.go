package wechatpay

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/consts"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"github.com/wechatpay-apiv3/wechatpay-go/core/option"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
)

// Name is the channel's name.
const Name = "wechatpay"

// Config is one merchant at WeChat Pay. Key material comes as text or bytes;
// nothing is read from a file or the environment.
type Config struct {
	// BaseURL stands in for https://api.mch.weixin.qq.com; a sandbox differs
	// only here. Its path, if any, is put before the signed one.
	BaseURL string
	// MchID is the merchant, AppID the application its trades belong to. An
	// answer or a notification of any other is refused.
	MchID, AppID string
	// MchCertSerial names the certificate of MchPrivateKey (PEM), which signs
	// requests.
	MchCertSerial string
	MchPrivateKey string
	// PublicKeyID (PUB_KEY_ID_…) names PublicKey (PEM), which verifies answers
	// and notifications.
	PublicKeyID string
	PublicKey   string
	// APIv3Key, 32 bytes, opens notifications.
	APIv3Key []byte
	// HTTPClient lends its Transport; its timeout and redirect policy are not
	// used. Nil means a transport of the adapter's own.
	HTTPClient *http.Client
	// Timeout bounds one call; zero means 15 seconds. A bill download may take
	// twenty times as long.
	Timeout time.Duration
}

// Adapter speaks to WeChat Pay for one merchant. It is safe for concurrent use.
type Adapter struct {
	mchID, appID string
	base         *url.URL
	client       *core.Client
	files        *core.Client
	notices      *notify.Handler
	timeout      time.Duration
	rules        map[ruleKey]rule
}

// The abilities of this adapter.
var _ channel.Adapter = (*Adapter)(nil)

// New returns an Adapter, or an error naming the field of cfg to correct. It
// makes no call.
func New(cfg Config) (*Adapter, error) {
	base, err := url.Parse(strings.TrimSuffix(cfg.BaseURL, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") || base.RawQuery != "" {
		return nil, errors.New("wechatpay: BaseURL: not an absolute http(s) address without query")
	}
	for name, value := range map[string]string{
		"MchID": cfg.MchID, "AppID": cfg.AppID, "MchCertSerial": cfg.MchCertSerial, "PublicKeyID": cfg.PublicKeyID,
	} {
		if value == "" {
			return nil, fmt.Errorf("wechatpay: %s: missing", name)
		}
	}
	private, err := parsePrivateKey(cfg.MchPrivateKey)
	if err != nil {
		return nil, fmt.Errorf("wechatpay: MchPrivateKey: %w", err)
	}
	public, err := parsePublicKey(cfg.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("wechatpay: PublicKey: %w", err)
	}
	if len(cfg.APIv3Key) != 32 {
		return nil, fmt.Errorf("wechatpay: APIv3Key: has %d bytes, 32 are needed", len(cfg.APIv3Key))
	}
	a := &Adapter{mchID: cfg.MchID, appID: cfg.AppID, base: base, timeout: cfg.Timeout, rules: ruleIndex()}
	if a.timeout <= 0 {
		a.timeout = wire.DefaultTimeout
	}
	var transport http.RoundTripper
	if cfg.HTTPClient != nil {
		transport = cfg.HTTPClient.Transport
	}
	if transport == nil {
		transport = wire.Transport()
	}
	a.client, err = core.NewClient(context.Background(),
		option.WithWechatPayPublicKeyAuthCipher(cfg.MchID, cfg.MchCertSerial, private, cfg.PublicKeyID, public),
		option.WithHTTPClient(wire.Client(wire.Options{Base: transport, MaxBody: wire.MaxAnswer, Rewrite: a.rewrite, Accept: acceptAnswer})))
	if err != nil {
		return nil, fmt.Errorf("wechatpay: %w", err)
	}
	// A bill file is not signed: its digest stands in a signed answer instead.
	a.files, err = core.NewClient(context.Background(),
		option.WithMerchantCredential(cfg.MchID, cfg.MchCertSerial, private), option.WithoutValidator(),
		option.WithHTTPClient(wire.Client(wire.Options{Base: transport, MaxBody: wire.MaxBill, Rewrite: a.rewrite})))
	if err != nil {
		return nil, fmt.Errorf("wechatpay: %w", err)
	}
	verifier := verifiers.NewSHA256WithRSAPubkeyVerifier(cfg.PublicKeyID, *public)
	if a.notices, err = notify.NewRSANotifyHandler(string(cfg.APIv3Key), verifier); err != nil {
		return nil, fmt.Errorf("wechatpay: APIv3Key: %w", err)
	}
	return a, nil
}

// Name implements channel.Adapter.
func (a *Adapter) Name() string { return Name }

// rewrite moves a signed address to BaseURL.
func (a *Adapter) rewrite(signed *url.URL) *url.URL {
	target := *signed
	target.Scheme, target.Host = a.base.Scheme, a.base.Host
	if a.base.Path != "" {
		target.Path = a.base.Path + signed.Path
		if signed.RawPath != "" {
			target.RawPath = a.base.EscapedPath() + signed.RawPath
		}
	}
	return &target
}

// acceptAnswer refuses a 2xx answer that two readers could read differently.
// Other statuses go on to be told apart by status and code.
func acceptAnswer(status int, body []byte) *wire.Failure {
	if status < 200 || status > 299 || len(body) == 0 {
		return nil
	}
	if err := wire.PlainJSON(body); err != nil {
		return &wire.Failure{Code: channel.CodeBadBody, Reason: err.Error()}
	}
	return nil
}

// get and post make one signed call, verify the answer and decode it into out
// (nil when no body is expected). The error is for a context that had ended
// before anything was sent.
func (a *Adapter) get(ctx context.Context, path string, out any) (*refusal, error) {
	return a.call(ctx, out, func(ctx context.Context) (*core.APIResult, error) {
		return a.client.Get(ctx, consts.WechatPayAPIServer+path)
	})
}

func (a *Adapter) post(ctx context.Context, path string, body, out any) (*refusal, error) {
	return a.call(ctx, out, func(ctx context.Context) (*core.APIResult, error) {
		return a.client.Post(ctx, consts.WechatPayAPIServer+path, body)
	})
}

func (a *Adapter) call(ctx context.Context, out any, send func(context.Context) (*core.APIResult, error)) (*refusal, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("wechatpay: nothing was sent: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	result, err := send(ctx)
	if err != nil {
		return whyRefused(err), nil
	}
	body, err := io.ReadAll(result.Response.Body)
	if status := result.Response.StatusCode; err == nil && status != http.StatusOK && status != http.StatusNoContent {
		// Verified, yet not "done": 202, say, is "wait for the payer".
		return readAPIError(&core.APIError{StatusCode: status, Body: string(body)}), nil
	}
	if out == nil {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(body, out)
	}
	if err != nil {
		return &refusal{code: channel.CodeBadBody, message: "the answer does not have the expected form"}, nil
	}
	return nil, nil
}

func parsePrivateKey(text string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(strings.TrimSpace(text)))
	if block == nil {
		return nil, errors.New("not PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("neither PKCS#8 nor PKCS#1")
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("not an RSA key")
	}
	return private, nil
}

func parsePublicKey(text string) (*rsa.PublicKey, error) {
	block, _ := pem.Decode([]byte(strings.TrimSpace(text)))
	if block == nil {
		return nil, errors.New("not PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errors.New("not a PKIX public key")
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("not an RSA key")
	}
	return public, nil
}
