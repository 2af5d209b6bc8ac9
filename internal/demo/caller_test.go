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

func create(t *testing.T, bases ...string) (client.Merchant, *caller, error) {
	t.Helper()
	calls, err := newCaller(bases)
	require.NoError(t, err)
	api, err := newAPI(calls, "sk_test")
	require.NoError(t, err)
	m, err := created[client.Merchant](api.CreateMerchantWithResponse(context.Background(),
		&client.CreateMerchantParams{IdempotencyKey: "key-00000001"}, client.CreateMerchant{Name: "store"}))
	return m, calls, err
}

func TestARequestGoesOnWhateverDies(t *testing.T) {
	t.Parallel()
	var tries atomic.Int64
	troubled := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || len(body) == 0 || r.Header.Get("Idempotency-Key") != "key-00000001" ||
			r.Header.Get("Authorization") != "Bearer sk_test" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		switch tries.Add(1) {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.WriteHeader(http.StatusTooManyRequests)
		case 3: // dies in the middle of its answer
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"id":`))
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"id":"mch_1","name":"store"}`))
		}
	}))
	defer troubled.Close()
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()

	m, calls, err := create(t, troubled.URL, dead.URL)
	require.NoError(t, err)
	require.Equal(t, "mch_1", m.ID)
	require.Equal(t, int64(4), tries.Load())
	require.GreaterOrEqual(t, calls.repeated.Load(), int64(3), "the dead API was asked in turn")
}

func TestARefusalIsNotRepeated(t *testing.T) {
	t.Parallel()
	var tries atomic.Int64
	strict := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tries.Add(1)
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"code":"reference_used","detail":"A merchant with this reference exists."}`))
	}))
	defer strict.Close()
	_, _, err := create(t, strict.URL)
	require.True(t, refused(err, "reference_used"), "%v", err)
	require.False(t, refused(err, "secret_already_shown"))
	require.EqualError(t, err, "the API answered 409 Conflict reference_used: A merchant with this reference exists.")
	require.Equal(t, int64(1), tries.Load())
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
