package event

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

// A receiver that is down for good: at least fifteen tries over at least a week, the
// tenant told after a day, the endpoint paused at the end, nothing lost, and all of
// it delivered once it is resumed.
func TestAWeekOfFailures(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	var up atomic.Bool
	s := newSink(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		if !up.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	watch := newSink(t, answerWith(http.StatusOK))
	watcher, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: watch.URL, Types: []Pattern{"webhook_endpoint.*"}})
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: s.URL, Types: []Pattern{"payment.*"}})
	eventID := emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	clock := newClock()
	opts := quick(loopback())
	opts.Clock, opts.Schedule = clock.now, DefaultSchedule()
	opts.Lease = time.Minute
	began := clock.now()
	run(t, d, opts)

	tries := 0
	for endpointNow(t, d, tenant, endpoint.ID).Status == EndpointActive {
		tries++
		require.LessOrEqual(t, tries, len(DefaultSchedule())+1)
		eventually(t, func() bool { return tried(t, d, tenant, endpoint.ID, eventID) == tries })
		lasted := clock.now().Sub(began)
		require.Equal(t, lasted >= 24*time.Hour, len(told(t, d, tenant, WebhookEndpointFailing)) == 1, "told after %s", lasted)
		e := endpointNow(t, d, tenant, endpoint.ID)
		next := delivery(t, d, tenant, endpoint.ID, eventID).NextAt
		if e.RestsUntil != nil && e.RestsUntil.After(next) {
			next = *e.RestsUntil
		}
		if e.Status == EndpointActive {
			clock.move(next.Sub(clock.now()) + time.Second)
		}
	}
	lasted := clock.now().Sub(began)
	t.Logf("%d tries over %s", tries, lasted)
	require.GreaterOrEqual(t, tries, 15)
	require.GreaterOrEqual(t, lasted, 7*24*time.Hour)
	paused := endpointNow(t, d, tenant, endpoint.ID)
	require.Equal(t, EndpointPaused, paused.Status)
	require.Equal(t, ReasonFailing, paused.StatusReason)
	require.Equal(t, DeliveryPending, delivery(t, d, tenant, endpoint.ID, eventID).Status, "kept for the endpoint")
	require.Len(t, told(t, d, tenant, WebhookEndpointPaused), 1)
	eventually(t, func() bool {
		list := deliveries(t, d, tenant, watcher.ID)
		return len(list) == 2 && list[0].Status == DeliveryDelivered && list[1].Status == DeliveryDelivered
	})

	// What happens during the pause is kept, and nothing is sent.
	second := emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	clock.move(30 * 24 * time.Hour)
	up.Store(true)
	require.Equal(t, tries, len(s.all()))
	resumed, err := change(t, d, tenant, endpoint.ID, EndpointChange{Status: new(EndpointActive)})
	require.NoError(t, err)
	require.Equal(t, EndpointActive, resumed.Status)
	require.Nil(t, resumed.FailingSince)
	for _, e := range []string{eventID, second} {
		eventually(t, func() bool { return delivery(t, d, tenant, endpoint.ID, e).Status == DeliveryDelivered })
	}
	for _, g := range s.all() {
		if g.header.Get("webhook-id") == eventID {
			require.Equal(t, s.all()[0].body, g.body)
		}
	}
}

// Down for 72 hours, then up: everything arrives by itself.
func TestThreeDaysDown(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	clock := newClock()
	healed := clock.now().Add(72 * time.Hour)
	s := newSink(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		if clock.now().Before(healed) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: s.URL, Types: []Pattern{"payment.*"}})
	opts := quick(loopback())
	opts.Clock, opts.Schedule, opts.Lease = clock.now, DefaultSchedule(), time.Minute
	run(t, d, opts)
	const count = 20
	for range count {
		emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	}
	hours := 0
	eventually(t, func() bool {
		for _, one := range deliveries(t, d, tenant, endpoint.ID) {
			if one.Status != DeliveryDelivered {
				clock.move(time.Hour)
				hours++
				return false
			}
		}
		return true
	})
	t.Logf("all delivered within %d hours", hours)
	require.Greater(t, hours, 70)
	seen := map[string]bool{}
	for _, g := range s.all() {
		seen[g.header.Get("webhook-id")] = true
	}
	require.Len(t, seen, count)
}

