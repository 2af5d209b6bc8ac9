package control

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/keys"
	"github.com/suanpan/suanpan/sandbox/wechatpay"
)

// defaultFee is 0.6 %.
const defaultFee = 60

type alipayApp struct {
	AppID             string `json:"app_id"`
	SellerID          string `json:"seller_id"`
	AppPublicKey      string `json:"app_public_key"`
	AppCertificate    string `json:"app_certificate"`
	FeeBasisPoints    *int64 `json:"fee_basis_points"`
	Balance           int64  `json:"balance"`
	RefundFeeReturned bool   `json:"refund_fee_returned"`
}

// registerAlipay makes an app known, or replaces its key and contract. The
// balance counts only when the seller's account is opened.
func (a *api) registerAlipay(r *http.Request) (any, error) {
	in, err := read[alipayApp](r)
	if err != nil {
		return nil, err
	}
	if in.AppID == "" {
		return nil, bad("app_id is missing")
	}
	if len(in.SellerID) != 16 || strings.Trim(in.SellerID, "0123456789") != "" {
		return nil, bad("seller_id must have 16 digits, such as 2088123456789012")
	}
	public, serial, err := alipayKey(in.AppPublicKey, in.AppCertificate)
	if err != nil {
		return nil, err
	}
	fee, err := feeOf(in.FeeBasisPoints)
	if err != nil {
		return nil, err
	}
	merchant := books.Merchant{Provider: books.Alipay, ID: in.AppID, Account: in.SellerID, PublicKey: public, Serial: serial,
		FeeBasisPoints: fee, RefundFeeReturned: in.RefundFeeReturned}
	if err := a.register(merchant, in.Balance); err != nil {
		return nil, err
	}
	return a.alipayKeys(), nil
}

type weChatMerchant struct {
	MchID               string `json:"mchid"`
	AppID               string `json:"appid"`
	MerchantSerial      string `json:"merchant_serial"`
	MerchantPublicKey   string `json:"merchant_public_key"`
	MerchantCertificate string `json:"merchant_certificate"`
	APIv3Key            string `json:"api_v3_key"`
	KeyMode             string `json:"key_mode"`
	FeeBasisPoints      *int64 `json:"fee_basis_points"`
	Balance             int64  `json:"balance"`
	RefundFeeReturned   *bool  `json:"refund_fee_returned"`
	AppSecret           string `json:"app_secret"`
}

// registerWeChatPay makes a merchant known, or replaces its keys and contract.
func (a *api) registerWeChatPay(r *http.Request) (any, error) {
	in, err := read[weChatMerchant](r)
	if err != nil {
		return nil, err
	}
	switch {
	case in.MchID == "" || strings.Trim(in.MchID, "0123456789") != "":
		return nil, bad("mchid must be digits, such as 1900000109")
	case in.AppID == "":
		return nil, bad("appid is missing")
	case len(in.APIv3Key) != 32:
		return nil, bad("api_v3_key must have 32 bytes")
	case in.KeyMode != "" && in.KeyMode != "public_key" && in.KeyMode != wechatpay.KeyModeCertificate:
		return nil, bad("key_mode must be public_key or platform_certificate")
	case (in.MerchantPublicKey == "") == (in.MerchantCertificate == ""):
		return nil, bad("give merchant_public_key or merchant_certificate, one of them")
	}
	public, serial, err := keys.NormalisePublicKey(in.MerchantPublicKey + in.MerchantCertificate)
	if err != nil {
		return nil, badBecause(fmt.Errorf("merchant key: %w", err))
	}
	if in.MerchantSerial != "" {
		serial = in.MerchantSerial
	}
	if serial == "" {
		return nil, bad("merchant_serial is missing: a public key has none of its own")
	}
	fee, err := feeOf(in.FeeBasisPoints)
	if err != nil {
		return nil, err
	}
	merchant := books.Merchant{Provider: books.WeChatPay, ID: in.MchID, Account: in.MchID, AppID: in.AppID,
		PublicKey: public, Serial: serial, APIv3Key: in.APIv3Key, KeyMode: in.KeyMode, FeeBasisPoints: fee, AppSecret: in.AppSecret,
		RefundFeeReturned: in.RefundFeeReturned == nil || *in.RefundFeeReturned}
	if err := a.register(merchant, in.Balance); err != nil {
		return nil, err
	}
	platform := a.Keys.Platform()
	return map[string]string{
		"public_key_id":        a.Keys.PublicKeyID,
		"public_key":           keys.PublicPEM(a.Keys.WeChatPay),
		"platform_serial":      platform.Serial,
		"platform_certificate": keys.CertificatePEM(platform.Certificate),
	}, nil
}

