package e2e_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"flag"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/devseed"
	"github.com/suanpan/suanpan/sandbox/keys"
)

var rotationLoad = flag.Int("rotation.payments", 2, "how many payments each channel account must take between two steps of a rotation, at least")

// desk is one channel account under load, and the keys it was given last.
type desk struct {
	*world
	name, provider string
	api            *client.ClientWithResponses
	tenant         devseed.Outcome
	merchant       string
	account        string
	given          client.CreateChannelCredentials
	paid           atomic.Int64
}

// Keys and certificates change on both sides while payments come in: no payment
// fails, no answer is refused for its signature, and every notification is taken
// the first time.
//
//	make rotation
func TestKeysRotateUnderLoad(t *testing.T) {
	w := newWorld(t, unguarded)
	second := w.seedTenant("second.json")
	keyMode := w.newDesk("Alipay, keys", alipay, w.seed)
	certified := w.newDesk("Alipay, certificates", alipay, second)
	publicKey := w.newDesk("WeChat Pay, public key", wechatpay, w.seed)
	platform := w.newDesk("WeChat Pay, platform certificates", wechatpay, second)
	certified.becomeCertified(w)
	platform.becomePlatform(w)
	desks := []*desk{keyMode, certified, publicKey, platform}

	stop := w.load(desks)
	step := func(what string, do func()) {
		t.Helper()
		before := make([]int64, len(desks))
		do()
		for i, d := range desks {
			before[i] = d.paid.Load()
		}
		w.await(what, func() (bool, any) {
			for i, d := range desks {
				if d.paid.Load() < before[i]+int64(*rotationLoad) {
					return t.Failed(), d.name
				}
			}
			return true, nil
		})
		require.False(t, t.Failed(), what)
	}
	step("payments before anything changes", func() {})
	step("our own keys, old and new at once", func() {
		keyMode.nextOwnKey(3600)
		certified.nextOwnCertificate(3600)
		publicKey.nextMerchantCertificate(3600)
		platform.nextMerchantCertificate(3600)
	})
	step("our own keys, the old ones ended", func() {
		keyMode.endOwn("/control/alipay/app-keys", map[string]any{"app_id": keyMode.tenant.Alipay.AppID, "app_public_key": publicOf(t, keyMode.given.PrivateKey)})
		certified.endOwn("/control/alipay/app-keys", map[string]any{"app_id": certified.tenant.Alipay.AppID, "app_certificate": *certified.given.Certificate})
		for _, d := range []*desk{publicKey, platform} {
			d.endOwn("/control/wechatpay/merchant-certificates", map[string]any{"mchid": d.tenant.WeChatPay.MchID,
				"merchant_serial": *d.given.Serial, "merchant_public_key": publicOf(t, d.given.PrivateKey)})
		}
	})
	step("Alipay's next key and certificate, known to us", func() {
		var published struct {
			PublicKeys   []string `json:"public_keys"`
			Certificates []string `json:"certificates"`
		}
		w.control("POST", "/control/alipay/keys", map[string]any{"stage": "publish"}, &published)
		keyMode.given.ProviderPublicKey = &published.PublicKeys[1]
		certified.given.ProviderCertificate = &published.Certificates[1]
		keyMode.enter()
		certified.enter()
	})
	step("Alipay signs by the next", func() { w.control("POST", "/control/alipay/keys", map[string]any{"stage": "switch"}, nil) })
	step("Alipay's first ended", func() {
		w.control("POST", "/control/alipay/keys", map[string]any{"stage": "retire"}, nil)
		keyMode.retireOld()
		certified.retireOld()
	})
	for _, stage := range []string{"publish", "switch", "retire"} {
		step("WeChat Pay's platform certificate: "+stage, func() {
			w.control("POST", "/control/wechatpay/platform-certificates", map[string]any{"stage": stage}, nil)
		})
	}
	step("WeChat Pay's public key beside its certificates", func() {
		platform.given.ProviderPublicKeyID, platform.given.ProviderPublicKey = publicKey.given.ProviderPublicKeyID, publicKey.given.ProviderPublicKey
		platform.enter()
	})
	step("notifications signed by the public key", func() { platform.registerMerchant("public_key") })
	step("the certificates ended", platform.retireOld)
	stop()
	w.judgeRotation(desks)
}

