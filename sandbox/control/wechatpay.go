package control

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/keys"
)

type subMerchant struct {
	SpMchID           string `json:"sp_mchid"`
	SubMchID          string `json:"sub_mchid"`
	SubAppID          string `json:"sub_appid"`
	AppSecret         string `json:"app_secret"`
	FeeBasisPoints    *int64 `json:"fee_basis_points"`
	Balance           int64  `json:"balance"`
	RefundFeeReturned *bool  `json:"refund_fee_returned"`
}

// registerSubMerchant makes a merchant known that a service provider works for.
// It has an account of its own and signs nothing.
func (a *api) registerSubMerchant(r *http.Request) (any, error) {
	in, err := read[subMerchant](r)
	if err != nil {
		return nil, err
	}
	if in.SubMchID == "" || strings.Trim(in.SubMchID, "0123456789") != "" || in.SubMchID == in.SpMchID {
		return nil, bad("sub_mchid must be digits, such as 1900000209, and not sp_mchid")
	}
	fee, err := feeOf(in.FeeBasisPoints)
	if err != nil {
		return nil, err
	}
	known := false
	err = a.Books.View(func(view books.Reader) error {
		provider, ok := view.Merchant(books.WeChatPay, in.SpMchID)
		known = ok && provider.Partner == ""
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, fmt.Errorf("%w: merchant %q", books.ErrNotFound, in.SpMchID)
	}
	err = a.register(books.Merchant{
		Provider: books.WeChatPay, ID: in.SubMchID, Account: in.SubMchID, AppID: in.SubAppID, AppSecret: in.AppSecret,
		Partner: in.SpMchID, FeeBasisPoints: fee, RefundFeeReturned: in.RefundFeeReturned == nil || *in.RefundFeeReturned,
	}, in.Balance)
	return map[string]string{"sp_mchid": in.SpMchID, "sub_mchid": in.SubMchID}, err
}

type merchantCertificate struct {
	MchID               string `json:"mchid"`
	MerchantSerial      string `json:"merchant_serial"`
	MerchantPublicKey   string `json:"merchant_public_key"`
	MerchantCertificate string `json:"merchant_certificate"`
	OverlapSeconds      int64  `json:"overlap_seconds"`
}

// changeCertificate gives a merchant a new certificate. The one before signs for
// another overlap_seconds.
func (a *api) changeCertificate(r *http.Request) (any, error) {
	in, err := read[merchantCertificate](r)
	if err != nil {
		return nil, err
	}
	if (in.MerchantPublicKey == "") == (in.MerchantCertificate == "") || in.OverlapSeconds < 0 {
		return nil, bad("give merchant_public_key or merchant_certificate, one of them, and overlap_seconds from 0")
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
	var until time.Time
	err = a.Books.Update("merchant_certificate_changed", func(tx *books.Tx) error {
		merchant, ok := tx.Merchant(books.WeChatPay, in.MchID)
		if !ok || merchant.Partner != "" {
			return fmt.Errorf("%w: merchant %q", books.ErrNotFound, in.MchID)
		}
		until = tx.RealNow().Add(time.Duration(in.OverlapSeconds) * time.Second).UTC().Round(0)
		merchant.PreviousSerial, merchant.PreviousPublicKey, merchant.PreviousUntil = merchant.Serial, merchant.PublicKey, until
		merchant.Serial, merchant.PublicKey = serial, public
		tx.PutMerchant(merchant)
		return nil
	})
	return map[string]any{"merchant_serial": serial, "previous_until": until}, err
}

type rotation struct {
	Stage keys.Stage `json:"stage"`
}

// rotatePlatform takes one stage of a change of WeChat Pay's platform certificate.
func (a *api) rotatePlatform(r *http.Request) (any, error) {
	in, err := read[rotation](r)
	if err != nil {
		return nil, err
	}
	if err := a.Keys.Rotate(in.Stage); errors.Is(err, keys.ErrStage) {
		return nil, &failure{http.StatusConflict, fmt.Errorf("%w; the stages are publish, switch, retire", err)}
	} else if err != nil {
		return nil, err
	}
	known := []string{}
	for _, certificate := range a.Keys.PlatformCertificates() {
		known = append(known, certificate.Serial)
	}
	return map[string]any{"signing": a.Keys.Platform().Serial, "in_force": known}, nil
}

type weChatSettings struct {
	ReverseAfterSeconds int64 `json:"reverse_after_seconds"`
}

// setWeChatPay changes what the provider leaves open; it lives in memory.
func (a *api) setWeChatPay(r *http.Request) (any, error) {
	in, err := read[weChatSettings](r)
	if err != nil {
		return nil, err
	}
	if in.ReverseAfterSeconds < 0 || in.ReverseAfterSeconds > 3600 {
		return nil, bad("reverse_after_seconds must be between 0 and 3600")
	}
	a.WeChatPay.SetReverseAfter(time.Duration(in.ReverseAfterSeconds) * time.Second)
	return in, nil
}
