package keys

import (
	"crypto/rsa"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
)

// The names of the channels, as their adapters have them.
const (
	alipay    = "alipay"
	wechatpay = "wechatpay"
)

// The public parameters of channel accounts.
const (
	ParamAppID    = "app_id"
	ParamSellerID = "seller_id"
	ParamMchID    = "mch_id"
	ParamSubMchID = "sub_mch_id"
	ParamSubAppID = "sub_app_id"
	// ParamAuthAppID is the application of the merchant that an Alipay service
	// provider acts for; ParamStoreID the shop whose till scans WeChat's codes.
	ParamAuthAppID = "auth_app_id"
	ParamStoreID   = "store_id"
)

// param is what a public parameter looks like.
type param struct {
	form     *regexp.Regexp
	says     string
	required bool
}

func params(channelName string) map[string]param {
	switch channelName {
	case alipay:
		return map[string]param{
			ParamAppID:     {regexp.MustCompile(`^[0-9]{10,32}$`), "the application's id: digits only", true},
			ParamAuthAppID: {regexp.MustCompile(`^[0-9]{10,32}$`), "the merchant's application: digits only", false},
			ParamSellerID:  {regexp.MustCompile(`^2088[0-9]{12}$`), "the merchant's own number: 2088 and 12 digits", true},
		}
	case wechatpay:
		mch, app := regexp.MustCompile(`^[0-9]{8,32}$`), regexp.MustCompile(`^wx[0-9a-zA-Z]{8,30}$`)
		return map[string]param{
			ParamAppID:    {app, "the application's id: wx and letters or digits", true},
			ParamMchID:    {mch, "the merchant's number: digits only", true},
			ParamSubMchID: {mch, "the sub-merchant's number: digits only", false},
			ParamStoreID:  {regexp.MustCompile(`^[0-9A-Za-z_-]{1,32}$`), "the shop's id: letters and digits", false},
			ParamSubAppID: {app, "the sub-merchant's application: wx and letters or digits", false},
		}
	}
	return nil
}

// Params lists the public parameters of a channel, in alphabetical order.
func Params(channelName string) []channel.ParamSpec {
	known := params(channelName)
	out := []channel.ParamSpec{}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		out = append(out, channel.ParamSpec{Name: name, Required: known[name].required})
	}
	return out
}

// CheckParams refuses parameters that a new account of the channel cannot have, by
// an Invalid fault that names the field as params.<name>.
func CheckParams(channelName string, given map[string]string) error {
	known := params(channelName)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		p, ok := known[name]
		if !ok {
			return fault.Invalid("params."+name, "param_unknown", "this channel has no such parameter")
		}
		if !p.form.MatchString(given[name]) {
			return fault.Invalid("params."+name, "param_malformed", "this is not "+p.says)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if known[name].required && given[name] == "" {
			return fault.Invalid("params."+name, "param_missing", "this channel needs "+known[name].says)
		}
	}
	return nil
}

// fields tells which key fields a channel knows, and which of them it cannot do without.
func fields(channelName string) map[channel.CredentialField]bool {
	switch channelName {
	case alipay:
		return map[channel.CredentialField]bool{
			channel.FieldPrivateKey: true, channel.FieldProviderPublicKey: false, channel.FieldCertificate: false,
			channel.FieldProviderCertificate: false, channel.FieldProviderRootCertificate: false, channel.FieldAppAuthToken: false,
		}
	case wechatpay:
		return map[channel.CredentialField]bool{
			channel.FieldPrivateKey: true, channel.FieldProviderPublicKey: false, channel.FieldProviderPublicKeyID: false,
			channel.FieldAppSecret: false, channel.FieldAPIv3Key: true, channel.FieldSerial: false, channel.FieldCertificate: false,
		}
	}
	return nil
}

// Fields lists the key fields of a channel, in alphabetical order.
func Fields(channelName string) []channel.CredentialSpec {
	known := fields(channelName)
	out := []channel.CredentialSpec{}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		out = append(out, channel.CredentialSpec{Name: name, Required: known[name]})
	}
	return out
}