// judgeRotation holds that nothing went wrong, and says how much went right.
func (w *world) judgeRotation(desks []*desk) {
	w.Helper()
	for _, d := range desks {
		w.Logf("%-34s %4d payments", d.name, d.paid.Load())
	}
	require.Zero(w, w.count(`select count(*) from payments where status <> 'succeeded'`))
	require.Zero(w, w.count(`select count(*) from channel_calls where code = 'BAD_SIGNATURE' or code ilike '%sign%'`))
	require.Zero(w, w.count(`select count(*) from refused_notifications`))
	w.await("the notifications", func() (bool, any) {
		var seen struct {
			Notifications []struct{ State string }
			Deliveries    []struct {
				Acknowledged bool
				Answer       string
				Status       int
			}
		}
		w.control("GET", "/control/notifications", nil, &seen)
		for _, delivery := range seen.Deliveries {
			require.True(w, delivery.Acknowledged, "%+v", delivery)
		}
		return len(seen.Deliveries) == len(seen.Notifications), len(seen.Deliveries)
	})
	w.Logf("%d calls, %d notifications", w.count(`select count(*) from channel_calls`), w.count(`select count(*) from notifications`))
}

func (w *world) newDesk(name, provider string, tenant devseed.Outcome) *desk {
	w.Helper()
	d := &desk{world: w, name: name, provider: provider, tenant: tenant, api: w.clientOf(tenant.APIKey)}
	d.account = map[string]string{alipay: tenant.Alipay.ChannelAccountID, wechatpay: tenant.WeChatPay.ChannelAccountID}[provider]
	ref := w.ref("merchant")
	answer, err := d.api.CreateMerchantWithResponse(w.ctx, &client.CreateMerchantParams{IdempotencyKey: ref},
		client.CreateMerchant{Reference: ref, Name: name, Settlement: client.SettlementT0})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	d.merchant = answer.JSON201.ID
	now, err := app.CurrentCredentials(w.ctx, w.openPool(), w.box(), tenant.TenantID, d.account)
	require.NoError(w, err)
	d.given = credentialsOf(now)
	return d
}

func credentialsOf(c channel.Credentials) client.CreateChannelCredentials {
	or := func(text string) *string {
		if text == "" {
			return nil
		}
		return &text
	}
	return client.CreateChannelCredentials{PrivateKey: c.PrivateKey, Certificate: or(c.Certificate), Serial: or(c.Serial),
		ProviderPublicKey: or(c.ProviderPublicKey), ProviderPublicKeyID: or(c.ProviderPublicKeyID), ProviderCertificate: or(c.ProviderCertificate),
		ProviderRootCertificate: or(c.ProviderRootCertificate), APIV3Key: or(c.APIv3Key), AppSecret: or(c.AppSecret)}
}

// load lets payers pay at every desk until stop is called.
func (w *world) load(desks []*desk) (stop func()) {
	ctx, cancel := context.WithCancel(w.ctx)
	var all sync.WaitGroup
	for _, d := range desks {
		for range 2 {
			all.Go(func() {
				for ctx.Err() == nil && !w.Failed() {
					d.takePayment()
				}
			})
		}
	}
	return func() { cancel(); all.Wait() }
}

func (d *desk) takePayment() {
	d.Helper()
	order := d.order(d.provider, 700)
	order.MerchantID = d.merchant
	answer, err := d.api.CreatePaymentWithResponse(d.ctx, &client.CreatePaymentParams{IdempotencyKey: order.Reference}, order)
	require.NoError(d, err)
	require.NotNil(d, answer.JSON201, "%s", answer.Body)
	paymentID := answer.JSON201.ID
	is := func(wanted client.PaymentStatus) {
		d.await(d.name+": "+string(wanted), func() (bool, any) {
			found, err := d.api.GetPaymentWithResponse(d.ctx, paymentID)
			require.NoError(d, err)
			require.NotContains(d, []client.PaymentStatus{client.PaymentStatusFailed, client.PaymentStatusClosed}, found.JSON200.Status,
				"%s", found.Body)
			return found.JSON200.Status == wanted, string(found.Body)
		})
	}
	is(client.PaymentStatusAwaitingPayer)
	d.control("POST", "/control/pay", map[string]any{"provider": d.provider, "number": d.numberOf(paymentID)}, nil)
	is(client.PaymentStatusSucceeded)
	d.paid.Add(1)
}

// enter enters the keys through the API, beside those in use.
func (d *desk) enter() {
	d.Helper()
	answer, err := d.api.CreateChannelCredentialsWithResponse(d.ctx, d.account,
		&client.CreateChannelCredentialsParams{IdempotencyKey: d.ref("credentials")}, d.given)
	require.NoError(d, err)
	require.NotNil(d, answer.JSON201, "%s", answer.Body)
}

