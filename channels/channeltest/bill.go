package channeltest

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// bills: a day's payments and refunds come back to the fen, fees included.
func bills(t *testing.T, h Harness, contract Contract) {
	h.TopUp(t, 10_000_000_000)
	morning(t, h)
	day := h.Now(t).Format(time.DateOnly)
	want := map[string]int64{}
	var payments, refunded int64
	for _, fen := range []int64{1, 101, 8888, 10_000_000_000} {
		n := paid(t, h, fen)
		want[n] = fen
		payments += fen
		part := (fen + 1) / 2
		order := refundOf(n, part, fen)
		_, err := h.Adapter().Refund(t.Context(), order)
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, settled(t, h, order).Outcome)
		want[order.Number] = -part
		refunded += part
	}
	prepared(t, h, 555) // unpaid: not on the bill
	h.Advance(t, 36*time.Hour)

	got, err := h.Adapter().FetchTradeBill(t.Context(), day)
	require.NoError(t, err)
	require.Equal(t, channel.BillReady, got.State, "%s %s", got.Code, got.Message)
	require.Equal(t, day, got.Bill.Date)
	require.Equal(t, 4, got.Bill.PaymentCount)
	require.Equal(t, 4, got.Bill.RefundCount)
	require.Equal(t, money.Fen(payments), got.Bill.PaymentTotal)
	require.Equal(t, money.Fen(refunded), got.Bill.RefundTotal)
	digest := sha256.Sum256(got.Bill.Raw)
	require.Equal(t, hex.EncodeToString(digest[:]), got.Bill.SHA256)
	require.Len(t, got.Bill.Lines, len(want))
	for i, line := range got.Bill.Lines {
		require.Equal(t, i+1, line.Row)
		require.NotEmpty(t, line.ChannelTradeNo)
		require.NotEmpty(t, line.Status)
		require.Equal(t, day, line.At.Format(time.DateOnly))
		fen, known := want[line.Number]
		require.True(t, known, "row %d: nobody made %s", line.Row, line.Number)
		delete(want, line.Number)
		fee, err := channel.YuanDecimal(line.FeeText, 5, true)
		require.NoError(t, err)
		if fen < 0 {
			require.Equal(t, channel.BillRefund, line.Kind)
			require.Equal(t, money.Fen(-fen), line.Amount)
			require.False(t, fee.IsPositive(), "a refund takes no fee")
			if fen < -1000 { // enough for a fee of a fen or more
				require.Equal(t, contract.FeeReturned, fee.IsNegative(), line.FeeText)
			}
			continue
		}
		require.Equal(t, channel.BillPayment, line.Kind)
		require.Equal(t, line.Number, line.TradeNumber)
		require.Equal(t, money.Fen(fen), line.Amount)
		require.True(t, fee.Equal(decimal.New((fen*60+5000)/10_000, -2)), "the fee of %d fen is %s", fen, fee)
	}
	require.Empty(t, want)
}

// morning moves the clock away from midnight, so that what follows is one day.
func morning(t *testing.T, h Harness) {
	t.Helper()
	now := h.Now(t)
	h.Advance(t, time.Date(now.Year(), now.Month(), now.Day()+1, 8, 0, 0, 0, now.Location()).Sub(now))
}

// earlyBill: today's is not there yet, and a day without trades is empty.
func earlyBill(t *testing.T, h Harness) {
	morning(t, h)
	day := h.Now(t).Format(time.DateOnly)
	paid(t, h, 100)
	got, err := h.Adapter().FetchTradeBill(t.Context(), day)
	require.NoError(t, err)
	require.Equal(t, channel.BillNotReady, got.State, "%s %s", got.Code, got.Message)
	require.Empty(t, got.Bill.Lines)
	h.Advance(t, 96*time.Hour)
	next := h.Now(t).AddDate(0, 0, -2).Format(time.DateOnly)
	got, err = h.Adapter().FetchTradeBill(t.Context(), next)
	require.NoError(t, err)
	require.Equal(t, channel.BillEmpty, got.State, "%s %s", got.Code, got.Message)
	require.Empty(t, got.Bill.Lines)
	require.Equal(t, next, got.Bill.Date)
}

// billTrouble: no trouble makes a bill empty or ready; a file that is broken is
// an error or unknown.
func billTrouble(t *testing.T, h Harness) {
	morning(t, h)
	day := h.Now(t).Format(time.DateOnly)
	paid(t, h, 100)
	h.Advance(t, 36*time.Hour)
	for _, op := range []Operation{BillAddress, BillFile} {
		for _, trouble := range []Trouble{LostReply, ErrorAfterSuccess, ProxyPage, Garbage, BadSignature} {
			if op == BillFile && trouble == BadSignature {
				continue // the file is not signed
			}
			h.Make(t, trouble, op, "")
			got, err := h.Adapter().FetchTradeBill(t.Context(), day)
			if op == BillFile && trouble == Garbage {
				require.Error(t, err, "half a file is not a bill")
				continue
			}
			require.NoError(t, err, "%s %s", op, trouble)
			require.Equal(t, channel.BillUnknown, got.State, "%s %s: %s", op, trouble, got.Code)
			require.Equal(t, channel.Unknown, got.Outcome)
		}
	}
	got, err := h.Adapter().FetchTradeBill(t.Context(), day)
	require.NoError(t, err)
	require.Equal(t, channel.BillReady, got.State)
	require.Len(t, got.Bill.Lines, 1)
}
