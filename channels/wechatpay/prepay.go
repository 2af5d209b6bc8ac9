package wechatpay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

const (
	// maxSubject is the length of description, in characters.
	maxSubject = 127
	// maxPayerID is the length of an openid, in characters.
	maxPayerID = 128
)

// How long what a payer is given is good, by WeChat Pay's documentation of the
// prepay answers (code_url and prepay_id: 2 hours; h5_url: 5 minutes), less a
// little for the payer who has just read it.
const (
	prepayLife = 2*time.Hour - time.Minute
	h5Life     = 5*time.Minute - 30*time.Second
)

// Offers implements channel.Collector.
func (a *Adapter) Offers() []channel.Offer {
	return []channel.Offer{
		{Product: channel.ProductQR, Action: channel.ActionQRCode, Life: prepayLife},
		{Product: channel.ProductWAP, Action: channel.ActionRedirect, Life: h5Life,
			Needs: []channel.Need{channel.NeedPayerIP, channel.NeedReturnURL}},
		{Product: channel.ProductApp, Action: channel.ActionApp, Life: prepayLife},
		{Product: channel.ProductJSAPI, Action: channel.ActionJSAPI, Life: prepayLife, Needs: []channel.Need{channel.NeedPayerID}},
		{Product: channel.ProductBarcode, Action: channel.ActionNone, Needs: []channel.Need{channel.NeedAuthCode}},
	}
}

// transactionOrder is the body that announces an order, for every product.
type transactionOrder struct {
	names
	Description string      `json:"description"`
	OutTradeNo  string      `json:"out_trade_no"`
	TimeExpire  string      `json:"time_expire,omitempty"`
	NotifyURL   string      `json:"notify_url,omitempty"`
	Amount      orderAmount `json:"amount"`
	Payer       *orderPayer `json:"payer,omitempty"`
	SceneInfo   *orderScene `json:"scene_info,omitempty"`
}

type orderAmount struct {
	Total    int64  `json:"total"`
	Currency string `json:"currency"`
}

type orderPayer struct {
	OpenID    string `json:"openid,omitempty"`
	SpOpenID  string `json:"sp_openid,omitempty"`
	SubOpenID string `json:"sub_openid,omitempty"`
	AuthCode  string `json:"auth_code,omitempty"`
}

type orderScene struct {
	PayerClientIP string      `json:"payer_client_ip,omitempty"`
	DeviceIP      string      `json:"device_ip,omitempty"`
	H5Info        *orderH5    `json:"h5_info,omitempty"`
	StoreInfo     *orderStore `json:"store_info,omitempty"`
}

type orderH5 struct {
	Type string `json:"type"`
}

type orderStore struct {
	ID string `json:"id"`
}

// Prepay implements channel.Collector. Resent with the same content it answers
// the same trade again; parameters for the payer's side are signed anew.
func (a *Adapter) Prepay(ctx context.Context, order channel.PrepayOrder) (channel.Prepaid, error) {
	path, body, err := a.announce(order)
	if err != nil {
		return channel.Prepaid{}, err
	}
	var out struct {
		CodeURL  string `json:"code_url"`
		H5URL    string `json:"h5_url"`
		PrepayID string `json:"prepay_id"`
	}
	refused, err := a.post(ctx, a.orders()+path, body, &out)
	switch {
	case err != nil:
		return channel.Prepaid{}, err
	case refused != nil:
		return channel.Prepaid{Answer: a.judge(prepay, refused)}, nil
	}
	switch order.Product {
	case channel.ProductJSAPI, channel.ProductApp:
		if out.PrepayID == "" {
			return channel.Prepaid{Answer: badBody("prepay_id")}, nil
		}
		return a.handOver(ctx, order.Product, out.PrepayID)
	case channel.ProductWAP:
		action, ok := redirectTo(out.H5URL, order.ReturnURL)
		if !ok {
			return channel.Prepaid{Answer: badBody("h5_url")}, nil
		}
		return channel.Prepaid{Answer: accepted("OK"), Action: action}, nil
	}
	if out.CodeURL == "" {
		return channel.Prepaid{Answer: badBody("code_url")}, nil
	}
	return channel.Prepaid{Answer: accepted("OK"), Action: channel.Action{Type: channel.ActionQRCode, QRCode: out.CodeURL}}, nil
}

