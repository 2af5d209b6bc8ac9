package channeltest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// abilityCases are the cases of each ability. One that an adapter claims and that
// has no cases fails; abnormal refunds are made by the provider, in its own way,
// so the adapter's package holds them.
func abilityCases() map[channel.Ability]map[string]func(*testing.T, Harness) {
	byCode := map[string]func(*testing.T, Harness){}
	for _, c := range barcodeCases() {
		byCode[c.name] = c.run
	}
	return map[channel.Ability]map[string]func(*testing.T, Harness){
		channel.AbilityBarcode: byCode,
		channel.AbilityPayerID: {
			"found by a code":       payerFound,
			"a code that is no use": payerNotFound,
			"the caller's mistakes": payerMistakes,
		},
		channel.AbilityTransfer:       {"transfers": transfers},
		channel.AbilityFundBill:       {"the books to the fen": fundBill, "not there yet": earlyFundBill},
		channel.AbilityAbnormalRefund: {"only an abnormal refund": noAbnormalRefund},
	}
}

// abilities holds each ability an adapter claims to its cases.
func abilities(t *testing.T, open func(*testing.T, Contract) Harness) {
	for _, ability := range channel.Abilities(open(t, Contract{}).Adapter()) {
		cases := abilityCases()[ability]
		require.NotEmpty(t, cases, "%s is claimed, and nothing holds it", ability)
		for name, run := range cases {
			t.Run(string(ability)+", "+name, func(t *testing.T) {
				t.Parallel()
				run(t, open(t, Contract{}))
			})
		}
	}
}

const returnTo = "https://pay.example/cashier/back?token=a%26b"

func finder(t *testing.T, h Harness) channel.PayerFinder {
	t.Helper()
	f, ok := h.Adapter().(channel.PayerFinder)
	require.True(t, ok)
	return f
}

// payerCode sends the payer through the provider's page and returns the code.
func payerCode(t *testing.T, h Harness) string {
	t.Helper()
	const state = "a state & more="
	address, err := finder(t, h).AuthorizeURL(returnTo, state)
	require.NoError(t, err)
	back := h.Authorize(t, address)
	require.True(t, strings.HasPrefix(back.String(), "https://pay.example/cashier/back?"), back)
	require.Equal(t, state, back.Query().Get("state"))
	require.Equal(t, "a&b", back.Query().Get("token"))
	code := back.Query().Get(h.CodeParameter())
	require.NotEmpty(t, code)
	return code
}

// payerFound: the payer is found, and can be asked for money under that name.
func payerFound(t *testing.T, h Harness) {
	got, err := finder(t, h).FindPayer(t.Context(), payerCode(t, h))
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, got.Outcome, "%s %s", got.Code, got.Message)
	require.Equal(t, h.Payer(t), got.ID)
	for _, offer := range h.Adapter().Offers() {
		order := orderBy(t, h, offer, 100)
		if order.PayerID == "" {
			continue
		}
		order.PayerID = got.ID
		prepay(t, h, order)
	}
}

func payerNotFound(t *testing.T, h Harness) {
	code := payerCode(t, h)
	_, err := finder(t, h).FindPayer(t.Context(), code)
	require.NoError(t, err)
	for _, bad := range []string{code, "4b203fe6c11548bcabd8da5bb087a83b"} { // used, and never given
		got, err := finder(t, h).FindPayer(t.Context(), bad)
		require.NoError(t, err)
		require.Equal(t, channel.Failed, got.Outcome, "%s %s", got.Code, got.Message)
		require.Empty(t, got.ID)
	}
}

