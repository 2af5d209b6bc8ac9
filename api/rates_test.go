package api

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// instances serves f's database by n handlers under these rates.
func (f *fixture) instances(n int, r Rates) []*fixture {
	f.t.Helper()
	var all []*fixture
	for range n {
		one := *f
		one.handler = f.serve(Options{Dev: true, Rates: r})
		all = append(all, &one)
	}
	return all
}

// TestOneRateForAllInstances: two instances that are asked as fast as possible grant
// the rate together, about a half each, and refuse the rest with a time to wait.
func TestOneRateForAllInstances(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const perSecond, span = 10, 4 * time.Second
	both := f.instances(2, Rates{Tenant: tenant.Rate{PerSecond: perSecond, Burst: perSecond}})
	granted, refused := make([]int, 2), make([]int, 2)
	began := time.Now()
	var calls sync.WaitGroup
	for i, one := range both {
		calls.Go(func() {
			for time.Since(began) < span {
				resp := one.get("/v1/test/clock")
				if resp.Code == http.StatusOK {
					granted[i]++
					continue
				}
				refused[i]++
				resp.refused(http.StatusTooManyRequests, codeRateLimited, "")
				wait, err := strconv.Atoi(resp.Header().Get("Retry-After"))
				require.NoError(t, err)
				require.InDelta(t, 1, wait, 0)
			}
		})
	}
	calls.Wait()
	took := time.Since(began).Seconds()
	all := granted[0] + granted[1]
	t.Logf("in %.1f s: granted %v, refused %v", took, granted, refused)
	require.LessOrEqual(t, float64(all), perSecond*(took+1)+1, "more than the rate and what was saved up")
	require.GreaterOrEqual(t, float64(all), perSecond*took*0.7)
	require.Greater(t, min(granted[0], granted[1])*4, all, "one instance got nearly everything")
	require.Positive(t, refused[0]+refused[1])
}

// TestAFloodCostsTheDatabaseNothing: what is refused is refused without a look.
func TestAFloodCostsTheDatabaseNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one := f.instances(1, Rates{Key: tenant.Rate{PerSecond: 10, Burst: 10}})[0]
	leases := func() (version string) {
		require.NoError(t, f.db.Pool.QueryRow(t.Context(),
			`select coalesce(max(xmin::text), '') from request_rates where tenant_id = $1`, f.tenant).Scan(&version))
		return version
	}
	r := newRates(f.db.DB, Rates{Key: tenant.Rate{PerSecond: 10, Burst: 10}})
	p := tenant.Principal{TenantID: f.tenant, KeyID: f.ownKey()}
	for r.admit(t.Context(), p) == nil {
	}
	before := leases()
	require.NotEmpty(t, before)
	s := r.subject(p.KeyID)
	s.dryUntil = time.Now().Add(time.Minute)
	ended, cancel := context.WithCancel(t.Context())
	cancel() // so that any look fails
	for range 1000 {
		err := r.admit(ended, p)
		require.ErrorContains(t, err, codeRateLimited)
	}
	require.Equal(t, before, leases())
	require.Equal(t, http.StatusOK, one.as(f.newKey(f.tenant, "*"), "GET", "/v1/test/clock", "").Code, "another key of the tenant")
}

// TestAFloodOfOneTenantDoesNotHurtAnother sends fifty times the rate of one tenant and
// looks at another's answers.
func TestAFloodOfOneTenantDoesNotHurtAnother(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one := f.instances(1, Rates{Tenant: tenant.Rate{PerSecond: 10, Burst: 10}})[0]
	_, quiet := f.newTenant()
	ctx, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	var refused int
	flood.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			if one.get("/v1/payments").Code == http.StatusTooManyRequests {
				refused++
			}
			<-tick.C
		}
	})
	pace := time.NewTicker(150 * time.Millisecond)
	defer pace.Stop()
	for range 20 {
		<-pace.C
		require.Equal(t, http.StatusOK, one.as(quiet, "GET", "/v1/payments", "").Code)
	}
	stop()
	flood.Wait()
	require.Greater(t, refused, 100)
}

// TestInventedKeysAreSoughtFewAtATime: a flood of well-formed keys that nobody has
// leaves the database to those who have one.
func TestInventedKeysAreSoughtFewAtATime(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var mu sync.Mutex
	now, most := 0, 0
	k := newKeyring(Options{Mode: tenant.Test, Authenticate: func(context.Context, string) (tenant.Principal, error) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		<-release
		mu.Lock()
		now--
		mu.Unlock()
		return tenant.Principal{}, tenant.Unauthenticated()
	}})
	var calls sync.WaitGroup
	for range 50 {
		calls.Go(func() {
			_, err := k.principal(t.Context(), id.Number())
			require.Error(t, err)
		})
	}
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return now == keysSought }, 5*time.Second, time.Millisecond)
	close(release)
	calls.Wait()
	require.Equal(t, keysSought, most)
}
