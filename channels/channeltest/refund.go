package channeltest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// refunds: in parts of odd sizes until nothing is left; the trade stays paid.
func refunds(t *testing.T, h Harness) {
	const whole = 1000
	h.TopUp(t, whole)
	n := paid(t, h, whole)
	for _, part := range []int64{1, 333, 333, 333} {
		order := refundOf(n, part, whole)
		first, err := h.Adapter().Refund(t.Context(), order)
		require.NoError(t, err)
		require.Contains(t, []channel.Outcome{channel.Succeeded, channel.Pending}, first.Outcome, first.Message)
		final := settled(t, h, order)
		require.Equal(t, channel.Succeeded, final.Outcome, "%s %s", final.Code, final.Message)
		require.Equal(t, money.Fen(part), final.Amount)
		require.Equal(t, order.Number, final.Number)
		require.WithinDuration(t, h.Now(t), final.RefundedAt, time.Minute)
		requireMoved(t, h, order.Number, "refund", -part)
		got := trade(t, h, n)
		require.Equal(t, channel.TradePaid, got.State, "a refunded trade was paid and stays so")
		require.Equal(t, money.Fen(whole), got.Amount)
		require.False(t, got.PaidAt.IsZero())
	}
	extra := refundOf(n, 1, whole)
	state, err := h.Adapter().Refund(t.Context(), extra)
	require.NoError(t, err)
	require.NotContains(t, []channel.Outcome{channel.Succeeded, channel.Pending}, state.Outcome)
	requireMoved(t, h, extra.Number, "refund")
}

// refundTwice: one number moves money once, and another amount under it is
// never a failure of the first.
func refundTwice(t *testing.T, h Harness) {
	n := paid(t, h, 1000)
	order := refundOf(n, 400, 1000)
	for range 3 {
		state, err := h.Adapter().Refund(t.Context(), order)
		require.NoError(t, err)
		require.Contains(t, []channel.Outcome{channel.Succeeded, channel.Pending}, state.Outcome, state.Message)
	}
	changed := order
	changed.Amount = money.Fen(500)
	state, err := h.Adapter().Refund(t.Context(), changed)
	require.NoError(t, err)
	require.Equal(t, channel.Unknown, state.Outcome)
	// A question about the number with another amount is not answered "yes".
	h.FinishRefund(t, order.Number)
	state, err = h.Adapter().QueryRefund(t.Context(), changed)
	require.NoError(t, err)
	require.Equal(t, channel.Unknown, state.Outcome)
	require.Equal(t, channel.CodeMismatch, state.Code)
	requireMoved(t, h, order.Number, "refund", -400)
}

// refusedRefund: of a trade that does not exist. It fails, or stays unknown
// where the provider's word is not proof; it never succeeds.
func refusedRefund(t *testing.T, h Harness) {
	order := refundOf(number(), 100, 100)
	state, err := h.Adapter().Refund(t.Context(), order)
	require.NoError(t, err)
	require.Equal(t, channel.Failed, state.Outcome)
	require.NotEmpty(t, state.Code)
	requireMoved(t, h, order.Number, "refund")
}

// shortBalance: what is left after the fee does not cover a full refund, so it
// waits; after a top-up the same number goes through.
func shortBalance(t *testing.T, h Harness) {
	n := paid(t, h, 10_000)
	order := refundOf(n, 10_000, 10_000)
	state, err := h.Adapter().Refund(t.Context(), order)
	require.NoError(t, err)
	require.Equal(t, channel.Pending, state.Outcome)
	require.Equal(t, channel.CodeChannelBalance, state.Code)
	requireMoved(t, h, order.Number, "refund")
	state, err = h.Adapter().QueryRefund(t.Context(), order)
	require.NoError(t, err)
	require.Equal(t, channel.CodeNotFound, state.Code)
	h.TopUp(t, 10_000)
	_, err = h.Adapter().Refund(t.Context(), order)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, settled(t, h, order).Outcome)
	requireMoved(t, h, order.Number, "refund", -10_000)
}
