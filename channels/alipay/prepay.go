package alipay

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
)

const (
	// maxSubject is what the port promises; Alipay itself takes 256 characters.
	maxSubject = 127
	// maxPayerID is the length of an open id, in characters.
	maxPayerID = 128
	// maxAddress is the length of a return_url, in bytes.
	maxAddress = 256
)

// Offers implements channel.Collector.
func (a *Adapter) Offers() []channel.Offer {
	return []channel.Offer{
		{Product: channel.ProductQR, Action: channel.ActionQRCode},
		{Product: channel.ProductPage, Action: channel.ActionRedirect, Needs: []channel.Need{channel.NeedReturnURL}},
		{Product: channel.ProductWAP, Action: channel.ActionRedirect, Needs: []channel.Need{channel.NeedReturnURL}},
		{Product: channel.ProductApp, Action: channel.ActionApp},
		{Product: channel.ProductJSAPI, Action: channel.ActionJSAPI, Needs: []channel.Need{channel.NeedPayerID}},
		{Product: channel.ProductBarcode, Action: channel.ActionNone, Needs: []channel.Need{channel.NeedAuthCode}},
	}
}

// Prepay implements channel.Collector. For page, WAP and app the request is only
// signed here, and the payer's side carries it to Alipay: nothing is known there
// before. A code to scan makes no trade either until somebody scans it. So the
// absolute expiry sent with every order is what ends an unpaid one.
//
// An order without a product is one for a QR code.
func (a *Adapter) Prepay(ctx context.Context, order channel.PrepayOrder) (channel.Prepaid, error) {
	biz, err := a.announcement(order)
	if err != nil {
		return channel.Prepaid{}, err
	}
	switch order.Product {
	case channel.ProductPage, channel.ProductWAP, channel.ProductApp:
		return a.signed(ctx, order, biz)
	case channel.ProductJSAPI:
		return a.create(ctx, order, biz)
	}
	return a.precreate(ctx, order, biz)
}

// announcement checks the order and makes its biz_content.
func (a *Adapter) announcement(order channel.PrepayOrder) (fields, error) {
	total, err := channel.FormatYuan(order.Amount)
	err = errors.Join(err,
		wire.CheckNumber("Number", order.Number),
		wire.CheckAmount("Amount", order.Amount),
		wire.CheckText("Subject", order.Subject, maxSubject),
		wire.CheckNotifyURL("NotifyURL", order.NotifyURL),
		checkExpiry(order.ExpiresAt),
	)
	biz := fields{"out_trade_no": order.Number, "total_amount": total, "subject": order.Subject, "time_expire": formatTime(order.ExpiresAt)}
	switch order.Product {
	case channel.ProductQR, "":
		biz["product_code"] = "FACE_TO_FACE_PAYMENT"
	case channel.ProductPage:
		biz["product_code"] = "FAST_INSTANT_TRADE_PAY"
		err = errors.Join(err, checkReturnURL("ReturnURL", order.ReturnURL))
	case channel.ProductWAP:
		biz["product_code"], biz["quit_url"] = "QUICK_WAP_WAY", order.ReturnURL
		err = errors.Join(err, checkReturnURL("ReturnURL", order.ReturnURL))
	case channel.ProductApp:
		biz["product_code"] = "QUICK_MSECURITY_PAY"
	case channel.ProductJSAPI:
		biz["product_code"] = "JSAPI_PAY"
		biz[buyerField(order.PayerID)] = order.PayerID
		err = errors.Join(err, wire.CheckText("PayerID", order.PayerID, maxPayerID))
	default:
		err = errors.Join(err, fmt.Errorf("field Product: %q is not one that Alipay prepares", order.Product))
	}
	return biz, err
}

// buyerField is the field for a payer's id: a 2088… member number, or the open id
// under which newer applications know the payer.
func buyerField(payer string) string {
	if identityType(payer) == "ALIPAY_USER_ID" {
		return "buyer_id"
	}
	return "buyer_open_id"
}

