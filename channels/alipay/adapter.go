package alipay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	sdk "github.com/smartwalle/alipay/v3"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
)

// Name is the channel's name.
const Name = "alipay"

// Config is one application at Alipay. Key material comes as text (PEM, or the
// bare base64 that Alipay's key tool writes); nothing is read from a file or
// the environment.
type Config struct {
	// GatewayURL is the address of gateway.do; a sandbox differs only here.
	GatewayURL string
	// AppID is the application; SellerID the merchant's own 2088… number.
	// A notification or a bill of any other app or seller is refused.
	AppID, SellerID string
	// AuthAppID, if set, is the application of the merchant for whom this one
	// acts; a notification of any other is refused.
	AuthAppID string
	// AppPrivateKey signs requests (RSA2).
	AppPrivateKey string
	// AppAuthToken, if set, makes every call act for the merchant who gave it;
	// SellerID, and AuthAppID if known, are then that merchant's.
	AppAuthToken string
	// AuthorizeURL is where payers say who they are. Empty means Alipay's own for
	// the gateway's host, or the page beside any other gateway.
	AuthorizeURL string
	// AlipayPublicKey verifies answers in key mode. Leave it empty when
	// Certificates is set. OtherAlipayPublicKeys are taken as well, while Alipay
	// changes from one to the next.
	AlipayPublicKey       string
	OtherAlipayPublicKeys []string
	// Certificates selects certificate mode, which Alipay asks for where money
	// leaves the account. Only the certificates given here are ever trusted:
	// an unknown serial number is an unknown answer, not a download.
	Certificates *Certificates
	// HTTPClient lends its Transport; its timeout and redirect policy are not
	// used. Nil means a transport of the adapter's own.
	HTTPClient *http.Client
	// Timeout bounds one call; zero means 15 seconds. A bill download may take
	// twenty times as long.
	Timeout time.Duration
}

// Certificates are the PEM texts of certificate mode. OtherAlipay are Alipay's
// certificates that are valid as well, while Alipay changes from one to the next.
type Certificates struct {
	App, Alipay, AlipayRoot string
	OtherAlipay             []string
}

// Adapter speaks to Alipay for one application. It is safe for concurrent use.
type Adapter struct {
	appID, sellerID string
	authAppID       string
	appAuthToken    string
	authorizeURL    string
	client          *sdk.Client
	files           *http.Client
	timeout         time.Duration
	rules           map[ruleKey]rule
}

// The abilities of this adapter.
var (
	_ channel.Adapter       = (*Adapter)(nil)
	_ channel.CodeCollector = (*Adapter)(nil)
	_ channel.PayerFinder   = (*Adapter)(nil)
	_ channel.Transferer    = (*Adapter)(nil)
	_ channel.FundBiller    = (*Adapter)(nil)
)

// New returns an Adapter, or an error naming the field of cfg to correct. It
// makes no call.
func New(cfg Config) (*Adapter, error) {
	gateway, err := url.Parse(cfg.GatewayURL)
	if err != nil || gateway.Host == "" || (gateway.Scheme != "https" && gateway.Scheme != "http") {
		return nil, errors.New("alipay: GatewayURL: not an absolute http(s) address")
	}
	if cfg.AppID == "" {
		return nil, errors.New("alipay: AppID: missing")
	}
	if cfg.SellerID == "" {
		return nil, errors.New("alipay: SellerID: missing; it is the 2088… number that notifications are checked against")
	}
	if (cfg.AlipayPublicKey == "") == (cfg.Certificates == nil) {
		return nil, errors.New("alipay: set exactly one of AlipayPublicKey (key mode) and Certificates")
	}
	authorize, err := authorizeURL(cfg.AuthorizeURL, gateway)
	if err != nil {
		return nil, err
	}
	var base http.RoundTripper
	if cfg.HTTPClient != nil {
		base = cfg.HTTPClient.Transport
	}
	if base == nil {
		base = wire.Transport()
	}
	client, err := newClient(cfg, base)
	if err != nil {
		return nil, err
	}
	a := &Adapter{
		appID: cfg.AppID, sellerID: cfg.SellerID, authAppID: cfg.AuthAppID, appAuthToken: cfg.AppAuthToken,
		authorizeURL: authorize, client: client, timeout: cfg.Timeout, rules: ruleIndex(),
		files: wire.Client(wire.Options{Base: base, MaxBody: wire.MaxBill, Accept: acceptFile}),
	}
	if a.timeout <= 0 {
		a.timeout = wire.DefaultTimeout
	}
	return a, nil
}

// Name implements channel.Adapter.
func (a *Adapter) Name() string { return Name }

// acceptAnswer refuses an API answer before the SDK reads it. The gateway
// answers 200 to everything it processed, so another status is somebody else
// speaking, whatever the body says.
func acceptAnswer(status int, body []byte) *wire.Failure {
	if status != http.StatusOK {
		return &wire.Failure{Code: channel.CodeNoAnswer, Reason: fmt.Sprintf("HTTP status %d", status)}
	}
	if err := wire.PlainJSON(body); err != nil {
		return &wire.Failure{Code: channel.CodeBadBody, Reason: err.Error()}
	}
	return nil
}

// acceptFile refuses a bill download that is not the file.
func acceptFile(status int, _ []byte) *wire.Failure {
	if status != http.StatusOK {
		return &wire.Failure{Code: channel.CodeNoAnswer, Reason: fmt.Sprintf("HTTP status %d", status)}
	}
	return nil
}

// reply is the part every signed answer has.
type reply struct {
	Code    string `json:"code"`
	Msg     string `json:"msg"`
	SubCode string `json:"sub_code"`
	SubMsg  string `json:"sub_msg"`
}

// fields is the biz_content of a call.
type fields map[string]any

// call sends one signed request, verifies the answer and decodes its node into
// out, which embeds reply. A non-nil failure means that there is no usable
// answer; the error is for a context that had ended before anything was sent.
func (a *Adapter) call(ctx context.Context, method, notifyURL string, biz fields, out any) (*wire.Failure, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("alipay: nothing was sent: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return whyUnusable(a.client.Request(ctx, a.payload(method, notifyURL, biz), out)), nil
}

// payload is a request before it is signed.
func (a *Adapter) payload(method, notifyURL string, biz fields) *sdk.Payload {
	payload := sdk.NewPayload(method)
	for name, value := range biz {
		payload.AddBizField(name, value)
	}
	if notifyURL != "" {
		payload.AddParam("notify_url", notifyURL)
	}
	if a.appAuthToken != "" {
		payload.AddParam("app_auth_token", a.appAuthToken)
	}
	return payload
}
