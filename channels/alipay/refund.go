package alipay

import (
	"context"
	"time"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
)

// maxReason is the length of refund_reason, in characters.
const maxReason = 256

// Refund implements channel.Refunder with alipay.trade.refund; out_request_no
// is what makes a resend harmless. Code 10000 alone proves nothing: only
// fund_change Y says that this call moved the money. Anything else is Pending,
// and QueryRefund tells.
func (a *Adapter) Refund(ctx context.Context, order channel.RefundOrder) (channel.RefundState, error) {
	if err := wire.CheckRefund(order); err != nil {
		return channel.RefundState{}, err
	}
	amount, err := channel.FormatYuan(order.Amount)
	if err != nil {
		return channel.RefundState{}, err
	}
	biz := fields{
		"out_trade_no":   order.TradeNumber,
		"out_request_no": order.Number,
		"refund_amount":  amount,
	}
	if reason := wire.Shorten(order.Reason, maxReason); reason != "" {
		biz["refund_reason"] = reason
	}
	var out struct {
		reply
		TradeNo    string `json:"trade_no"`
		OutTradeNo string `json:"out_trade_no"`
		FundChange string `json:"fund_change"`
		RefundFee  string `json:"refund_fee"`
		RefundedAt string `json:"gmt_refund_pay"`
	}
	failure, err := a.call(ctx, "alipay.trade.refund", "", biz, &out)
	switch {
	case err != nil:
		return channel.RefundState{}, err
	case failure != nil:
		return channel.RefundState{Answer: unusable(failure)}, nil
	case out.Code != codeOK:
		return channel.RefundState{Answer: a.refusal(refund, out.reply)}, nil
	case out.OutTradeNo != order.TradeNumber:
		return channel.RefundState{Answer: mismatch("out_trade_no")}, nil
	case out.FundChange != "Y":
		return channel.RefundState{Number: order.Number, Amount: order.Amount, Answer: channel.Answer{
			Outcome: channel.Pending, Code: out.Code, Message: "fund_change is not Y: ask by the refund's number",
		}}, nil
	}
	// refund_fee is the total refunded of the trade so far, this refund included.
	total, err := channel.ParseYuan(out.RefundFee)
	if err != nil {
		return channel.RefundState{Answer: badBody("refund_fee")}, nil
	}
	if total.Minor < order.Amount.Minor || total.Minor > order.TradeAmount.Minor {
		return channel.RefundState{Answer: mismatch("refund_fee")}, nil
	}
	state := channel.RefundState{Answer: accepted(out.reply), Number: order.Number, ChannelRefundNo: out.TradeNo, Amount: order.Amount}
	if out.RefundedAt != "" {
		if state.RefundedAt, err = parseTime(out.RefundedAt); err != nil {
			return channel.RefundState{Answer: badBody("gmt_refund_pay")}, nil
		}
	}
	return state, nil
}

// refundAnswer is the part of alipay.trade.fastpay.refund.query read here.
type refundAnswer struct {
	reply
	TradeNo      string `json:"trade_no"`
	OutTradeNo   string `json:"out_trade_no"`
	OutRequestNo string `json:"out_request_no"`
	TotalAmount  string `json:"total_amount"`
	RefundAmount string `json:"refund_amount"`
	RefundStatus string `json:"refund_status"`
	RefundedAt   string `json:"gmt_refund_pay"`
}

// QueryRefund implements channel.Refunder with
// alipay.trade.fastpay.refund.query. An answer without refund_status says that
// no such refund was accepted: Failed with CodeNotFound, resend identically.
// Alipay has no number of its own for a refund; ChannelRefundNo is the trade's.
func (a *Adapter) QueryRefund(ctx context.Context, order channel.RefundOrder) (channel.RefundState, error) {
	if err := wire.CheckRefund(order); err != nil {
		return channel.RefundState{}, err
	}
	var out refundAnswer
	failure, err := a.call(ctx, "alipay.trade.fastpay.refund.query", "", fields{
		"out_trade_no":   order.TradeNumber,
		"out_request_no": order.Number,
		// The time is only told when asked for.
		"query_options": []string{"gmt_refund_pay"},
	}, &out)
	switch {
	case err != nil:
		return channel.RefundState{}, err
	case failure != nil:
		return channel.RefundState{Answer: unusable(failure)}, nil
	case out.Code != codeOK:
		return channel.RefundState{Answer: a.refusal(refundQuery, out.reply)}, nil
	}
	return readRefund(order, out), nil
}

// readRefund turns a signed, successful refund query into a RefundState.
func readRefund(order channel.RefundOrder, out refundAnswer) channel.RefundState {
	unknown := func(answer channel.Answer) channel.RefundState { return channel.RefundState{Answer: answer} }
	// A refund that was never accepted comes back with few or no fields, so the
	// identity is compared where it is given, and insisted on for a success.
	if out.OutRequestNo != "" && out.OutRequestNo != order.Number {
		return unknown(mismatch("out_request_no"))
	}
	if out.OutTradeNo != "" && out.OutTradeNo != order.TradeNumber {
		return unknown(mismatch("out_trade_no"))
	}
	switch out.RefundStatus {
	case "":
		return channel.RefundState{Number: order.Number, Answer: channel.Answer{
			Outcome: channel.Failed, Code: channel.CodeNotFound, Message: "no refund_status: no such refund was accepted",
		}}
	case "REFUND_PROCESSING":
		return channel.RefundState{Number: order.Number, Amount: order.Amount, Answer: channel.Answer{
			Outcome: channel.Pending, Code: out.RefundStatus, Message: out.Msg,
		}}
	case "REFUND_SUCCESS":
	default:
		return unknown(badBody("refund_status"))
	}
	if out.OutRequestNo == "" || out.OutTradeNo == "" {
		return unknown(mismatch("the refund's number"))
	}
	amount, err := channel.ParseYuan(out.RefundAmount)
	if err != nil {
		return unknown(badBody("refund_amount"))
	}
	if amount != order.Amount {
		return unknown(mismatch("refund_amount"))
	}
	if total, err := channel.ParseYuan(out.TotalAmount); err != nil {
		return unknown(badBody("total_amount"))
	} else if total != order.TradeAmount {
		return unknown(mismatch("total_amount"))
	}
	at := time.Time{}
	if out.RefundedAt != "" {
		if at, err = parseTime(out.RefundedAt); err != nil {
			return unknown(badBody("gmt_refund_pay"))
		}
	}
	return channel.RefundState{
		Answer: accepted(out.reply), Number: order.Number, ChannelRefundNo: out.TradeNo, Amount: amount, RefundedAt: at,
	}
}
