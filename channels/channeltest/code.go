package channeltest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// barcodeCase holds one operation of taking payments by code.
type barcodeCase struct {
	name, operation string
	run             func(*testing.T, Harness)
}

// barcodeCases are what an adapter with AbilityBarcode is held to.
func barcodeCases() []barcodeCase {
	return []barcodeCase{
		{"paid at once", "pay by code", codePaid},
		{"confirmed on the phone", "query", codeConfirmed},
		{"declined on the phone", "query", codeDeclined},
		{"refused", "pay by code", codeRefused},
		{"a code used before", "pay by code", codeUsed},
		{"unknown, then cancelled", "cancel", codeUnknown},
		{"a cancel of what is unpaid", "cancel", cancelUnpaid},
		{"a cancel of what is paid", "cancel", cancelPaid},
		{"a cancel without balance", "cancel", cancelShort},
		{"a cancel whose answer went", "cancel", cancelTroubled},
		{"refunded", "refund", codeRefunded},
		{"on the bill", "bill", codeBilled},
		{"the caller's mistakes", "pay by code", codeMistakes},
	}
}

func codeRefunded(t *testing.T, h Harness) {
	h.TopUp(t, 10_000)
	order := codeOf(t, h, PhonePays, 1000)
	require.Equal(t, channel.Succeeded, payByCode(t, h, order).Outcome)
	requireRefunds(t, h, order.Number)
}

func codeBilled(t *testing.T, h Harness) {
	morning(t, h)
	order := codeOf(t, h, PhonePays, 4321)
	require.Equal(t, channel.Succeeded, payByCode(t, h, order).Outcome)
	requireBilled(t, h, order.Number, 4321)
}

func codeOf(t *testing.T, h Harness, phone Phone, fen int64) channel.CodeOrder {
	t.Helper()
	return channel.CodeOrder{Number: number(), Amount: money.Fen(fen), Subject: `茶, "两杯" & <糕点>`, AuthCode: h.Code(t, phone),
		PayerIP: "203.0.113.7", NotifyURL: h.NotifyURL()}
}

func collector(t *testing.T, h Harness) channel.CodeCollector {
	t.Helper()
	c, ok := h.Adapter().(channel.CodeCollector)
	require.True(t, ok)
	return c
}

func payByCode(t *testing.T, h Harness, order channel.CodeOrder) channel.Trade {
	t.Helper()
	got, err := collector(t, h).PayByCode(t.Context(), order)
	require.NoError(t, err)
	return got
}

func cancel(t *testing.T, h Harness, number string) channel.Cancelled {
	t.Helper()
	got, err := collector(t, h).CancelTrade(t.Context(), number)
	require.NoError(t, err)
	return got
}

func codePaid(t *testing.T, h Harness) {
	for _, fen := range []int64{1, 99, 8888, 10_000_000_000} {
		order := codeOf(t, h, PhonePays, fen)
		got := payByCode(t, h, order)
		require.Equal(t, channel.Succeeded, got.Outcome, "%s %s", got.Code, got.Message)
		require.Equal(t, channel.TradePaid, got.State)
		require.Equal(t, order.Number, got.Number)
		require.Equal(t, money.Fen(fen), got.Amount)
		require.NotEmpty(t, got.ChannelTradeNo)
		require.WithinDuration(t, h.Now(t), got.PaidAt, time.Minute)
		asked := trade(t, h, order.Number)
		require.Equal(t, channel.TradePaid, asked.State)
		require.Equal(t, got.ChannelTradeNo, asked.ChannelTradeNo)
		require.True(t, got.PaidAt.Equal(asked.PaidAt))
		requireMoved(t, h, order.Number, "payment", fen)
	}
}

