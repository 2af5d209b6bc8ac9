package channeltest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

func transferOf(fen int64) channel.TransferOrder {
	return channel.TransferOrder{
		Number: number(), Amount: money.Fen(fen), PayeeAccount: "payee@example.com", PayeeName: "李四", Title: "提现",
	}
}

// transfers: paid once per number, waiting when the balance is short, refused
// for payees that do not exist. An adapter that cannot pay out has nothing to
// show here.
func transfers(t *testing.T, h Harness) {
	payer, ok := h.Adapter().(channel.Transferer)
	if !ok {
		return
	}
	order := transferOf(123_456)
	state, err := payer.Transfer(t.Context(), order)
	require.NoError(t, err)
	require.Equal(t, channel.Pending, state.Outcome)
	require.Equal(t, channel.CodeChannelBalance, state.Code)
	requireMoved(t, h, order.Number, "transfer")
	h.TopUp(t, 10_000_000)
	for range 3 {
		state, err = payer.Transfer(t.Context(), order)
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, state.Outcome, "%s %s", state.Code, state.Message)
		require.NotEmpty(t, state.ChannelTransferNo)
	}
	asked, err := payer.QueryTransfer(t.Context(), order.Number)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, asked.Outcome)
	require.Equal(t, order.Amount, asked.Amount)
	require.Equal(t, state.ChannelTransferNo, asked.ChannelTransferNo)
	require.Equal(t, money.Fen(0), asked.Fee)
	require.WithinDuration(t, h.Now(t), asked.PaidAt, time.Minute)
	requireMoved(t, h, order.Number, "transfer", -123_456)

	changed := order
	changed.Amount = money.Fen(123_457)
	state, err = payer.Transfer(t.Context(), changed)
	require.NoError(t, err)
	require.Equal(t, channel.Unknown, state.Outcome, "the number was used for another amount: only a query can tell")

	nobody := transferOf(100)
	nobody.PayeeAccount = "nobody@example.com"
	state, err = payer.Transfer(t.Context(), nobody)
	require.NoError(t, err)
	require.Equal(t, channel.Failed, state.Outcome)
	asked, err = payer.QueryTransfer(t.Context(), nobody.Number)
	require.NoError(t, err)
	require.Equal(t, channel.Failed, asked.Outcome)
	require.Equal(t, channel.CodeNotFound, asked.Code)

	large := transferOf(5_000_000) // from 50,000 yuan a remark is needed
	state, err = payer.Transfer(t.Context(), large)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, state.Outcome, "%s %s", state.Code, state.Message)

	for name, spoil := range map[string]func(*channel.TransferOrder){
		"number":  func(o *channel.TransferOrder) { o.Number = "1" },
		"amount":  func(o *channel.TransferOrder) { o.Amount = money.Fen(0) },
		"account": func(o *channel.TransferOrder) { o.PayeeAccount = "" },
		"name":    func(o *channel.TransferOrder) { o.PayeeName = "" },
		"title":   func(o *channel.TransferOrder) { o.Title = "" },
	} {
		bad := transferOf(100)
		spoil(&bad)
		_, err = payer.Transfer(t.Context(), bad)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "payee@example.com")
	}
}
