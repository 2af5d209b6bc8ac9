package alipay

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	sdk "github.com/smartwalle/alipay/v3"
	"github.com/smartwalle/nsign"

	"github.com/suanpan/suanpan/channels/internal/wire"
)

// newClient makes the SDK's client, which signs requests and verifies answers.
func newClient(cfg Config, base http.RoundTripper) (*sdk.Client, error) {
	options := []sdk.OptionFunc{
		sdk.WithSandboxGateway(cfg.GatewayURL),
		sdk.WithTimeLocation(wire.Shanghai()),
		sdk.WithHTTPClient(wire.Client(wire.Options{Base: base, MaxBody: wire.MaxAnswer, Accept: acceptAnswer})),
	}
	if cfg.Certificates == nil {
		verifier, err := anyKey(cfg)
		if err != nil {
			return nil, err
		}
		// The name only has to be one that no certificate has.
		options = append(options, sdk.WithVerifier("alipay-public-key", verifier))
	}
	// The SDK's "production" mode would download a certificate it does not know
	// and trust it; with the gateway given, the other mode does everything else
	// alike and answers ErrAliPublicKeyNotFound instead.
	client, err := sdk.New(cfg.AppID, strings.TrimSpace(cfg.AppPrivateKey), false, options...)
	if err != nil {
		return nil, fmt.Errorf("alipay: AppPrivateKey: not an RSA private key in PKCS#1 or PKCS#8: %w", err)
	}
	if cfg.Certificates != nil {
		return client, loadCertificates(client, *cfg.Certificates)
	}
	return client, nil
}

// loadCertificates gives client what it names itself by and verifies Alipay with.
// An answer names its certificate; one that does not is held against the last
// loaded, so the current one comes last.
func loadCertificates(client *sdk.Client, c Certificates) error {
	if err := client.LoadAppCertPublicKey(c.App); err != nil {
		return fmt.Errorf("alipay: Certificates.App: %w", err)
	}
	if err := client.LoadAliPayRootCert(c.AlipayRoot); err != nil {
		return fmt.Errorf("alipay: Certificates.AlipayRoot: %w", err)
	}
	for i, other := range c.OtherAlipay {
		if err := client.LoadAlipayCertPublicKey(other); err != nil {
			return fmt.Errorf("alipay: Certificates.OtherAlipay[%d]: %w", i, err)
		}
	}
	if err := client.LoadAlipayCertPublicKey(c.Alipay); err != nil {
		return fmt.Errorf("alipay: Certificates.Alipay: %w", err)
	}
	return nil
}

// verifiers takes what any of them verifies: in key mode a message does not say
// which key signed it.
type verifiers []sdk.Verifier

func anyKey(cfg Config) (verifiers, error) {
	names, texts := []string{"AlipayPublicKey"}, []string{cfg.AlipayPublicKey}
	for i, text := range cfg.OtherAlipayPublicKeys {
		names, texts = append(names, fmt.Sprintf("OtherAlipayPublicKeys[%d]", i)), append(texts, text)
	}
	var all verifiers
	for i, text := range texts {
		public, err := parsePublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("alipay: %s: not an RSA public key: %w", names[i], err)
		}
		all = append(all, nsign.New(nsign.WithMethod(nsign.NewRSAMethod(crypto.SHA256, nil, public)), nsign.WithEncoder(sdk.Encoder{})))
	}
	return all, nil
}

// VerifyValues implements sdk.Verifier.
func (v verifiers) VerifyValues(values url.Values, signature []byte, options ...nsign.SignOption) error {
	return v.any(func(each sdk.Verifier) error { return each.VerifyValues(values, signature, options...) })
}

// VerifyBytes implements sdk.Verifier.
func (v verifiers) VerifyBytes(data, signature []byte, options ...nsign.SignOption) error {
	return v.any(func(each sdk.Verifier) error { return each.VerifyBytes(data, signature, options...) })
}

func (v verifiers) any(verify func(sdk.Verifier) error) error {
	err := error(rsa.ErrVerification)
	for _, each := range v {
		if err = verify(each); err == nil {
			return nil
		}
	}
	return err
}

// parsePublicKey reads PEM, or the bare base64 of Alipay's console.
func parsePublicKey(text string) (*rsa.PublicKey, error) {
	var der []byte
	if block, _ := pem.Decode([]byte(text)); block != nil {
		der = block.Bytes
	} else {
		bare, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			return nil, errors.New("neither PEM nor base64")
		}
		der = bare
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("not in PKIX form")
	}
	public, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("another kind of key")
	}
	return public, nil
}
