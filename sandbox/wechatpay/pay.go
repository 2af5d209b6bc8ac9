package wechatpay

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"

	"github.com/suanpan/suanpan/sandbox/books"
)

const (
	// defaultValidity is how long an order without time_expire can be paid.
	defaultValidity = 2 * time.Hour
	// largestValidity bounds time_expire.
	largestValidity = 15 * 24 * time.Hour
	// largestAmount is 100,000,000 yuan in fen.
	largestAmount = 100_000_000_00
	// openID is the one payer of the sandbox.
	openID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
)

var outTradeNo = regexp.MustCompile(`^[0-9A-Za-z_\-|*]{6,32}$`)

type prepayFields struct {
	AppID       string `json:"appid"`
	MchID       string `json:"mchid"`
	Description string `json:"description"`
	OutTradeNo  string `json:"out_trade_no"`
	TimeExpire  string `json:"time_expire"`
	Attach      string `json:"attach"`
	NotifyURL   string `json:"notify_url"`
	Amount      *struct {
		Total    *int64 `json:"total"`
		Currency string `json:"currency"`
	} `json:"amount"`
}

// prepay is POST /v3/pay/transactions/native. Resending the same parameters
// returns the same code; a number is never used again for anything else.
func (g *Gateway) prepay(c call, _ string) (answer, error) {
	var in prepayFields
	if err := decode(c.body, &in); err != nil {
		return answer{}, err
	}
	if err := checkPrepay(c, in); err != nil {
		return answer{}, err
	}
	var order books.Order
	err := g.Books.Update("order_prepared", func(tx *books.Tx) error {
		fingerprint := books.Fingerprint(in.AppID, in.Description, in.TimeExpire, in.Attach, in.NotifyURL,
			strconv.FormatInt(*in.Amount.Total, 10))
		if known, exists := tx.Order(books.WeChatPay, c.merchant.ID, in.OutTradeNo); exists {
			order = known
			return refuseReuse(known, fingerprint, tx.Now())
		}
		expires, err := expiry(in.TimeExpire, tx.Now())
		if err != nil {
			return err
		}
		order = books.Order{
			Provider: books.WeChatPay, Merchant: c.merchant.ID, Account: c.merchant.Account, AppID: in.AppID,
			Number: in.OutTradeNo, ProviderNo: g.transactionID(tx), Token: strings.ToLower(ulid.Make().String()),
			Subject: in.Description, Attach: in.Attach, NotifyURL: in.NotifyURL, Amount: *in.Amount.Total,
			Fingerprint: fingerprint, State: books.OrderPrepared, CreatedAt: tx.Now(), ExpiresAt: expires,
		}
		tx.PutOrder(order)
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, json: map[string]string{"code_url": g.PublicURL + "/pay/" + order.Token}}, nil
}

func checkPrepay(c call, in prepayFields) error {
	switch {
	case in.MchID == "":
		return fieldProblem("/body/mchid", in.MchID, "必填")
	case in.MchID != c.merchant.ID:
		return forbidden("NO_AUTH", "mchid与签名的商户号不一致")
	case in.AppID == "":
		return fieldProblem("/body/appid", in.AppID, "必填")
	case in.AppID != c.merchant.AppID:
		return &problem{status: http.StatusBadRequest, code: "APPID_MCHID_NOT_MATCH", message: "appid和mchid不匹配"}
	case !outTradeNo.MatchString(in.OutTradeNo):
		return fieldProblem("/body/out_trade_no", in.OutTradeNo, "须为6至32位数字、字母或_-|*")
	case strings.TrimSpace(in.Description) == "" || utf8.RuneCountInString(in.Description) > 127:
		return fieldProblem("/body/description", in.Description, "须为1至127个字符")
	case utf8.RuneCountInString(in.Attach) > 128:
		return fieldProblem("/body/attach", in.Attach, "不能超过128个字符")
	case in.Amount == nil || in.Amount.Total == nil:
		return fieldProblem("/body/amount/total", nil, "必填")
	case *in.Amount.Total < 1 || *in.Amount.Total > largestAmount:
		return fieldProblem("/body/amount/total", *in.Amount.Total, "须为大于0的整数，单位为分")
	case in.Amount.Currency != "" && in.Amount.Currency != "CNY":
		return fieldProblem("/body/amount/currency", in.Amount.Currency, "须为CNY")
	}
	return checkNotifyURL("/body/notify_url", in.NotifyURL)
}

// checkNotifyURL wants https without a query. On loopback http will do, so that
// the sandbox can be used without certificates.
func checkNotifyURL(field, text string) error {
	parsed, err := url.Parse(text)
	if err != nil || text == "" || len(text) > 255 || parsed.Host == "" || parsed.RawQuery != "" || parsed.ForceQuery {
		return fieldProblem(field, text, "须为255字符以内、不带参数的https地址")
	}
	loopback := parsed.Hostname() == "localhost"
	if ip := net.ParseIP(parsed.Hostname()); ip != nil {
		loopback = ip.IsLoopback()
	}
	if parsed.Scheme != "https" && (parsed.Scheme != "http" || !loopback) {
		return fieldProblem(field, text, "须为https地址")
	}
	return nil
}

// refuseReuse decides about a number that is already taken.
func refuseReuse(known books.Order, fingerprint string, now time.Time) error {
	switch {
	case known.State == books.OrderPaid:
		return forbidden("OUT_TRADE_NO_USED", "商户订单号重复")
	case known.State == books.OrderClosed || known.Expired(now):
		return &problem{status: http.StatusBadRequest, code: "ORDER_CLOSED", message: "订单已关闭"}
	case known.Fingerprint != fingerprint:
		return badRequest("商户订单号重复，且请求参数与首次下单不一致")
	}
	return nil
}

func expiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now.Add(defaultValidity), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fieldProblem("/body/time_expire", text, "须遵循rfc3339格式")
	}
	if !at.After(now) || at.After(now.Add(largestValidity)) {
		return time.Time{}, fieldProblem("/body/time_expire", text, "须晚于当前时间且在15天以内")
	}
	return at, nil
}

