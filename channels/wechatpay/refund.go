package wechatpay

import (
	"context"
	"net/url"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/services/refunddomestic"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// maxReason is the length of reason, in characters.
const maxReason = 80

// Refund implements channel.Refunder; out_refund_no is what makes a resend
// harmless. An accepted refund is usually PROCESSING, that is Pending.
func (a *Adapter) Refund(ctx context.Context, order channel.RefundOrder) (channel.RefundState, error) {
	if err := wire.CheckRefund(order); err != nil {
		return channel.RefundState{}, err
	}
	request := refunddomestic.CreateRequest{
		OutTradeNo:  core.String(order.TradeNumber),
		OutRefundNo: core.String(order.Number),
		Amount: &refunddomestic.AmountReq{
			Refund:   core.Int64(order.Amount.Minor),
			Total:    core.Int64(order.TradeAmount.Minor),
			Currency: core.String(string(money.CNY)),
		},
	}
	if a.partner() {
		request.SubMchid = core.String(a.subMchID)
	}
	if reason := wire.Shorten(order.Reason, maxReason); reason != "" {
		request.Reason = core.String(reason)
	}
	if order.NotifyURL != "" {
		if err := wire.CheckNotifyURL("NotifyURL", order.NotifyURL); err != nil {
			return channel.RefundState{}, err
		}
		request.NotifyUrl = core.String(order.NotifyURL)
	}
	var out refundAnswer
	refused, err := a.post(ctx, "/v3/refund/domestic/refunds", request, &out)
	switch {
	case err != nil:
		return channel.RefundState{}, err
	case refused == nil:
		return readRefund(order, out), nil
	}
	answer := a.judge(refund, refused)
	if answer.Outcome == channel.Failed {
		return a.surelyNotRefunded(ctx, order, answer)
	}
	return channel.RefundState{Answer: answer}, nil
}

// surelyNotRefunded believes a refusal, which comes without a signature, only if
// the provider does not know the refund when it is asked.
func (a *Adapter) surelyNotRefunded(ctx context.Context, order channel.RefundOrder, refused channel.Answer) (channel.RefundState, error) {
	found, err := a.QueryRefund(ctx, order)
	switch {
	case err == nil && found.Code == channel.CodeNotFound:
		return channel.RefundState{Answer: refused}, nil
	case err == nil && found.Outcome != channel.Unknown:
		return found, nil
	}
	refused.Outcome, refused.Message = channel.Unknown, refused.Message+" (a query could not confirm it)"
	return channel.RefundState{Answer: refused}, nil
}

// QueryRefund implements channel.Refunder with a query by our refund number.
func (a *Adapter) QueryRefund(ctx context.Context, order channel.RefundOrder) (channel.RefundState, error) {
	if err := wire.CheckRefund(order); err != nil {
		return channel.RefundState{}, err
	}
	var out refundAnswer
	path := "/v3/refund/domestic/refunds/" + order.Number
	if a.partner() {
		path += "?" + url.Values{"sub_mchid": {a.subMchID}}.Encode()
	}
	refused, err := a.get(ctx, path, &out)
	switch {
	case err != nil:
		return channel.RefundState{}, err
	case refused != nil:
		return channel.RefundState{Answer: a.judge(refundQuery, refused)}, nil
	}
	return readRefund(order, out), nil
}

// refundAnswer is the part of a refund this platform reads.
type refundAnswer struct {
	RefundID    string `json:"refund_id"`
	OutRefundNo string `json:"out_refund_no"`
	OutTradeNo  string `json:"out_trade_no"`
	Status      string `json:"status"`
	SuccessTime string `json:"success_time"`
	Amount      struct {
		Refund   *int64 `json:"refund"`
		Total    *int64 `json:"total"`
		Currency string `json:"currency"`
	} `json:"amount"`
}

// readRefund turns a verified answer into a RefundState. ABNORMAL is a refund
// that left us and could not be paid to the payer's card: it stays Pending, with
// ABNORMAL as its code, until an operator has it paid another way.
func readRefund(order channel.RefundOrder, out refundAnswer) channel.RefundState {
	unknown := func(answer channel.Answer) channel.RefundState { return channel.RefundState{Answer: answer} }
	switch {
	case out.OutRefundNo != order.Number:
		return unknown(mismatch("out_refund_no"))
	case out.OutTradeNo != order.TradeNumber:
		return unknown(mismatch("out_trade_no"))
	case out.Amount.Refund == nil || out.Amount.Total == nil:
		return unknown(badBody("amount"))
	case *out.Amount.Refund != order.Amount.Minor:
		return unknown(mismatch("amount.refund"))
	case *out.Amount.Total != order.TradeAmount.Minor:
		return unknown(mismatch("amount.total"))
	case out.Amount.Currency != "" && out.Amount.Currency != string(money.CNY):
		return unknown(mismatch("amount.currency"))
	case out.RefundID == "":
		return unknown(badBody("refund_id"))
	}
	state := channel.RefundState{
		Answer: accepted(out.Status), Number: order.Number, ChannelRefundNo: out.RefundID, Amount: order.Amount,
	}
	switch out.Status {
	case "SUCCESS":
		at, err := wire.Moment(time.RFC3339, out.SuccessTime)
		if err != nil {
			return unknown(badBody("success_time"))
		}
		state.RefundedAt = at
	case "PROCESSING":
		state.Outcome = channel.Pending
	case "ABNORMAL":
		state.Outcome, state.Code = channel.Pending, channel.CodeAbnormal
		state.Message = "the payer's card cannot take it: have it paid another way at WeChat Pay"
	case "CLOSED":
		state.Outcome = channel.Failed
	default:
		return unknown(badBody("status"))
	}
	return state
}
