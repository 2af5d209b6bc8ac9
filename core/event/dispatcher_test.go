package event

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

// sink records what it is sent and answers as told.
type sink struct {
	*httptest.Server
	mu       sync.Mutex
	received []received
}

type received struct {
	header http.Header
	body   []byte
}

func newSink(t *testing.T, respond func(n int, w http.ResponseWriter, r *http.Request)) *sink {
	s := &sink{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.received = append(s.received, received{r.Header.Clone(), body})
		n := len(s.received)
		s.mu.Unlock()
		respond(n, w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *sink) all() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.received...)
}

func answerWith(status int) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func TestADeliveryIsSignedAndSaysWhatTheEventSays(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	s := newSink(t, func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "thank\x00 you") })
	endpoint, secret := newEndpoint(t, d, tenant, NewEndpoint{URL: s.URL + "/hook"})
	payment := id.New(id.Payment)
	eventID := emit(t, d, tenant, PaymentSucceeded, payment)
	run(t, d, quick(loopback()))

	eventually(t, func() bool { return deliveries(t, d, tenant, endpoint.ID)[0].Status == DeliveryDelivered })
	got := s.all()
	require.Len(t, got, 1)
	reference, err := webhooks.NewWebhook(secret)
	require.NoError(t, err)
	require.NoError(t, reference.Verify(got[0].body, got[0].header))
	require.Equal(t, eventID, got[0].header.Get("webhook-id"))

	var payload map[string]any
	require.NoError(t, json.Unmarshal(got[0].body, &payload))
	require.Equal(t, "payment.succeeded", payload["type"])
	require.Equal(t, payment, payload["object_id"])
	require.Equal(t, map[string]any{"status": "succeeded"}, payload["data"])
	require.Equal(t, "thank  you", deliveries(t, d, tenant, endpoint.ID)[0].LastAnswer)
}

func TestFailuresAreRetriedUnderTheSameIDAndBytes(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	s := newSink(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < 3 {
			http.Error(w, "not today", http.StatusInternalServerError)
		}
	})
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: s.URL})
	emit(t, d, tenant, RefundSucceeded, id.New(id.Refund))
	run(t, d, quick(loopback()))

	eventually(t, func() bool { return deliveries(t, d, tenant, endpoint.ID)[0].Status == DeliveryDelivered })
	got := s.all()
	require.Len(t, got, 3)
	for _, g := range got {
		require.Equal(t, got[0].header.Get("webhook-id"), g.header.Get("webhook-id"))
		require.Equal(t, got[0].body, g.body)
	}
	require.Equal(t, 3, deliveries(t, d, tenant, endpoint.ID)[0].Attempts)
}

func TestADeliveryIsGivenUpAfterTheLastRetry(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	var poison atomic.Value
	s := newSink(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("webhook-id") == poison.Load() {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: s.URL})
	poison.Store(emit(t, d, tenant, PaymentFailed, id.New(id.Payment)))
	clock := newClock()
	opts := quick(loopback())
	opts.Clock, opts.Schedule = clock.now, []time.Duration{time.Minute, time.Minute, time.Minute}
	run(t, d, opts)

	for try := 1; try <= 4; try++ {
		eventually(t, func() bool { return tried(t, d, tenant, endpoint.ID, poison.Load().(string)) == try })
		// What the endpoint takes in between shows that it is alive.
		other := emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
		eventually(t, func() bool { return delivery(t, d, tenant, endpoint.ID, other).Status == DeliveryDelivered })
		clock.move(2 * time.Minute)
	}
	given := delivery(t, d, tenant, endpoint.ID, poison.Load().(string))
	require.Equal(t, DeliveryFailed, given.Status)
	require.Equal(t, http.StatusBadGateway, *given.LastStatus)
	require.Equal(t, EndpointActive, endpointNow(t, d, tenant, endpoint.ID).Status)
}