// transactionID makes a 28-digit number that holds the date.
func (g *Gateway) transactionID(tx *books.Tx) string {
	return fmt.Sprintf("42000%s%015d", tx.Now().In(g.Zone).Format("20060102"), tx.NextNumber())
}

// describe is the API's text for a trade state.
func describe(state string) string {
	switch state {
	case "SUCCESS":
		return "支付成功"
	case "REFUND":
		return "转入退款"
	case "CLOSED":
		return "订单已关闭"
	default:
		return "订单未支付"
	}
}

// tradeState is the API's word for an order.
func tradeState(o books.Order, now time.Time) string {
	switch {
	case o.State == books.OrderPaid && o.RefundCount > 0:
		return "REFUND"
	case o.State == books.OrderPaid:
		return "SUCCESS"
	case o.State == books.OrderClosed || o.Expired(now):
		return "CLOSED"
	}
	return "NOTPAY"
}

type payerFields struct {
	OpenID string `json:"openid"`
}

type amountFields struct {
	Total         int64  `json:"total"`
	PayerTotal    *int64 `json:"payer_total,omitempty"`
	Currency      string `json:"currency"`
	PayerCurrency string `json:"payer_currency,omitempty"`
}

// transaction is how the API shows an order, in answers and notifications.
type transaction struct {
	AppID           string       `json:"appid"`
	MchID           string       `json:"mchid"`
	OutTradeNo      string       `json:"out_trade_no"`
	TransactionID   string       `json:"transaction_id,omitempty"`
	TradeType       string       `json:"trade_type,omitempty"`
	TradeState      string       `json:"trade_state"`
	TradeStateDesc  string       `json:"trade_state_desc"`
	BankType        string       `json:"bank_type,omitempty"`
	Attach          string       `json:"attach,omitempty"`
	SuccessTime     string       `json:"success_time,omitempty"`
	Payer           *payerFields `json:"payer,omitempty"`
	Amount          amountFields `json:"amount"`
	PromotionDetail []struct{}   `json:"promotion_detail"`
}

