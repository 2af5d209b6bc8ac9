package wechatpay

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/consts"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"github.com/wechatpay-apiv3/wechatpay-go/core/option"
	"golang.org/x/time/rate"

	"github.com/suanpan/suanpan/channels/internal/wire"
)

// Config is one merchant at WeChat Pay. Key material comes as text or bytes;
// nothing is read from a file or the environment.
type Config struct {
	// BaseURL stands in for https://api.mch.weixin.qq.com; a sandbox differs
	// only here. Its path, if any, is put before the signed one.
	BaseURL string
	// OpenURL and APIURL stand in for https://open.weixin.qq.com, where payers say
	// who they are, and https://api.weixin.qq.com. Empty means WeChat's own, or
	// BaseURL if that is not WeChat Pay's own.
	OpenURL, APIURL string
	// MchID is the merchant, AppID the application its trades belong to. An
	// answer or a notification of any other is refused.
	MchID, AppID string
	// SubMchID, if set, is the merchant for whom MchID acts as a service provider:
	// every order is then the sub-merchant's. SubAppID is that merchant's own
	// application, if it has one; payers' ids are then of that application.
	SubMchID, SubAppID string
	// MchCertSerial names the certificate of MchPrivateKey (PEM), which signs
	// requests.
	MchCertSerial string
	MchPrivateKey string
	// PublicKeyID (PUB_KEY_ID_…) names PublicKey (PEM), which verifies answers
	// and notifications. Both may be empty with PlatformCertificates.
	PublicKeyID string
	PublicKey   string
	// PlatformCertificates downloads WeChat Pay's certificates and trusts them too,
	// beside the public key or in its place. They are fetched before the first
	// call, and again when an unknown one is named: by answers once a second, by
	// notifications once in 20 seconds, and three times at once.
	PlatformCertificates bool
	// APIv3Key, 32 bytes, opens notifications.
	APIv3Key []byte
	// AppSecret finds out who a payer is: the secret of SubAppID, or else of AppID.
	// Without it FindPayer is the caller's mistake.
	AppSecret string
	// StoreID names the shop whose till scans codes; empty means the merchant's number.
	StoreID string
	// HTTPClient lends its Transport; its timeout and redirect policy are not
	// used. Nil means a transport of the adapter's own.
	HTTPClient *http.Client
	// Timeout bounds one call; zero means 15 seconds. A bill download may take
	// twenty times as long.
	Timeout time.Duration
}

// WeChat's own addresses beside that of WeChat Pay.
const (
	officialOpen = "https://open.weixin.qq.com"
	officialAPI  = "https://api.weixin.qq.com"
)

// New returns an Adapter, or an error naming the field of cfg to correct. It
// makes no call.
func New(cfg Config) (*Adapter, error) {
	if err := checkNames(cfg); err != nil {
		return nil, err
	}
	private, err := parsePrivateKey(cfg.MchPrivateKey)
	if err != nil {
		return nil, fmt.Errorf("wechatpay: MchPrivateKey: %w", err)
	}
	if len(cfg.APIv3Key) != 32 {
		return nil, fmt.Errorf("wechatpay: APIv3Key: has %d bytes, 32 are needed", len(cfg.APIv3Key))
	}
	a := &Adapter{
		mchID: cfg.MchID, appID: cfg.AppID, subMchID: cfg.SubMchID, subAppID: cfg.SubAppID,
		appSecret: cfg.AppSecret, storeID: cfg.StoreID, timeout: cfg.Timeout, rules: ruleIndex(),
	}
	if a.timeout <= 0 {
		a.timeout = wire.DefaultTimeout
	}
	if a.storeID == "" {
		a.storeID = a.merchant()
	}
	if err := a.setAddresses(cfg); err != nil {
		return nil, err
	}
	transport := http.RoundTripper(nil)
	if cfg.HTTPClient != nil {
		transport = cfg.HTTPClient.Transport
	}
	if transport == nil {
		transport = wire.Transport()
	}
	return a, a.setClients(cfg, private, transport)
}

func checkNames(cfg Config) error {
	needed := map[string]string{"MchID": cfg.MchID, "AppID": cfg.AppID, "MchCertSerial": cfg.MchCertSerial}
	if !cfg.PlatformCertificates || cfg.PublicKey != "" {
		needed["PublicKeyID"] = cfg.PublicKeyID
	}
	if cfg.SubAppID != "" {
		needed["SubMchID"] = cfg.SubMchID
	}
	for name, value := range needed {
		if value == "" {
			return fmt.Errorf("wechatpay: %s: missing", name)
		}
	}
	if cfg.PlatformCertificates && cfg.PublicKeyID != "" && cfg.PublicKey == "" {
		return errors.New("wechatpay: PublicKey: missing")
	}
	return nil
}

