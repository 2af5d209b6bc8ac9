package keys_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/channels/keys"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
)

var now = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

type owner struct {
	*testing.T
	key *rsa.PrivateKey
}

func newOwner(t *testing.T) owner { return ownerOf(t, 2048) }

func ownerOf(t *testing.T, bits int) owner {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	return owner{t, key}
}

func text(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func (o owner) pkcs8() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(o.key)
	require.NoError(o, err)
	return der
}

func (o owner) pkix() []byte {
	der, err := x509.MarshalPKIXPublicKey(&o.key.PublicKey)
	require.NoError(o, err)
	return der
}

func (o owner) private() string { return text("PRIVATE KEY", o.pkcs8()) }
func (o owner) public() string  { return text("PUBLIC KEY", o.pkix()) }

func (o owner) certificate(from, to time.Time) string {
	template := &x509.Certificate{SerialNumber: big.NewInt(0x0A5157F09E), Subject: pkix.Name{CommonName: "x"}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &o.key.PublicKey, o.key)
	require.NoError(o, err)
	return text("CERTIFICATE", der)
}

func (o owner) valid() string { return o.certificate(now.Add(-time.Hour), now.Add(time.Hour)) }

func ecKey(t *testing.T) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return text("PRIVATE KEY", der)
}

// Every form in which people have a key becomes the one form it is kept in.
func TestKeysComeInManyForms(t *testing.T) {
	t.Parallel()
	own, provider := newOwner(t), newOwner(t)
	wrapped := func(der []byte) string { // base64 with line breaks, as mail programs send it
		bare := base64.StdEncoding.EncodeToString(der)
		return bare[:64] + "\r\n" + bare[64:] + "\n"
	}
	for _, private := range []string{own.private(), "\n" + own.private() + "\n", wrapped(own.pkcs8()),
		text("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(own.key)), wrapped(x509.MarshalPKCS1PrivateKey(own.key))} {
		for _, public := range []string{provider.public(), wrapped(provider.pkix()),
			text("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&provider.key.PublicKey))} {
			kept, facts, err := keys.Inspect("alipay", channel.Credentials{PrivateKey: private, ProviderPublicKey: public}, now)
			require.NoError(t, err)
			require.Equal(t, channel.Credentials{PrivateKey: own.private(), ProviderPublicKey: provider.public()}.PrivateKey, kept.PrivateKey)
			require.Equal(t, provider.public(), kept.ProviderPublicKey)
			require.Len(t, facts.Fingerprint, 64)
		}
	}
	kept, facts, err := keys.Inspect("alipay", channel.Credentials{PrivateKey: own.private(), Certificate: own.valid(),
		ProviderCertificate: provider.valid(), ProviderRootCertificate: provider.valid()}, now)
	require.NoError(t, err)
	require.Equal(t, []string{"0A5157F09E", "0A5157F09E"}, []string{facts.KeyID, facts.ProviderKeyID})
	require.NotEmpty(t, kept.Certificate)
}

func TestWrongAlipayKeysAreNamed(t *testing.T) {
	t.Parallel()
	own, provider, weak := newOwner(t), newOwner(t), ownerOf(t, 1024)
	good := func() channel.Credentials {
		return channel.Credentials{PrivateKey: own.private(), ProviderPublicKey: provider.public()}
	}
	certified := func(c *channel.Credentials) {
		c.ProviderPublicKey, c.Certificate = "", own.valid()
		c.ProviderCertificate, c.ProviderRootCertificate = provider.valid(), provider.valid()
	}
	for name, c := range map[string]struct {
		spoil       func(c *channel.Credentials)
		code, field string
	}{
		"garbage":     {func(c *channel.Credentials) { c.PrivateKey = "hush" }, "key_malformed", "private_key"},
		"empty PEM":   {func(c *channel.Credentials) { c.PrivateKey = text("PRIVATE KEY", nil) }, "key_malformed", "private_key"},
		"elliptic":    {func(c *channel.Credentials) { c.PrivateKey = ecKey(t) }, "key_kind_wrong", "private_key"},
		"encrypted":   {func(c *channel.Credentials) { c.PrivateKey = text("ENCRYPTED PRIVATE KEY", []byte("x")) }, "key_encrypted", "private_key"},
		"short":       {func(c *channel.Credentials) { c.PrivateKey = weak.private() }, "key_too_short", "private_key"},
		"weak":        {func(c *channel.Credentials) { c.ProviderPublicKey = weak.public() }, "key_too_short", "provider_public_key"},
		"weak cert":   {func(c *channel.Credentials) { certified(c); c.ProviderCertificate = weak.valid() }, "key_too_short", "provider_certificate"},
		"public":      {func(c *channel.Credentials) { c.PrivateKey = own.public() }, "key_kind_wrong", "private_key"},
		"certificate": {func(c *channel.Credentials) { c.ProviderPublicKey = provider.valid() }, "key_kind_wrong", "provider_public_key"},
		"own":         {func(c *channel.Credentials) { c.ProviderPublicKey = own.public() }, "key_is_our_own", "provider_public_key"},
		"both":        {func(c *channel.Credentials) { c.Certificate = own.valid() }, "field_not_used", "provider_public_key"},
		"wechat's":    {func(c *channel.Credentials) { c.Serial = "0A" }, "field_not_used", "serial"},
		"other's":     {func(c *channel.Credentials) { certified(c); c.Certificate = provider.valid() }, "key_does_not_fit", "certificate"},
		"expired":     {func(c *channel.Credentials) { certified(c); c.Certificate = own.certificate(now.Add(-2), now.Add(-1)) }, "certificate_expired", "certificate"},
		"not yet": {func(c *channel.Credentials) {
			certified(c)
			c.ProviderCertificate = own.certificate(now.Add(time.Hour), now.Add(2*time.Hour))
		}, "certificate_expired", "provider_certificate"},
		"no provider":  {func(c *channel.Credentials) { certified(c); c.ProviderCertificate = "" }, "key_missing", "provider_certificate"},
		"no root":      {func(c *channel.Credentials) { certified(c); c.ProviderRootCertificate = "" }, "key_malformed", "provider_root_certificate"},
		"key for cert": {func(c *channel.Credentials) { certified(c); c.Certificate = own.public() }, "key_kind_wrong", "certificate"},
	} {
		given := good()
		c.spoil(&given)
		_, _, err := keys.Inspect("alipay", given, now)
		f, ok := fault.As(err)
		require.True(t, ok, "%s: %v", name, err)
		require.Equal(t, []string{string(fault.KindInvalid), c.code, c.field}, []string{string(f.Kind), f.Code, f.Field}, name)
		require.NotContains(t, err.Error(), "hush")
	}
}

func TestWrongWeChatPayKeysAreNamed(t *testing.T) {
	t.Parallel()
	own, provider := newOwner(t), newOwner(t)
	good := func() channel.Credentials {
		return channel.Credentials{PrivateKey: own.private(), Serial: "5157f09efdc096de15ebe81a47057a7232f1b8e1", ProviderPublicKey: provider.public(),
			ProviderPublicKeyID: "PUB_KEY_ID_0119000001092026", APIv3Key: strings.Repeat("k", 32)}
	}
	kept, facts, err := keys.Inspect("wechatpay", good(), now)
	require.NoError(t, err)
	require.Equal(t, "5157F09EFDC096DE15EBE81A47057A7232F1B8E1", kept.Serial)
	require.Equal(t, []string{kept.Serial, "PUB_KEY_ID_0119000001092026"}, []string{facts.KeyID, facts.ProviderKeyID})
	for name, c := range map[string]struct {
		spoil       func(c *channel.Credentials)
		code, field string
	}{
		"no serial":         {func(c *channel.Credentials) { c.Serial = "" }, "serial_malformed", "serial"},
		"serial of letters": {func(c *channel.Credentials) { c.Serial = "XYZ" }, "serial_malformed", "serial"},
		"serial wrong":      {func(c *channel.Credentials) { c.Certificate = own.valid() }, "serial_wrong", "serial"},
		"certificate":       {func(c *channel.Credentials) { c.Certificate = provider.valid() }, "key_does_not_fit", "certificate"},
		"key id":            {func(c *channel.Credentials) { c.ProviderPublicKeyID = "0119000001" }, "key_id_malformed", "provider_public_key_id"},
		"short v3 key":      {func(c *channel.Credentials) { c.APIv3Key = "k" }, "key_malformed", "api_v3_key"},
		"no provider key":   {func(c *channel.Credentials) { c.ProviderPublicKey = "" }, "key_missing", "provider_public_key"},
		"alipay's":          {func(c *channel.Credentials) { c.AppAuthToken = "t" }, "field_not_used", "app_auth_token"},
	} {
		given := good()
		c.spoil(&given)
		_, _, err := keys.Inspect("wechatpay", given, now)
		f, ok := fault.As(err)
		require.True(t, ok, "%s: %v", name, err)
		require.Equal(t, []string{c.code, c.field}, []string{f.Code, f.Field}, name)
	}
	downloaded := good()
	downloaded.ProviderPublicKey, downloaded.ProviderPublicKeyID = "", ""
	_, facts, err = keys.Inspect("wechatpay", downloaded, now)
	require.NoError(t, err, "certificates are downloaded")
	require.Empty(t, facts.ProviderKeyID)
	withCertificate := good()
	withCertificate.Serial, withCertificate.Certificate = "", own.valid()
	kept, _, err = keys.Inspect("wechatpay", withCertificate, now)
	require.NoError(t, err)
	require.Equal(t, "0A5157F09E", kept.Serial)
}

func TestWhatAProviderSaysIsExplained(t *testing.T) {
	t.Parallel()
	require.Empty(t, keys.Explain(channel.Trade{Answer: channel.Answer{Outcome: channel.Succeeded, Code: "ACQ.TRADE_NOT_EXIST"}}))
	for want, said := range map[string]channel.Answer{
		"signature_refused":    {Code: "SIGN_ERROR", Message: "签名错误"},
		"app_id_wrong":         {Code: channel.CodeBadSignature, Message: "the answer is not signed: 40002 isv.invalid-app-id"},
		"merchant_wrong":       {Code: "MCH_NOT_EXISTS"},
		"answer_not_verified":  {Code: channel.CodeBadSignature, Message: "the signature does not verify"},
		"provider_unreachable": {Code: channel.CodeNoAnswer},
		"not_permitted":        {Code: "NO_AUTH"},
		"clock_skew":           {Code: "isv.invalid-timestamp"},
		"identity_mismatch":    {Code: channel.CodeMismatch},
		"provider_refused":     {Code: "SOMETHING_NEW<script>", Message: "hush"},
	} {
		said.Outcome = channel.Unknown
		found := keys.Explain(channel.Trade{Answer: said})
		require.Len(t, found, 1)
		require.Equal(t, want, found[0].Code, said)
		require.NotContains(t, found[0].Message, "hush")
		require.NotContains(t, found[0].Message, "<script>")
	}
}

func TestParamsAreHeldAgainstTheirForm(t *testing.T) {
	t.Parallel()
	require.NoError(t, keys.CheckParams("wechatpay", map[string]string{"app_id": "wx0123456789abcdef", "mch_id": "1900000109", "sub_mch_id": "1900000110"}))
	for field, given := range map[string]map[string]string{
		"params.mch_id":    {"app_id": "wx0123456789abcdef"},
		"params.app_id":    {"app_id": "2021000000000000", "mch_id": "1900000109"},
		"params.seller_id": {"app_id": "wx0123456789abcdef", "mch_id": "1900000109", "seller_id": "2088000000000000"},
	} {
		f, ok := fault.As(keys.CheckParams("wechatpay", given))
		require.True(t, ok)
		require.Equal(t, field, f.Field)
	}
	require.Len(t, keys.Params("alipay"), 3)
	require.Len(t, keys.Fields("alipay"), 6)
	require.Empty(t, keys.Params("unionpay"))
}
