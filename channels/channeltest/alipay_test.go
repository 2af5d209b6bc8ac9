package channeltest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/channels/alipay"
	"github.com/suanpan/suanpan/channels/channeltest"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
	"github.com/suanpan/suanpan/sandbox/keys"
)

const (
	aliApp    = "2021000000000001"
	aliSeller = "2088000000000001"
)

// certified is a self-signed certificate of key.
func certified(t *testing.T, key *rsa.PrivateKey, serial int64) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "app"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (s *stand) alipayConfig(t *testing.T) alipay.Config {
	t.Helper()
	return alipay.Config{GatewayURL: s.url + "/alipay/gateway.do", AppID: aliApp, SellerID: aliSeller, AppPrivateKey: privatePEM(t),
		HTTPClient: client(), Timeout: channeltest.Patience}
}

// paidNotice makes and pays an order, and returns the notification as a reads it.
func (s *stand) paidNotice(t *testing.T, a channel.Adapter) (channel.PrepayOrder, channeltest.Delivery) {
	t.Helper()
	order := channel.PrepayOrder{Number: ulid.Make().String(), Amount: money.Fen(100), Subject: "茶", NotifyURL: s.NotifyURL(),
		ExpiresAt: s.Now(t).Add(time.Hour)}
	out, err := a.Prepay(t.Context(), order)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, out.Outcome, "%s %s", out.Code, out.Message)
	s.Pay(t, order.Number, false)
	got := s.Notifications(t)
	require.Len(t, got, 1)
	return order, got[0]
}

// TestAlipayCertificateMode: the app in certificate mode pays, reads and rotates,
// on either side; what no longer is in force is refused.
func TestAlipayCertificateMode(t *testing.T) {
	t.Parallel()
	s := openStand(t, alipay.Name, channeltest.Contract{})
	first, second := certified(t, merchantKey(), 11), certified(t, merchantKey(), 12)
	var sides map[string]string
	s.control(t, http.MethodPost, "/control/alipay/apps", map[string]any{"app_id": aliApp, "seller_id": aliSeller, "app_certificate": first}, &sides)
	cfg := s.alipayConfig(t)
	cfg.Certificates = &alipay.Certificates{App: first, Alipay: sides["alipay_certificate"], AlipayRoot: sides["alipay_root_certificate"]}
	a, err := alipay.New(cfg)
	require.NoError(t, err)
	order, notice := s.paidNotice(t, a)
	got, err := a.QueryTrade(t.Context(), order.Number)
	require.NoError(t, err)
	require.Equal(t, channel.TradePaid, got.State)
	require.Contains(t, string(notice.Body), "alipay_cert_sn="+sides["alipay_cert_sn"])
	_, err = a.ReadNotification(t.Context(), notice.Request, notice.Body)
	require.NoError(t, err)
	keyMode, err := s.adapter.QueryTrade(t.Context(), order.Number)
	require.NoError(t, err)
	require.Equal(t, channel.Unknown, keyMode.Outcome, "the app has no key mode any more")

	// The app's side: the old certificate and the new one.
	s.control(t, http.MethodPost, "/control/alipay/app-keys", map[string]any{"app_id": aliApp, "app_certificate": second, "overlap_seconds": 60}, nil)
	renewed := cfg
	renewed.Certificates = &alipay.Certificates{App: second, Alipay: sides["alipay_certificate"], AlipayRoot: sides["alipay_root_certificate"]}
	b, err := alipay.New(renewed)
	require.NoError(t, err)
	for _, each := range []*alipay.Adapter{a, b} {
		got, err = each.QueryTrade(t.Context(), order.Number)
		require.NoError(t, err)
		require.Equal(t, channel.TradePaid, got.State)
	}
	s.control(t, http.MethodPost, "/control/alipay/app-keys", map[string]any{"app_id": aliApp, "app_certificate": second, "overlap_seconds": 0}, nil)
	got, err = a.QueryTrade(t.Context(), order.Number)
	require.NoError(t, err)
	require.Equal(t, channel.Unknown, got.Outcome)
	require.Equal(t, "isv.invalid-app-cert-sn", got.Code)

	// Alipay's side: both certificates are known before the new one signs.
	var published struct {
		Certificates []string `json:"certificates"`
	}
	s.control(t, http.MethodPost, "/control/alipay/keys", map[string]any{"stage": "publish"}, &published)
	require.Len(t, published.Certificates, 2)
	overlap := renewed
	overlap.Certificates = &alipay.Certificates{App: second, AlipayRoot: sides["alipay_root_certificate"],
		Alipay: published.Certificates[1], OtherAlipay: published.Certificates[:1]}
	both, err := alipay.New(overlap)
	require.NoError(t, err)
	for _, stage := range []string{"", "switch", "retire"} {
		if stage != "" {
			s.control(t, http.MethodPost, "/control/alipay/keys", map[string]any{"stage": stage}, nil)
		}
		got, err = both.QueryTrade(t.Context(), order.Number)
		require.NoError(t, err)
		require.Equal(t, channel.TradePaid, got.State, stage)
	}
	_, notice = s.paidNotice(t, both)
	_, err = both.ReadNotification(t.Context(), notice.Request, notice.Body)
	require.NoError(t, err)
	got, err = b.QueryTrade(t.Context(), order.Number)
	require.NoError(t, err)
	require.Equal(t, channel.CodeBadSignature, got.Code, "it knows the old certificate only")
}

