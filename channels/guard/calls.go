package guard

import (
	"context"
	"strconv"

	"github.com/suanpan/suanpan/core/channel"
)

// The calls of the ports, each with what is kept of it.

// Prepay implements channel.Collector.
func (g *guarded) Prepay(ctx context.Context, order channel.PrepayOrder) (channel.Prepaid, error) {
	return guard(ctx, g.account, call[channel.Prepaid]{
		op: channel.OpPrepay, number: order.Number,
		request: fields{}.amount("amount", order.Amount).with("product", string(order.Product)).moment("expires_at", order.ExpiresAt),
		send:    func(ctx context.Context) (channel.Prepaid, error) { return g.Adapter.Prepay(ctx, order) },
		unsent:  func(a channel.Answer) channel.Prepaid { return channel.Prepaid{Answer: a} },
		read: func(p channel.Prepaid) (channel.Answer, fields) {
			return p.Answer, fields{}.with("action", string(p.Action.Type))
		},
	})
}

// QueryTrade implements channel.Collector.
func (g *guarded) QueryTrade(ctx context.Context, number string) (channel.Trade, error) {
	return guard(ctx, g.account, call[channel.Trade]{
		op: channel.OpQueryTrade, number: number, request: fields{},
		send:   func(ctx context.Context) (channel.Trade, error) { return g.Adapter.QueryTrade(ctx, number) },
		unsent: unsentTrade,
		read:   readTrade,
	})
}

func unsentTrade(a channel.Answer) channel.Trade { return channel.Trade{Answer: a} }

func readTrade(t channel.Trade) (channel.Answer, fields) {
	return t.Answer, fields{}.with("state", string(t.State)).no("channel_trade_no", t.ChannelTradeNo).
		amount("amount", t.Amount).moment("paid_at", t.PaidAt)
}

// CloseTrade implements channel.Collector.
func (g *guarded) CloseTrade(ctx context.Context, number string) (channel.Answer, error) {
	return guard(ctx, g.account, call[channel.Answer]{
		op: channel.OpCloseTrade, number: number, request: fields{},
		send:   func(ctx context.Context) (channel.Answer, error) { return g.Adapter.CloseTrade(ctx, number) },
		unsent: func(a channel.Answer) channel.Answer { return a },
		read:   func(a channel.Answer) (channel.Answer, fields) { return a, fields{} },
	})
}

// refund is a call that answers about a refund.
func (g *guarded) refund(
	ctx context.Context, op channel.Operation, order channel.RefundOrder,
	send func(context.Context) (channel.RefundState, error),
) (channel.RefundState, error) {
	return guard(ctx, g.account, call[channel.RefundState]{
		op: op, number: order.Number, send: send,
		request: fields{}.amount("amount", order.Amount).no("trade_number", order.TradeNumber),
		unsent:  func(a channel.Answer) channel.RefundState { return channel.RefundState{Answer: a} },
		read: func(r channel.RefundState) (channel.Answer, fields) {
			return r.Answer, fields{}.no("channel_refund_no", r.ChannelRefundNo).amount("amount", r.Amount).moment("refunded_at", r.RefundedAt)
		},
	})
}

// Refund implements channel.Refunder.
func (g *guarded) Refund(ctx context.Context, order channel.RefundOrder) (channel.RefundState, error) {
	return g.refund(ctx, channel.OpRefund, order, func(ctx context.Context) (channel.RefundState, error) {
		return g.Adapter.Refund(ctx, order)
	})
}

// QueryRefund implements channel.Refunder.
func (g *guarded) QueryRefund(ctx context.Context, order channel.RefundOrder) (channel.RefundState, error) {
	return g.refund(ctx, channel.OpQueryRefund, order, func(ctx context.Context) (channel.RefundState, error) {
		return g.Adapter.QueryRefund(ctx, order)
	})
}

// FetchTradeBill implements channel.Biller.
func (g *guarded) FetchTradeBill(ctx context.Context, date string) (channel.BillResult, error) {
	return guard(ctx, g.account, call[channel.BillResult]{
		op: channel.OpFetchTradeBill, request: fields{}.no("date", date),
		send: func(ctx context.Context) (channel.BillResult, error) { return g.Adapter.FetchTradeBill(ctx, date) },
		unsent: func(a channel.Answer) channel.BillResult {
			return channel.BillResult{Answer: a, State: channel.BillUnknown}
		},
		read: func(r channel.BillResult) (channel.Answer, fields) {
			return r.Answer, fields{}.with("state", string(r.State)).with("lines", strconv.Itoa(len(r.Bill.Lines)))
		},
	})
}

// codes guards a channel.CodeCollector.
type codes struct{ of *guarded }

