package channeltest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// productCase holds one operation of a product.
type productCase struct {
	name, operation string
	run             func(*testing.T, Harness, channel.Offer)
}

// productCases are what every product that an adapter offers for Prepay is held to.
func productCases() []productCase {
	return []productCase{
		{"from the action to money", "prepay", productPayment},
		{"amounts at the edges", "query", productEdges},
		{"resent harmlessly", "prepay", productTwice},
		{"declined and closed", "close", productDeclined},
		{"what it needs", "prepay", productNeeds},
		{"a spoiled action", "prepay", productSpoiled},
		{"refunded", "refund", productRefund},
		{"a notification", "notification", productNotice},
		{"on the bill", "bill", productBill},
	}
}

// Held lists the operations that a product which an adapter offers is held to, in
// order, without repetition.
func Held(product channel.Product) []string {
	var operations []string
	add := func(operation string) {
		if !slices.Contains(operations, operation) {
			operations = append(operations, operation)
		}
	}
	if product == channel.ProductBarcode {
		for _, c := range barcodeCases() {
			add(c.operation)
		}
		return operations
	}
	for _, c := range productCases() {
		add(c.operation)
	}
	return operations
}

// offered holds each product an adapter offers to its cases. A product that is
// offered and has no cases fails.
func offered(t *testing.T, open func(*testing.T, Contract) Harness) {
	offers := open(t, Contract{}).Adapter().Offers()
	seen := map[channel.Product]bool{}
	for _, offer := range offers {
		require.True(t, offer.Product.Known(), offer.Product)
		require.False(t, seen[offer.Product], "%s is offered twice", offer.Product)
		seen[offer.Product] = true
		if offer.Product == channel.ProductBarcode {
			_, able := open(t, Contract{}).Adapter().(channel.CodeCollector)
			require.True(t, able, "barcode is offered without CodeCollector")
			require.Contains(t, offer.Needs, channel.NeedAuthCode)
			continue // abilities holds it to its cases
		}
		for _, c := range productCases() {
			t.Run(string(offer.Product)+", "+c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, open(t, Contract{}), offer)
			})
		}
	}
}

// orderBy is an order of the offer's product with what it needs.
func orderBy(t *testing.T, h Harness, offer channel.Offer, fen int64) channel.PrepayOrder {
	t.Helper()
	order := orderOf(t, h, fen)
	order.Product = offer.Product
	for _, need := range offer.Needs {
		switch need {
		case channel.NeedPayerID:
			order.PayerID = h.Payer(t)
		case channel.NeedPayerIP:
			order.PayerIP = "203.0.113.7"
		case channel.NeedReturnURL:
			order.ReturnURL = "https://shop.example/back?order=1&x=%26"
		}
	}
	return order
}

func prepay(t *testing.T, h Harness, order channel.PrepayOrder) channel.Action {
	t.Helper()
	out, err := h.Adapter().Prepay(t.Context(), order)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, out.Outcome, "%s %s", out.Code, out.Message)
	return out.Action
}

// productPayment: what the provider knows at each step, and what the payer paid.
func productPayment(t *testing.T, h Harness, offer channel.Offer) {
	order := orderBy(t, h, offer, 8888)
	action := prepay(t, h, order)
	require.Equal(t, offer.Action, action.Type)
	requireAction(t, action)
	before, followed := h.Stage(offer.Product)
	require.Equal(t, before, trade(t, h, order.Number).State)
	h.Follow(t, offer.Product, action)
	require.Equal(t, followed, trade(t, h, order.Number).State)
	h.Scan(t, order.Number)
	require.Equal(t, channel.TradeAwaiting, trade(t, h, order.Number).State)
	h.Pay(t, order.Number, false)
	after := trade(t, h, order.Number)
	require.Equal(t, channel.TradePaid, after.State)
	require.Equal(t, money.Fen(8888), after.Amount)
	require.NotEmpty(t, after.ChannelTradeNo)
	require.WithinDuration(t, h.Now(t), after.PaidAt, time.Minute)
	requireMoved(t, h, order.Number, "payment", 8888)
}

// requireAction holds that an action has the fields of its type and no others.
func requireAction(t *testing.T, action channel.Action) {
	t.Helper()
	has := map[channel.ActionType][3]bool{
		channel.ActionRedirect: {true, false, false}, channel.ActionQRCode: {false, true, false}, channel.ActionApp: {false, false, true},
		channel.ActionJSAPI: {false, false, true}, channel.ActionForm: {true, false, true},
	}[action.Type]
	require.Equal(t, has, [3]bool{action.URL != "", action.QRCode != "", len(action.Params) > 0})
}

func productEdges(t *testing.T, h Harness, offer channel.Offer) {
	for _, fen := range []int64{1, 10, 101, 10_000_000_000} {
		order := orderBy(t, h, offer, fen)
		h.Follow(t, offer.Product, prepay(t, h, order))
		h.Pay(t, order.Number, false)
		require.Equal(t, money.Fen(fen), trade(t, h, order.Number).Amount)
		requireMoved(t, h, order.Number, "payment", fen)
	}
}

// productTwice: one number is one trade, however often it is sent and followed.
func productTwice(t *testing.T, h Harness, offer channel.Offer) {
	order := orderBy(t, h, offer, 500)
	for range 3 {
		h.Follow(t, offer.Product, prepay(t, h, order))
	}
	changed := order
	changed.Amount = money.Fen(501)
	out, err := h.Adapter().Prepay(t.Context(), changed)
	require.NoError(t, err)
	require.NotEqual(t, channel.Failed, out.Outcome, "another order stands under this number: only a query can tell")
	if out.Outcome == channel.Succeeded { // signed here: the provider refuses the payer
		h.Refuses(t, offer.Product, out.Action)
	}
	h.Pay(t, order.Number, false)
	requireMoved(t, h, order.Number, "payment", 500)
}

