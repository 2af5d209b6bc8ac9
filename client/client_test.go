package client_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// service answers as told and remembers what it was asked.
type service struct {
	*httptest.Server
	mu     sync.Mutex
	keys   []string
	bodies []string
	auth   []string
}

func newService(t *testing.T, answer func(n int, w http.ResponseWriter)) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.keys = append(s.keys, r.Header.Get("Idempotency-Key"))
		s.bodies = append(s.bodies, string(body))
		s.auth = append(s.auth, r.Header.Get("Authorization"))
		n := len(s.keys)
		s.mu.Unlock()
		answer(n, w)
	}))
	t.Cleanup(s.Close)
	return s
}

func created(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"id":"mch_01JD8Y3K5T7W9ABCDEFGHJKMNP"}`)
}

func problem(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Request-Id", "req-1")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"type":"t","title":"t","status":400,"code":"`+code+`","detail":"d","field":"reference","limit":"debit.day_count"}`)
}

func breakOff(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func newMerchant(t *testing.T, api *client.API) (*client.CreateMerchantResponse, error) {
	t.Helper()
	return api.CreateMerchantWithResponse(t.Context(), &client.CreateMerchantParams{IdempotencyKey: client.NewIdempotencyKey()},
		client.CreateMerchant{Reference: "r", Name: "n", Settlement: client.SettlementT0})
}

func TestARequestWithoutAnAnswerIsRepeatedUnderItsKey(t *testing.T) {
	t.Parallel()
	s := newService(t, func(n int, w http.ResponseWriter) {
		switch n {
		case 1:
			breakOff(w)
		case 2:
			problem(w, http.StatusServiceUnavailable, "unavailable")
		case 3: // half an answer
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		default:
			created(w)
		}
	})
	api, err := client.New(client.Config{BaseURLs: []string{s.URL}, Key: "sk_test_1"})
	require.NoError(t, err)
	answer, err := newMerchant(t, api)
	require.NoError(t, err)
	require.Equal(t, "mch_01JD8Y3K5T7W9ABCDEFGHJKMNP", answer.JSON201.ID)
	require.Len(t, s.keys, 4)
	for i := range s.keys {
		require.Equal(t, s.keys[0], s.keys[i])
		require.Equal(t, s.bodies[0], s.bodies[i])
		require.Equal(t, "Bearer sk_test_1", s.auth[i])
	}
}

func TestARefusalIsNotRepeatedAndIsReadable(t *testing.T) {
	t.Parallel()
	s := newService(t, func(_ int, w http.ResponseWriter) { problem(w, http.StatusConflict, "reference_used") })
	api, err := client.New(client.Config{BaseURLs: []string{s.URL}, Key: "sk_test_1"})
	require.NoError(t, err)
	_, err = newMerchant(t, api)
	require.True(t, client.IsCode(err, "reference_used"))
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, &client.Error{Status: 409, Code: "reference_used", Detail: "d", Field: "reference", Limit: "debit.day_count",
		RequestID: "req-1"}, refusal)
	require.False(t, client.IsUnknown(err))
	require.NotContains(t, err.Error(), "sk_test_1")
	require.Len(t, s.keys, 1)
}

func TestAPostWithoutParametersHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	s := newService(t, func(n int, w http.ResponseWriter) {
		if n == 1 {
			breakOff(w)
			return
		}
		created(w)
	})
	api, err := client.New(client.Config{BaseURLs: []string{s.URL}, Key: "sk_test_1"})
	require.NoError(t, err)
	body := client.CreateMerchant{Reference: "r", Name: "n", Settlement: client.SettlementT0}
	for range 2 {
		_, err = api.CreateMerchantWithResponse(t.Context(), nil, body)
		require.NoError(t, err)
	}
	require.Len(t, s.keys, 3)
	require.GreaterOrEqual(t, len(s.keys[0]), 20)
	require.Equal(t, s.keys[0], s.keys[1], "a repetition under another key could act twice")
	require.NotEqual(t, s.keys[1], s.keys[2])
}

func TestWhatNobodyAnsweredIsUnknown(t *testing.T) {
	t.Parallel()
	s := newService(t, func(_ int, w http.ResponseWriter) { breakOff(w) })
	api, err := client.New(client.Config{BaseURLs: []string{s.URL}, Key: "sk_test_1", Patience: -1})
	require.NoError(t, err)
	_, err = newMerchant(t, api)
	require.True(t, client.IsUnknown(err))
	require.False(t, client.IsUnknown(nil))
}

func TestTheOtherInstanceIsAsked(t *testing.T) {
	t.Parallel()
	dead := newService(t, func(_ int, w http.ResponseWriter) { breakOff(w) })
	alive := newService(t, func(_ int, w http.ResponseWriter) { created(w) })
	api, err := client.New(client.Config{BaseURLs: []string{dead.URL, alive.URL}, Key: "sk_test_1"})
	require.NoError(t, err)
	for range 4 {
		_, err = newMerchant(t, api)
		require.NoError(t, err)
	}
}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	s := newService(t, func(_ int, w http.ResponseWriter) {
		w.Header().Set("Retry-After", "60")
		problem(w, http.StatusTooManyRequests, "rate_limited")
	})
	api, err := client.New(client.Config{BaseURLs: []string{s.URL}, Key: "sk_test_1", Patience: time.Second})
	require.NoError(t, err)
	start := time.Now()
	_, err = newMerchant(t, api)
	require.True(t, client.IsCode(err, "rate_limited"))
	require.Less(t, time.Since(start), 10*time.Second)
	require.Len(t, s.keys, 1, "a wait longer than our patience is not waited for")
}

func TestAProxysPageIsNoProblemOfTheAPI(t *testing.T) {
	t.Parallel()
	s := newService(t, func(_ int, w http.ResponseWriter) {
		http.Redirect(w, httptest.NewRequest(http.MethodGet, "/", nil), "/login", http.StatusFound)
	})
	api, err := client.New(client.Config{BaseURLs: []string{s.URL}, Key: "sk_test_1"})
	require.NoError(t, err)
	_, err = newMerchant(t, api)
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, http.StatusFound, refusal.Status)
	require.Empty(t, refusal.Code)
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := client.New(client.Config{BaseURLs: []string{"https://pay.example.com"}})
	require.ErrorContains(t, err, "Key")
	_, err = client.New(client.Config{Key: "sk_test_1"})
	require.ErrorContains(t, err, "BaseURLs")
	_, err = client.New(client.Config{Key: "sk_test_1", BaseURLs: []string{"pay.example.com"}})
	require.ErrorContains(t, err, "pay.example.com")
}