// signed is what the payer's side carries to Alipay. Nothing is sent, so it cannot
// be unknown; a resend is signed anew and is the same order.
func (a *Adapter) signed(ctx context.Context, order channel.PrepayOrder, biz fields) (channel.Prepaid, error) {
	if err := ctx.Err(); err != nil {
		return channel.Prepaid{}, fmt.Errorf("alipay: nothing was signed: %w", err)
	}
	method := map[channel.Product]string{channel.ProductPage: "alipay.trade.page.pay", channel.ProductWAP: "alipay.trade.wap.pay",
		channel.ProductApp: "alipay.trade.app.pay"}[order.Product]
	payload := a.payload(method, order.NotifyURL, biz)
	done := channel.Prepaid{Answer: channel.Answer{Outcome: channel.Succeeded, Code: codeOK, Message: "signed here, not sent yet"}}
	if order.Product == channel.ProductApp {
		text, err := a.client.EncodeParam(payload)
		if err != nil {
			return channel.Prepaid{}, errors.New("alipay: the order cannot be signed")
		}
		done.Action = channel.Action{Type: channel.ActionApp, Params: map[string]string{"order_string": text}}
		return done, nil
	}
	payload.AddParam("return_url", order.ReturnURL)
	address, err := a.client.BuildURL(payload)
	if err != nil {
		return channel.Prepaid{}, errors.New("alipay: the order cannot be signed")
	}
	done.Action = channel.Action{Type: channel.ActionRedirect, URL: address.String()}
	return done, nil
}

// prepared is the part of the answers of precreate and create.
type prepared struct {
	reply
	OutTradeNo string `json:"out_trade_no"`
	QRCode     string `json:"qr_code"`
	TradeNo    string `json:"trade_no"`
}

func (a *Adapter) precreate(ctx context.Context, order channel.PrepayOrder, biz fields) (channel.Prepaid, error) {
	out, answer, err := a.prepare(ctx, "alipay.trade.precreate", order, biz)
	switch {
	case err != nil || answer.Outcome != channel.Succeeded:
		return channel.Prepaid{Answer: answer}, err
	case out.QRCode == "":
		return channel.Prepaid{Answer: badBody("qr_code")}, nil
	}
	return channel.Prepaid{Answer: answer, Action: channel.Action{Type: channel.ActionQRCode, QRCode: out.QRCode}}, nil
}

// create announces a trade to one payer; it exists at once.
func (a *Adapter) create(ctx context.Context, order channel.PrepayOrder, biz fields) (channel.Prepaid, error) {
	out, answer, err := a.prepare(ctx, "alipay.trade.create", order, biz)
	switch {
	case err != nil || answer.Outcome != channel.Succeeded:
		return channel.Prepaid{Answer: answer}, err
	case out.TradeNo == "":
		return channel.Prepaid{Answer: badBody("trade_no")}, nil
	}
	params := map[string]string{"trade_no": out.TradeNo}
	return channel.Prepaid{Answer: answer, Action: channel.Action{Type: channel.ActionJSAPI, Params: params}}, nil
}

func (a *Adapter) prepare(ctx context.Context, method string, order channel.PrepayOrder, biz fields) (prepared, channel.Answer, error) {
	var out prepared
	failure, err := a.call(ctx, method, order.NotifyURL, biz, &out)
	switch {
	case err != nil:
		return out, channel.Answer{}, err
	case failure != nil:
		return out, unusable(failure), nil
	case out.Code != codeOK:
		return out, a.refusal(prepay, out.reply), nil
	case out.OutTradeNo != order.Number:
		return out, mismatch("out_trade_no"), nil
	}
	return out, accepted(out.reply), nil
}

// checkReturnURL allows a query, which a notification's address must not have.
func checkReturnURL(field, address string) error {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || len(address) > maxAddress {
		return fmt.Errorf("%s: not an absolute http(s) address of at most %d bytes", field, maxAddress)
	}
	return nil
}
