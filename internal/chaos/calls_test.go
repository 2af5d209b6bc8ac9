package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// instances are two APIs that answer as told, by the number of the request.
func instances(t *testing.T, answer func(n int64, w http.ResponseWriter)) (*caller, string) {
	t.Helper()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			answer(n.Add(1), w)
		}
	}))
	t.Cleanup(server.Close)
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j, err := openJournal(path)
	require.NoError(t, err)
	c, err := newCaller([]string{server.URL, dead.URL}, "sk_test", j)
	require.NoError(t, err)
	c.pauses = [maxRetries]time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	return c, path
}

func ask(t *testing.T, c *caller) (outcome, error) {
	t.Helper()
	return c.post(t.Context(), record{Operation: "createMerchant", Key: "key-00000001"}, func(api *client.API) (outcome, error) {
		a, err := api.CreateMerchantWithResponse(t.Context(), &client.CreateMerchantParams{IdempotencyKey: "key-00000001"},
			client.CreateMerchant{Name: "store"})
		if err != nil {
			return outcome{}, err
		}
		return outcome{id: a.JSON201.ID}, nil
	})
}

func created(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(`{"id":"mch_1"}`))
}

func TestACallIsRepeatedAtMostThreeTimes(t *testing.T) {
	t.Parallel()
	c, path := instances(t, func(n int64, w http.ResponseWriter) {
		if n <= maxRetries {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		created(w)
	})
	out, err := ask(t, c)
	require.NoError(t, err)
	require.Equal(t, outcome{id: "mch_1"}, out)
	require.Equal(t, int64(1), c.byRetries[maxRetries].Load())
	require.Equal(t, int64(maxRetries), c.retries.Load())
	require.Empty(t, c.failed.all())
	require.Empty(t, c.busy(0)+c.busy(1))

	told, err := readJournal(path)
	require.NoError(t, err)
	require.Equal(t, "ask", told[0].What, "written before it is sent")
	require.Equal(t, record{At: told[len(told)-1].At, What: "answer", Key: "key-00000001", ID: "mch_1"}, told[len(told)-1])
}

func TestACallThatNeverSucceedsIsAFailure(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	c, path := instances(t, func(n int64, w http.ResponseWriter) {
		sent.Store(n)
		w.WriteHeader(http.StatusInternalServerError)
	})
	_, err := ask(t, c)
	require.Error(t, err)
	require.Len(t, c.failed.all(), 1)
	require.Equal(t, int64(1+maxRetries), sent.Load())
	told, err := readJournal(path)
	require.NoError(t, err)
	require.NotEqual(t, "answer", told[len(told)-1].What)
}

func TestARefusalIsAnAnswer(t *testing.T) {
	t.Parallel()
	c, path := instances(t, func(_ int64, w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write([]byte(`{"code":"insufficient_funds","detail":"no","status":422,"title":"Refused","type":"x"}`))
	})
	out, err := ask(t, c)
	require.NoError(t, err)
	require.Equal(t, "422 insufficient_funds", out.refused)
	require.Zero(t, c.retries.Load())
	told, err := readJournal(path)
	require.NoError(t, err)
	require.Equal(t, "422 insufficient_funds", told[len(told)-1].Refused)
}

func TestADeadInstanceIsPassedOver(t *testing.T) {
	t.Parallel()
	c, _ := instances(t, func(_ int64, w http.ResponseWriter) { created(w) })
	for range 4 {
		_, err := ask(t, c)
		require.NoError(t, err)
	}
	require.Zero(t, c.retries.Load(), "nothing was sent to the dead one, so nothing was repeated")
	require.Positive(t, c.failovers.Load())
}