func TestWhatCountsAsAFailure(t *testing.T) {
	t.Parallel()
	inside := newSink(t, answerWith(http.StatusOK))
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	for name, respond := range map[string]func(int, http.ResponseWriter, *http.Request){
		"redirects are not followed": func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, inside.URL, http.StatusTemporaryRedirect)
		},
		"no complete answer within": func(_ int, _ http.ResponseWriter, r *http.Request) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		},
		"broke off": func(_ int, w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			_ = conn.Close()
		},
		"teapot": func(_ int, w http.ResponseWriter, _ *http.Request) { http.Error(w, "teapot", http.StatusTeapot) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newSender(loopback(), 300*time.Millisecond, nil).send(t.Context(), message{
				url: newSink(t, respond).URL, id: "evt_1", body: []byte(`{}`), secrets: []string{"whsec_AAAA"}})
			require.False(t, a.accepted())
			require.Contains(t, a.words, name)
		})
	}
	t.Cleanup(func() { require.Empty(t, inside.all(), "a redirect was followed") })
}

func TestABadCertificateIsAFailure(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	a := newSender(loopback(), time.Second, nil).send(t.Context(), message{url: s.URL, id: "evt_1", secrets: []string{"whsec_AAAA"}})
	require.Equal(t, answer{words: "the TLS certificate was not accepted"}, a)
}

func TestAnEndlessAnswerIsCutOff(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	s := newSink(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 32<<10)
		for sent.Load() < 1<<30 {
			n, err := w.Write(chunk)
			if err != nil {
				return
			}
			sent.Add(int64(n))
		}
	})
	a := newSender(loopback(), 5*time.Second, nil).send(t.Context(), message{url: s.URL, id: "evt_1", secrets: []string{"whsec_AAAA"}})
	require.True(t, a.accepted())
	require.LessOrEqual(t, len(a.words), maxAnswerRunes)
	require.Less(t, sent.Load(), int64(1<<29), "we stopped listening long before the receiver stopped talking")
}

func TestGoneDisablesTheEndpoint(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	s := newSink(t, answerWith(http.StatusGone))
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: s.URL})
	emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	run(t, d, quick(loopback()))

	eventually(t, func() bool { return deliveries(t, d, tenant, endpoint.ID)[0].Status == DeliveryFailed })
	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
		e, err := GetEndpoint(t.Context(), tx, tenant, endpoint.ID)
		require.NoError(t, err)
		require.Equal(t, EndpointDisabled, e.Status)
		require.Equal(t, ReasonGone, e.StatusReason)
		return nil
	}))
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	s := newSink(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: s.URL})
	emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	run(t, d, quick(loopback()))

	eventually(t, func() bool { return deliveries(t, d, tenant, endpoint.ID)[0].LastStatus != nil })
	require.WithinDuration(t, time.Now().Add(time.Hour), deliveries(t, d, tenant, endpoint.ID)[0].NextAt, time.Minute)

	now := time.Now()
	require.Equal(t, maxRetryAfter, parseRetryAfter("99999999", now))
	require.Zero(t, parseRetryAfter("-5", now))
	require.Zero(t, parseRetryAfter("soon", now))
	require.InDelta(t, float64(time.Minute), float64(parseRetryAfter(now.Add(time.Minute).UTC().Format(http.TimeFormat), now)), float64(time.Second))
}

func TestBothSecretsSignDuringARotation(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	s := newSink(t, answerWith(http.StatusNoContent))
	endpoint, old := newEndpoint(t, d, tenant, NewEndpoint{URL: s.URL})
	var fresh string
	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
		var err error
		fresh, err = RotateSecret(t.Context(), tx, box(), tenant, endpoint.ID)
		return err
	}))
	emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	run(t, d, quick(loopback()))

	eventually(t, func() bool { return len(s.all()) == 1 })
	for _, secret := range []string{old, fresh} {
		reference, err := webhooks.NewWebhook(secret)
		require.NoError(t, err)
		require.NoError(t, reference.Verify(s.all()[0].body, s.all()[0].header))
	}
}

