//go:build slow

package event

import (
	"flag"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

var (
	isolationRounds = flag.Int("isolation.rounds", 1, "pairs of rounds, with and without a bad endpoint")
	isolationEvents = flag.Int("isolation.events", 8, "events for each of the twenty endpoints in a round")
)

// TestABadEndpointSlowsNobody has twenty tenants with an endpoint each told of events
// at a steady pace, once with all of them well and once with one that never answers
// and has a backlog, in turns, and compares how long the others wait.
func TestABadEndpointSlowsNobody(t *testing.T) {
	t.Parallel()
	var without, with []time.Duration
	for range *isolationRounds {
		without = append(without, waitOfOthers(t, false))
		with = append(with, waitOfOthers(t, true))
	}
	slices.Sort(without)
	slices.Sort(with)
	good, bad := without[len(without)/2], with[len(with)/2]
	t.Logf("p99 from commit to receipt, median of %d rounds of %d events: %s without a bad endpoint %v, %s with one of 20 %v: %d %%",
		*isolationRounds, 19*(*isolationEvents), good, without, bad, with, 100*bad/good)
	// A round of this size on a busy machine measures little; what must never
	// happen is that the others wait for the bad one's timeout.
	require.Less(t, bad, 2*good+2*time.Second)
}

// waitOfOthers returns the 99th percentile of the time from an event's commit to its
// receipt, at the nineteen endpoints that are always well.
func waitOfOthers(t *testing.T, bad bool) time.Duration {
	d := pgtest.New(t)
	hang := make(chan struct{})
	var (
		mu       sync.Mutex
		received = map[string]time.Time{}
		sent     = map[string]time.Time{}
	)
	s := newSink(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
			return
		}
		mu.Lock()
		defer mu.Unlock()
		received[r.Header.Get("webhook-id")] = time.Now()
	})
	t.Cleanup(func() { close(hang) })
	tenants := make([]string, 20)
	for n := range tenants {
		tenants[n] = newTenant(t, d)
		path := "/good"
		if n == 0 && bad {
			path = "/bad"
		}
		newEndpoint(t, d, tenants[n], NewEndpoint{URL: s.URL + path})
	}
	for range 50 { // the backlog of the first, in both rounds
		emit(t, d, tenants[0], PaymentSucceeded, id.New(id.Payment))
	}
	run(t, d, DispatcherOptions{Guard: loopback(), Box: box(), Timeout: 3 * time.Second, Lease: 10 * time.Second, Poll: 50 * time.Millisecond})
	for range *isolationEvents {
		for n, tenant := range tenants {
			eventID := emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
			if n > 0 {
				mu.Lock()
				sent[eventID] = time.Now()
				mu.Unlock()
			}
		}
	}
	eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		for eventID := range sent {
			if received[eventID].IsZero() {
				return false
			}
		}
		return true
	})
	var waits []time.Duration
	for eventID, at := range sent {
		waits = append(waits, received[eventID].Sub(at))
	}
	slices.Sort(waits)
	return waits[len(waits)*99/100]
}
