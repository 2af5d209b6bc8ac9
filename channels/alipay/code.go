package alipay

import (
	"context"
	"errors"
	"regexp"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// codeAwaiting is the gateway code of a payment by code that the payer has to
// confirm. The SDK counts it as success; no money has moved by it.
const codeAwaiting = "10003"

// codePatience is how long Alipay lets the payer confirm: longer than the course
// of queries takes, so that a forgotten trade ends by itself.
const codePatience = "5m"

// authCode is the code on a payer's phone: 18 digits that begin with 25 to 30.
var authCode = regexp.MustCompile(`^(2[5-9]|30)[0-9]{16}$`)

// PayByCode implements channel.CodeCollector with alipay.trade.pay. Alipay has no
// field for the till's address, so PayerIP is not sent.
func (a *Adapter) PayByCode(ctx context.Context, order channel.CodeOrder) (channel.Trade, error) {
	total, err := channel.FormatYuan(order.Amount)
	err = errors.Join(err,
		wire.CheckNumber("Number", order.Number),
		wire.CheckAmount("Amount", order.Amount),
		wire.CheckText("Subject", order.Subject, maxSubject),
		wire.CheckNotifyURL("NotifyURL", order.NotifyURL),
	)
	if !authCode.MatchString(order.AuthCode) {
		err = errors.Join(err, errors.New("AuthCode: not 18 digits that begin with 25 to 30"))
	}
	if err != nil {
		return channel.Trade{}, err
	}
	var out paidAnswer
	failure, err := a.call(ctx, "alipay.trade.pay", order.NotifyURL, fields{
		"out_trade_no": order.Number, "total_amount": total, "subject": order.Subject, "product_code": "FACE_TO_FACE_PAYMENT",
		"scene": "bar_code", "auth_code": order.AuthCode, "timeout_express": codePatience,
	}, &out)
	switch {
	case err != nil:
		return channel.Trade{}, err
	case failure != nil:
		return channel.Trade{Answer: unusable(failure)}, nil
	case out.Code == codeOK, out.Code == codeAwaiting && out.SubCode == "":
		return readPaid(order, out), nil
	}
	return channel.Trade{Answer: a.refusal(codePay, out.reply)}, nil
}

// paidAnswer is the part of alipay.trade.pay read here.
type paidAnswer struct {
	reply
	TradeNo       string `json:"trade_no"`
	OutTradeNo    string `json:"out_trade_no"`
	TotalAmount   string `json:"total_amount"`
	TransCurrency string `json:"trans_currency"`
	PaidAt        string `json:"gmt_payment"`
}

// readPaid turns a signed answer that is no refusal into a Trade. One that waits
// may leave the amount out.
func readPaid(order channel.CodeOrder, out paidAnswer) channel.Trade {
	unknown := func(answer channel.Answer) channel.Trade { return channel.Trade{Answer: answer} }
	if out.OutTradeNo != order.Number {
		return unknown(mismatch("out_trade_no"))
	}
	if out.TransCurrency != "" && out.TransCurrency != string(money.CNY) {
		return unknown(mismatch("trans_currency"))
	}
	if out.TotalAmount != "" || out.Code == codeOK {
		total, err := channel.ParseYuan(out.TotalAmount)
		if err != nil {
			return unknown(badBody("total_amount"))
		}
		if total != order.Amount {
			return unknown(mismatch("total_amount"))
		}
	}
	trade := channel.Trade{Answer: accepted(out.reply), Number: order.Number, ChannelTradeNo: out.TradeNo, Amount: order.Amount}
	if out.Code == codeAwaiting {
		trade.Outcome, trade.State = channel.Pending, channel.TradeAwaiting
		return trade
	}
	at, err := parseTime(out.PaidAt)
	if err != nil {
		return unknown(badBody("gmt_payment"))
	}
	if out.TradeNo == "" {
		return unknown(badBody("trade_no"))
	}
	trade.State, trade.PaidAt = channel.TradePaid, at
	return trade
}

// CancelTrade implements channel.CodeCollector with alipay.trade.cancel. Its
// action tells what this call did; without one, nothing was done, and a query
// tells whether there was nothing left to do or no such trade.
func (a *Adapter) CancelTrade(ctx context.Context, number string) (channel.Cancelled, error) {
	if err := wire.CheckNumber("number", number); err != nil {
		return channel.Cancelled{}, err
	}
	var out struct {
		reply
		OutTradeNo string `json:"out_trade_no"`
		RetryFlag  string `json:"retry_flag"`
		Action     string `json:"action"`
	}
	failure, err := a.call(ctx, "alipay.trade.cancel", "", fields{"out_trade_no": number}, &out)
	switch {
	case err != nil:
		return channel.Cancelled{}, err
	case failure != nil:
		return channel.Cancelled{Answer: unusable(failure)}, nil
	case out.Code != codeOK:
		return channel.Cancelled{Answer: a.refusal(cancelling, out.reply)}, nil
	case out.OutTradeNo != number:
		return channel.Cancelled{Answer: mismatch("out_trade_no")}, nil
	case out.RetryFlag == "Y":
		again := channel.Answer{Outcome: channel.Pending, Code: out.Code, Message: "retry_flag is Y: the same call again"}
		return channel.Cancelled{Answer: again}, nil
	}
	switch out.Action {
	case "close":
		return channel.Cancelled{Answer: accepted(out.reply)}, nil
	case "refund":
		return channel.Cancelled{Answer: accepted(out.reply), Refunded: true}, nil
	case "":
		return a.afterCancel(ctx, number)
	}
	return channel.Cancelled{Answer: badBody("action")}, nil
}

// afterCancel asks what a cancel met that did nothing.
func (a *Adapter) afterCancel(ctx context.Context, number string) (channel.Cancelled, error) {
	unsure := channel.Cancelled{Answer: channel.Answer{Outcome: channel.Unknown, Code: channel.CodeNoAnswer,
		Message: "the cancel did nothing, and the query that tells why was not answered"}}
	if ctx.Err() != nil {
		return unsure, nil
	}
	out, failure, err := a.askTrade(ctx, number)
	switch {
	case err != nil:
		return unsure, nil
	case failure != nil:
		return channel.Cancelled{Answer: unusable(failure)}, nil
	case out.Code != codeOK:
		if answer := a.refusal(query, out.reply); answer.Outcome != channel.Succeeded {
			return channel.Cancelled{Answer: answer}, nil
		}
		absent := channel.Answer{Outcome: channel.Failed, Code: channel.CodeNotFound, Message: "no such trade"}
		return channel.Cancelled{Answer: absent}, nil
	}
	trade := readTrade(number, out)
	switch {
	case trade.Outcome != channel.Succeeded:
		return channel.Cancelled{Answer: trade.Answer}, nil
	case out.TradeStatus == "TRADE_CLOSED": // unpaid, or given back in full
		return channel.Cancelled{Answer: accepted(out.reply), Refunded: trade.State == channel.TradePaid}, nil
	}
	waiting := channel.Answer{Outcome: channel.Pending, Code: out.TradeStatus, Message: "the cancel did nothing yet"}
	return channel.Cancelled{Answer: waiting}, nil
}