func feeOf(basisPoints *int64) (int64, error) {
	if basisPoints == nil {
		return defaultFee, nil
	}
	if *basisPoints < 0 || *basisPoints > 10_000 {
		return 0, bad("fee_basis_points must be between 0 and 10000; 60 is 0.6 %")
	}
	return *basisPoints, nil
}

// register puts the merchant into the books; saying the same again writes nothing.
func (a *api) register(m books.Merchant, balance int64) error {
	if balance < 0 || balance > 1_000_000_000_00 {
		return bad("balance must be fen between 0 and 100000000000")
	}
	return a.Books.Update("merchant_registered", func(tx *books.Tx) error {
		if known, ok := tx.Merchant(m.Provider, m.ID); !ok || known != m {
			if ok && known.Account != m.Account {
				return &failure{http.StatusConflict, fmt.Errorf("%s already belongs to account %s", m.ID, known.Account)}
			}
			tx.PutMerchant(m)
		}
		if tx.AccountKnown(m.Provider, m.Account) {
			return nil
		}
		_, err := tx.Move(books.Movement{Provider: m.Provider, Merchant: m.ID, Account: m.Account,
			Kind: books.MovementTopUp, Number: "opening", Amount: balance})
		return err
	})
}

type topUp struct {
	Provider string `json:"provider"`
	Merchant string `json:"merchant"`
	Number   string `json:"number"`
	Amount   int64  `json:"amount"`
	// Account is OPERATION or FEES for one of WeChat Pay's further accounts.
	Account string `json:"account"`
}

// topUp puts money from outside on a merchant's account.
func (a *api) topUp(r *http.Request) (any, error) {
	in, err := read[topUp](r)
	if err != nil {
		return nil, err
	}
	p, err := provider(in.Provider)
	if err != nil {
		return nil, err
	}
	if in.Amount <= 0 || in.Amount > 1_000_000_000_00 || in.Number == "" {
		return nil, bad("amount in fen, above 0, and number are needed")
	}
	if in.Account != "" && (p != books.WeChatPay || (in.Account != "OPERATION" && in.Account != "FEES")) {
		return nil, bad("account must be empty, or at wechatpay OPERATION or FEES")
	}
	var balance int64
	err = a.Books.Update("top_up", func(tx *books.Tx) error {
		merchant, ok := tx.Merchant(p, in.Merchant)
		if !ok {
			return fmt.Errorf("%w: merchant %q", books.ErrNotFound, in.Merchant)
		}
		account := merchant.Account
		if in.Account != "" {
			account += "/" + in.Account
		}
		repeated := tx.Movements(func(m books.Movement) bool {
			return m.Kind == books.MovementTopUp && m.Provider == p && m.Account == account && m.Number == in.Number
		})
		if len(repeated) > 0 {
			if repeated[0].Amount != in.Amount {
				return &failure{http.StatusConflict, fmt.Errorf("number %q was topped up with another amount", in.Number)}
			}
			balance = tx.Balance(p, account)
			return nil
		}
		balance, err = tx.Move(books.Movement{Provider: p, Merchant: in.Merchant, Account: account,
			Kind: books.MovementTopUp, Number: in.Number, Amount: in.Amount})
		return err
	})
	return map[string]int64{"balance": balance}, err
}

func (a *api) registerPayee(r *http.Request) (any, error) {
	in, err := read[books.Payee](r)
	if err != nil {
		return nil, err
	}
	if in.Identity == "" {
		return nil, bad("identity is missing")
	}
	err = a.Books.Update("payee_registered", func(tx *books.Tx) error {
		if known, ok := tx.Payee(in.Identity); !ok || known != in {
			tx.PutPayee(in)
		}
		return nil
	})
	return in, err
}
