package activities_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// counterpart is the provider of one course. It has one truth, does what it is
// asked once per number, and answers each call as the course's next message for
// that call says: truly, with what was true before, unusably, or much later.
type counterpart struct {
	*course
	// trade and before are what a query finds now and found a moment ago.
	trade, before channel.TradeState
	// moved counts, by number, the refunds and transfers that were taken.
	moved map[string]int
}

func (c *counterpart) Name() string { return "alipay" }

// becomes changes the trade; a notification can tell of it from now on.
func (c *counterpart) becomes(state channel.TradeState) {
	if c.trade != state {
		c.before, c.trade = c.trade, state
	}
	c.paid(state == channel.TradePaid)
}

func unusable() channel.Answer {
	return channel.Answer{Outcome: channel.Unknown, Code: channel.CodeNoAnswer}
}

func notFound() channel.Answer { return answer(channel.Failed, channel.CodeNotFound) }

func (c *counterpart) Offers() []channel.Offer { return everything() }

func (c *counterpart) Prepay(ctx context.Context, _ channel.PrepayOrder) (channel.Prepaid, error) {
	return answered(c, ctx, "prepay", c.prepares, func(how string) channel.Prepaid {
		if how == "lost" {
			return channel.Prepaid{Answer: unusable()}
		}
		if c.truth.declines {
			return channel.Prepaid{Answer: answer(channel.Failed, "RISK")}
		}
		return channel.Prepaid{Answer: succeeded(), Action: channel.Action{Type: channel.ActionQRCode, QRCode: "https://qr.example.com/1"}}
	})
}

func (c *counterpart) prepares() {
	if !c.truth.declines && c.trade == channel.TradeNotFound {
		c.becomes(c.truth.prepared)
	}
}

func (c *counterpart) QueryTrade(ctx context.Context, number string) (channel.Trade, error) {
	return answered(c, ctx, "query", nil, func(how string) channel.Trade {
		trade := channel.Trade{Answer: succeeded(), State: c.trade, Number: number}
		switch how {
		case "unknown":
			return channel.Trade{Answer: unusable()}
		case "other amount":
			trade.State, trade.Amount = channel.TradePaid, money.Fen(1)
			return trade
		case "stale":
			trade.State = c.before
		case "true":
			c.saidClosed()
		}
		if trade.State == channel.TradePaid {
			trade.ChannelTradeNo, trade.Amount, trade.PaidAt = "T1", money.Fen(1000), c.stage.day
		}
		return trade
	})
}

func (c *counterpart) CloseTrade(ctx context.Context, _ string) (channel.Answer, error) {
	closes := func() {
		switch {
		case c.trade == channel.TradeAwaiting && c.truth.paysBeforeClose:
			c.becomes(channel.TradePaid)
		case c.trade == channel.TradeAwaiting && !c.truth.neverScanned:
			c.becomes(channel.TradeClosed)
		}
	}
	return answered(c, ctx, "close", closes, func(how string) channel.Answer {
		switch {
		case how == "lost":
			return unusable()
		case c.trade == channel.TradePaid:
			return answer(channel.Failed, channel.CodeTradePaid)
		case c.trade != channel.TradeClosed:
			return notFound()
		case how == "true":
			c.saidClosed()
		}
		return succeeded()
	})
}

// saidClosed: we are being told that the trade is closed; only then may the
// payer's money be late.
func (c *counterpart) saidClosed() {
	if c.truth.paysAfterClose && c.trade == channel.TradeClosed {
		c.becomes(channel.TradePaid)
	}
}

func (c *counterpart) Refund(ctx context.Context, order channel.RefundOrder) (channel.RefundState, error) {
	return answered(c, ctx, "send", func() { c.takes(order.Number) }, func(how string) channel.RefundState {
		return c.refundState(how, order)
	})
}

func (c *counterpart) QueryRefund(ctx context.Context, order channel.RefundOrder) (channel.RefundState, error) {
	return answered(c, ctx, "query", nil, func(how string) channel.RefundState { return c.refundState(how, order) })
}