func TestADispatcherKilledAfterThePostSendsTheSameMessageAgain(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	arrived := make(chan struct{}, 1)
	s := newSink(t, func(n int, _ http.ResponseWriter, r *http.Request) {
		if n == 1 { // hold the answer back until the sender is dead
			arrived <- struct{}{}
			<-r.Context().Done()
		}
	})
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: s.URL})
	emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))

	child := exec.Command(os.Args[0], childArg, d.URL)
	require.NoError(t, child.Start())
	t.Cleanup(func() { _ = child.Process.Kill(); _ = child.Wait() })
	select {
	case <-arrived:
	case <-time.After(20 * time.Second):
		require.Fail(t, "the child never posted")
	}
	require.NoError(t, child.Process.Kill())

	run(t, d, quick(loopback()))
	eventually(t, func() bool { return deliveries(t, d, tenant, endpoint.ID)[0].Status == DeliveryDelivered })
	got := s.all()
	require.GreaterOrEqual(t, len(got), 2)
	for _, g := range got {
		require.Equal(t, got[0].header.Get("webhook-id"), g.header.Get("webhook-id"))
		require.Equal(t, got[0].body, g.body)
	}
}

func TestOneSilentReceiverDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	silent := newSink(t, func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	poisoned := newTenant(t, d)
	newEndpoint(t, d, poisoned, NewEndpoint{URL: silent.URL})
	for range 50 {
		emit(t, d, poisoned, PaymentSucceeded, id.New(id.Payment))
	}
	opts := quick(loopback())
	opts.Timeout, opts.Lease = time.Minute, 2*time.Minute
	opts.Concurrency, opts.PerEndpoint, opts.Schedule = 4, 2, []time.Duration{time.Hour}
	quickly := newSink(t, answerWith(http.StatusOK))
	healthy := newTenant(t, d)
	endpoint, _ := newEndpoint(t, d, healthy, NewEndpoint{URL: quickly.URL})
	run(t, d, opts)
	// The poisoned tenant's exchanges end only with the test.
	t.Cleanup(silent.CloseClientConnections)
	eventually(t, func() bool { return len(silent.all()) == 2 })

	for range 10 {
		emit(t, d, healthy, PaymentSucceeded, id.New(id.Payment))
	}
	eventually(t, func() bool {
		for _, delivery := range deliveries(t, d, healthy, endpoint.ID) {
			if delivery.Status != DeliveryDelivered {
				return false
			}
		}
		return true
	})
	require.Len(t, silent.all(), 2, "the silent receiver has no more than its share of exchanges")
}

func TestTwoDispatchersDeliverEachMessageOnce(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	s := newSink(t, answerWith(http.StatusOK))
	newEndpoint(t, d, tenant, NewEndpoint{URL: s.URL})
	opts := quick(loopback())
	opts.Lease, opts.Timeout = time.Minute, 30*time.Second
	run(t, d, opts)
	run(t, d, opts)
	const count = 100
	for range count {
		emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	}
	eventually(t, func() bool {
		var open int
		err := d.Pool.QueryRow(t.Context(), `select count(*) from webhook_deliveries where status = 'pending'`).Scan(&open)
		return err == nil && open == 0
	})
	seen := map[string]bool{}
	for _, g := range s.all() {
		seen[g.header.Get("webhook-id")] = true
	}
	require.Len(t, seen, count)
	require.Len(t, s.all(), count)
}

func TestTheScheduleLastsAWeek(t *testing.T) {
	t.Parallel()
	schedule := DefaultSchedule()
	require.GreaterOrEqual(t, len(schedule), 15)
	var shortest time.Duration
	for i, wait := range schedule {
		shortest += wait - wait/10
		if i > 0 {
			require.GreaterOrEqual(t, wait, schedule[i-1])
		}
		for range 100 {
			j := jitter(wait)
			require.GreaterOrEqual(t, j, wait-wait/10)
			require.LessOrEqual(t, j, wait+wait/10)
		}
	}
	require.GreaterOrEqual(t, shortest, 7*24*time.Hour, fmt.Sprint(shortest))
}
