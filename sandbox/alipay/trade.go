package alipay

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/yuan"
)

const (
	// defaultValidity is how long a trade without time_expire can be paid.
	defaultValidity = 15 * 24 * time.Hour
	// refundWindowMonths is how long after payment a trade can be refunded.
	refundWindowMonths = 12
	// largestAmount is 100,000,000 yuan in fen.
	largestAmount = 100_000_000_00
)

// Trade states as the gateway names them.
const (
	waitBuyerPay  = "WAIT_BUYER_PAY"
	tradeClosed   = "TRADE_CLOSED"
	tradeSuccess  = "TRADE_SUCCESS"
	tradeFinished = "TRADE_FINISHED"
)

// The one payer of the sandbox.
const (
	buyerUserID  = "2088102177846880"
	buyerLogonID = "san***@example.com"
)

var (
	outTradeNo     = regexp.MustCompile(`^[0-9A-Za-z_]{1,64}$`)
	timeoutExpress = regexp.MustCompile(`^([1-9][0-9]{0,4})([mhd])$`)
)

// parseAmount reads a yuan amount between smallest fen and 100,000,000.00.
func parseAmount(field, text string, smallest int64) (int64, error) {
	fen, err := yuan.Parse(text)
	if err != nil || fen < smallest || fen > largestAmount {
		return 0, invalidParameter("%s须为%s至100000000.00之间、至多两位小数的金额", field, yuan.Format(smallest))
	}
	return fen, nil
}

func checkText(field, text string, required bool, limit int) error {
	if required && strings.TrimSpace(text) == "" {
		return invalidParameter("%s不能为空", field)
	}
	if utf8.RuneCountInString(text) > limit || !utf8.ValidString(text) {
		return invalidParameter("%s长度不能超过%d", field, limit)
	}
	return nil
}

// refuseReuse decides about a number that is already taken.
func refuseReuse(known books.Order, fingerprint string, now time.Time) error {
	switch {
	case known.State == books.OrderPaid:
		return failed("ACQ.TRADE_HAS_SUCCESS", "交易已被支付")
	case known.State == books.OrderClosed || known.Expired(now):
		return failed("ACQ.TRADE_HAS_CLOSE", "交易已经关闭")
	case known.Fingerprint != fingerprint:
		return failed("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改")
	}
	return nil
}

// expiry is the moment from which the trade can no longer be paid.
func (g *Gateway) expiry(in orderFields, now time.Time) (time.Time, error) {
	expires := now.Add(defaultValidity)
	if in.TimeExpire != "" {
		at, err := time.ParseInLocation(timeLayout, in.TimeExpire, g.zone)
		if err != nil {
			return time.Time{}, invalidParameter("time_expire格式须为yyyy-MM-dd HH:mm:ss")
		}
		if !at.After(now) {
			return time.Time{}, invalidParameter("time_expire早于当前时间")
		}
		if at.After(now.Add(defaultValidity)) {
			return time.Time{}, invalidParameter("time_expire不能超过15天")
		}
		expires = at
	}
	for _, relative := range []struct{ name, value string }{
		{"timeout_express", in.TimeoutExpress}, {"qr_code_timeout_express", in.QRCodeTimeout},
	} {
		if relative.value == "" {
			continue
		}
		at, err := g.relativeExpiry(relative.value, now)
		if err != nil {
			return time.Time{}, invalidParameter("%s取值范围1m～15d", relative.name)
		}
		if at.Before(expires) {
			expires = at
		}
	}
	return expires, nil
}

func (g *Gateway) relativeExpiry(text string, now time.Time) (time.Time, error) {
	if text == "1c" {
		year, month, day := now.In(g.zone).Date()
		return time.Date(year, month, day+1, 0, 0, 0, 0, g.zone), nil
	}
	match := timeoutExpress.FindStringSubmatch(text)
	if match == nil {
		return time.Time{}, fmt.Errorf("%q is not a duration", text)
	}
	count, err := strconv.Atoi(match[1])
	if err != nil {
		return time.Time{}, err
	}
	unit := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[match[2]]
	if time.Duration(count)*unit > defaultValidity {
		return time.Time{}, fmt.Errorf("%q is more than 15d", text)
	}
	return now.Add(time.Duration(count) * unit), nil
}

