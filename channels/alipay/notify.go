package alipay

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// The kinds of notification read here: of a trade, sent to the address that the order
// named, and of a transfer, sent to the address that is set for the application.
const (
	notifyTypeTrade    = "trade_status_sync"
	msgTransferChanged = "alipay.fund.trans.order.changed"
)

// ReadNotification implements channel.Notifier. The parameters are taken from
// the body alone, a parameter that stands twice is refused, and app and seller
// must be ours: a valid signature only says that Alipay wrote it, to someone.
// So must the application that authorised us, where one is configured.
//
// A refund makes Alipay send the trade's notification again, often still with
// TRADE_SUCCESS; refund_fee, gmt_refund or out_biz_no tell it apart, and it is
// never a second payment. Its Amount is refund_fee, the total refunded so far.
func (a *Adapter) ReadNotification(ctx context.Context, r *http.Request, body []byte) (channel.Notification, error) {
	refuse := func(why string) (channel.Notification, error) {
		return channel.Notification{}, errors.New("alipay notification: " + why)
	}
	if r.Method != http.MethodPost {
		return refuse("not a POST")
	}
	values, err := readForm(body)
	if err != nil {
		return refuse(err.Error())
	}
	if values.Get("sign_type") != "RSA2" {
		return refuse("sign_type is not RSA2")
	}
	if !spelledOnce(values.Get("sign")) {
		return refuse("the signature is not spelled as Alipay spells it")
	}
	if _, err := a.client.DecodeNotification(ctx, values); err != nil {
		return refuse("the signature does not verify")
	}
	switch {
	case values.Get("app_id") != a.appID:
		return refuse("app_id is another application's")
	case values.Get("msg_method") == msgTransferChanged:
		return readTransferMessage(values)
	case values.Get("seller_id") != a.sellerID:
		return refuse("seller_id is another seller's")
	case a.authAppID != "" && values.Get("auth_app_id") != a.authAppID:
		return refuse("auth_app_id is another application's")
	case values.Get("notify_type") != notifyTypeTrade:
		return refuse("notify_type is not " + notifyTypeTrade)
	case values.Get("notify_id") == "":
		return refuse("notify_id is missing")
	case values.Get("out_trade_no") == "":
		return refuse("out_trade_no is missing")
	case values.Get("trade_status") == "":
		return refuse("trade_status is missing")
	}
	if currency := values.Get("trans_currency"); currency != "" && currency != string(money.CNY) {
		return refuse("trans_currency is not CNY")
	}
	total, err := channel.ParseYuan(values.Get("total_amount"))
	if err != nil || !total.IsPositive() {
		return refuse("total_amount is unreadable")
	}
	n := channel.Notification{
		ID: values.Get("notify_id"), Kind: channel.NotifyTrade, State: values.Get("trade_status"), Amount: total,
		Number: values.Get("out_trade_no"), TradeNumber: values.Get("out_trade_no"),
	}
	if !isRefund(values) {
		return n, nil
	}
	n.Kind, n.Number, n.Amount, n.TradeAmount = channel.NotifyRefund, values.Get("out_biz_no"), money.Fen(0), total
	n.Cumulative = true
	if fee := values.Get("refund_fee"); fee != "" {
		if n.Amount, err = channel.ParseYuan(fee); err != nil {
			return refuse("refund_fee is unreadable")
		}
	}
	return n, nil
}

// readTransferMessage reads what a signed message to our application says of a transfer.
// Its fields are known from agreeing third-party code only, so it is a hint like any
// other: it names no seller, and the transfer is asked about before anything is booked.
func readTransferMessage(values url.Values) (channel.Notification, error) {
	refuse := func(why string) (channel.Notification, error) {
		return channel.Notification{}, errors.New("alipay transfer message: " + why)
	}
	content := []byte(values.Get("biz_content"))
	if err := wire.PlainJSON(content); err != nil {
		return refuse("biz_content is " + err.Error())
	}
	var changed struct {
		OutBizNo    string `json:"out_biz_no"`
		Status      string `json:"status"`
		TransAmount string `json:"trans_amount"`
	}
	if json.Unmarshal(content, &changed) != nil {
		return refuse("biz_content is not a transfer")
	}
	amount, err := channel.ParseYuan(changed.TransAmount)
	switch {
	case values.Get("notify_id") == "":
		return refuse("notify_id is missing")
	case changed.OutBizNo == "" || changed.Status == "":
		return refuse("out_biz_no or status is missing")
	case err != nil || !amount.IsPositive():
		return refuse("trans_amount is unreadable")
	}
	return channel.Notification{ID: values.Get("notify_id"), Kind: channel.NotifyTransfer, State: changed.Status, Amount: amount,
		Number: changed.OutBizNo, TradeNumber: changed.OutBizNo}, nil
}

// parameterName is how Alipay spells its parameters.
var parameterName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// hiddenParameter is a value that ends in the middle and goes on as another
// parameter. The signed text joins name=value by & and escapes nothing, so
// trade_status=TRADE_SUCCESS and trans_currency=USD have the signature of the
// one parameter trade_status with the value "TRADE_SUCCESS&trans_currency=USD".
var hiddenParameter = regexp.MustCompile(`&[a-z][a-z0-9_]*=`)

// readForm reads a body in which every parameter stands once, none hides in
// another, and every text is UTF-8: what the signature covers, a decoder reads
// and a person sees are then the same. An order whose subject looks like a
// parameter loses its notifications by this; it is asked about all the same.
// Alipay signs in the charset that the order asked for, which is ours.
func readForm(body []byte) (url.Values, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errors.New("the body is not a form")
	}
	for name, all := range values {
		if len(all) != 1 {
			return nil, fmt.Errorf("parameter %.40q stands %d times", name, len(all))
		}
		switch {
		case !parameterName.MatchString(name):
			return nil, errors.New("a parameter has a name that Alipay has not")
		case !utf8.ValidString(all[0]):
			return nil, errors.New("a parameter is not UTF-8")
		case hiddenParameter.MatchString(all[0]):
			return nil, fmt.Errorf("parameter %s holds another one", name)
		}
	}
	if charset := values.Get("charset"); charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, errors.New("charset is not utf-8")
	}
	return values, nil
}

// spelledOnce reports whether text is the one base64 of its bytes: a decoder also
// takes others, with line breaks or stray bits at the end, so that a message
// could be spelled anew without its key.
func spelledOnce(text string) bool {
	decoded, err := base64.StdEncoding.DecodeString(text)
	return err == nil && base64.StdEncoding.EncodeToString(decoded) == text
}

// isRefund tells a notification about a refund from one about the payment.
func isRefund(values url.Values) bool {
	if values.Get("gmt_refund") != "" || values.Get("out_biz_no") != "" {
		return true
	}
	fee := values.Get("refund_fee")
	if fee == "" {
		return false
	}
	amount, err := channel.ParseYuan(fee)
	return err != nil || amount.IsPositive()
}

// Acknowledge implements channel.Notifier: the seven bytes "success", or "fail"
// after which Alipay sends again.
func (a *Adapter) Acknowledge(w http.ResponseWriter, ok bool) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if ok {
		a.client.ACKNotification(w)
		return
	}
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = w.Write([]byte("fail"))
}
