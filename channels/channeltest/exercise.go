package channeltest

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// Exercise runs the whole suite. open gives a fresh merchant, and books that
// nobody else writes to, each time it is called.
func Exercise(t *testing.T, open func(*testing.T, Contract) Harness) {
	for name, run := range map[string]func(*testing.T, Harness){
		"a payment from code to money":             payment,
		"amounts at the edges":                     edges,
		"prepay is resent harmlessly":              prepayTwice,
		"closing":                                  closing,
		"paid after it was closed":                 lateClose,
		"expiry":                                   expiry,
		"a number nobody knows":                    unknownNumbers,
		"another merchant's number":                strangers,
		"refunds in parts down to zero":            refunds,
		"a refund is sent twice":                   refundTwice,
		"a refund that cannot be":                  refusedRefund,
		"a balance that does not suffice":          shortBalance,
		"notifications":                            notifications,
		"a bill that is not there yet":             earlyBill,
		"trouble with bills":                       billTrouble,
		"orders the adapter must refuse by itself": callersMistakes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, open(t, Contract{}))
		})
	}
	t.Run("products", func(t *testing.T) { offered(t, open) })
	t.Run("abilities", func(t *testing.T) { abilities(t, open) })
	for name, contract := range map[string]Contract{"fees kept": {}, "fees returned": {FeeReturned: true}} {
		t.Run("bills, "+name, func(t *testing.T) {
			t.Parallel()
			bills(t, open(t, contract), contract)
		})
	}
	for _, trouble := range []Trouble{LostReply, ErrorAfterSuccess, ProxyPage, ErrorBefore, BadSignature, Garbage, Slow} {
		t.Run("trouble: "+string(trouble), func(t *testing.T) {
			t.Parallel()
			troubled(t, open(t, Contract{}), trouble)
		})
	}
}

// number mints a number as the platform does.
func number() string { return ulid.MustNew(ulid.Now(), rand.Reader).String() }

// prepared makes a trade of fen ready to be paid.
func prepared(t *testing.T, h Harness, fen int64) string {
	t.Helper()
	order := orderOf(t, h, fen)
	out, err := h.Adapter().Prepay(t.Context(), order)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, out.Outcome, "%s %s", out.Code, out.Message)
	require.NotEmpty(t, out.Action.QRCode)
	return order.Number
}

func orderOf(t *testing.T, h Harness, fen int64) channel.PrepayOrder {
	t.Helper()
	return channel.PrepayOrder{
		Number: number(), Amount: money.Fen(fen), Subject: `茶, "两杯" & <糕点> =cmd() \`, NotifyURL: h.NotifyURL(), Product: channel.ProductQR,
		ExpiresAt: h.Now(t).Add(2 * time.Hour),
	}
}

// paid makes a trade of fen and pays it.
func paid(t *testing.T, h Harness, fen int64) string {
	t.Helper()
	number := prepared(t, h, fen)
	h.Scan(t, number)
	h.Pay(t, number, false)
	return number
}

func trade(t *testing.T, h Harness, number string) channel.Trade {
	t.Helper()
	out, err := h.Adapter().QueryTrade(t.Context(), number)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, out.Outcome, "%s %s", out.Code, out.Message)
	return out
}

// requireMoved holds that the provider's books have exactly these movements of
// kind under number, in fen.
func requireMoved(t *testing.T, h Harness, number, kind string, fen ...int64) {
	t.Helper()
	var moved []int64
	for _, m := range h.Movements(t, number) {
		if m.Kind == kind {
			moved = append(moved, m.Fen)
		}
	}
	require.Equal(t, fen, moved)
}

// settled brings a refund to its end: it asks until the answer is final.
func settled(t *testing.T, h Harness, order channel.RefundOrder) channel.RefundState {
	t.Helper()
	h.FinishRefund(t, order.Number)
	state, err := h.Adapter().QueryRefund(t.Context(), order)
	require.NoError(t, err)
	return state
}

func refundOf(tradeNumber string, part, whole int64) channel.RefundOrder {
	return channel.RefundOrder{
		Number: number(), TradeNumber: tradeNumber, Amount: money.Fen(part), TradeAmount: money.Fen(whole), Reason: "退货，不要了",
	}
}
