package demo

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

func TestWhatHadToBeRepeatedIsCounted(t *testing.T) {
	t.Parallel()
	var tries, unanswered atomic.Int64
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if tries.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"id":"mch_1"}`))
	}))
	defer busy.Close()
	api, err := newAPI(Options{APIURLs: []string{busy.URL}, APIKey: "sk_test"}, &unanswered)
	require.NoError(t, err)
	m, err := created[client.Merchant](api.CreateMerchantWithResponse(t.Context(),
		&client.CreateMerchantParams{IdempotencyKey: "key-00000001"}, client.CreateMerchant{Name: "store"}))
	require.NoError(t, err)
	require.Equal(t, "mch_1", m.ID)
	require.Equal(t, int64(1), unanswered.Load())
}

func TestASuccessThatTheContractDoesNotKnowIsNone(t *testing.T) {
	t.Parallel()
	_, err := got[client.Merchant](client.GetMerchantResponse{}, nil)
	require.ErrorIs(t, err, errOtherSuccess)
	_, err = got[client.Merchant](client.GetMerchantResponse{JSON200: &client.Merchant{}}, io.ErrUnexpectedEOF)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestAllReadsEveryPage(t *testing.T) {
	t.Parallel()
	pages := map[string][]int{"": {1, 2}, "b": {3}, "c": nil}
	next := map[string]*string{"": ptr("b"), "b": ptr("c"), "c": nil}
	list, err := all(func(cursor *string) ([]int, *string, error) {
		at := ""
		if cursor != nil {
			at = *cursor
		}
		return pages[at], next[at], nil
	})
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3}, list)
}

func TestEachStopsAtTheFirstError(t *testing.T) {
	t.Parallel()
	var done atomic.Int64
	err := each(t.Context(), 2, []int{1, 2, 3, 4, 5, 6, 7, 8}, func(_ context.Context, n int) error {
		done.Add(1)
		if n == 3 {
			return io.ErrUnexpectedEOF
		}
		return nil
	})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.LessOrEqual(t, done.Load(), int64(8))
	require.NoError(t, each(t.Context(), 8, []int{1, 2}, func(context.Context, int) error { return nil }))
}
