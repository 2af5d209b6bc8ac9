package channeltest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// payment: not found or awaiting, then awaiting, then paid with amount and time.
func payment(t *testing.T, h Harness) {
	n := prepared(t, h, 8888)
	before := trade(t, h, n)
	require.Equal(t, n, before.Number)
	if h.ExistsBeforeScan() {
		require.Equal(t, channel.TradeAwaiting, before.State)
	} else {
		require.Equal(t, channel.TradeNotFound, before.State)
	}
	h.Scan(t, n)
	require.Equal(t, channel.TradeAwaiting, trade(t, h, n).State)
	h.Pay(t, n, false)
	after := trade(t, h, n)
	require.Equal(t, channel.TradePaid, after.State)
	require.Equal(t, money.Fen(8888), after.Amount)
	require.NotEmpty(t, after.ChannelTradeNo)
	require.WithinDuration(t, h.Now(t), after.PaidAt, time.Minute)
	requireMoved(t, h, n, "payment", 8888)
}

// unpaid: prepared, resent, asked about and closed; it holds no money, and none
// can be given back.
func unpaid(t *testing.T, h Harness) {
	order := orderOf(t, h, 1)
	for range 2 {
		out, err := h.Adapter().Prepay(t.Context(), order)
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, out.Outcome, "%s %s", out.Code, out.Message)
		require.NotEmpty(t, out.Action.QRCode)
	}
	want := channel.TradeNotFound
	if h.ExistsBeforeScan() {
		want = channel.TradeAwaiting
	}
	require.Equal(t, want, trade(t, h, order.Number).State)
	answer, err := h.Adapter().CloseTrade(t.Context(), order.Number)
	require.NoError(t, err)
	if h.ExistsBeforeScan() {
		require.Equal(t, channel.Succeeded, answer.Outcome, "%s %s", answer.Code, answer.Message)
		require.Equal(t, channel.TradeClosed, trade(t, h, order.Number).State)
	} else {
		require.Equal(t, channel.CodeNotFound, answer.Code)
	}
	require.Equal(t, channel.TradeNotFound, trade(t, h, number()).State, "a number nobody used")
	back, err := h.Adapter().QueryRefund(t.Context(), refundOf(order.Number, 1, 1))
	require.NoError(t, err)
	require.Equal(t, channel.CodeNotFound, back.Code, "%s %s", back.Outcome, back.Message)
}

// edges: 1 fen and 100,000,000.00 yuan are exact.
func edges(t *testing.T, h Harness) {
	for _, fen := range []int64{1, 10, 99, 100, 101, 10_000_000_000} {
		n := paid(t, h, fen)
		require.Equal(t, money.Fen(fen), trade(t, h, n).Amount)
		requireMoved(t, h, n, "payment", fen)
	}
}

// prepayTwice: the same order again is the same trade, and after payment the
// adapter does not call the number a failure.
func prepayTwice(t *testing.T, h Harness) {
	order := orderOf(t, h, 500)
	for range 3 {
		out, err := h.Adapter().Prepay(t.Context(), order)
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, out.Outcome, out.Message)
	}
	changed := order
	changed.Amount = money.Fen(501)
	out, err := h.Adapter().Prepay(t.Context(), changed)
	require.NoError(t, err)
	require.NotEqual(t, channel.Succeeded, out.Outcome)
	require.NotEqual(t, channel.Failed, out.Outcome, "another order stands under this number: only a query can tell")
	h.Scan(t, order.Number)
	h.Pay(t, order.Number, false)
	out, err = h.Adapter().Prepay(t.Context(), order)
	require.NoError(t, err)
	require.Equal(t, channel.Unknown, out.Outcome, "the number is paid")
	require.Empty(t, out.Action.QRCode)
	requireMoved(t, h, order.Number, "payment", 500)
}

func closing(t *testing.T, h Harness) {
	n := prepared(t, h, 700)
	h.Scan(t, n)
	for range 2 { // closing again says the same
		answer, err := h.Adapter().CloseTrade(t.Context(), n)
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, answer.Outcome, "%s %s", answer.Code, answer.Message)
	}
	require.Equal(t, channel.TradeClosed, trade(t, h, n).State)
	requireMoved(t, h, n, "payment")

	// A code that nobody scanned.
	unscanned := prepared(t, h, 700)
	answer, err := h.Adapter().CloseTrade(t.Context(), unscanned)
	require.NoError(t, err)
	if h.ExistsBeforeScan() {
		require.Equal(t, channel.Succeeded, answer.Outcome)
	} else {
		require.Equal(t, channel.Failed, answer.Outcome)
		require.Equal(t, channel.CodeNotFound, answer.Code)
	}

	// A trade that was paid meanwhile.
	done := paid(t, h, 700)
	answer, err = h.Adapter().CloseTrade(t.Context(), done)
	require.NoError(t, err)
	require.Equal(t, channel.Failed, answer.Outcome)
	require.Equal(t, channel.CodeTradePaid, answer.Code)
	require.Equal(t, channel.TradePaid, trade(t, h, done).State)
}

// lateClose: money that arrives after the close is seen.
func lateClose(t *testing.T, h Harness) {
	n := prepared(t, h, 1234)
	h.Scan(t, n)
	answer, err := h.Adapter().CloseTrade(t.Context(), n)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, answer.Outcome)
	h.Pay(t, n, true)
	got := trade(t, h, n)
	require.Equal(t, channel.TradePaid, got.State)
	require.Equal(t, money.Fen(1234), got.Amount)
}

