package demo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheReceiverCountsGenuineWebhooksOnly(t *testing.T) {
	t.Parallel()
	h, err := listen(t.Context())
	require.NoError(t, err)
	defer h.close()
	key := []byte("0123456789abcdef0123456789abcdef")
	h.trust("whsec_" + base64.StdEncoding.EncodeToString([]byte("an older secret, still trusted")))
	h.trust("whsec_" + base64.StdEncoding.EncodeToString(key))

	post := func(id, body, signedBody string) int {
		at := strconv.FormatInt(time.Now().Unix(), 10)
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + at + "." + signedBody))
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url, strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("webhook-id", id)
		request.Header.Set("webhook-timestamp", at)
		request.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	first, second := `{"id":"evt_1","type":"payment.succeeded"}`, `{"id":"evt_2"}`
	require.Equal(t, http.StatusNoContent, post("evt_1", first, first))
	require.Equal(t, http.StatusNoContent, post("evt_1", first, first), "a repetition is welcome")
	require.Equal(t, http.StatusNoContent, post("evt_2", second, second))
	require.Equal(t, http.StatusUnauthorized, post("evt_3", second, first))

	events, messages, forged := h.counted()
	require.Equal(t, []int{2, 3, 1}, []int{events, messages, forged})
	require.True(t, h.has("evt_2"))
	require.False(t, h.has("evt_3"))
}
