package channeltest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// troubled meets trouble at every call that moves or instructs: the answer is
// unknown, the question afterwards tells what really happened, and the same
// number again moves nothing twice.
func troubled(t *testing.T, h Harness, trouble Trouble) {
	h.TopUp(t, 100_000)
	done := trouble != ErrorBefore

	t.Log("prepay")
	order := orderOf(t, h, 900)
	h.Make(t, trouble, Prepay, order.Number)
	out, err := h.Adapter().Prepay(patience(t, trouble), order)
	require.NoError(t, err)
	requireUnknown(t, trouble, out.Answer)
	require.Empty(t, out.Action.QRCode)
	out, err = h.Adapter().Prepay(t.Context(), order)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, out.Outcome)
	require.NotEmpty(t, out.Action.QRCode)

	t.Log("query, before and after the payment")
	h.Scan(t, order.Number)
	h.Make(t, trouble, QueryTrade, order.Number)
	got, err := h.Adapter().QueryTrade(patience(t, trouble), order.Number)
	require.NoError(t, err)
	requireUnknown(t, trouble, got.Answer)
	require.Empty(t, got.State)
	h.Pay(t, order.Number, false)
	h.Make(t, trouble, QueryTrade, order.Number)
	got, err = h.Adapter().QueryTrade(patience(t, trouble), order.Number)
	require.NoError(t, err)
	requireUnknown(t, trouble, got.Answer)
	require.Zero(t, got.Amount)
	require.Equal(t, channel.TradePaid, trade(t, h, order.Number).State)

	t.Log("close")
	other := prepared(t, h, 900)
	h.Scan(t, other)
	h.Make(t, trouble, CloseTrade, other)
	answer, err := h.Adapter().CloseTrade(patience(t, trouble), other)
	require.NoError(t, err)
	requireUnknown(t, trouble, answer)
	if state := trade(t, h, other).State; done {
		require.Equal(t, channel.TradeClosed, state)
	} else {
		require.Equal(t, channel.TradeAwaiting, state)
	}
	answer, err = h.Adapter().CloseTrade(t.Context(), other)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, answer.Outcome)

	t.Log("refund")
	back := refundOf(order.Number, 300, 900)
	h.Make(t, trouble, Refund, back.Number)
	refunded, err := h.Adapter().Refund(patience(t, trouble), back)
	require.NoError(t, err)
	requireUnknown(t, trouble, refunded.Answer)
	h.Make(t, trouble, QueryRefund, back.Number)
	refunded, err = h.Adapter().QueryRefund(patience(t, trouble), back)
	require.NoError(t, err)
	requireUnknown(t, trouble, refunded.Answer)
	if done {
		again := settled(t, h, back)
		require.Equal(t, channel.Succeeded, again.Outcome, "%s %s", again.Code, again.Message)
	} else {
		refunded, err = h.Adapter().QueryRefund(t.Context(), back)
		require.NoError(t, err)
		require.Equal(t, channel.CodeNotFound, refunded.Code)
	}
	_, err = h.Adapter().Refund(t.Context(), back)
	require.NoError(t, err)
	final := settled(t, h, back)
	require.Equal(t, channel.Succeeded, final.Outcome)
	require.Equal(t, money.Fen(300), final.Amount)
	requireMoved(t, h, order.Number, "payment", 900)
	requireMoved(t, h, back.Number, "refund", -300)

	troubledTransfer(t, h, trouble, done)
}

// troubledTransfer does the same to a payout, where the adapter can make one.
func troubledTransfer(t *testing.T, h Harness, trouble Trouble, done bool) {
	t.Helper()
	payer, ok := h.Adapter().(channel.Transferer)
	if !ok {
		return
	}
	t.Log("transfer")
	order := transferOf(500)
	h.Make(t, trouble, Transfer, order.Number)
	state, err := payer.Transfer(patience(t, trouble), order)
	require.NoError(t, err)
	requireUnknown(t, trouble, state.Answer)
	h.Make(t, trouble, QueryTransfer, order.Number)
	state, err = payer.QueryTransfer(patience(t, trouble), order.Number)
	require.NoError(t, err)
	requireUnknown(t, trouble, state.Answer)
	state, err = payer.QueryTransfer(t.Context(), order.Number)
	require.NoError(t, err)
	if done {
		require.Equal(t, channel.Succeeded, state.Outcome, "%s %s", state.Code, state.Message)
	} else {
		require.Equal(t, channel.Failed, state.Outcome)
		require.Equal(t, channel.CodeNotFound, state.Code)
	}
	state, err = payer.Transfer(t.Context(), order)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, state.Outcome)
	requireMoved(t, h, order.Number, "transfer", -500)
}

// patience ends soon where the trouble is slowness: the provider holds its answer
// back for longer than any adapter waits.
func patience(t *testing.T, trouble Trouble) context.Context {
	t.Helper()
	if trouble != Slow {
		return t.Context()
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(stop)
	return ctx
}

// requireUnknown holds the outcome law, with the code that fits the trouble.
func requireUnknown(t *testing.T, trouble Trouble, answer channel.Answer) {
	t.Helper()
	require.Equal(t, channel.Unknown, answer.Outcome, "%s %s", answer.Code, answer.Message)
	switch trouble {
	case LostReply, ProxyPage, Slow:
		require.Equal(t, channel.CodeNoAnswer, answer.Code, answer.Message)
	case BadSignature:
		require.Equal(t, channel.CodeBadSignature, answer.Code, answer.Message)
	case Garbage:
		// Which of the two a broken message is found to be depends on where it broke.
		require.Contains(t, []string{channel.CodeBadBody, channel.CodeBadSignature}, answer.Code, answer.Message)
	default:
		require.Contains(t, answer.Code, "SYSTEM_ERROR")
	}
}