// expiry: after it, a scanned trade is closed by itself.
func expiry(t *testing.T, h Harness) {
	n := prepared(t, h, 100)
	h.Scan(t, n)
	require.Equal(t, channel.TradeAwaiting, trade(t, h, n).State)
	h.Advance(t, 3*time.Hour)
	require.Equal(t, channel.TradeClosed, trade(t, h, n).State)
	past := orderOf(t, h, 100)
	past.ExpiresAt = h.Now(t).Add(-time.Minute)
	out, err := h.Adapter().Prepay(t.Context(), past)
	require.NoError(t, err)
	require.Equal(t, channel.Failed, out.Outcome)
}

func unknownNumbers(t *testing.T, h Harness) {
	n := number()
	got := trade(t, h, n)
	require.Equal(t, channel.TradeNotFound, got.State)
	require.Equal(t, n, got.Number)
	answer, err := h.Adapter().CloseTrade(t.Context(), n)
	require.NoError(t, err)
	require.Equal(t, channel.Failed, answer.Outcome)
	require.Equal(t, channel.CodeNotFound, answer.Code)
	state, err := h.Adapter().QueryRefund(t.Context(), refundOf(n, 1, 1))
	require.NoError(t, err)
	require.Equal(t, channel.Failed, state.Outcome)
	require.Equal(t, channel.CodeNotFound, state.Code)
	state, err = h.Adapter().QueryRefund(t.Context(), refundOf(paid(t, h, 100), 1, 100))
	require.NoError(t, err)
	require.Equal(t, channel.Failed, state.Outcome)
	require.Equal(t, channel.CodeNotFound, state.Code)
}

// strangers: one merchant cannot see or refund another's trade.
func strangers(t *testing.T, h Harness) {
	n := paid(t, h, 100)
	got, err := h.Stranger().QueryTrade(t.Context(), n)
	require.NoError(t, err)
	require.Equal(t, channel.TradeNotFound, got.State)
	state, err := h.Stranger().Refund(t.Context(), refundOf(n, 100, 100))
	require.NoError(t, err)
	require.NotEqual(t, channel.Succeeded, state.Outcome)
	require.NotEqual(t, channel.Pending, state.Outcome)
	requireMoved(t, h, n, "payment", 100)
}

// callersMistakes are errors, and nothing is sent.
func callersMistakes(t *testing.T, h Harness) {
	a := h.Adapter()
	good := orderOf(t, h, 100)
	for name, spoil := range map[string]func(*channel.PrepayOrder){
		"no number":     func(o *channel.PrepayOrder) { o.Number = "" },
		"prefixed":      func(o *channel.PrepayOrder) { o.Number = "pay_" + o.Number },
		"lower case":    func(o *channel.PrepayOrder) { o.Number = strings.ToLower(o.Number) },
		"zero":          func(o *channel.PrepayOrder) { o.Amount = money.Fen(0) },
		"negative":      func(o *channel.PrepayOrder) { o.Amount = money.Fen(-1) },
		"too much":      func(o *channel.PrepayOrder) { o.Amount = money.Fen(10_000_000_001) },
		"dollars":       func(o *channel.PrepayOrder) { o.Amount = money.Of(100, "USD") },
		"no subject":    func(o *channel.PrepayOrder) { o.Subject = "" },
		"long subject":  func(o *channel.PrepayOrder) { o.Subject = strings.Repeat("茶", 128) },
		"line break":    func(o *channel.PrepayOrder) { o.Subject = "a\nb" },
		"not UTF-8":     func(o *channel.PrepayOrder) { o.Subject = "\xff" },
		"no expiry":     func(o *channel.PrepayOrder) { o.ExpiresAt = time.Time{} },
		"no notify URL": func(o *channel.PrepayOrder) { o.NotifyURL = "" },
		"query in URL":  func(o *channel.PrepayOrder) { o.NotifyURL += "?a=b" },
	} {
		order := good
		spoil(&order)
		_, err := a.Prepay(t.Context(), order)
		require.Error(t, err, name)
	}
	n := paid(t, h, 100)
	for name, spoil := range map[string]func(*channel.RefundOrder){
		"no number":       func(o *channel.RefundOrder) { o.Number = "" },
		"no trade number": func(o *channel.RefundOrder) { o.TradeNumber = "x" },
		"zero":            func(o *channel.RefundOrder) { o.Amount = money.Fen(0) },
		"more than paid":  func(o *channel.RefundOrder) { o.Amount = money.Fen(101) },
		"dollars":         func(o *channel.RefundOrder) { o.TradeAmount = money.Of(100, "USD") },
	} {
		order := refundOf(n, 100, 100)
		spoil(&order)
		_, err := a.Refund(t.Context(), order)
		require.Error(t, err, name)
		_, err = a.QueryRefund(t.Context(), order)
		require.Error(t, err, name)
	}
	_, err := a.QueryTrade(t.Context(), "../"+number())
	require.Error(t, err)
	_, err = a.CloseTrade(t.Context(), "")
	require.Error(t, err)
	for _, day := range []string{"", "20260301", "2026-02-30"} {
		_, err = a.FetchTradeBill(t.Context(), day)
		require.Error(t, err, day)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = a.Prepay(ended, good)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, channel.TradeNotFound, trade(t, h, good.Number).State)
	requireMoved(t, h, n, "refund")
}
