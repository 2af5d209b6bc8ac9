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
	"github.com/wechatpay-apiv3/wechatpay-go/core/consts"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
)

// Name is the channel's name.
const Name = "wechatpay"

// Adapter speaks to WeChat Pay for one merchant. It is safe for concurrent use.
type Adapter struct {
	mchID, appID       string
	subMchID, subAppID string
	appSecret, storeID string
	base, open, api    *url.URL
	client             *core.Client
	files              *core.Client
	oauth              *http.Client
	notices            *notify.Handler
	publicKeyID        string
	publicKey          *rsa.PublicKey
	// platform is nil in public-key mode.
	platform *platform
	timeout  time.Duration
	rules    map[ruleKey]rule
}

// The abilities of this adapter.
var (
	_ channel.Adapter          = (*Adapter)(nil)
	_ channel.CodeCollector    = (*Adapter)(nil)
	_ channel.PayerFinder      = (*Adapter)(nil)
	_ channel.FundBiller       = (*Adapter)(nil)
	_ channel.AbnormalRefunder = (*Adapter)(nil)
)

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
	if err := a.platform.ensure(ctx); err != nil {
		// An answer could not be verified, so nothing is asked.
		return &refusal{code: channel.CodeNotSent, message: "the platform certificates could not be had: " + err.Error()}, nil
	}
	result, err := send(ctx)
	if err != nil {
		return a.refused(ctx, err), nil
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

// refused sorts the error of a call. A refusal that names a certificate which was not
// known here is made of an old list: the request may have named one that is retired. The
// list is new then, and nothing is concluded about the order.
func (a *Adapter) refused(ctx context.Context, err error) *refusal {
	api := (*core.APIError)(nil)
	if errors.As(err, &api) && a.platform.wasOld(ctx, api.Header.Get(consts.WechatPaySerial)) {
		return &refusal{code: channel.CodeNoAnswer, message: "it was refused under a platform certificate that was not known here yet"}
	}
	return whyRefused(err)
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