func (g *Gateway) transaction(o books.Order, now time.Time) transaction {
	state := tradeState(o, now)
	t := transaction{
		AppID: o.AppID, MchID: o.Merchant, OutTradeNo: o.Number, TradeState: state, TradeStateDesc: describe(state),
		Attach: o.Attach, Amount: amountFields{Total: o.Amount, Currency: "CNY"}, PromotionDetail: []struct{}{},
	}
	if o.State == books.OrderPaid {
		t.TransactionID, t.TradeType, t.BankType = o.ProviderNo, "NATIVE", o.Channel
		t.SuccessTime, t.Payer = g.format(o.PaidAt), &payerFields{OpenID: openID}
		t.Amount.PayerTotal, t.Amount.PayerCurrency = &o.Amount, "CNY"
	}
	return t
}

func (g *Gateway) format(at time.Time) string { return at.In(g.Zone).Format(time.RFC3339) }

// queryByNumber is GET /v3/pay/transactions/out-trade-no/{out_trade_no}.
func (g *Gateway) queryByNumber(c call, number string) (answer, error) {
	return g.query(c, func(r books.Reader) (books.Order, bool) { return r.Order(books.WeChatPay, c.merchant.ID, number) })
}

// queryByID is GET /v3/pay/transactions/id/{transaction_id}: paid orders only.
func (g *Gateway) queryByID(c call, id string) (answer, error) {
	return g.query(c, func(r books.Reader) (books.Order, bool) {
		o, ok := r.OrderByProviderNo(books.WeChatPay, c.merchant.ID, id)
		return o, ok && o.State == books.OrderPaid
	})
}

func (g *Gateway) query(c call, find func(books.Reader) (books.Order, bool)) (answer, error) {
	if err := checkMerchant(c, c.http.URL.Query().Get("mchid")); err != nil {
		return answer{}, err
	}
	var shown transaction
	err := g.Books.View(func(r books.Reader) error {
		order, ok := find(r)
		if !ok {
			return notFound("ORDER_NOT_EXIST", "订单不存在")
		}
		shown = g.transaction(order, r.Now())
		return nil
	})
	return answer{status: http.StatusOK, json: shown}, err
}

func checkMerchant(c call, mchid string) error {
	switch mchid {
	case "":
		return paramError("mchid必填")
	case c.merchant.ID:
		return nil
	default:
		return forbidden("NO_AUTH", "mchid与签名的商户号不一致")
	}
}

// closeOrder is POST …/close: 204 with an empty, signed body.
func (g *Gateway) closeOrder(c call, number string) (answer, error) {
	var in struct {
		MchID string `json:"mchid"`
	}
	if err := decode(c.body, &in); err != nil {
		return answer{}, err
	}
	if err := checkMerchant(c, in.MchID); err != nil {
		return answer{}, err
	}
	err := g.Books.Update("order_closed", func(tx *books.Tx) error {
		order, ok := tx.Order(books.WeChatPay, c.merchant.ID, number)
		switch {
		case !ok:
			return notFound("ORDER_NOT_EXIST", "订单不存在")
		case order.State == books.OrderPaid:
			return &problem{status: http.StatusBadRequest, code: "ORDERPAID", message: "订单已支付"}
		case order.State == books.OrderClosed:
			return &problem{status: http.StatusBadRequest, code: "ORDER_CLOSED", message: "订单已关闭"}
		}
		order.State, order.ClosedAt = books.OrderClosed, tx.Now()
		tx.PutOrder(order)
		return nil
	})
	return answer{status: http.StatusNoContent}, err
}
