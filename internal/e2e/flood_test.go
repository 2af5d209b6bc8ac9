package e2e_test

import (
	"encoding/base64"
	"flag"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// floodFor is how long the flood of TestFloodOfForgedNotifications lasts.
var floodFor = flag.Duration("flood", time.Second, "how long forged notifications flood the address")

// floodConnections is how many connections flood at once.
const floodConnections = 24

// TestFloodOfForgedNotifications: while forged ones come as fast as 24 connections
// can send them, true ones are stored and answered before the provider loses its
// patience, three seconds, and the API's other callers are served.
func TestFloodOfForgedNotifications(t *testing.T) {
	w := newWorld(t)
	s := &scene{world: w, targets: map[string][]target{}, genuine: map[string][]kept{alipay: {{header: http.Header{}}}}}
	s.loadKeys()
	paid := w.paid(alipay, 4400)
	s.targets[alipay] = slices.Repeat([]target{s.targetOf(paid)}, 4)
	f := &forger{scene: s, Rand: rand.New(rand.NewPCG(*attackSeed, 0)), provider: alipay}
	forged := f.signedBy(s.alipayKey, f.payment(f.open()))
	values, err := url.ParseQuery(string(forged.body))
	require.NoError(t, err)
	values.Set("sign", base64.StdEncoding.EncodeToString(f.bytes(256)))
	forged.body = []byte(values.Encode())
	var trueOnes []attack
	for range 10 {
		trueOnes = append(trueOnes, f.signedBy(s.alipayKey, f.payment(f.open())))
	}
	before := w.count(`select count(*) from notifications`)

	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: floodConnections + 1}}
	defer web.CloseIdleConnections()
	var refusals, wrong atomic.Int64
	var calls sync.WaitGroup
	began := time.Now()
	for i := range floodConnections {
		calls.Go(func() {
			for time.Since(began) < *floodFor {
				status, _, err := forged.strike(web, w.apis[i%2])
				if err != nil || status < 400 {
					wrong.Add(1)
				}
				refusals.Add(1)
			}
		})
	}
	var waits []time.Duration
	for i, one := range trueOnes {
		next := time.NewTimer(*floodFor / time.Duration(len(trueOnes)+1))
		<-next.C
		sent := time.Now()
		status, answer, err := one.strike(web, w.apis[i%2])
		waits = append(waits, time.Since(sent))
		require.NoError(t, err)
		require.True(t, accepted(status, answer, alipay), "%d %s", status, answer)
	}
	require.Equal(t, paid.ID, w.payment(paid.ID).ID, "others are served")
	calls.Wait()
	took := time.Since(began)
	slices.Sort(waits)
	t.Logf("%d forged ones refused in %s, %.0f a second; true ones answered after %s (median) and %s (longest)", refusals.Load(),
		took.Round(time.Millisecond), float64(refusals.Load())/took.Seconds(), waits[len(waits)/2].Round(time.Microsecond), waits[len(waits)-1].Round(time.Microsecond))
	require.Zero(t, wrong.Load())
	require.Less(t, waits[len(waits)-1], 3*time.Second)
	require.Equal(t, before+int64(len(trueOnes)), w.count(`select count(*) from notifications`))
}
