package alipay

import (
	"context"
	"errors"
	"time"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// tradeAnswer is the part of alipay.trade.query this platform reads. The SDK's
// own type would decode the amounts of fund_bill_list as floats.
type tradeAnswer struct {
	reply
	TradeNo       string `json:"trade_no"`
	OutTradeNo    string `json:"out_trade_no"`
	TradeStatus   string `json:"trade_status"`
	TotalAmount   string `json:"total_amount"`
	TransCurrency string `json:"trans_currency"`
	SendPayDate   string `json:"send_pay_date"`
}

// QueryTrade implements channel.Collector with alipay.trade.query.
func (a *Adapter) QueryTrade(ctx context.Context, number string) (channel.Trade, error) {
	if err := wire.CheckNumber("number", number); err != nil {
		return channel.Trade{}, err
	}
	out, failure, err := a.askTrade(ctx, number)
	switch {
	case err != nil:
		return channel.Trade{}, err
	case failure != nil:
		return channel.Trade{Answer: unusable(failure)}, nil
	case out.Code != codeOK:
		answer := a.refusal(query, out.reply)
		if answer.Outcome == channel.Succeeded {
			return channel.Trade{Answer: answer, State: channel.TradeNotFound, Number: number}, nil
		}
		return channel.Trade{Answer: answer}, nil
	}
	return readTrade(number, out), nil
}

func (a *Adapter) askTrade(ctx context.Context, number string) (out tradeAnswer, failure *wire.Failure, err error) {
	failure, err = a.call(ctx, "alipay.trade.query", "", fields{"out_trade_no": number}, &out)
	return out, failure, err
}

// readTrade turns a signed, successful query answer into a Trade.
func readTrade(number string, out tradeAnswer) channel.Trade {
	unknown := func(answer channel.Answer) channel.Trade { return channel.Trade{Answer: answer} }
	if out.OutTradeNo != number {
		return unknown(mismatch("out_trade_no"))
	}
	if out.TransCurrency != "" && out.TransCurrency != string(money.CNY) {
		return unknown(mismatch("trans_currency"))
	}
	amount, err := channel.ParseYuan(out.TotalAmount)
	if err != nil || !amount.IsPositive() {
		return unknown(badBody("total_amount"))
	}
	trade := channel.Trade{Answer: accepted(out.reply), Number: number, ChannelTradeNo: out.TradeNo, Amount: amount}
	switch out.TradeStatus {
	case "WAIT_BUYER_PAY":
		trade.State = channel.TradeAwaiting
		return trade
	case "TRADE_SUCCESS", "TRADE_FINISHED":
		trade.State = channel.TradePaid
	case "TRADE_CLOSED":
		// Closed unpaid, or paid and refunded in full; only a paid trade carries
		// the time at which the money was sent to the seller.
		trade.State = channel.TradeClosed
		if out.SendPayDate == "" {
			return trade
		}
		trade.State = channel.TradePaid
	default:
		return unknown(badBody("trade_status"))
	}
	if trade.PaidAt, err = parseTime(out.SendPayDate); err != nil {
		return unknown(badBody("send_pay_date"))
	}
	if out.TradeNo == "" {
		return unknown(badBody("trade_no"))
	}
	return trade
}

// CloseTrade implements channel.Collector with alipay.trade.close. Alipay has
// one code for "paid" and "closed already", so a refusal for the trade's status
// is settled by one query.
func (a *Adapter) CloseTrade(ctx context.Context, number string) (channel.Answer, error) {
	if err := wire.CheckNumber("number", number); err != nil {
		return channel.Answer{}, err
	}
	var out struct {
		reply
		OutTradeNo string `json:"out_trade_no"`
	}
	failure, err := a.call(ctx, "alipay.trade.close", "", fields{"out_trade_no": number}, &out)
	switch {
	case err != nil:
		return channel.Answer{}, err
	case failure != nil:
		return unusable(failure), nil
	case out.Code == codeOK && out.OutTradeNo != number:
		return mismatch("out_trade_no"), nil
	case out.Code == codeOK:
		return accepted(out.reply), nil
	}
	answer := a.refusal(closing, out.reply)
	switch answer.Code {
	case "ACQ.TRADE_STATUS_ERROR", "ACQ.REASON_TRADE_STATUS_INVALID", "ACQ.REASON_ILLEGAL_STATUS":
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

// timeLayout is how Alipay writes every time, in Asia/Shanghai.
const timeLayout = time.DateTime

func formatTime(at time.Time) string { return at.In(wire.Shanghai()).Format(timeLayout) }

func parseTime(text string) (time.Time, error) {
	return wire.Moment(timeLayout, text)
}

// checkExpiry refuses a forgotten expiry: without one the code could be paid
// for ever.
func checkExpiry(at time.Time) error {
	if at.IsZero() {
		return errors.New("ExpiresAt: missing; every trade needs an absolute expiry")
	}
	return nil
}
