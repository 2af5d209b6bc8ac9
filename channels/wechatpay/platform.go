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
	"strings"
	"sync"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/validators"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/consts"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"
	"golang.org/x/time/rate"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
)

const (
	// maxCertificates is more than the provider has in force at one time.
	maxCertificates = 16
)

// platform is WeChat Pay's certificates as downloaded. The SDK's own downloader
// verifies a new list with the old one's certificates, and so cannot follow a
// rotation it slept through; this one judges a list by the certificates in it,
// which only who has the merchant's APIv3 key could have sealed. It is safe for
// concurrent use; nil has nothing to do.
type platform struct {
	client   *core.Client
	apiV3Key string
	timeout  time.Duration
	now      func() time.Time
	// alternative verifies a list that was signed with the public key.
	alternative   *rsa.PublicKey
	alternativeID string

	fetching sync.Mutex // held while a list is being fetched
	// forNotices is how often an unknown serial in a notification, which anybody can
	// name, may fetch a list; forCalls is the same for our own calls, whose answers
	// are unknown until the list is there.
	forNotices, forCalls *rate.Limiter

	mu    sync.RWMutex
	known core.CertificateMap
}

func newPlatform(client *core.Client, apiV3Key []byte, timeout time.Duration, now func() time.Time) *platform {
	return &platform{client: client, apiV3Key: string(apiV3Key), timeout: timeout, now: now,
		forNotices: rate.NewLimiter(rate.Every(20*time.Second), 3), forCalls: rate.NewLimiter(rate.Every(time.Second), 3)}
}

func (p *platform) alsoTrusts(id string, key *rsa.PublicKey) {
	p.alternativeID, p.alternative = id, key
}

// ensure fetches the certificates if there are none. With the public key beside
// them, calls need none: they are for notifications that still name them.
func (p *platform) ensure(ctx context.Context) error {
	if p == nil || p.alternative != nil || p.GetNewestSerial(ctx) != "" {
		return nil
	}
	return p.refresh(ctx, p.forCalls, func() bool { return p.GetNewestSerial(ctx) != "" })
}

func ofNotices(p *platform) *rate.Limiter { return p.forNotices }
func ofCalls(p *platform) *rate.Limiter   { return p.forCalls }

// asked is the platform's certificates as one kind of message asks for them.
type asked struct {
	*platform
	limit *rate.Limiter
}

// Get implements core.CertificateGetter. An unknown serial makes it look for a
// new list, as often as the limit allows.
func (p asked) Get(ctx context.Context, serial string) (*x509.Certificate, bool) {
	if found, ok := p.find(ctx, serial); ok || namesNone(serial) {
		return found, ok
	}
	if p.lookFor(ctx, serial, p.limit) != nil {
		return nil, false
	}
	return p.find(ctx, serial)
}

// namesNone reports whether a message names no certificate but the public key, or nothing.
func namesNone(serial string) bool {
	return serial == "" || strings.HasPrefix(serial, "PUB_KEY_ID_")
}

// lookFor fetches the list unless it has the serial by now.
func (p *platform) lookFor(ctx context.Context, serial string, limit *rate.Limiter) error {
	return p.refresh(ctx, limit, func() bool { _, ok := p.find(ctx, serial); return ok })
}

// wasOld reports whether the list lacked the certificate that an answer names and that
// there is, or of which nobody can tell now whether there is. The list is the new one
// then.
func (p *platform) wasOld(ctx context.Context, serial string) bool {
	if p == nil || namesNone(serial) {
		return false
	}
	if _, known := p.find(ctx, serial); known {
		return false
	}
	err := p.lookFor(ctx, serial, p.forCalls)
	_, known := p.find(ctx, serial)
	return known || err != nil
}

// GetAll implements core.CertificateGetter.
func (p *platform) GetAll(ctx context.Context) map[string]*x509.Certificate {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.known.GetAll(ctx)
}

// GetNewestSerial implements core.CertificateGetter; empty before the first list.
func (p *platform) GetNewestSerial(ctx context.Context) string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.known.GetNewestSerial(ctx)
}

// find returns a certificate that is in force now.
func (p *platform) find(ctx context.Context, serial string) (*x509.Certificate, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	found, ok := p.known.Get(ctx, serial)
	if !ok || p.now().Before(found.NotBefore) || p.now().After(found.NotAfter) {
		return nil, false
	}
	return found, true
}