func (c *counterpart) Transfer(ctx context.Context, order channel.TransferOrder) (channel.TransferState, error) {
	return answered(c, ctx, "send", func() { c.takes(order.Number) }, func(how string) channel.TransferState {
		return c.transferState(how, order.Number)
	})
}

func (c *counterpart) QueryTransfer(ctx context.Context, number string) (channel.TransferState, error) {
	return answered(c, ctx, "query", nil, func(how string) channel.TransferState { return c.transferState(how, number) })
}

// takes is the arrival of an order to move money: whatever arrives again under
// the same number is the same order. One that is refused, or that our balance
// does not cover yet, is not taken.
func (c *counterpart) takes(number string) {
	if !c.truth.refuses && !c.short() {
		c.moved[number]++
	}
}

// short: our balance is too small until everything else was said.
func (c *counterpart) short() bool { return c.truth.short && len(c.rest) > 0 }

// moving is what the provider says about an order by its number.
func (c *counterpart) moving(how, number string) channel.Answer {
	switch {
	case how == "lost" || how == "unknown":
		return unusable()
	case how == "stale":
		return notFound()
	case how == "pending" && c.moved[number] > 0:
		return answer(channel.Pending, "DEALING")
	case c.truth.refuses && c.asking == "send":
		return answer(channel.Failed, "PAYEE_NOT_EXIST")
	case c.short() && c.asking == "send":
		return answer(channel.Pending, channel.CodeChannelBalance)
	case c.moved[number] == 0:
		return notFound()
	case c.truth.ends.Outcome != "":
		if c.asking == "send" && c.truth.ends.Outcome == channel.Failed {
			return answer(channel.Pending, "DEALING")
		}
		return c.truth.ends
	}
	return succeeded()
}

func (c *counterpart) refundState(how string, order channel.RefundOrder) channel.RefundState {
	return channel.RefundState{Answer: c.moving(how, order.Number), Number: order.Number, ChannelRefundNo: "R1",
		Amount: order.Amount, RefundedAt: c.stage.day}
}

func (c *counterpart) transferState(how, number string) channel.TransferState {
	return channel.TransferState{Answer: c.moving(how, number), Number: number, ChannelTransferNo: "W1",
		Amount: money.Fen(400), PaidAt: c.stage.day}
}

func (c *counterpart) FetchTradeBill(context.Context, string) (channel.BillResult, error) {
	return channel.BillResult{}, errors.New("no bills here")
}

// letter is a notification on its way to the API.
type letter struct {
	channel.Notification
	Forged bool
}

func (c *counterpart) ReadNotification(_ context.Context, _ *http.Request, body []byte) (channel.Notification, error) {
	var l letter
	if err := json.Unmarshal(body, &l); err != nil {
		return l.Notification, err
	}
	if l.Forged {
		return channel.Notification{}, errors.New("the signature does not verify")
	}
	return l.Notification, nil
}

func (c *counterpart) Acknowledge(w http.ResponseWriter, ok bool) {
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// ghost is a call whose reply comes late: its worker was given up for dead, the
// step was tried again, and then the reply arrives after all and is booked.
type ghost struct {
	arrived, reply chan struct{}
	answer         any
}

type ghostKey struct{}

var errGivenUp = errors.New("no sign of life")

// answered is one call to the provider. happens is what it brings about, say
// writes the reply; what precedes the reply among the messages overtakes it.
func answered[A any](c *counterpart, ctx context.Context, call string, happens func(), say func(how string) A) (A, error) {
	if g, ok := ctx.Value(ghostKey{}).(*ghost); ok {
		close(g.arrived)
		<-g.reply
		return g.answer.(A), nil
	}
	c.asking = call
	if happens != nil {
		happens()
	}
	how, before := c.pull(call)
	reply := say(how)
	c.arrive(before)
	if how != "late" {
		return reply, nil
	}
	c.haunt(call, &ghost{arrived: make(chan struct{}), reply: make(chan struct{}), answer: reply})
	var none A
	return none, errGivenUp
}
