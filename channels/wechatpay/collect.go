package wechatpay

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/native"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// maxSubject is the length of description, in characters.
const maxSubject = 127

// Offers implements channel.Collector.
func (a *Adapter) Offers() []channel.Offer {
	return []channel.Offer{{Product: channel.ProductQR, Action: channel.ActionQRCode}}
}

// Prepay implements channel.Collector with a Native order. Resent with the same
// content it answers the same trade again.
func (a *Adapter) Prepay(ctx context.Context, order channel.PrepayOrder) (channel.Prepaid, error) {
	if err := errors.Join(
		wire.CheckNumber("Number", order.Number),
		wire.CheckAmount("Amount", order.Amount),
		wire.CheckText("Subject", order.Subject, maxSubject),
		wire.CheckNotifyURL("NotifyURL", order.NotifyURL),
		checkExpiry(order.ExpiresAt),
	); err != nil {
		return channel.Prepaid{}, err
	}
	var out struct {
		CodeURL string `json:"code_url"`
	}
	refused, err := a.post(ctx, "/v3/pay/transactions/native", native.PrepayRequest{
		Appid:       core.String(a.appID),
		Mchid:       core.String(a.mchID),
		Description: core.String(order.Subject),
		OutTradeNo:  core.String(order.Number),
		TimeExpire:  core.Time(order.ExpiresAt.In(wire.Shanghai())),
		NotifyUrl:   core.String(order.NotifyURL),
		Amount:      &native.Amount{Total: core.Int64(order.Amount.Minor), Currency: core.String(string(money.CNY))},
	}, &out)
	switch {
	case err != nil:
		return channel.Prepaid{}, err
	case refused != nil:
		return channel.Prepaid{Answer: a.judge(prepay, refused)}, nil
	case out.CodeURL == "":
		return channel.Prepaid{Answer: badBody("code_url")}, nil
	}
	return channel.Prepaid{Answer: accepted("OK"), Action: channel.Action{Type: channel.ActionQRCode, QRCode: out.CodeURL}}, nil
}

// tradeAnswer is the part of a transaction this platform reads; a notification
// holds the same shape.
type tradeAnswer struct {
	AppID         string `json:"appid"`
	MchID         string `json:"mchid"`
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
	refused, err := a.get(ctx, "/v3/pay/transactions/out-trade-no/"+number+"?"+url.Values{"mchid": {a.mchID}}.Encode(), &out)
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
	switch {
	case out.MchID != a.mchID:
		return unknown(mismatch("mchid"))
	case out.AppID != a.appID:
		return unknown(mismatch("appid"))
	case out.OutTradeNo != number:
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
	refused, err := a.post(ctx, "/v3/pay/transactions/out-trade-no/"+number+"/close",
		native.CloseRequest{Mchid: core.String(a.mchID)}, nil)
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

// checkExpiry refuses a forgotten expiry: without one the provider chooses.
func checkExpiry(at time.Time) error {
	if at.IsZero() {
		return errors.New("ExpiresAt: missing; every trade needs an absolute expiry")
	}
	return nil
}