// redirectTo is the page of an h5_url with the way back. Only a web page with a
// query is one: nothing else may reach a payer's browser.
func redirectTo(h5URL, back string) (channel.Action, bool) {
	target, err := url.Parse(h5URL)
	web := err == nil && (target.Scheme == "https" || target.Scheme == "http") && target.Host != ""
	if !web || target.RawQuery == "" || target.Fragment != "" || strings.Contains(h5URL, "#") {
		return channel.Action{}, false
	}
	return channel.Action{Type: channel.ActionRedirect, URL: h5URL + "&redirect_url=" + url.QueryEscape(back)}, true
}

// announce checks the order and makes the request. An order without a product
// is one for a QR code.
func (a *Adapter) announce(order channel.PrepayOrder) (path string, body transactionOrder, err error) {
	body, err = a.order(order.Number, order.Amount, order.Subject)
	if err = errors.Join(err, wire.CheckNotifyURL("NotifyURL", order.NotifyURL), checkExpiry(order.ExpiresAt)); err != nil {
		return "", body, err
	}
	body.NotifyURL, body.TimeExpire = order.NotifyURL, order.ExpiresAt.In(wire.Shanghai()).Format(time.RFC3339)
	switch order.Product {
	case channel.ProductQR, "":
		return "native", body, nil
	case channel.ProductApp:
		return "app", body, nil
	case channel.ProductJSAPI:
		body.Payer = a.payer(order.PayerID)
		return "jsapi", body, wire.CheckText("PayerID", order.PayerID, maxPayerID)
	case channel.ProductWAP:
		body.SceneInfo = &orderScene{PayerClientIP: order.PayerIP, H5Info: &orderH5{Type: "Wap"}}
		return "h5", body, errors.Join(checkIP("PayerIP", order.PayerIP), checkReturnURL(order.ReturnURL))
	}
	return "", body, fmt.Errorf("the product %q is not one that WeChat Pay prepares", order.Product)
}

// order is what all products' requests have.
func (a *Adapter) order(number string, amount money.Amount, subject string) (transactionOrder, error) {
	body := transactionOrder{
		names: a.names(), Description: subject, OutTradeNo: number,
		Amount: orderAmount{Total: amount.Minor, Currency: string(money.CNY)},
	}
	return body, errors.Join(
		wire.CheckNumber("Number", number),
		wire.CheckAmount("Amount", amount),
		wire.CheckText("Subject", subject, maxSubject),
	)
}

// payer names a payer by the id they have under payerApp.
func (a *Adapter) payer(openid string) *orderPayer {
	switch {
	case !a.partner():
		return &orderPayer{OpenID: openid}
	case a.subAppID != "":
		return &orderPayer{SubOpenID: openid}
	}
	return &orderPayer{SpOpenID: openid}
}

// handOver signs, with the merchant's key, what the payer's side gives to WeChat.
func (a *Adapter) handOver(ctx context.Context, product channel.Product, prepayID string) (channel.Prepaid, error) {
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), rand.Text()
	var params map[string]string
	var text string
	action, field := channel.ActionJSAPI, "paySign"
	if product == channel.ProductApp {
		action, field = channel.ActionApp, "sign"
		params = map[string]string{"appid": a.payerApp(), "partnerid": a.merchant(), "prepayid": prepayID,
			"package": "Sign=WXPay", "noncestr": nonce, "timestamp": timestamp}
		text = clientText(a.payerApp(), timestamp, nonce, prepayID)
	} else {
		params = map[string]string{"appId": a.payerApp(), "timeStamp": timestamp, "nonceStr": nonce,
			"package": "prepay_id=" + prepayID, "signType": "RSA"}
		text = clientText(a.payerApp(), timestamp, nonce, "prepay_id="+prepayID)
	}
	signed, err := a.client.Sign(ctx, text)
	if err != nil {
		return channel.Prepaid{Answer: badBody("prepay_id, which cannot be signed,")}, nil
	}
	params[field] = signed.Signature
	return channel.Prepaid{Answer: accepted("OK"), Action: channel.Action{Type: action, Params: params}}, nil
}

// clientText is what the payer's side's signature covers.
func clientText(parts ...string) string { return strings.Join(parts, "\n") + "\n" }

// checkExpiry refuses a forgotten expiry: without one the provider chooses.
func checkExpiry(at time.Time) error {
	if at.IsZero() {
		return errors.New("ExpiresAt: missing; every trade needs an absolute expiry")
	}
	return nil
}

func checkIP(field, text string) error {
	if _, err := netip.ParseAddr(text); err != nil {
		return fmt.Errorf("%s: not an IP address", field)
	}
	return nil
}

// checkReturnURL allows a query, which a notification's address must not have.
func checkReturnURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		return errors.New("ReturnURL: not an absolute http(s) address")
	}
	return nil
}
