package alipay

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5" //nolint:gosec // Alipay's serial number of a certificate is an MD5
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
)

func TestNewNamesTheFieldToCorrect(t *testing.T) {
	t.Parallel()
	for field, spoil := range map[string]func(*Config){
		"GatewayURL":      func(c *Config) { c.GatewayURL = "openapi.alipay.com" },
		"AppID":           func(c *Config) { c.AppID = "" },
		"SellerID":        func(c *Config) { c.SellerID = "" },
		"AppPrivateKey":   func(c *Config) { c.AppPrivateKey = "AAAA" },
		"AlipayPublicKey": func(c *Config) { c.AlipayPublicKey = "AAAA" },
		"exactly one":     func(c *Config) { c.AlipayPublicKey = "" },
	} {
		cfg := testConfig(t, "https://openapi.alipay.com/gateway.do")
		spoil(&cfg)
		_, err := New(cfg)
		require.ErrorContains(t, err, field)
		require.NotContains(t, err.Error(), cfg.AppPrivateKey+"!")
	}
	cfg := testConfig(t, "https://openapi.alipay.com/gateway.do")
	private, err := x509.MarshalPKCS8PrivateKey(testKeys().app)
	require.NoError(t, err)
	cfg.AppPrivateKey = "\n" + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})) + "\n"
	cfg.Timeout = 0
	a, err := New(cfg)
	require.NoError(t, err, "PEM is taken as well")
	require.Equal(t, 15*time.Second, a.timeout)
	require.Equal(t, "alipay", a.Name())

	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	wrong, err := x509.MarshalPKCS8PrivateKey(curve)
	require.NoError(t, err)
	cfg.AppPrivateKey = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: wrong}))
	_, err = New(cfg)
	require.ErrorContains(t, err, "AppPrivateKey")
}

// certificate makes a self-signed certificate and its serial number in
// Alipay's way: MD5 of the issuer's name and the decimal serial.
func certificate(t *testing.T, name string, serial int64) (text, sn string) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name, Country: []string{"CN"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), SignatureAlgorithm: x509.SHA256WithRSA,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &testKeys().alipay.PublicKey, testKeys().alipay)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	sum := md5.Sum([]byte(parsed.Issuer.String() + parsed.SerialNumber.String())) //nolint:gosec // see the import
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), hex.EncodeToString(sum[:])
}

// TestCertificateMode: serial numbers are sent, an answer under the known
// certificate is taken, and one under another is unknown without a download.
func TestCertificateMode(t *testing.T) {
	t.Parallel()
	app, appSN := certificate(t, "app", 11)
	root, rootSN := certificate(t, "root", 12)
	ali, aliSN := certificate(t, "alipay", 13)
	serial := aliSN
	g, keyMode := serve(t, func(w http.ResponseWriter, r request) {
		text := envelope(r.Params.Get("method"), failureNode("ACQ.TRADE_NOT_EXIST"), testKeys().alipay)
		_, _ = w.Write([]byte(text[:len(text)-1] + `,"alipay_cert_sn":"` + serial + `"}`))
	})
	cfg := testConfig(t, g.URL)
	cfg.AlipayPublicKey, cfg.Certificates = "", &Certificates{App: app, Alipay: ali, AlipayRoot: root}
	a, err := New(cfg)
	require.NoError(t, err)
	trade, err := a.QueryTrade(t.Context(), testTrade)
	require.NoError(t, err)
	require.Equal(t, channel.TradeNotFound, trade.State)
	sent := g.requests()[0].Params
	require.Equal(t, appSN, sent.Get("app_cert_sn"))
	require.Equal(t, rootSN, sent.Get("alipay_root_cert_sn"))

	serial = "00000000000000000000000000000000"
	for _, adapter := range []*Adapter{a, keyMode} {
		before := len(g.requests())
		trade, err = adapter.QueryTrade(t.Context(), testTrade)
		require.NoError(t, err)
		require.Equal(t, channel.Unknown, trade.Outcome)
		require.Equal(t, channel.CodeBadSignature, trade.Code)
		require.Len(t, g.requests(), before+1, "nothing was downloaded")
	}
	for field, spoil := range map[string]func(*Certificates){
		"Certificates.App":    func(c *Certificates) { c.App = "x" },
		"Certificates.Alipay": func(c *Certificates) { c.Alipay = "x" },
	} {
		broken := *cfg.Certificates
		spoil(&broken)
		bad := cfg
		bad.Certificates = &broken
		_, err = New(bad)
		require.ErrorContains(t, err, field)
	}
}

// TestSeveralKeysAtOnce: while Alipay changes its key or certificate, answers and
// notifications under either are taken, and under a third are not.
func TestSeveralKeysAtOnce(t *testing.T) {
	t.Parallel()
	second, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&second.PublicKey)
	require.NoError(t, err)
	signer := testKeys().alipay
	g, one := serve(t, func(w http.ResponseWriter, r request) {
		_, _ = w.Write([]byte(envelope(r.Params.Get("method"), failureNode("ACQ.TRADE_NOT_EXIST"), signer)))
	})
	cfg := testConfig(t, g.URL)
	cfg.OtherAlipayPublicKeys = []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))}
	both, err := New(cfg)
	require.NoError(t, err)
	for i, key := range []*rsa.PrivateKey{testKeys().alipay, second, testKeys().stranger} {
		signer = key
		for adapter, taken := range map[*Adapter]bool{one: i == 0, both: i < 2} {
			got, err := adapter.QueryTrade(t.Context(), testTrade)
			require.NoError(t, err)
			_, failed := read(t, adapter, signed(noticeParams(), key))
			if taken {
				require.Equal(t, channel.TradeNotFound, got.State)
				require.NoError(t, failed)
				continue
			}
			require.Equal(t, channel.CodeBadSignature, got.Code)
			require.Error(t, failed)
		}
	}
	cfg.OtherAlipayPublicKeys = append(cfg.OtherAlipayPublicKeys, "AAAA")
	_, err = New(cfg)
	require.ErrorContains(t, err, "OtherAlipayPublicKeys[1]")
}

func TestIdentityType(t *testing.T) {
	t.Parallel()
	require.Equal(t, "ALIPAY_USER_ID", identityType("2088123412341234"))
	for _, logon := range []string{"payee@example.com", "13800000000", "208812341234123", "208812341234123x", "2188123412341234"} {
		require.Equal(t, "ALIPAY_LOGON_ID", identityType(logon))
	}
}
