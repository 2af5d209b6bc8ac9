package alipay

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/keys"
	"github.com/suanpan/suanpan/sandbox/yuan"
)

// certified marks, in the books only, a notification to an app in certificate mode.
const certified = "-certified"

// Events as they are named in the books; on the wire the first two are trade_status_sync.
const (
	eventPaid     = "trade_paid"
	eventRefunded = "trade_refunded"
	eventTransfer = "transfer_changed"
)

// Schedule are the gateway's waits between deliveries: 8 in all, over 25 hours.
func (g *Gateway) Schedule() []time.Duration {
	return []time.Duration{4 * time.Minute, 10 * time.Minute, 10 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 15 * time.Hour}
}

// Acknowledged wants the seven bytes success.
func (g *Gateway) Acknowledged(status int, body []byte) bool {
	return status == http.StatusOK && string(body) == "success"
}

func (g *Gateway) notifyPaid(tx *books.Tx, o books.Order) {
	g.queue(tx, o, eventPaid, o.Number, g.tradeParams(o, tx.Now()))
}

// notifyRefund tells about a refund in the words of its trade: the status is
// still TRADE_SUCCESS unless everything was given back.
func (g *Gateway) notifyRefund(tx *books.Tx, o books.Order, r books.Refund) {
	params := g.tradeParams(o, tx.Now())
	params["out_biz_no"] = r.Number
	params["refund_fee"] = yuan.Format(o.Refunded)
	params["gmt_refund"] = g.format(r.DoneAt) + ".000"
	if o.Refunded == o.Amount {
		params["gmt_close"] = g.format(r.DoneAt)
	}
	g.queue(tx, o, eventRefunded, r.Number, params)
}

// notifyTransfer tells the app's gateway address, if it has one, that a transfer has
// changed.
func (g *Gateway) notifyTransfer(tx *books.Tx, t books.Transfer) {
	app, ok := tx.Merchant(books.Alipay, t.Merchant)
	if !ok || app.GatewayURL == "" {
		return
	}
	content, err := encodeValue(map[string]string{
		"action_type": "FINISH", "biz_scene": t.BizScene, "order_id": t.ProviderNo, "out_biz_no": t.Number, "pay_fund_order_id": t.FundNo,
		"product_code": t.ProductCode, "status": string(t.State), "trans_amount": yuan.Format(t.Amount),
	})
	if err != nil {
		return // a map of strings always encodes
	}
	o := books.Order{Merchant: t.Merchant, Partner: app.Partner, NotifyURL: app.GatewayURL}
	g.queue(tx, o, eventTransfer, t.Number, map[string]string{
		"app_id": t.Merchant, "charset": "utf-8", "version": "1.1", "msg_method": "alipay.fund.trans.order.changed",
		"utc_timestamp": strconv.FormatInt(tx.RealNow().UnixMilli(), 10), "biz_content": strings.ReplaceAll(string(content), `\/`, "/"),
	})
}

func (g *Gateway) tradeParams(o books.Order, now time.Time) map[string]string {
	funds, err := encodeValue([]map[string]string{{"amount": yuan.Format(o.Amount), "fundChannel": o.Channel}})
	if err != nil {
		funds = nil
	}
	return map[string]string{
		"app_id": cmp.Or(o.Partner, o.Merchant), "auth_app_id": o.Merchant, "charset": "utf-8", "version": "1.0",
		"notify_type": "trade_status_sync", "trade_no": o.ProviderNo, "out_trade_no": o.Number,
		"buyer_id": buyerID(o), "buyer_open_id": buyerOpenID(o), "buyer_logon_id": buyerLogonID, "seller_id": o.Account,
		"trade_status": tradeStatus(o, now), "total_amount": yuan.Format(o.Amount),
		"receipt_amount": yuan.Format(o.Amount), "invoice_amount": yuan.Format(o.Amount),
		"buyer_pay_amount": yuan.Format(o.Amount), "point_amount": "0.00",
		"subject": o.Subject, "body": o.Body, "passback_params": o.Attach,
		"gmt_create": g.format(o.CreatedAt), "gmt_payment": g.format(o.PaidAt),
		"fund_bill_list": strings.ReplaceAll(string(funds), `\/`, "/"),
	}
}

func (g *Gateway) queue(tx *books.Tx, o books.Order, event, number string, params map[string]string) {
	if o.NotifyURL == "" {
		return
	}
	if signer, ok := tx.Merchant(books.Alipay, cmp.Or(o.Partner, o.Merchant)); ok && signer.Serial != "" {
		params[certified] = "true"
	}
	payload, err := json.Marshal(params)
	if err != nil {
		return // a map of strings always encodes
	}
	tx.PutNotification(books.Notification{
		ID:       fmt.Sprintf("%s00222%017d", tx.Now().In(g.zone).Format("20060102"), tx.NextNumber()),
		Provider: books.Alipay, Merchant: o.Merchant, URL: o.NotifyURL, Event: event, Number: number,
		Payload: string(payload), CreatedAt: tx.RealNow(), NextAt: tx.RealNow(), State: books.NotificationPending,
	})
}

// Request writes one delivery: the same notify_id every time, the time and the
// signature anew. Parameters without a value are left out.
func (g *Gateway) Request(n books.Notification, forge bool) (*http.Request, error) {
	params := map[string]string{}
	if err := json.Unmarshal([]byte(n.Payload), &params); err != nil {
		return nil, fmt.Errorf("read notification %s: %w", n.ID, err)
	}
	params["notify_id"] = n.ID
	params["notify_time"] = g.format(g.books.Now())
	params["sign_type"] = "RSA2"
	text := signString(params, "sign", "sign_type", certified)
	if forge {
		text += "&forged=1"
	}
	signer := g.Keys.Alipay()
	signature, err := keys.Sign(signer.Key, text)
	if err != nil {
		return nil, err
	}
	if params[certified] != "" {
		delete(params, certified)
		params["alipay_cert_sn"] = signer.Serial
	}
	params["sign"] = signature
	form := url.Values{}
	for name, value := range params {
		if value != "" {
			form.Set(name, value)
		}
	}
	request, err := http.NewRequest(http.MethodPost, n.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	request.Header.Set("User-Agent", "Mozilla/4.0")
	return request, nil
}