// Inspect refuses key material that cannot work, by an Invalid fault that names the
// field, and returns it in the one form that adapters take, with what may be shown
// of it. now is the moment certificates must be valid at.
func Inspect(channelName string, c channel.Credentials, now time.Time) (channel.Credentials, channel.KeyFacts, error) {
	known := fields(channelName)
	given := c.Fields()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		*given[name] = strings.TrimSpace(*given[name])
		if _, ok := known[name]; !ok && *given[name] != "" {
			return c, channel.KeyFacts{}, malformed(name, "field_not_used", "this channel has no use for this field; leave it out")
		}
	}
	own, err := want(channel.FieldPrivateKey, c.PrivateKey, kindPrivate)
	if err != nil {
		return c, channel.KeyFacts{}, err
	}
	var facts channel.KeyFacts
	if facts.Fingerprint, err = fingerprint(&own.key.PublicKey); err != nil {
		return c, channel.KeyFacts{}, fmt.Errorf("fingerprint: %w", err)
	}
	if c.PrivateKey, err = privatePEM(own.key); err != nil {
		return c, channel.KeyFacts{}, fmt.Errorf("private key: %w", err)
	}
	if channelName == alipay {
		err = inspectAlipay(&c, &facts, own.key, now)
	} else {
		err = inspectWeChatPay(&c, &facts, own.key, now)
	}
	return c, facts, err
}

func inspectAlipay(c *channel.Credentials, facts *channel.KeyFacts, own *rsa.PrivateKey, now time.Time) error {
	certificates := c.Certificate != "" || c.ProviderCertificate != "" || c.ProviderRootCertificate != ""
	switch {
	case certificates && c.ProviderPublicKey != "":
		return malformed(channel.FieldProviderPublicKey, "field_not_used",
			"send either Alipay's public key or the three certificates, not both")
	case !certificates:
		return inspectProviderKey(c, own)
	}
	serial, err := inspectCertificate(c, own, now)
	if err != nil {
		return err
	}
	facts.KeyID = serial
	provider, _, err := wantCertificate(channel.FieldProviderCertificate, c.ProviderCertificate, now)
	if err != nil {
		return err
	}
	facts.ProviderKeyID = serialOf(provider)
	// The root file holds several certificates, some of algorithms of their own.
	if !strings.Contains(c.ProviderRootCertificate, "-----BEGIN CERTIFICATE-----") {
		return malformed(channel.FieldProviderRootCertificate, "key_malformed", "send alipayRootCert.crt as it is")
	}
	return nil
}

// apiV3KeyLength is what WeChat Pay's portal asks for.
const apiV3KeyLength = 32

func inspectWeChatPay(c *channel.Credentials, facts *channel.KeyFacts, own *rsa.PrivateKey, now time.Time) error {
	if c.Certificate != "" {
		serial, err := inspectCertificate(c, own, now)
		if err != nil {
			return err
		}
		if c.Serial != "" && !strings.EqualFold(c.Serial, serial) {
			return malformed(channel.FieldSerial, "serial_wrong",
				"this is not the serial of the certificate; leave it out to take the certificate's")
		}
		c.Serial = serial
	}
	c.Serial = strings.ToUpper(c.Serial)
	if !regexp.MustCompile(`^[0-9A-F]{8,40}$`).MatchString(c.Serial) {
		return malformed(channel.FieldSerial, "serial_malformed", "send the serial of the merchant certificate (hex), or the certificate itself")
	}
	// Without a public key the provider's certificates are downloaded, which older
	// merchant numbers still have to do.
	if c.ProviderPublicKey != "" || c.ProviderPublicKeyID != "" {
		if !regexp.MustCompile(`^PUB_KEY_ID_[0-9A-Za-z]{1,64}$`).MatchString(c.ProviderPublicKeyID) {
			return malformed(channel.FieldProviderPublicKeyID, "key_id_malformed",
				"this is PUB_KEY_ID_ and digits, beside the key in the merchant portal")
		}
		if err := inspectProviderKey(c, own); err != nil {
			return err
		}
	}
	if len(c.APIv3Key) != apiV3KeyLength {
		return malformed(channel.FieldAPIv3Key, "key_malformed", "the APIv3 key has exactly 32 letters or digits")
	}
	facts.KeyID, facts.ProviderKeyID = c.Serial, c.ProviderPublicKeyID
	return nil
}

// inspectCertificate holds our certificate against our key and returns its serial.
func inspectCertificate(c *channel.Credentials, own *rsa.PrivateKey, now time.Time) (string, error) {
	certificate, public, err := wantCertificate(channel.FieldCertificate, c.Certificate, now)
	if err != nil {
		return "", err
	}
	if !public.Equal(&own.PublicKey) {
		return "", malformed(channel.FieldCertificate, "key_does_not_fit", "this certificate belongs to another private key than the one sent")
	}
	return serialOf(certificate), nil
}

func inspectProviderKey(c *channel.Credentials, own *rsa.PrivateKey) error {
	provider, err := want(channel.FieldProviderPublicKey, c.ProviderPublicKey, kindPublic)
	if err != nil {
		return err
	}
	if provider.public.Equal(&own.PublicKey) {
		return malformed(channel.FieldProviderPublicKey, "key_is_our_own",
			"this is the public half of your own private key; copy the provider's public key from its portal")
	}
	c.ProviderPublicKey, err = publicPEM(provider.public)
	return err
}
