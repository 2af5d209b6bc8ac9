package wechatpay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// gcmNonceSize is the one nonce length of AEAD_AES_256_GCM; the SDK would panic
// on another.
const gcmNonceSize = 12

// probePrefix marks the deliberately wrong signatures with which WeChat tests
// that a merchant really verifies. They must be refused like any other.
const probePrefix = "WECHATPAY/SIGNTEST/"

// ReadNotification implements channel.Notifier: the signature over the raw
// body, its age (300 seconds), the encryption, and then that the merchant and,
// where printed, the application are ours.
func (a *Adapter) ReadNotification(ctx context.Context, r *http.Request, body []byte) (channel.Notification, error) {
	refuse := func(why string) (channel.Notification, error) {
		return channel.Notification{}, errors.New("wechatpay notification: " + why)
	}
	if r.Method != http.MethodPost {
		return refuse("not a POST")
	}
	if strings.HasPrefix(r.Header.Get("Wechatpay-Signature"), probePrefix) {
		return refuse("a signature probe")
	}
	for _, name := range []string{"Signature", "Serial", "Timestamp", "Nonce"} {
		if len(r.Header.Values("Wechatpay-"+name)) > 1 {
			return refuse("a header of the signature stands twice")
		}
	}
	if err := wire.PlainJSON(body); err != nil {
		return refuse("the body is " + err.Error())
	}
	var envelope struct {
		Resource struct {
			Nonce string `json:"nonce"`
		} `json:"resource"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil || len(envelope.Resource.Nonce) != gcmNonceSize {
		return refuse("resource.nonce does not have 12 bytes")
	}
	// The SDK reads the body from the request and quotes the request in its
	// errors: it gets a copy, and its texts go nowhere.
	copied := r.Clone(ctx)
	copied.Body = io.NopCloser(bytes.NewReader(body))
	var content json.RawMessage
	event, err := a.notices.ParseNotifyRequest(ctx, copied, &content)
	if err != nil {
		return refuse("signature, age or encryption does not verify")
	}
	if err := wire.PlainJSON(content); err != nil {
		return refuse("the content is " + err.Error())
	}
	if event.ID == "" {
		return refuse("id is missing")
	}
	var n channel.Notification
	switch {
	case event.EventType == "TRANSACTION.SUCCESS":
		n, err = a.readTradeNotice(event, content)
	case strings.HasPrefix(event.EventType, "REFUND."):
		n, err = a.readRefundNotice(event, content)
	default:
		return refuse("event_type is not one this platform asked for")
	}
	// It is signed with the moment, so a nonce used at another moment is another.
	n.Nonce = r.Header.Get("Wechatpay-Timestamp") + "/" + r.Header.Get("Wechatpay-Nonce")
	return n, err
}

func (a *Adapter) readTradeNotice(event *notify.Request, content []byte) (channel.Notification, error) {
	var trade tradeAnswer
	if json.Unmarshal(content, &trade) != nil || event.Resource.OriginalType != "transaction" {
		return channel.Notification{}, errors.New("wechatpay notification: the content is not a transaction")
	}
	if field := a.stranger(trade.names); field != "" {
		return channel.Notification{}, errors.New("wechatpay notification: " + field + " is another's")
	}
	switch {
	case trade.OutTradeNo == "" || trade.TradeState == "":
		return channel.Notification{}, errors.New("wechatpay notification: out_trade_no or trade_state is missing")
	}
	amount, err := noticeAmount(trade.Amount.Total, trade.Amount.Currency)
	if err != nil {
		return channel.Notification{}, err
	}
	return channel.Notification{
		ID: event.ID, Kind: channel.NotifyTrade, State: trade.TradeState, Amount: amount,
		Number: trade.OutTradeNo, TradeNumber: trade.OutTradeNo,
	}, nil
}

func (a *Adapter) readRefundNotice(event *notify.Request, content []byte) (channel.Notification, error) {
	var refunded struct {
		names
		OutTradeNo   string `json:"out_trade_no"`
		OutRefundNo  string `json:"out_refund_no"`
		RefundStatus string `json:"refund_status"`
		Amount       struct {
			Total    *int64 `json:"total"`
			Refund   *int64 `json:"refund"`
			Currency string `json:"currency"`
		} `json:"amount"`
	}
	if json.Unmarshal(content, &refunded) != nil || event.Resource.OriginalType != "refund" {
		return channel.Notification{}, errors.New("wechatpay notification: the content is not a refund")
	}
	if field := a.otherMerchant(refunded.names); field != "" {
		return channel.Notification{}, errors.New("wechatpay notification: " + field + " is another's")
	}
	switch {
	case refunded.OutTradeNo == "" || refunded.OutRefundNo == "" || refunded.RefundStatus == "":
		return channel.Notification{}, errors.New("wechatpay notification: out_trade_no, out_refund_no or refund_status is missing")
	}
	amount, err := noticeAmount(refunded.Amount.Refund, refunded.Amount.Currency)
	if err != nil {
		return channel.Notification{}, err
	}
	total, err := noticeAmount(refunded.Amount.Total, refunded.Amount.Currency)
	if err != nil {
		return channel.Notification{}, err
	}
	return channel.Notification{
		ID: event.ID, Kind: channel.NotifyRefund, State: refunded.RefundStatus, Amount: amount, TradeAmount: total,
		Number: refunded.OutRefundNo, TradeNumber: refunded.OutTradeNo,
	}, nil
}

func noticeAmount(fen *int64, currency string) (money.Amount, error) {
	if fen == nil || *fen <= 0 || *fen > money.MaxMinor || (currency != "" && currency != string(money.CNY)) {
		return money.Amount{}, errors.New("wechatpay notification: amount is missing, out of range or not CNY")
	}
	return money.Fen(*fen), nil
}

// Acknowledge implements channel.Notifier: 204, or 500 with a FAIL body after
// which WeChat sends again.
func (a *Adapter) Acknowledge(w http.ResponseWriter, ok bool) {
	if ok {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = w.Write([]byte(`{"code":"FAIL","message":"not received, send again"}`))
}