// TestAlipayKeysChange: in key mode too, old and new are taken at once.
func TestAlipayKeysChange(t *testing.T) {
	t.Parallel()
	s := openStand(t, alipay.Name, channeltest.Contract{})
	var published struct {
		PublicKeys []string `json:"public_keys"`
	}
	s.control(t, http.MethodPost, "/control/alipay/keys", map[string]any{"stage": "publish"}, &published)
	require.Len(t, published.PublicKeys, 2)
	cfg := s.alipayConfig(t)
	cfg.AlipayPublicKey, cfg.OtherAlipayPublicKeys = published.PublicKeys[0], published.PublicKeys[1:]
	a, err := alipay.New(cfg)
	require.NoError(t, err)
	for _, stage := range []string{"", "switch"} {
		if stage != "" {
			s.control(t, http.MethodPost, "/control/alipay/keys", map[string]any{"stage": stage}, nil)
		}
		_, notice := s.paidNotice(t, a)
		_, err = a.ReadNotification(t.Context(), notice.Request, notice.Body)
		require.NoError(t, err, stage)
		_, err = s.adapter.ReadNotification(t.Context(), notice.Request, notice.Body)
		require.Equal(t, stage == "", err == nil, "the other knows the first key only")
	}
	// The app's own key: both sign while they overlap.
	next, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	s.control(t, http.MethodPost, "/control/alipay/app-keys",
		map[string]any{"app_id": aliApp, "app_public_key": keys.PublicPEM(next), "overlap_seconds": 60}, nil)
	der, err := x509.MarshalPKCS8PrivateKey(next)
	require.NoError(t, err)
	cfg.AppPrivateKey = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	b, err := alipay.New(cfg)
	require.NoError(t, err)
	for _, each := range []*alipay.Adapter{a, b} {
		got, err := each.QueryTrade(t.Context(), ulid.Make().String())
		require.NoError(t, err)
		require.Equal(t, channel.TradeNotFound, got.State)
	}
	s.control(t, http.MethodPost, "/control/alipay/app-keys",
		map[string]any{"app_id": aliApp, "app_public_key": keys.PublicPEM(next), "overlap_seconds": 0}, nil)
	got, err := a.QueryTrade(t.Context(), ulid.Make().String())
	require.NoError(t, err)
	require.Equal(t, "isv.invalid-signature", got.Code)
}

// TestAlipayActsForAMerchant: with a token the orders, the money and the
// notifications are the merchant's; with another token there is nothing.
func TestAlipayActsForAMerchant(t *testing.T) {
	t.Parallel()
	const token, subApp, subSeller = "201510BBaabdb44d8fd04607abf8d5931ec75D84", "2021000000000009", "2088000000000009"
	s := openStand(t, alipay.Name, channeltest.Contract{})
	s.control(t, http.MethodPost, "/control/alipay/sub-merchants", map[string]any{"app_id": aliApp, "auth_app_id": subApp,
		"app_auth_token": token, "seller_id": subSeller}, nil)
	var sides map[string]string
	s.control(t, http.MethodPost, "/control/alipay/apps", map[string]any{"app_id": aliApp, "seller_id": aliSeller,
		"app_public_key": keys.PublicPEM(merchantKey())}, &sides)
	cfg := s.alipayConfig(t)
	cfg.AlipayPublicKey, cfg.SellerID, cfg.AuthAppID, cfg.AppAuthToken = sides["alipay_public_key"], subSeller, subApp, token
	a, err := alipay.New(cfg)
	require.NoError(t, err)
	order, notice := s.paidNotice(t, a)
	read, err := a.ReadNotification(t.Context(), notice.Request, notice.Body)
	require.NoError(t, err)
	require.Equal(t, order.Number, read.Number)
	_, err = s.adapter.ReadNotification(t.Context(), notice.Request, notice.Body)
	require.ErrorContains(t, err, "seller_id")
	got, err := a.QueryTrade(t.Context(), order.Number)
	require.NoError(t, err)
	require.Equal(t, channel.TradePaid, got.State)
	got, err = s.adapter.QueryTrade(t.Context(), order.Number)
	require.NoError(t, err)
	require.Equal(t, channel.TradeNotFound, got.State, "it is not the app's own")

	order.Number, order.Product, order.ReturnURL = ulid.Make().String(), channel.ProductPage, "https://shop.example/back"
	out, err := a.Prepay(t.Context(), order)
	require.NoError(t, err)
	s.Follow(t, channel.ProductPage, out.Action)

	cfg.AppAuthToken = "201510BBffffffffffffffffffffffffffffff"
	stranger, err := alipay.New(cfg)
	require.NoError(t, err)
	got, err = stranger.QueryTrade(t.Context(), order.Number)
	require.NoError(t, err)
	require.Equal(t, "aop.invalid-app-auth-token", got.Code)
}
