package wechatpay

import (
	"context"
	"errors"
	"regexp"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
)

// authCode is the code on a payer's phone: 18 digits that begin with 10 to 15.
var authCode = regexp.MustCompile(`^1[0-5][0-9]{16}$`)

// PayByCode implements channel.CodeCollector. WeChat Pay sends no notification
// about such a payment, so NotifyURL is not used. A refusal comes without a
// signature, so it counts only once a query has found no payment either.
func (a *Adapter) PayByCode(ctx context.Context, order channel.CodeOrder) (channel.Trade, error) {
	body, err := a.order(order.Number, order.Amount, order.Subject)
	if !authCode.MatchString(order.AuthCode) {
		err = errors.Join(err, errors.New("AuthCode: not 18 digits that begin with 10 to 15"))
	}
	body.SceneInfo = &orderScene{DeviceIP: order.PayerIP, StoreInfo: &orderStore{ID: a.storeID}}
	if order.PayerIP != "" {
		err = errors.Join(err, checkIP("PayerIP", order.PayerIP))
	}
	if err != nil {
		return channel.Trade{}, err
	}
	body.Payer = &orderPayer{AuthCode: order.AuthCode}
	var out tradeAnswer
	refused, err := a.post(ctx, a.orders()+"codepay", body, &out)
	switch {
	case err != nil:
		return channel.Trade{}, err
	case refused == nil:
		return byCode(order, a.readTrade(order.Number, out)), nil
	}
	answer := a.judge(codePay, refused)
	switch answer.Outcome {
	case channel.Pending:
		return channel.Trade{Answer: answer, State: channel.TradeAwaiting, Number: order.Number}, nil
	case channel.Failed:
		return a.surelyRefused(ctx, order, answer), nil
	}
	return channel.Trade{Answer: answer}, nil
}

// byCode says what a verified state means to the till.
func byCode(order channel.CodeOrder, trade channel.Trade) channel.Trade {
	switch {
	case trade.Outcome != channel.Succeeded:
	case trade.State == channel.TradePaid && trade.Amount != order.Amount:
		return channel.Trade{Answer: mismatch("amount.total")}
	case trade.State == channel.TradePaid:
	case trade.Code == "PAYERROR" || trade.State == channel.TradeClosed:
		trade.Outcome = channel.Failed
	default:
		trade.Outcome = channel.Pending
	}
	return trade
}

// surelyRefused asks whether a refusal without a signature is true: only if the
// payment is not there, or has verifiably failed, is the refusal believed.
func (a *Adapter) surelyRefused(ctx context.Context, order channel.CodeOrder, refused channel.Answer) channel.Trade {
	found, err := a.QueryTrade(ctx, order.Number)
	switch {
	case err != nil:
	case found.Outcome == channel.Succeeded && (found.State == channel.TradeNotFound || found.Code == "NOTPAY"):
		return channel.Trade{Answer: refused, Number: order.Number}
	case found.Outcome == channel.Succeeded:
		trade := byCode(order, found)
		if trade.Outcome == channel.Failed {
			trade.Answer = refused
		}
		return trade
	}
	refused.Outcome, refused.Message = channel.Unknown, refused.Message+" (a query could not confirm it)"
	return channel.Trade{Answer: refused}
}

// CancelTrade implements channel.CodeCollector with a reversal. Whether money was
// given back is not in its answer, so the trade is asked about before and after.
func (a *Adapter) CancelTrade(ctx context.Context, number string) (channel.Cancelled, error) {
	before, err := a.QueryTrade(ctx, number)
	if err != nil {
		return channel.Cancelled{}, err
	}
	var out struct {
		names
		OutTradeNo string `json:"out_trade_no"`
	}
	refused, err := a.post(ctx, a.orders()+"out-trade-no/"+number+"/reverse", a.names(), &out)
	if err != nil {
		return channel.Cancelled{Answer: channel.Answer{Outcome: channel.Unknown, Code: channel.CodeNotSent, Message: wire.Reason(err)}}, nil
	}
	if refused != nil {
		if answer := a.judge(reversal, refused); answer.Outcome != channel.Succeeded {
			return channel.Cancelled{Answer: answer}, nil
		}
	} else if out.OutTradeNo != "" && out.OutTradeNo != number {
		return channel.Cancelled{Answer: mismatch("out_trade_no")}, nil
	}
	after, err := a.QueryTrade(ctx, number)
	switch {
	case err != nil:
		return channel.Cancelled{Answer: channel.Answer{Outcome: channel.Unknown, Code: channel.CodeNoAnswer, Message: wire.Reason(err)}}, nil
	case after.Outcome != channel.Succeeded:
		return channel.Cancelled{Answer: after.Answer}, nil
	case after.State != channel.TradeClosed:
		notYet := channel.Answer{Outcome: channel.Pending, Code: after.Code, Message: "the reversal does not show yet"}
		return channel.Cancelled{Answer: notYet}, nil
	}
	paid := before.State == channel.TradePaid || after.ChannelTradeNo != ""
	return channel.Cancelled{Answer: accepted(after.Code), Refunded: paid}, nil
}