func TestAnEndpointThatFailsAgainAndAgainRests(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	s := newSink(t, answerWith(http.StatusInternalServerError))
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: s.URL})
	for range 50 {
		emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	}
	clock := newClock()
	opts := quick(loopback())
	opts.Clock, opts.Schedule, opts.Lease = clock.now, DefaultSchedule(), time.Hour
	run(t, d, opts)

	eventually(t, func() bool { return endpointNow(t, d, tenant, endpoint.ID).RestsUntil != nil })
	// Those that were under way when it began to rest are recorded.
	eventually(t, func() bool { return leased(t, d) == 0 })
	before := len(s.all())
	require.Less(t, before, 5+2*4, "it is let alone long before all fifty were tried")
	for more := 1; more <= 3; more++ {
		rests := *endpointNow(t, d, tenant, endpoint.ID).RestsUntil
		clock.move(rests.Sub(clock.now()) + time.Second)
		eventually(t, func() bool {
			return endpointNow(t, d, tenant, endpoint.ID).RestsUntil.After(rests) && leased(t, d) == 0
		})
		require.Len(t, s.all(), before+more, "one at a time")
	}
}

func leased(t *testing.T, d *pgtest.Database) (n int) {
	t.Helper()
	require.NoError(t, d.Pool.QueryRow(t.Context(), `select count(*) from webhook_deliveries where leased_until is not null`).Scan(&n))
	return n
}

func TestHealthAfterFailures(t *testing.T) {
	t.Parallel()
	opts := NewDispatcher(nil, DispatcherOptions{Guard: NewGuard(nil, nil)}).opts
	now := time.Now()
	var h health
	for n := 1; n <= 30; n++ {
		h.rests = nil
		h = h.failed(now, answer{took: 10 * time.Millisecond}, opts)
		require.Equal(t, n, h.failures)
		require.Equal(t, now, *h.since, "the first failure counts")
		require.False(t, h.slow)
		if n < opts.Tolerance {
			require.Nil(t, h.rests)
			continue
		}
		rest := h.rests.Sub(now)
		require.GreaterOrEqual(t, rest, 4500*time.Millisecond)
		require.LessOrEqual(t, rest, 330*time.Second)
	}
	require.True(t, h.failed(now, answer{took: 2 * time.Second}, opts).slow)
	asked := health{}.failed(now, answer{retryAfter: 23 * time.Hour}, opts)
	require.Equal(t, now.Add(longestAsked), *asked.rests, "the endpoint as a whole rests no longer than an hour")
	shorter := asked.failed(now, answer{}, opts)
	require.Equal(t, asked.rests, shorter.rests)
}

func TestAProcessIsNotFilledByEndpointsThatHang(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	silent := newSink(t, func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	opts := quick(loopback())
	opts.Timeout, opts.Lease, opts.Schedule = time.Minute, 2*time.Minute, []time.Duration{time.Hour}
	opts.Concurrency, opts.SlowLane, opts.PerTenant = 8, 4, 3
	// Many tenants with many endpoints of which it is known that they hang.
	for range 5 {
		tenant := newTenant(t, d)
		for range 4 {
			newEndpoint(t, d, tenant, NewEndpoint{URL: silent.URL})
		}
		emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	}
	_, err := d.Pool.Exec(t.Context(), `update webhook_endpoints set slow = true`)
	require.NoError(t, err)
	run(t, d, opts)
	t.Cleanup(silent.CloseClientConnections)
	eventually(t, func() bool { return len(silent.all()) == 4 })

	// One of which it is not known takes no more than its tenant's share.
	hostile := newTenant(t, d)
	for range 10 {
		newEndpoint(t, d, hostile, NewEndpoint{URL: silent.URL})
	}
	emit(t, d, hostile, PaymentSucceeded, id.New(id.Payment))
	eventually(t, func() bool { return len(silent.all()) == 4+3 })
	healthy := newTenant(t, d)
	good := newSink(t, answerWith(http.StatusOK))
	endpoint, _ := newEndpoint(t, d, healthy, NewEndpoint{URL: good.URL})
	for range 10 {
		emit(t, d, healthy, PaymentSucceeded, id.New(id.Payment))
	}
	eventually(t, func() bool {
		for _, one := range deliveries(t, d, healthy, endpoint.ID) {
			if one.Status != DeliveryDelivered {
				return false
			}
		}
		return true
	})
	require.Len(t, silent.all(), 4+3)
}
