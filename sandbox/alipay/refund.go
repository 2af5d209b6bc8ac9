package alipay

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/yuan"
)

type refundFields struct {
	tradeFields
	RefundAmount string `json:"refund_amount"`
	RefundReason string `json:"refund_reason"`
	OutRequestNo string `json:"out_request_no"`
}

// refund is alipay.trade.refund. The same out_request_no with the same amount
// answers fund_change N and moves nothing; with another amount it is refused.
func (g *Gateway) refund(call request) (*node, error) {
	var in refundFields
	if err := decode(call, &in); err != nil {
		return nil, err
	}
	amount, err := parseAmount("refund_amount", in.RefundAmount, 1)
	if err != nil {
		return nil, err
	}
	if err := checkText("refund_reason", in.RefundReason, false, 256); err != nil {
		return nil, err
	}
	if len(in.OutRequestNo) > 64 {
		return nil, invalidParameter("out_request_no长度不能超过64")
	}
	var order books.Order
	var refund books.Refund
	change := "Y"
	err = g.books.Update("refund_done", func(tx *books.Tx) error {
		found, err := g.find(tx.Reader, call, in.tradeFields)
		if err != nil {
			return err
		}
		number := in.OutRequestNo
		if number == "" {
			if amount != found.Amount {
				return invalidParameter("部分退款时out_request_no必填")
			}
			number = found.Number
		}
		fingerprint := books.Fingerprint(strconv.FormatInt(amount, 10))
		if known, exists := tx.Refund(books.Alipay, call.merchant.ID, found.Number, number); exists {
			if known.Fingerprint != fingerprint {
				return failed("ACQ.DISCORDANT_REPEAT_REQUEST", "请求信息不一致")
			}
			order, refund, change = found, known, "N"
			return nil
		}
		if err := refusesRefund(found, amount, tx); err != nil {
			return err
		}
		refund = books.Refund{
			Provider: books.Alipay, Merchant: call.merchant.ID, OrderNumber: found.Number, Number: number,
			ProviderNo: fmt.Sprintf("%s%012d", tx.Now().In(g.zone).Format("20060102"), tx.NextNumber()),
			Amount:     amount, Reason: in.RefundReason, Fingerprint: fingerprint,
			State: books.RefundSuccess, CreatedAt: tx.Now(), DoneAt: tx.Now(),
		}
		order, refund, err = tx.GiveBack(found, call.merchant, refund)
		if errors.Is(err, books.ErrNotEnough) {
			return failed("ACQ.SELLER_BALANCE_NOT_ENOUGH", "卖家余额不足")
		}
		if err != nil {
			return err
		}
		g.notifyRefund(tx, order, refund)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return success().
		set("buyer_logon_id", buyerLogonID).
		set("buyer_open_id", buyerOpenID(order)).
		set("buyer_user_id", buyerID(order)).
		set("fund_change", change).
		set("gmt_refund_pay", g.format(refund.DoneAt)).
		set("out_trade_no", order.Number).
		set("refund_fee", yuan.Format(order.Refunded)).
		set("send_back_fee", yuan.Format(refund.Amount)).
		set("trade_no", order.ProviderNo), nil
}

func refusesRefund(o books.Order, amount int64, tx *books.Tx) error {
	switch {
	case o.State != books.OrderPaid:
		return failed("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
	case tradeStatus(o, tx.Now()) == tradeFinished:
		return failed("ACQ.TRADE_HAS_FINISHED", "交易已完结")
	case amount > o.Amount-o.Refunded:
		return failed("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超限")
	}
	return nil
}

// queryRefund is alipay.trade.fastpay.refund.query. A refund that is not there
// is a success without refund_status.
func (g *Gateway) queryRefund(call request) (*node, error) {
	var in refundFields
	if err := decode(call, &in); err != nil {
		return nil, err
	}
	if in.OutRequestNo == "" {
		return nil, invalidParameter("out_request_no不能为空")
	}
	answer := success()
	err := g.books.View(func(r books.Reader) error {
		order, err := g.find(r, call, in.tradeFields)
		if err != nil {
			return err
		}
		refund, ok := r.Refund(books.Alipay, call.merchant.ID, order.Number, in.OutRequestNo)
		if !ok {
			return nil
		}
		answer.set("gmt_refund_pay", g.format(refund.DoneAt)).
			set("out_request_no", refund.Number).
			set("out_trade_no", order.Number).
			set("refund_amount", yuan.Format(refund.Amount)).
			set("refund_status", "REFUND_SUCCESS").
			set("send_back_fee", yuan.Format(refund.Amount)).
			set("total_amount", yuan.Format(order.Amount)).
			set("trade_no", order.ProviderNo)
		return nil
	})
	return answer, err
}
