package devseed

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"

	"github.com/suanpan/suanpan/channels/keys"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// The sandbox's contract with the demo tenant, and what the books accrue by.
const (
	feeBasisPoints = 60
	openingBalance = 0
)

// portal is the sandbox's control API, which stands in for the providers'
// merchant portals.
type portal struct{ base string }

func (p portal) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("the sandbox answered %s: %s", response.Status, strings.TrimSpace(string(text)))
	}
	return json.Unmarshal(text, out)
}

// alipay opens the tenant's app at the sandbox and enters its keys.
func (s *seeder) alipay(ctx context.Context, tenantID string, a Alipay) (Alipay, error) {
	if a.ChannelAccountID == "" {
		a = Alipay{ChannelAccountID: id.New(id.ChannelAccount), AppID: "2021" + digits(12), SellerID: "2088" + digits(12)}
	}
	account, err := s.ensureAccount(ctx, tenantID, tenant.ChannelAccount{
		ID: a.ChannelAccountID, Channel: "alipay", Name: "Alipay (sandbox)", FeeBasisPoints: feeBasisPoints,
		Params: map[string]string{keys.ParamAppID: a.AppID, keys.ParamSellerID: a.SellerID},
	})
	if err != nil {
		return a, err
	}
	own, entered, err := s.keys(ctx, account)
	if err != nil {
		return a, err
	}
	public, err := publicOf(own)
	if err != nil {
		return a, err
	}
	var provider struct {
		Key string `json:"alipay_public_key"`
	}
	err = s.portal.post(ctx, "/control/alipay/apps", map[string]any{
		"app_id": a.AppID, "seller_id": a.SellerID, "app_public_key": public,
		"fee_basis_points": feeBasisPoints, "balance": openingBalance, "refund_fee_returned": false,
	}, &provider)
	if err != nil {
		return a, err
	}
	own.ProviderPublicKey = provider.Key
	return a, s.enter(ctx, account, own, entered)
}

// wechat opens the tenant's merchant at the sandbox and enters its keys.
func (s *seeder) wechat(ctx context.Context, tenantID string, w WeChat) (WeChat, error) {
	if w.ChannelAccountID == "" {
		w = WeChat{ChannelAccountID: id.New(id.ChannelAccount), MchID: "19" + digits(8),
			AppID: "wx" + hexText(8), MerchantSerial: strings.ToUpper(hexText(20))}
	}
	account, err := s.ensureAccount(ctx, tenantID, tenant.ChannelAccount{
		ID: w.ChannelAccountID, Channel: "wechatpay", Name: "WeChat Pay (sandbox)",
		FeeBasisPoints: feeBasisPoints, FeeReturned: true,
		Params: map[string]string{keys.ParamMchID: w.MchID, keys.ParamAppID: w.AppID},
	})
	if err != nil {
		return w, err
	}
	own, entered, err := s.keys(ctx, account)
	if err != nil {
		return w, err
	}
	if !entered {
		own.Serial, own.APIv3Key, own.AppSecret = w.MerchantSerial, hexText(16), hexText(16)
	}
	public, err := publicOf(own)
	if err != nil {
		return w, err
	}
	var provider struct {
		ID  string `json:"public_key_id"`
		Key string `json:"public_key"`
	}
	err = s.portal.post(ctx, "/control/wechatpay/merchants", map[string]any{
		"mchid": w.MchID, "appid": w.AppID, "merchant_serial": own.Serial, "merchant_public_key": public,
		"api_v3_key": own.APIv3Key, "app_secret": own.AppSecret, "fee_basis_points": feeBasisPoints, "refund_fee_returned": true,
	}, &provider)
	if err != nil {
		return w, err
	}
	own.ProviderPublicKey, own.ProviderPublicKeyID = provider.Key, provider.ID
	return w, s.enter(ctx, account, own, entered)
}

// publicOf returns the public half, in PEM, of our own key.
func publicOf(c channel.Credentials) (string, error) {
	block, _ := pem.Decode([]byte(c.PrivateKey))
	if block == nil {
		return "", errors.New("the account's private key is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return "", errors.New("the account's private key is not PKCS#8")
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return "", errors.New("the account's private key is not RSA")
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

func newPrivateKey() (string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

func digits(n int) string {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
	random, err := rand.Int(rand.Reader, limit)
	if err != nil {
		panic(err) // crypto/rand does not fail on the systems Go runs on
	}
	return fmt.Sprintf("%0*d", n, random)
}

func hexText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never returns an error, by its documentation
	return hex.EncodeToString(b)
}