func codeConfirmed(t *testing.T, h Harness) {
	order := codeOf(t, h, PhoneAsks, 1234)
	got := payByCode(t, h, order)
	require.Equal(t, channel.Pending, got.Outcome, "%s %s", got.Code, got.Message)
	require.Equal(t, channel.TradeAwaiting, got.State)
	require.Equal(t, channel.TradeAwaiting, trade(t, h, order.Number).State)
	requireMoved(t, h, order.Number, "payment")
	h.Pay(t, order.Number, false)
	require.Equal(t, channel.TradePaid, trade(t, h, order.Number).State)
	requireMoved(t, h, order.Number, "payment", 1234)
}

func codeDeclined(t *testing.T, h Harness) {
	order := codeOf(t, h, PhoneAsks, 1234)
	require.Equal(t, channel.Pending, payByCode(t, h, order).Outcome)
	h.Decline(t, order.Number)
	require.NotEqual(t, channel.TradePaid, trade(t, h, order.Number).State)
	requireEnded(t, h, order.Number)
}

// requireEnded holds that a cancel ends an unpaid trade, twice over, without money.
func requireEnded(t *testing.T, h Harness, number string) {
	t.Helper()
	for range 2 {
		got := cancel(t, h, number)
		require.Equal(t, channel.Succeeded, got.Outcome, "%s %s", got.Code, got.Message)
		require.False(t, got.Refunded)
	}
	require.Equal(t, channel.TradeClosed, trade(t, h, number).State)
	requireMoved(t, h, number, "payment")
	requireMoved(t, h, number, "refund")
}

func codeRefused(t *testing.T, h Harness) {
	order := codeOf(t, h, PhoneEmpty, 1234)
	got := payByCode(t, h, order)
	require.Equal(t, channel.Failed, got.Outcome, "%s %s", got.Code, got.Message)
	require.NotEmpty(t, got.Code)
	require.NotEqual(t, channel.TradePaid, trade(t, h, order.Number).State)
	requireMoved(t, h, order.Number, "payment")
}

func codeUsed(t *testing.T, h Harness) {
	first := codeOf(t, h, PhonePays, 100)
	require.Equal(t, channel.Succeeded, payByCode(t, h, first).Outcome)
	second := first
	second.Number = number()
	got := payByCode(t, h, second)
	require.Equal(t, channel.Failed, got.Outcome, "%s %s", got.Code, got.Message)
	requireMoved(t, h, second.Number, "payment")
	// The first number again, with another code and another amount, moves nothing.
	again := codeOf(t, h, PhonePays, 200)
	again.Number = first.Number
	require.NotContains(t, []channel.Outcome{channel.Failed, channel.Pending}, payByCode(t, h, again).Outcome)
	requireMoved(t, h, first.Number, "payment", 100)
}

// codeUnknown: whatever trouble hides the answer, it is unknown, and a cancel makes
// sure that the payer is not charged.
func codeUnknown(t *testing.T, h Harness) {
	h.TopUp(t, 100_000)
	for _, trouble := range []Trouble{LostReply, ErrorAfterSuccess, ProxyPage, ErrorBefore, BadSignature, Garbage, Slow} {
		t.Log(trouble)
		order := codeOf(t, h, PhonePays, 900)
		h.Make(t, trouble, PayByCode, order.Number)
		got, err := collector(t, h).PayByCode(patience(t, trouble), order)
		require.NoError(t, err)
		requireUnknown(t, trouble, got.Answer)
		require.Empty(t, got.State)
		ended := cancel(t, h, order.Number)
		if trouble == ErrorBefore {
			require.Equal(t, channel.Failed, ended.Outcome)
			require.Equal(t, channel.CodeNotFound, ended.Code)
			requireMoved(t, h, order.Number, "payment")
			continue
		}
		require.Equal(t, channel.Succeeded, ended.Outcome, "%s %s", ended.Code, ended.Message)
		require.True(t, ended.Refunded)
		requireMoved(t, h, order.Number, "payment", 900)
		requireMoved(t, h, order.Number, "refund", -900)
	}
}

func cancelUnpaid(t *testing.T, h Harness) {
	order := codeOf(t, h, PhoneAsks, 100)
	require.Equal(t, channel.Pending, payByCode(t, h, order).Outcome)
	requireEnded(t, h, order.Number)
	got := cancel(t, h, number())
	require.Equal(t, channel.Failed, got.Outcome)
	require.Equal(t, channel.CodeNotFound, got.Code)
}

