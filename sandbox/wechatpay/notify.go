package wechatpay

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
)

// Events and what they are about.
const (
	eventPaid     = "TRANSACTION.SUCCESS"
	eventRefunded = "REFUND."
)

// KeyModeCertificate signs a merchant's notifications with the platform
// certificate; any other mode with the public key.
const KeyModeCertificate = "platform_certificate"

// Schedule are the provider's waits between deliveries: 16 in all, over 24 hours.
func (g *Gateway) Schedule() []time.Duration {
	return []time.Duration{
		15 * time.Second, 15 * time.Second, 30 * time.Second, 3 * time.Minute, 10 * time.Minute, 20 * time.Minute,
		30 * time.Minute, 30 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 3 * time.Hour, 3 * time.Hour,
		6 * time.Hour, 6 * time.Hour,
	}
}

// Acknowledged looks at the status only.
func (g *Gateway) Acknowledged(status int, _ []byte) bool {
	return status == http.StatusOK || status == http.StatusNoContent
}

// refundNotice is the content of a refund notification.
type refundNotice struct {
	MchID               string             `json:"mchid,omitempty"`
	SpMchID             string             `json:"sp_mchid,omitempty"`
	SubMchID            string             `json:"sub_mchid,omitempty"`
	OutTradeNo          string             `json:"out_trade_no"`
	TransactionID       string             `json:"transaction_id"`
	OutRefundNo         string             `json:"out_refund_no"`
	RefundID            string             `json:"refund_id"`
	RefundStatus        string             `json:"refund_status"`
	SuccessTime         string             `json:"success_time,omitempty"`
	UserReceivedAccount string             `json:"user_received_account"`
	Amount              refundNoticeAmount `json:"amount"`
}

type refundNoticeAmount struct {
	Total       int64 `json:"total"`
	Refund      int64 `json:"refund"`
	PayerTotal  int64 `json:"payer_total"`
	PayerRefund int64 `json:"payer_refund"`
}

func (g *Gateway) notifyPaid(tx *books.Tx, o books.Order) error {
	return g.queue(tx, speaker(o), o.NotifyURL, eventPaid, o.Number, g.transaction(o, tx.Now()))
}

func (g *Gateway) notifyRefund(tx *books.Tx, o books.Order, r books.Refund) error {
	notice := refundNotice{
		OutTradeNo: o.Number, TransactionID: o.ProviderNo, OutRefundNo: r.Number,
		RefundID: r.ProviderNo, RefundStatus: string(r.State), UserReceivedAccount: receivedBy(r),
		Amount: refundNoticeAmount{Total: o.Amount, Refund: r.Amount, PayerTotal: o.Amount, PayerRefund: r.Amount},
	}
	if o.Partner == "" {
		notice.MchID = o.Merchant
	} else {
		notice.SpMchID, notice.SubMchID = o.Partner, o.Merchant
	}
	if r.State == books.RefundSuccess {
		notice.SuccessTime = g.format(r.DoneAt)
	}
	return g.queue(tx, speaker(o), r.NotifyURL, eventRefunded+string(r.State), r.Number, notice)
}

// speaker is whose key and address the messages about an order use: the service
// provider's where there is one.
func speaker(o books.Order) string {
	if o.Partner != "" {
		return o.Partner
	}
	return o.Merchant
}

func (g *Gateway) queue(tx *books.Tx, merchant, url, event, number string, content any) error {
	if url == "" {
		return nil
	}
	payload, err := json.Marshal(content)
	if err != nil {
		return err
	}
	tx.PutNotification(books.Notification{
		ID: notificationID(), Provider: books.WeChatPay, Merchant: merchant, URL: url, Event: event, Number: number,
		Payload: string(payload), CreatedAt: tx.RealNow(), NextAt: tx.RealNow(), State: books.NotificationPending,
	})
	return nil
}

// notificationID is a random UUID, as the provider's are.
func notificationID() string {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails: crypto/rand aborts the process instead
	random[6], random[8] = random[6]&0x0f|0x40, random[8]&0x3f|0x80
	text := hex.EncodeToString(random)
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}

type envelope struct {
	ID           string `json:"id"`
	CreateTime   string `json:"create_time"`
	ResourceType string `json:"resource_type"`
	EventType    string `json:"event_type"`
	Summary      string `json:"summary"`
	Resource     sealed `json:"resource"`
}

// Request writes one delivery: the same id every time, encrypted under the
// merchant's APIv3 key and signed now.
func (g *Gateway) Request(n books.Notification, forged bool) (*http.Request, error) {
	var merchant books.Merchant
	err := g.Books.View(func(r books.Reader) error {
		found, ok := r.Merchant(books.WeChatPay, n.Merchant)
		if !ok {
			return fmt.Errorf("no merchant %q", n.Merchant)
		}
		merchant = found
		return nil
	})
	if err != nil {
		return nil, err
	}
	kind, summary := "transaction", "支付成功"
	if strings.HasPrefix(n.Event, eventRefunded) {
		kind, summary = "refund", map[string]string{
			"REFUND.SUCCESS": "退款成功", "REFUND.ABNORMAL": "退款异常", "REFUND.CLOSED": "退款关闭",
		}[n.Event]
	}
	resource, err := seal(merchant.APIv3Key, n.Payload, kind)
	if err != nil {
		return nil, err
	}
	resource.OriginalType = kind
	body, err := json.Marshal(envelope{
		ID: n.ID, CreateTime: g.format(n.CreatedAt), ResourceType: "encrypt-resource",
		EventType: n.Event, Summary: summary, Resource: resource,
	})
	if err != nil {
		return nil, err
	}
	key := signer{g.Keys.PublicKeyID, g.Keys.WeChatPay}
	if merchant.KeyMode == KeyModeCertificate {
		platform := g.Keys.Platform()
		key = signer{platform.Serial, platform.Key}
	}
	header, err := key.headers(string(body), g.Books.RealNow())
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(http.MethodPost, n.URL, strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	request.Header = header
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "Mozilla/4.0")
	if forged {
		request.Header.Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+header.Get("Wechatpay-Signature"))
	}
	return request, nil
}