// tradeNo makes a 28-digit trade number that begins with the date.
func (g *Gateway) tradeNo(tx *books.Tx) string {
	return fmt.Sprintf("%s22001%015d", tx.Now().In(g.zone).Format("20060102"), tx.NextNumber())
}

// tradeStatus is the gateway's word for an order; empty while no trade exists,
// that is until a payer scanned the code.
func tradeStatus(o books.Order, now time.Time) string {
	switch {
	case o.State == books.OrderPrepared:
		return ""
	case o.State == books.OrderClosed, o.State == books.OrderWaiting && o.Expired(now):
		return tradeClosed
	case o.State == books.OrderWaiting:
		return waitBuyerPay
	case o.Refunded == o.Amount:
		return tradeClosed
	case now.After(o.PaidAt.AddDate(0, refundWindowMonths, 0)):
		return tradeFinished
	}
	return tradeSuccess
}

type tradeFields struct {
	OutTradeNo string `json:"out_trade_no"`
	TradeNo    string `json:"trade_no"`
}

// find returns the trade a call names, if it exists as a trade.
func (g *Gateway) find(r books.Reader, call request, in tradeFields) (books.Order, error) {
	if in.OutTradeNo == "" && in.TradeNo == "" {
		return books.Order{}, invalidParameter("out_trade_no和trade_no不能同时为空")
	}
	order, ok := r.Order(books.Alipay, call.merchant.ID, in.OutTradeNo)
	if in.TradeNo != "" {
		order, ok = r.OrderByProviderNo(books.Alipay, call.merchant.ID, in.TradeNo)
	}
	if !ok || order.State == books.OrderPrepared {
		return books.Order{}, failed("ACQ.TRADE_NOT_EXIST", "交易不存在")
	}
	return order, nil
}

// queryTrade is alipay.trade.query.
func (g *Gateway) queryTrade(call request) (*node, error) {
	var in tradeFields
	if err := decode(call, &in); err != nil {
		return nil, err
	}
	var answer *node
	err := g.books.View(func(r books.Reader) error {
		order, err := g.find(r, call, in)
		if err != nil {
			return err
		}
		answer = g.tradeNode(order, r.Now())
		return nil
	})
	return answer, err
}

func (g *Gateway) tradeNode(o books.Order, now time.Time) *node {
	received := int64(0)
	if o.State == books.OrderPaid {
		received = o.Amount
	}
	answer := success().
		set("buyer_logon_id", buyerLogonID).
		set("buyer_open_id", buyerOpenID(o)).
		set("buyer_pay_amount", yuan.Format(received)).
		set("buyer_user_id", buyerID(o))
	if o.State == books.OrderPaid {
		answer.set("fund_bill_list", fundBills(o))
	}
	answer.set("invoice_amount", yuan.Format(received)).
		set("out_trade_no", o.Number).
		set("point_amount", "0.00").
		set("receipt_amount", yuan.Format(received))
	if o.State == books.OrderPaid {
		answer.set("send_pay_date", g.format(o.PaidAt))
	}
	return answer.
		set("subject", o.Subject).
		set("total_amount", yuan.Format(o.Amount)).
		set("trade_no", o.ProviderNo).
		set("trade_status", tradeStatus(o, now))
}

type fundBill struct {
	Amount      string `json:"amount"`
	FundChannel string `json:"fund_channel"`
	RealAmount  string `json:"real_amount"`
}

func fundBills(o books.Order) []fundBill {
	return []fundBill{{Amount: yuan.Format(o.Amount), FundChannel: o.Channel, RealAmount: yuan.Format(o.Amount)}}
}

func (g *Gateway) format(at time.Time) string { return at.In(g.zone).Format(timeLayout) }

// closeTrade is alipay.trade.close.
func (g *Gateway) closeTrade(call request) (*node, error) {
	var in tradeFields
	if err := decode(call, &in); err != nil {
		return nil, err
	}
	var order books.Order
	err := g.books.Update("order_closed", func(tx *books.Tx) error {
		found, err := g.find(tx.Reader, call, in)
		if err != nil {
			return err
		}
		if tradeStatus(found, tx.Now()) != waitBuyerPay {
			return failed("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
		}
		found.State, found.ClosedAt = books.OrderClosed, tx.Now()
		tx.PutOrder(found)
		order = found
		return nil
	})
	if err != nil {
		return nil, err
	}
	return success().set("out_trade_no", order.Number).set("trade_no", order.ProviderNo), nil
}