// cancelPaid: the money goes back once, however often it is cancelled.
func cancelPaid(t *testing.T, h Harness) {
	h.TopUp(t, 10_000)
	order := codeOf(t, h, PhonePays, 3000)
	require.Equal(t, channel.Succeeded, payByCode(t, h, order).Outcome)
	for range 3 {
		got := cancel(t, h, order.Number)
		require.Equal(t, channel.Succeeded, got.Outcome, "%s %s", got.Code, got.Message)
		require.True(t, got.Refunded)
	}
	requireMoved(t, h, order.Number, "payment", 3000)
	requireMoved(t, h, order.Number, "refund", -3000)
}

func cancelShort(t *testing.T, h Harness) {
	order := codeOf(t, h, PhonePays, 10_000)
	require.Equal(t, channel.Succeeded, payByCode(t, h, order).Outcome)
	got := cancel(t, h, order.Number)
	require.NotContains(t, []channel.Outcome{channel.Succeeded, channel.Failed}, got.Outcome, "the fee is missing; it waits")
	requireMoved(t, h, order.Number, "refund")
	h.TopUp(t, 10_000)
	got = cancel(t, h, order.Number)
	require.Equal(t, channel.Succeeded, got.Outcome, "%s %s", got.Code, got.Message)
	require.True(t, got.Refunded)
	requireMoved(t, h, order.Number, "refund", -10_000)
}

func cancelTroubled(t *testing.T, h Harness) {
	h.TopUp(t, 100_000)
	for _, trouble := range []Trouble{LostReply, ErrorAfterSuccess, ProxyPage, ErrorBefore, BadSignature, Garbage, Slow} {
		t.Log(trouble)
		order := codeOf(t, h, PhonePays, 900)
		require.Equal(t, channel.Succeeded, payByCode(t, h, order).Outcome)
		h.Make(t, trouble, CancelTrade, order.Number)
		hidden, err := collector(t, h).CancelTrade(patience(t, trouble), order.Number)
		require.NoError(t, err)
		requireUnknown(t, trouble, hidden.Answer)
		got := cancel(t, h, order.Number)
		require.Equal(t, channel.Succeeded, got.Outcome, "%s %s", got.Code, got.Message)
		require.True(t, got.Refunded)
		requireMoved(t, h, order.Number, "refund", -900)
	}
}

func codeMistakes(t *testing.T, h Harness) {
	for name, spoil := range map[string]func(*channel.CodeOrder){
		"number":      func(o *channel.CodeOrder) { o.Number = "1" },
		"amount":      func(o *channel.CodeOrder) { o.Amount = money.Fen(0) },
		"dollars":     func(o *channel.CodeOrder) { o.Amount = money.Of(1, "USD") },
		"subject":     func(o *channel.CodeOrder) { o.Subject = "a\nb" },
		"no code":     func(o *channel.CodeOrder) { o.AuthCode = "" },
		"short code":  func(o *channel.CodeOrder) { o.AuthCode = o.AuthCode[:17] },
		"letters":     func(o *channel.CodeOrder) { o.AuthCode = o.AuthCode[:17] + "x" },
		"other brand": func(o *channel.CodeOrder) { o.AuthCode = "99" + o.AuthCode[2:] },
	} {
		order := codeOf(t, h, PhonePays, 100)
		good := order.AuthCode
		spoil(&order)
		_, err := collector(t, h).PayByCode(t.Context(), order)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), good[:16], "a code is a secret")
	}
	_, err := collector(t, h).CancelTrade(t.Context(), "../x")
	require.Error(t, err)
	ended, stop := context.WithCancel(t.Context())
	stop()
	order := codeOf(t, h, PhonePays, 100)
	_, err = collector(t, h).PayByCode(ended, order)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, channel.TradeNotFound, trade(t, h, order.Number).State)
}
