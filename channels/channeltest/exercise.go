package channeltest

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// Act is something that a case needs beside the adapter, and that not every
// provider can be made to do.
type Act string

// The acts. The sandbox does all of them.
const (
	// ActPay: a payer scans and pays.
	ActPay Act = "a payer pays"
	// ActLate: a payer pays what is closed or expired.
	ActLate Act = "a payer pays too late"
	// ActBalance: the merchant's balance is what the case wants it to be.
	ActBalance Act = "a balance of a chosen size"
	// ActClock: the provider's business time moves.
	ActClock Act = "days that pass"
	// ActTrouble: the provider misbehaves.
	ActTrouble Act = "trouble on request"
	// ActStranger: there is a second merchant.
	ActStranger Act = "a second merchant"
	// ActNotify: the provider's notifications reach this process.
	ActNotify Act = "notifications"
)

// conformance is one case of the suite, with what it needs.
type conformance struct {
	name  string
	run   func(*testing.T, Harness)
	needs []Act
}

func conformances() []conformance {
	return []conformance{
		{"an order nobody pays", unpaid, nil},
		{"a payment from code to money", payment, []Act{ActPay}},
		{"amounts at the edges", edges, []Act{ActPay, ActBalance}},
		{"prepay is resent harmlessly", prepayTwice, []Act{ActPay}},
		{"closing", closing, []Act{ActPay}},
		{"paid after it was closed", lateClose, []Act{ActPay, ActLate}},
		{"expiry", expiry, []Act{ActPay, ActClock}},
		{"a number nobody knows", unknownNumbers, []Act{ActPay}},
		{"another merchant's number", strangers, []Act{ActPay, ActStranger}},
		{"refunds in parts down to zero", refunds, []Act{ActPay, ActBalance}},
		{"a refund is sent twice", refundTwice, []Act{ActPay}},
		{"a refund that cannot be", refusedRefund, []Act{ActPay}},
		{"a balance that does not suffice", shortBalance, []Act{ActPay, ActBalance}},
		{"notifications", notifications, []Act{ActPay, ActNotify}},
		{"a bill that is not there yet", earlyBill, []Act{ActClock}},
		{"trouble with bills", billTrouble, []Act{ActClock, ActTrouble}},
		{"orders the adapter must refuse by itself", callersMistakes, []Act{ActPay}},
	}
}

// Against runs the cases of the suite that need nothing but the acts in can: with
// a provider that cannot be told to misbehave. It returns the names of those it
// left out, each with what it would need. Products are held to what they need.
func Against(t *testing.T, h Harness, can ...Act) (left []string) {
	for _, c := range conformances() {
		if at := slices.IndexFunc(c.needs, func(need Act) bool { return !slices.Contains(can, need) }); at >= 0 {
			left = append(left, c.name+": needs "+string(c.needs[at]))
			continue
		}
		t.Run(c.name, func(t *testing.T) { c.run(t, h) })
	}
	for _, offer := range h.Adapter().Offers() {
		if offer.Product != channel.ProductBarcode {
			t.Run(string(offer.Product)+", what it needs", func(t *testing.T) { productNeeds(t, h, offer) })
		}
	}
	return left
}

// Exercise runs the whole suite. open gives a fresh merchant, and books that
// nobody else writes to, each time it is called.
func Exercise(t *testing.T, open func(*testing.T, Contract) Harness) {
	for _, c := range conformances() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, open(t, Contract{}))
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
