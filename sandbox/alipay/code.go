package alipay

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
)

// cancelWindow is how long after its creation a trade can be cancelled.
const cancelWindow = 24 * time.Hour

// authCodeForm is the code on a payer's phone: 18 digits that begin with 25 to 30.
var authCodeForm = regexp.MustCompile(`^(2[5-9]|30)[0-9]{16}$`)

// What comes of scanning a code, beside the sub_code of a refusal.
const (
	codePays     = "pay"
	codeConfirms = "confirm"
	codeTrouble  = "ACQ.SYSTEM_ERROR"
)

// payByCode is alipay.trade.pay: the money moves in the call itself, or the payer
// is asked to confirm (10003). A code is good for one order.
func (g *Gateway) payByCode(call request) (*node, error) {
	var in orderFields
	if err := decode(call, &in); err != nil {
		return nil, err
	}
	amount, err := checkOrder(call, in, "", productCode)
	switch {
	case err != nil:
		return nil, err
	case in.Scene != "bar_code":
		return nil, invalidParameter("scene须为bar_code")
	case !authCodeForm.MatchString(in.AuthCode):
		return nil, failed("ACQ.PAYMENT_AUTH_CODE_INVALID", "支付失败，获取顾客账户信息失败，请顾客刷新付款码后重新收款")
	}
	var order books.Order
	var refused error
	err = g.books.Update("code_scanned", func(tx *books.Tx) error {
		var err error
		order, refused, err = g.takeCode(tx, call, in, amount)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case refused != nil:
		return nil, refused
	case order.State == books.OrderPaid:
		return g.paidNode(success(), order), nil
	}
	return g.paidNode(new(node).set("code", "10003").set("msg", "order success pay inprocess"), order), nil
}

// takeCode makes the order and does what the code stands for. A refusal of the
// payer's side uses the code up, so it is no error of the update.
func (g *Gateway) takeCode(tx *books.Tx, call request, in orderFields, amount int64) (order books.Order, refused, err error) {
	if known, exists := tx.Order(books.Alipay, call.merchant.ID, in.OutTradeNo); exists {
		return known, nil, refuseReuse(known, in.fingerprint(amount, productCode), tx.Now())
	}
	if order, err = g.newOrder(tx, call, in, amount, productCode); err != nil {
		return order, nil, err
	}
	code, known := tx.Code(books.Alipay, in.AuthCode)
	if !known {
		code = books.Code{Provider: books.Alipay, Code: in.AuthCode, Outcome: codePays}
	}
	if code.UsedBy != "" {
		return order, nil, failed("ACQ.PAYMENT_AUTH_CODE_INVALID", "付款码已被使用，请顾客刷新付款码后重新收款")
	}
	code.UsedBy = call.merchant.ID + "/" + in.OutTradeNo
	tx.PutCode(code)
	order.PayerID, order.ScannedAt = code.PayerID, tx.Now()
	switch code.Outcome {
	case codePays:
		paid, err := tx.Pay(order, call.merchant, "ALIPAYACCOUNT")
		if err == nil {
			g.notifyPaid(tx, paid)
		}
		return paid, nil, err
	case codeConfirms, codeTrouble:
		order.State = books.OrderWaiting
		tx.PutOrder(order)
		if code.Outcome == codeTrouble {
			return order, failed(codeTrouble, "系统错误"), nil
		}
		return order, nil, nil
	}
	return order, failed(code.Outcome, "支付失败"), nil
}

// cancel is alipay.trade.cancel: an unpaid trade is closed, a paid one given back.
// action tells what this call did; a number that is no trade, or one that needs
// nothing any more, has none.
func (g *Gateway) cancel(call request) (*node, error) {
	var in tradeFields
	if err := decode(call, &in); err != nil {
		return nil, err
	}
	answer := success()
	err := g.books.Update("order_cancelled", func(tx *books.Tx) error {
		order, err := g.find(tx.Reader, call, in)
		var absent *refusal
		if errors.As(err, &absent) && absent.subCode == "ACQ.TRADE_NOT_EXIST" {
			answer.set("out_trade_no", in.OutTradeNo).set("retry_flag", "N")
			return nil
		}
		if err != nil {
			return err
		}
		action, err := g.cancelTrade(tx, call, order)
		if err != nil {
			return err
		}
		answer.set("action", action).set("out_trade_no", order.Number).set("retry_flag", "N").set("trade_no", order.ProviderNo)
		return nil
	})
	return answer, err
}

func (g *Gateway) cancelTrade(tx *books.Tx, call request, o books.Order) (action string, err error) {
	status := tradeStatus(o, tx.Now())
	switch {
	case status == tradeClosed:
		return "", nil
	case tx.Now().Sub(o.CreatedAt) > cancelWindow:
		return "", failed("ACQ.TRADE_CANCEL_TIME_OUT", "超过撤销时间范围，请发起退款")
	case o.Refunded > 0:
		return "", failed("ACQ.CANCEL_NOT_ALLOWED", "交易已部分退款，不能撤销")
	}
	o.ReversedAt = tx.Now()
	if status == waitBuyerPay {
		o.State, o.ClosedAt = books.OrderClosed, tx.Now()
		tx.PutOrder(o)
		return "close", nil
	}
	_, _, err = tx.GiveBack(o, call.merchant, books.Refund{
		Provider: books.Alipay, Merchant: o.Merchant, OrderNumber: o.Number, Number: o.Number,
		ProviderNo: fmt.Sprintf("%s%012d", tx.Now().In(g.zone).Format("20060102"), tx.NextNumber()),
		Amount:     o.Amount, Fingerprint: "cancel", Reversal: true,
		State: books.RefundSuccess, CreatedAt: tx.Now(), DoneAt: tx.Now(),
	})
	if errors.Is(err, books.ErrNotEnough) {
		return "", failed("ACQ.SELLER_BALANCE_NOT_ENOUGH", "商户余额不足，请充值后重新撤销")
	}
	return "refund", err
}