// retireOld ends all keys but those entered last.
func (d *desk) retireOld() {
	d.Helper()
	list, err := d.api.ListChannelCredentialsWithResponse(d.ctx, d.account)
	require.NoError(d, err)
	require.NotNil(d, list.JSON200, "%s", list.Body)
	for i, each := range list.JSON200.Data {
		if i == 0 || each.RetiredAt != nil {
			continue
		}
		answer, err := d.api.RetireChannelCredentialsWithResponse(d.ctx, d.account, each.ID,
			&client.RetireChannelCredentialsParams{IdempotencyKey: d.ref("retire")})
		require.NoError(d, err)
		require.NotNil(d, answer.JSON200, "%s", answer.Body)
	}
}

// endOwn ends our previous key at the provider's portal, and here.
func (d *desk) endOwn(portal string, now map[string]any) {
	d.Helper()
	d.retireOld()
	now["overlap_seconds"] = 0
	d.control("POST", portal, now, nil)
}

func (d *desk) nextOwnKey(overlap int) {
	d.Helper()
	d.given.PrivateKey = newKey(d.T)
	d.control("POST", "/control/alipay/app-keys", map[string]any{"app_id": d.tenant.Alipay.AppID,
		"app_public_key": publicOf(d.T, d.given.PrivateKey), "overlap_seconds": overlap}, nil)
	d.enter()
}

func (d *desk) nextOwnCertificate(overlap int) {
	d.Helper()
	d.given.PrivateKey = newKey(d.T)
	d.given.Certificate = ptr(certificateOf(d.T, d.given.PrivateKey, 12))
	d.control("POST", "/control/alipay/app-keys", map[string]any{"app_id": d.tenant.Alipay.AppID,
		"app_certificate": *d.given.Certificate, "overlap_seconds": overlap}, nil)
	d.enter()
}

func (d *desk) nextMerchantCertificate(overlap int) {
	d.Helper()
	d.given.PrivateKey, d.given.Serial = newKey(d.T), ptr(newSerial())
	d.control("POST", "/control/wechatpay/merchant-certificates", map[string]any{"mchid": d.tenant.WeChatPay.MchID,
		"merchant_serial": *d.given.Serial, "merchant_public_key": publicOf(d.T, d.given.PrivateKey), "overlap_seconds": overlap}, nil)
	d.enter()
}

// newSerial is 40 hexadecimal digits, as certificates of merchants have.
func newSerial() string {
	random := make([]byte, 20)
	_, _ = rand.Read(random) // never fails
	return strings.ToUpper(hex.EncodeToString(random))
}

// becomeCertified moves an app to certificate mode, before there is any load.
func (d *desk) becomeCertified(w *world) {
	w.Helper()
	certificate := certificateOf(w.T, d.given.PrivateKey, 11)
	var sides map[string]string
	w.control("POST", "/control/alipay/apps", map[string]any{"app_id": d.tenant.Alipay.AppID, "seller_id": d.tenant.Alipay.SellerID,
		"app_certificate": certificate, "fee_basis_points": 60}, &sides)
	d.given = client.CreateChannelCredentials{PrivateKey: d.given.PrivateKey, Certificate: &certificate,
		ProviderCertificate: ptr(sides["alipay_certificate"]), ProviderRootCertificate: ptr(sides["alipay_root_certificate"])}
	d.enter()
	d.retireOld()
}

// becomePlatform moves a merchant to platform certificates.
func (d *desk) becomePlatform(w *world) {
	w.Helper()
	d.given.ProviderPublicKey, d.given.ProviderPublicKeyID = nil, nil
	d.registerMerchant("platform_certificate")
	d.enter()
	d.retireOld()
}

// registerMerchant tells the sandbox by which key it signs notifications.
func (d *desk) registerMerchant(mode string) {
	d.Helper()
	d.control("POST", "/control/wechatpay/merchants", map[string]any{"mchid": d.tenant.WeChatPay.MchID, "appid": d.tenant.WeChatPay.AppID,
		"merchant_serial": *d.given.Serial, "merchant_public_key": publicOf(d.T, d.given.PrivateKey), "api_v3_key": *d.given.APIV3Key,
		"key_mode": mode, "fee_basis_points": 60}, nil)
}

func newKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func parsedKey(t *testing.T, text string) *rsa.PrivateKey {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	require.NotNil(t, block)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	return key.(*rsa.PrivateKey)
}

func publicOf(t *testing.T, private string) string {
	t.Helper()
	return keys.PublicPEM(parsedKey(t, private))
}

// certificateOf is a self-signed certificate of a key.
func certificateOf(t *testing.T, private string, serial int64) string {
	t.Helper()
	key := parsedKey(t, private)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "app"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
