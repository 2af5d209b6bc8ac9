package channeltest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// notifications: a payment's and a refund's are read for what they are; a
// changed, misdirected or half one is refused; both answers are the provider's.
func notifications(t *testing.T, h Harness) {
	h.TopUp(t, 10_000)
	n := paid(t, h, 8888)
	got := delivered(t, h)
	require.Len(t, got, 1)
	first := got[0]
	notice, err := h.Adapter().ReadNotification(t.Context(), first.Request, first.Body)
	require.NoError(t, err)
	require.Equal(t, channel.NotifyTrade, notice.Kind)
	require.Equal(t, n, notice.Number)
	require.Equal(t, n, notice.TradeNumber)
	require.Equal(t, money.Fen(8888), notice.Amount)
	require.NotEmpty(t, notice.ID)
	require.NotEmpty(t, notice.State)

	// The same again is the same event; reading has no memory.
	again, err := h.Adapter().ReadNotification(t.Context(), first.Request, first.Body)
	require.NoError(t, err)
	require.Equal(t, notice, again)

	_, err = h.Stranger().ReadNotification(t.Context(), first.Request, first.Body)
	require.Error(t, err, "it is another merchant's")
	for i := 0; i < len(first.Body); i += 1 + len(first.Body)/97 {
		changed := bytes.Clone(first.Body)
		changed[i] ^= 1
		_, err = h.Adapter().ReadNotification(t.Context(), first.Request, changed)
		require.Error(t, err, "byte %d was changed", i)
	}
	for name, body := range map[string][]byte{
		"empty": nil, "half": first.Body[:len(first.Body)/2], "more": append(bytes.Clone(first.Body), first.Body...), "nonsense": []byte("{}"),
	} {
		_, err = h.Adapter().ReadNotification(t.Context(), first.Request, body)
		require.Error(t, err, name)
	}
	other := first.Request.Clone(t.Context())
	other.Method = http.MethodGet
	_, err = h.Adapter().ReadNotification(t.Context(), other, first.Body)
	require.Error(t, err)

	order := refundOf(n, 88, 8888)
	order.NotifyURL = h.NotifyURL()
	_, err = h.Adapter().Refund(t.Context(), order)
	require.NoError(t, err)
	h.FinishRefund(t, order.Number)
	got = delivered(t, h)
	require.Len(t, got, 1)
	notice, err = h.Adapter().ReadNotification(t.Context(), got[0].Request, got[0].Body)
	require.NoError(t, err)
	require.Equal(t, channel.NotifyRefund, notice.Kind, "a refund is never a second payment")
	require.Equal(t, order.Number, notice.Number)
	require.Equal(t, n, notice.TradeNumber)
	require.Equal(t, money.Fen(88), notice.Amount)

	yes, no := httptest.NewRecorder(), httptest.NewRecorder()
	h.Adapter().Acknowledge(yes, true)
	h.Adapter().Acknowledge(no, false)
	require.Contains(t, []int{http.StatusOK, http.StatusNoContent}, yes.Code)
	require.GreaterOrEqual(t, no.Code, http.StatusBadRequest)
	text, err := io.ReadAll(no.Body)
	require.NoError(t, err)
	require.NotContains(t, string(text), "success")
}

// delivered returns the notifications that came since the last time.
func delivered(t *testing.T, h Harness) []Delivery {
	t.Helper()
	return h.Notifications(t)
}