func (c codes) PayByCode(ctx context.Context, order channel.CodeOrder) (channel.Trade, error) {
	inner := c.of.Adapter.(channel.CodeCollector)
	return guard(ctx, c.of.account, call[channel.Trade]{
		op: channel.OpPayByCode, number: order.Number, request: fields{}.amount("amount", order.Amount),
		send:   func(ctx context.Context) (channel.Trade, error) { return inner.PayByCode(ctx, order) },
		unsent: unsentTrade,
		read:   readTrade,
	})
}

func (c codes) CancelTrade(ctx context.Context, number string) (channel.Cancelled, error) {
	inner := c.of.Adapter.(channel.CodeCollector)
	return guard(ctx, c.of.account, call[channel.Cancelled]{
		op: channel.OpCancelTrade, number: number, request: fields{},
		send:   func(ctx context.Context) (channel.Cancelled, error) { return inner.CancelTrade(ctx, number) },
		unsent: func(a channel.Answer) channel.Cancelled { return channel.Cancelled{Answer: a} },
		read: func(c channel.Cancelled) (channel.Answer, fields) {
			return c.Answer, fields{}.with("refunded", strconv.FormatBool(c.Refunded))
		},
	})
}

// payers guards a channel.PayerFinder. Who the payer is, is not kept.
type payers struct{ of *guarded }

func (p payers) AuthorizeURL(returnTo, state string) (string, error) {
	return p.of.Adapter.(channel.PayerFinder).AuthorizeURL(returnTo, state)
}

func (p payers) FindPayer(ctx context.Context, code string) (channel.Payer, error) {
	inner := p.of.Adapter.(channel.PayerFinder)
	return guard(ctx, p.of.account, call[channel.Payer]{
		op: channel.OpFindPayer, request: fields{},
		send:   func(ctx context.Context) (channel.Payer, error) { return inner.FindPayer(ctx, code) },
		unsent: func(a channel.Answer) channel.Payer { return channel.Payer{Answer: a} },
		read:   func(p channel.Payer) (channel.Answer, fields) { return p.Answer, fields{} },
	})
}

// transfers guards a channel.Transferer. Who the payee is, is not kept.
type transfers struct{ of *guarded }

func (t transfers) transfer(
	ctx context.Context, op channel.Operation, number string, request fields,
	send func(context.Context) (channel.TransferState, error),
) (channel.TransferState, error) {
	return guard(ctx, t.of.account, call[channel.TransferState]{
		op: op, number: number, request: request, send: send,
		unsent: func(a channel.Answer) channel.TransferState { return channel.TransferState{Answer: a} },
		read: func(s channel.TransferState) (channel.Answer, fields) {
			return s.Answer, fields{}.no("channel_transfer_no", s.ChannelTransferNo).amount("amount", s.Amount).
				amount("fee", s.Fee).moment("paid_at", s.PaidAt)
		},
	})
}

func (t transfers) Transfer(ctx context.Context, order channel.TransferOrder) (channel.TransferState, error) {
	return t.transfer(ctx, channel.OpTransfer, order.Number, fields{}.amount("amount", order.Amount),
		func(ctx context.Context) (channel.TransferState, error) {
			return t.of.Adapter.(channel.Transferer).Transfer(ctx, order)
		})
}

func (t transfers) QueryTransfer(ctx context.Context, number string) (channel.TransferState, error) {
	return t.transfer(ctx, channel.OpQueryTransfer, number, fields{},
		func(ctx context.Context) (channel.TransferState, error) {
			return t.of.Adapter.(channel.Transferer).QueryTransfer(ctx, number)
		})
}

// funds guards a channel.FundBiller.
type funds struct{ of *guarded }

func (f funds) FetchFundBill(ctx context.Context, date string) (channel.FundBillResult, error) {
	inner := f.of.Adapter.(channel.FundBiller)
	return guard(ctx, f.of.account, call[channel.FundBillResult]{
		op: channel.OpFetchFundBill, request: fields{}.no("date", date),
		send: func(ctx context.Context) (channel.FundBillResult, error) { return inner.FetchFundBill(ctx, date) },
		unsent: func(a channel.Answer) channel.FundBillResult {
			return channel.FundBillResult{Answer: a, State: channel.BillUnknown}
		},
		read: func(r channel.FundBillResult) (channel.Answer, fields) {
			return r.Answer, fields{}.with("state", string(r.State)).with("lines", strconv.Itoa(len(r.Bill.Lines)))
		},
	})
}

// redirects guards a channel.AbnormalRefunder. Whose card it is, is not kept.
type redirects struct{ of *guarded }

func (r redirects) RedirectRefund(ctx context.Context, refund channel.AbnormalRefund) (channel.RefundState, error) {
	return r.of.refund(ctx, channel.OpRedirectRefund, refund.RefundOrder, func(ctx context.Context) (channel.RefundState, error) {
		return r.of.Adapter.(channel.AbnormalRefunder).RedirectRefund(ctx, refund)
	})
}