func (a *Adapter) setAddresses(cfg Config) error {
	var err error
	if a.base, err = parseBase(cfg.BaseURL); err != nil {
		return fmt.Errorf("wechatpay: BaseURL: %w", err)
	}
	open, api := officialOpen, officialAPI
	if a.base.String() != consts.WechatPayAPIServer {
		open, api = a.base.String(), a.base.String()
	}
	if cfg.OpenURL != "" {
		open = cfg.OpenURL
	}
	if cfg.APIURL != "" {
		api = cfg.APIURL
	}
	if a.open, err = parseBase(open); err != nil {
		return fmt.Errorf("wechatpay: OpenURL: %w", err)
	}
	if a.api, err = parseBase(api); err != nil {
		return fmt.Errorf("wechatpay: APIURL: %w", err)
	}
	return nil
}

func parseBase(text string) (*url.URL, error) {
	base, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") || base.RawQuery != "" {
		return nil, errors.New("not an absolute http(s) address without query")
	}
	return base, nil
}

// setClients makes the clients: one whose answers are verified, one for bill
// files and the list of certificates, which are verified in other ways, and one
// for WeChat's OAuth.
func (a *Adapter) setClients(cfg Config, private *rsa.PrivateKey, transport http.RoundTripper) error {
	credential := option.WithMerchantCredential(cfg.MchID, cfg.MchCertSerial, private)
	client := func(limit int64, accept func(int, []byte) *wire.Failure) core.ClientOption {
		return option.WithHTTPClient(wire.Client(wire.Options{Base: transport, MaxBody: limit, Rewrite: a.rewrite, Accept: accept}))
	}
	var err error
	if a.files, err = core.NewClient(context.Background(), credential, option.WithoutValidator(), client(wire.MaxBill, nil)); err != nil {
		return fmt.Errorf("wechatpay: %w", err)
	}
	boot, err := core.NewClient(context.Background(), credential, option.WithoutValidator(), client(wire.MaxAnswer, acceptAnswer))
	if err != nil {
		return fmt.Errorf("wechatpay: %w", err)
	}
	if err := a.setTrust(cfg, boot); err != nil {
		return err
	}
	answers := option.WithVerifier(a.verifier(ofCalls))
	a.client, err = core.NewClient(context.Background(), credential, answers, client(wire.MaxAnswer, acceptAnswer))
	if err != nil {
		return fmt.Errorf("wechatpay: %w", err)
	}
	if a.notices, err = notify.NewRSANotifyHandler(string(cfg.APIv3Key), a.verifier(ofNotices)); err != nil {
		return fmt.Errorf("wechatpay: APIv3Key: %w", err)
	}
	a.oauth = wire.Client(wire.Options{Base: transport, MaxBody: wire.MaxAnswer})
	return nil
}

// setTrust decides which keys of WeChat Pay are believed: the public key, the
// platform certificates, or both, as while a merchant changes over.
func (a *Adapter) setTrust(cfg Config, boot *core.Client) error {
	if cfg.PublicKey != "" || !cfg.PlatformCertificates {
		public, err := parsePublicKey(cfg.PublicKey)
		if err != nil {
			return fmt.Errorf("wechatpay: PublicKey: %w", err)
		}
		a.publicKeyID, a.publicKey = cfg.PublicKeyID, public
	}
	if !cfg.PlatformCertificates {
		return nil
	}
	a.platform = newPlatform(boot, cfg.APIv3Key, a.timeout, time.Now)
	if a.publicKey != nil {
		a.platform.alsoTrusts(a.publicKeyID, a.publicKey)
	}
	return nil
}

// verifier verifies by what is believed. limit says how often an unknown serial
// may make it look for new certificates.
func (a *Adapter) verifier(limit func(*platform) *rate.Limiter) auth.Verifier {
	if a.platform == nil {
		return verifiers.NewSHA256WithRSAPubkeyVerifier(a.publicKeyID, *a.publicKey)
	}
	certificates := asked{a.platform, limit(a.platform)}
	if a.publicKey == nil {
		return verifiers.NewSHA256WithRSAVerifier(certificates)
	}
	return verifiers.NewSHA256WithRSACombinedVerifier(certificates, a.publicKeyID, *a.publicKey)
}