// refresh fetches the list, unless somebody has just done so and had is true, or
// the limit is reached.
func (p *platform) refresh(ctx context.Context, limit *rate.Limiter, had func() bool) error {
	p.fetching.Lock()
	defer p.fetching.Unlock()
	if had() {
		return nil
	}
	if !limit.AllowN(p.now(), 1) {
		return errors.New("asked for a moment ago")
	}
	// A caller that gives up must not spoil the list for the others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.timeout)
	defer cancel()
	list, err := p.fetch(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known.Reset(list)
	return nil
}

// sealedCertificate is one entry of GET /v3/certificates.
type sealedCertificate struct {
	SerialNo string `json:"serial_no"`
	Sealed   struct {
		Algorithm      string `json:"algorithm"`
		Nonce          string `json:"nonce"`
		AssociatedData string `json:"associated_data"`
		Ciphertext     string `json:"ciphertext"`
	} `json:"encrypt_certificate"`
}

// fetch downloads the list and verifies it.
func (p *platform) fetch(ctx context.Context) (map[string]*x509.Certificate, error) {
	result, err := p.client.Get(ctx, consts.WechatPayAPIServer+"/v3/certificates")
	if err != nil {
		return nil, errors.New(whyRefused(err).code)
	}
	body, err := io.ReadAll(result.Response.Body)
	if err != nil {
		return nil, errors.New(channel.CodeNoAnswer)
	}
	list, err := openCertificates(body, p.apiV3Key)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(result.Response.Header.Get("Wechatpay-Signature"), probePrefix) {
		return nil, errors.New(channel.CodeBadSignature)
	}
	var verifier auth.Verifier = verifiers.NewSHA256WithRSAVerifier(core.NewCertificateMap(list))
	if p.alternative != nil {
		verifier = verifiers.NewSHA256WithRSACombinedVerifier(core.NewCertificateMap(list), p.alternativeID, *p.alternative)
	}
	result.Response.Body = io.NopCloser(strings.NewReader(string(body)))
	if validators.NewWechatPayResponseValidator(verifier).Validate(ctx, result.Response) != nil {
		return nil, errors.New(channel.CodeBadSignature)
	}
	return list, nil
}

// openCertificates reads the answer of /v3/certificates. Every entry must open
// under the merchant's key and be the certificate it says it is.
func openCertificates(body []byte, apiV3Key string) (map[string]*x509.Certificate, error) {
	var answer struct {
		Data []sealedCertificate `json:"data"`
	}
	if wire.PlainJSON(body) != nil || json.Unmarshal(body, &answer) != nil {
		return nil, errors.New("the list of certificates does not have the expected form")
	}
	if len(answer.Data) == 0 || len(answer.Data) > maxCertificates {
		return nil, fmt.Errorf("the list has %d certificates", len(answer.Data))
	}
	list := map[string]*x509.Certificate{}
	for _, entry := range answer.Data {
		certificate, err := openCertificate(entry, apiV3Key)
		if err != nil {
			return nil, err
		}
		list[entry.SerialNo] = certificate
	}
	return list, nil
}

func openCertificate(entry sealedCertificate, apiV3Key string) (*x509.Certificate, error) {
	if entry.Sealed.Algorithm != "AEAD_AES_256_GCM" || len(entry.Sealed.Nonce) != gcmNonceSize {
		return nil, errors.New("a certificate is not sealed as agreed")
	}
	text, err := utils.DecryptAES256GCM(apiV3Key, entry.Sealed.AssociatedData, entry.Sealed.Nonce, entry.Sealed.Ciphertext)
	if err != nil {
		return nil, errors.New("a certificate does not open with APIv3Key")
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("a certificate is not PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errors.New("a certificate cannot be read")
	}
	if _, ok := certificate.PublicKey.(*rsa.PublicKey); !ok {
		return nil, errors.New("a certificate has no RSA key")
	}
	if !strings.EqualFold(fmt.Sprintf("%X", certificate.SerialNumber), strings.TrimLeft(entry.SerialNo, "0")) {
		return nil, errors.New("a certificate is not the one it is listed as")
	}
	return certificate, nil
}
