package wechatpay

import (
	"context"
	"time"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// tradeAnswer is the part of a transaction this platform reads; a notification
// holds the same shape.
type tradeAnswer struct {
	names
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	TradeState    string `json:"trade_state"`
	StateDesc     string `json:"trade_state_desc"`
	SuccessTime   string `json:"success_time"`
	Amount        struct {
		Total    *int64 `json:"total"`
		Currency string `json:"currency"`
	} `json:"amount"`
}

// QueryTrade implements channel.Collector with a query by our number.
func (a *Adapter) QueryTrade(ctx context.Context, number string) (channel.Trade, error) {
	if err := wire.CheckNumber("number", number); err != nil {
		return channel.Trade{}, err
	}
	var out tradeAnswer
	refused, err := a.get(ctx, a.orders()+"out-trade-no/"+number+"?"+a.asked(), &out)
	switch {
	case err != nil:
		return channel.Trade{}, err
	case refused != nil:
		answer := a.judge(query, refused)
		if answer.Outcome == channel.Succeeded {
			return channel.Trade{Answer: answer, State: channel.TradeNotFound, Number: number}, nil
		}
		return channel.Trade{Answer: answer}, nil
	}
	return a.readTrade(number, out), nil
}

// readTrade turns a verified query answer into a Trade.
func (a *Adapter) readTrade(number string, out tradeAnswer) channel.Trade {
	unknown := func(answer channel.Answer) channel.Trade { return channel.Trade{Answer: answer} }
	if field := a.stranger(out.names); field != "" {
		return unknown(mismatch(field))
	}
	if out.OutTradeNo != number {
		return unknown(mismatch("out_trade_no"))
	}
	trade := channel.Trade{Answer: accepted(out.TradeState), Number: number, ChannelTradeNo: out.TransactionID}
	trade.Message = out.StateDesc
	switch out.TradeState {
	case "SUCCESS", "REFUND":
		// REFUND says that some of it was refunded; the refunds say how much.
		trade.State = channel.TradePaid
	case "NOTPAY", "USERPAYING", "PAYERROR":
		trade.State = channel.TradeAwaiting
	case "CLOSED", "REVOKED":
		trade.State = channel.TradeClosed
	default:
		return unknown(badBody("trade_state"))
	}
	// Only a paid trade is sure to print an amount.
	if out.Amount.Total == nil && trade.State != channel.TradePaid {
		return trade
	}
	if out.Amount.Total == nil || *out.Amount.Total <= 0 || *out.Amount.Total > money.MaxMinor {
		return unknown(badBody("amount.total"))
	}
	if out.Amount.Currency != "" && out.Amount.Currency != string(money.CNY) {
		return unknown(mismatch("amount.currency"))
	}
	trade.Amount = money.Fen(*out.Amount.Total)
	if trade.State != channel.TradePaid {
		return trade
	}
	if out.TransactionID == "" {
		return unknown(badBody("transaction_id"))
	}
	var err error
	if trade.PaidAt, err = wire.Moment(time.RFC3339, out.SuccessTime); err != nil {
		return unknown(badBody("success_time"))
	}
	return trade
}

// CloseTrade implements channel.Collector. A refusal that does not say why is
// settled by one query.
func (a *Adapter) CloseTrade(ctx context.Context, number string) (channel.Answer, error) {
	if err := wire.CheckNumber("number", number); err != nil {
		return channel.Answer{}, err
	}
	refused, err := a.post(ctx, a.orders()+"out-trade-no/"+number+"/close", a.merchants(), nil)
	switch {
	case err != nil:
		return channel.Answer{}, err
	case refused == nil:
		return accepted("OK"), nil
	}
	answer := a.judge(closing, refused)
	if refused.code == "INVALID_REQUEST" || refused.code == "TRADE_ERROR" {
		return a.whyNotClosed(ctx, number, answer)
	}
	return answer, nil
}

// whyNotClosed asks for the state of a trade that refused to be closed.
func (a *Adapter) whyNotClosed(ctx context.Context, number string, refused channel.Answer) (channel.Answer, error) {
	if ctx.Err() != nil {
		return refused, nil
	}
	trade, err := a.QueryTrade(ctx, number)
	switch {
	case err != nil || trade.Outcome != channel.Succeeded:
	case trade.State == channel.TradePaid:
		return channel.Answer{Outcome: channel.Failed, Code: channel.CodeTradePaid, Message: refused.Code}, nil
	case trade.State == channel.TradeClosed:
		return channel.Answer{Outcome: channel.Succeeded, Code: refused.Code, Message: "closed already"}, nil
	}
	return refused, nil
}
