package control

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/keys"
)

// alipayKey reads an app's public key (key mode) or certificate (certificate mode,
// with its serial number).
func alipayKey(publicKey, certificate string) (public, serial string, err error) {
	if (publicKey == "") == (certificate == "") {
		return "", "", bad("give app_public_key (key mode) or app_certificate (certificate mode), one of them")
	}
	if public, _, err = keys.NormalisePublicKey(publicKey + certificate); err != nil {
		return "", "", badBecause(fmt.Errorf("app key: %w", err))
	}
	if certificate == "" {
		return public, "", nil
	}
	block, _ := pem.Decode([]byte(certificate))
	if block == nil {
		return "", "", bad("app_certificate must be PEM")
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", "", badBecause(fmt.Errorf("app_certificate: %w", err))
	}
	return public, keys.AlipaySN(parsed), nil
}

// alipayKeys is what an app verifies Alipay with, whichever mode it is in: the key
// that signs now, with its certificate.
func (a *api) alipayKeys() map[string]string {
	signing := a.Keys.Alipay()
	return map[string]string{
		"alipay_public_key": keys.PublicPEM(signing.Key), "alipay_certificate": keys.CertificatePEM(signing.Certificate),
		"alipay_root_certificate": keys.CertificatePEM(a.Keys.AlipayRoot), "alipay_cert_sn": signing.Serial,
	}
}

type alipaySubMerchant struct {
	AppID             string `json:"app_id"`
	AuthAppID         string `json:"auth_app_id"`
	AppAuthToken      string `json:"app_auth_token"`
	SellerID          string `json:"seller_id"`
	FeeBasisPoints    *int64 `json:"fee_basis_points"`
	Balance           int64  `json:"balance"`
	RefundFeeReturned bool   `json:"refund_fee_returned"`
}

// authorizeAlipay lets an app act for another merchant by app_auth_token.
func (a *api) authorizeAlipay(r *http.Request) (any, error) {
	in, err := read[alipaySubMerchant](r)
	if err != nil {
		return nil, err
	}
	if in.AuthAppID == "" || in.AuthAppID == in.AppID || in.AppAuthToken == "" {
		return nil, bad("auth_app_id, other than app_id, and app_auth_token are needed")
	}
	if len(in.SellerID) != 16 || strings.Trim(in.SellerID, "0123456789") != "" {
		return nil, bad("seller_id must have 16 digits, such as 2088123456789012")
	}
	fee, err := feeOf(in.FeeBasisPoints)
	if err != nil {
		return nil, err
	}
	known := false
	err = a.Books.View(func(view books.Reader) error {
		app, ok := view.Merchant(books.Alipay, in.AppID)
		known = ok && app.Partner == ""
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, fmt.Errorf("%w: app %q", books.ErrNotFound, in.AppID)
	}
	err = a.register(books.Merchant{Provider: books.Alipay, ID: in.AuthAppID, Account: in.SellerID, Partner: in.AppID,
		AuthToken: in.AppAuthToken, FeeBasisPoints: fee, RefundFeeReturned: in.RefundFeeReturned}, in.Balance)
	return map[string]string{"app_id": in.AppID, "auth_app_id": in.AuthAppID}, err
}

type alipayGateway struct {
	AppID      string `json:"app_id"`
	GatewayURL string `json:"gateway_url"`
}

// setAlipayGateway sets the address at which an app is told of its transfers.
func (a *api) setAlipayGateway(r *http.Request) (any, error) {
	in, err := read[alipayGateway](r)
	if err != nil {
		return nil, err
	}
	err = a.Books.Update("app_gateway_set", func(tx *books.Tx) error {
		app, ok := tx.Merchant(books.Alipay, in.AppID)
		if !ok || app.Partner != "" {
			return fmt.Errorf("%w: app %q", books.ErrNotFound, in.AppID)
		}
		app.GatewayURL = in.GatewayURL
		tx.PutMerchant(app)
		return nil
	})
	return in, err
}

type alipayAppKey struct {
	AppID          string `json:"app_id"`
	AppPublicKey   string `json:"app_public_key"`
	AppCertificate string `json:"app_certificate"`
	OverlapSeconds int64  `json:"overlap_seconds"`
}

// changeAlipayApp gives an app a new key or certificate. The one before signs for
// another overlap_seconds.
func (a *api) changeAlipayApp(r *http.Request) (any, error) {
	in, err := read[alipayAppKey](r)
	if err != nil {
		return nil, err
	}
	public, serial, err := alipayKey(in.AppPublicKey, in.AppCertificate)
	if err != nil {
		return nil, err
	}
	if in.OverlapSeconds < 0 {
		return nil, bad("overlap_seconds must not be negative")
	}
	var until time.Time
	err = a.Books.Update("app_key_changed", func(tx *books.Tx) error {
		app, ok := tx.Merchant(books.Alipay, in.AppID)
		if !ok || app.Partner != "" {
			return fmt.Errorf("%w: app %q", books.ErrNotFound, in.AppID)
		}
		if (app.Serial == "") != (serial == "") {
			return &failure{http.StatusConflict, errors.New("an app changes its mode by registering anew")}
		}
		until = tx.RealNow().Add(time.Duration(in.OverlapSeconds) * time.Second).UTC().Round(0)
		app.PreviousSerial, app.PreviousPublicKey, app.PreviousUntil = app.Serial, app.PublicKey, until
		app.Serial, app.PublicKey = serial, public
		tx.PutMerchant(app)
		return nil
	})
	return map[string]any{"app_cert_sn": serial, "previous_until": until}, err
}

// rotateAlipay takes one stage of a change of Alipay's own key and certificate.
func (a *api) rotateAlipay(r *http.Request) (any, error) {
	in, err := read[rotation](r)
	if err != nil {
		return nil, err
	}
	if err := a.Keys.RotateAlipay(in.Stage); errors.Is(err, keys.ErrStage) {
		return nil, &failure{http.StatusConflict, fmt.Errorf("%w; the stages are publish, switch, retire", err)}
	} else if err != nil {
		return nil, err
	}
	publics, certificates := []string{}, []string{}
	for _, each := range a.Keys.AlipayKeys() {
		publics = append(publics, keys.PublicPEM(each.Key))
		certificates = append(certificates, keys.CertificatePEM(each.Certificate))
	}
	return map[string]any{"signing": a.Keys.Alipay().Serial, "public_keys": publics, "certificates": certificates}, nil
}