// productDeclined: a payer who turns away leaves no money, and what exists closes.
func productDeclined(t *testing.T, h Harness, offer channel.Offer) {
	order := orderBy(t, h, offer, 700)
	h.Follow(t, offer.Product, prepay(t, h, order))
	h.Decline(t, order.Number)
	require.NotEqual(t, channel.TradePaid, trade(t, h, order.Number).State)
	h.Scan(t, order.Number)
	answer, err := h.Adapter().CloseTrade(t.Context(), order.Number)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, answer.Outcome, "%s %s", answer.Code, answer.Message)
	require.Equal(t, channel.TradeClosed, trade(t, h, order.Number).State)
	requireMoved(t, h, order.Number, "payment")
}

// productNeeds: an order without something that its offer needs is the caller's
// mistake, and nothing is sent or signed.
func productNeeds(t *testing.T, h Harness, offer channel.Offer) {
	good := orderBy(t, h, offer, 100)
	for _, need := range offer.Needs {
		order := good
		switch need {
		case channel.NeedPayerID:
			order.PayerID = ""
		case channel.NeedPayerIP:
			order.PayerIP = ""
		case channel.NeedReturnURL:
			order.ReturnURL = ""
		default:
			require.Fail(t, "a need that Prepay cannot fill", need)
		}
		_, err := h.Adapter().Prepay(t.Context(), order)
		require.Error(t, err, need)
	}
	order := good
	order.ExpiresAt = time.Time{}
	_, err := h.Adapter().Prepay(t.Context(), order)
	require.Error(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = h.Adapter().Prepay(ended, good)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, channel.TradeNotFound, trade(t, h, good.Number).State)
	for _, product := range []channel.Product{channel.ProductBarcode, "cheque"} {
		order.ExpiresAt, order.Product = good.ExpiresAt, product
		_, err = h.Adapter().Prepay(t.Context(), order)
		require.Error(t, err, product)
	}
}

// productSpoiled: what the payer's side carries is signed or unguessable, so a
// changed one is refused.
func productSpoiled(t *testing.T, h Harness, offer channel.Offer) {
	order := orderBy(t, h, offer, 100)
	action := prepay(t, h, order)
	changed := action
	changed.Params = maps.Clone(action.Params)
	switch {
	case action.QRCode != "":
		changed.QRCode += "x"
	case action.URL != "":
		changed.URL = strings.Replace(action.URL, "=", "=x", 1)
	default:
		name := slices.Sorted(maps.Keys(changed.Params))[0]
		changed.Params[name] += "x"
	}
	h.Refuses(t, offer.Product, changed)
	h.Follow(t, offer.Product, action)
}

// productNotice: the payment is told, once, under its number.
func productNotice(t *testing.T, h Harness, offer channel.Offer) {
	order := orderBy(t, h, offer, 4321)
	h.Follow(t, offer.Product, prepay(t, h, order))
	h.Pay(t, order.Number, false)
	got := delivered(t, h)
	require.Len(t, got, 1)
	notice, err := h.Adapter().ReadNotification(t.Context(), got[0].Request, got[0].Body)
	require.NoError(t, err)
	require.Equal(t, channel.NotifyTrade, notice.Kind)
	require.Equal(t, order.Number, notice.Number)
	require.Equal(t, money.Fen(4321), notice.Amount)
}

// paidBy makes an order of the product and pays it.
func paidBy(t *testing.T, h Harness, offer channel.Offer, fen int64) string {
	t.Helper()
	order := orderBy(t, h, offer, fen)
	h.Follow(t, offer.Product, prepay(t, h, order))
	h.Pay(t, order.Number, false)
	return order.Number
}

func productRefund(t *testing.T, h Harness, offer channel.Offer) {
	h.TopUp(t, 10_000)
	requireRefunds(t, h, paidBy(t, h, offer, 1000))
}

// requireRefunds gives 10.00 yuan back in two parts.
func requireRefunds(t *testing.T, h Harness, number string) {
	t.Helper()
	for _, part := range []int64{1, 999} {
		order := refundOf(number, part, 1000)
		_, err := h.Adapter().Refund(t.Context(), order)
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, settled(t, h, order).Outcome)
		requireMoved(t, h, order.Number, "refund", -part)
	}
	require.Equal(t, channel.TradePaid, trade(t, h, number).State)
}

func productBill(t *testing.T, h Harness, offer channel.Offer) {
	morning(t, h)
	requireBilled(t, h, paidBy(t, h, offer, 4321), 4321)
}

// requireBilled holds that the day's bill has one line, the payment's.
func requireBilled(t *testing.T, h Harness, number string, fen int64) {
	t.Helper()
	day := h.Now(t).Format(time.DateOnly)
	h.Advance(t, 36*time.Hour)
	got, err := h.Adapter().FetchTradeBill(t.Context(), day)
	require.NoError(t, err)
	require.Equal(t, channel.BillReady, got.State)
	require.Len(t, got.Bill.Lines, 1)
	require.Equal(t, channel.BillPayment, got.Bill.Lines[0].Kind)
	require.Equal(t, number, got.Bill.Lines[0].Number)
	require.Equal(t, money.Fen(fen), got.Bill.Lines[0].Amount)
}