func payerMistakes(t *testing.T, h Harness) {
	f := finder(t, h)
	for _, address := range []string{"", "pay.example", "javascript:alert(1)"} {
		_, err := f.AuthorizeURL(address, "s")
		require.Error(t, err, address)
	}
	_, err := f.AuthorizeURL(returnTo, strings.Repeat("s", 200))
	require.Error(t, err)
	for _, code := range []string{"", "a\nb", strings.Repeat("c", 600)} {
		_, err = f.FindPayer(t.Context(), code)
		require.Error(t, err)
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	_, err = f.FindPayer(ended, "abc")
	require.ErrorIs(t, err, context.Canceled)
}

// fundBill: every change of the balance is there, and nothing else.
func fundBill(t *testing.T, h Harness) {
	biller, ok := h.Adapter().(channel.FundBiller)
	require.True(t, ok)
	h.TopUp(t, 1_000_000)
	morning(t, h)
	day := h.Now(t).Format(time.DateOnly)
	h.TopUp(t, 5_000_000)
	for _, fen := range []int64{1, 8888, 1_000_000} {
		n := paid(t, h, fen)
		order := refundOf(n, (fen+1)/2, fen)
		_, err := h.Adapter().Refund(t.Context(), order)
		require.NoError(t, err)
		settled(t, h, order)
	}
	if payer, able := h.Adapter().(channel.Transferer); able {
		state, err := payer.Transfer(t.Context(), transferOf(500))
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, state.Outcome)
	}
	if c, able := h.Adapter().(channel.CodeCollector); able {
		order := codeOf(t, h, PhonePays, 3000)
		payByCode(t, h, order)
		_, err := c.CancelTrade(t.Context(), order.Number)
		require.NoError(t, err)
	}
	want := h.Funds(t, day)
	require.Greater(t, len(want), 8)
	h.Advance(t, 36*time.Hour)
	got, err := biller.FetchFundBill(t.Context(), day)
	require.NoError(t, err)
	require.Equal(t, channel.BillReady, got.State, "%s %s", got.Code, got.Message)
	require.Equal(t, day, got.Bill.Date)
	digest := sha256.Sum256(got.Bill.Raw)
	require.Equal(t, hex.EncodeToString(digest[:]), got.Bill.SHA256)
	require.Len(t, got.Bill.Lines, len(want))
	serials := map[string]bool{}
	for i, line := range got.Bill.Lines {
		require.Equal(t, i+1, line.Row)
		require.Equal(t, money.Fen(want[i].Fen), line.Amount, "row %d", line.Row)
		require.Equal(t, money.Fen(want[i].Balance), line.Balance, "row %d", line.Row)
		require.Equal(t, want[i].Number, line.Number, "row %d", line.Row)
		require.NotEmpty(t, line.Kind)
		require.False(t, serials[line.Serial], "row %d: its serial was there", line.Row)
		serials[line.Serial] = true
		require.Equal(t, day, line.At.Format(time.DateOnly))
	}
}

func earlyFundBill(t *testing.T, h Harness) {
	biller, ok := h.Adapter().(channel.FundBiller)
	require.True(t, ok)
	morning(t, h)
	paid(t, h, 100)
	got, err := biller.FetchFundBill(t.Context(), h.Now(t).Format(time.DateOnly))
	require.NoError(t, err)
	require.Equal(t, channel.BillNotReady, got.State, "%s %s", got.Code, got.Message)
	require.Empty(t, got.Bill.Lines)
	h.Advance(t, 96*time.Hour)
	day := h.Now(t).AddDate(0, 0, -2).Format(time.DateOnly)
	got, err = biller.FetchFundBill(t.Context(), day)
	require.NoError(t, err)
	require.Equal(t, channel.BillEmpty, got.State, "%s %s", got.Code, got.Message)
	require.Equal(t, day, got.Bill.Date)
	_, err = biller.FetchFundBill(t.Context(), "yesterday")
	require.Error(t, err)
}

// noAbnormalRefund: a refund that went its way cannot be sent another.
func noAbnormalRefund(t *testing.T, h Harness) {
	redirecter, ok := h.Adapter().(channel.AbnormalRefunder)
	require.True(t, ok)
	n := paid(t, h, 1000)
	order := refundOf(n, 400, 1000)
	_, err := h.Adapter().Refund(t.Context(), order)
	require.NoError(t, err)
	done := settled(t, h, order)
	require.Equal(t, channel.Succeeded, done.Outcome)
	other := channel.AbnormalRefund{RefundOrder: order, ChannelRefundNo: done.ChannelRefundNo, ToMerchant: true}
	state, err := redirecter.RedirectRefund(t.Context(), other)
	require.NoError(t, err)
	require.NotEqual(t, channel.Pending, state.Outcome)
	requireMoved(t, h, order.Number, "refund", -400)
}
