package e2e_test

import (
	"context"
	"flag"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/internal/config"
)

// `make bench-isolation` gives these; without them the test is a smoke test that holds
// no times.
var (
	isolationRounds = flag.Int("isolation.rounds", 0, "measure so many rounds beside a slow channel account and as many without")
	isolationFor    = flag.Duration("isolation.for", 8*time.Second, "how long a round lasts")
)

const (
	// slowAnswer is how long the slow provider takes for every answer, in milliseconds.
	slowAnswer = 30_000
	// crowd is how many payers wait for it: more than the bulkhead lets through.
	crowd = 24
)

// guarded puts the guards around the adapters that production has by default.
func guarded(w *world) {
	w.guards = &config.Guards{ChannelTimeout: 15 * time.Second, ChannelMaxInFlight: 16, ChannelSlowAfter: 8 * time.Second,
		ChannelBadPercent: 50, ChannelBreakerCalls: 10, ChannelBadWindow: 30 * time.Second, ChannelBreakerPause: 15 * time.Second,
		ChannelRateWait: 2 * time.Second, ChannelCallMonths: 1}
}

// The API's own answers beside a provider that takes 30 s for every one of its: whoever
// pays at another provider has the code to show with the first answer, and whoever reads
// waits for nobody.
func TestTheAPIBesideASlowAccount(t *testing.T) {
	w := newWorld(t, guarded)
	rounds, each := *isolationRounds, *isolationFor
	if rounds == 0 {
		rounds, each = 1, 2*time.Second
	}
	w.apiRound(each / 2) // warms up
	var alone, beside []time.Duration
	for i := range rounds {
		without := w.apiRound(each)
		w.fault(trouble{Provider: alipay, Kind: "slow", DelayMS: slowAnswer, Rate: 1})
		leave := w.slowCrowd(crowd)
		with := w.apiRound(each)
		waiting := leave()
		w.control("DELETE", "/control/faults", nil, nil)
		require.Equal(t, crowd, waiting, "all of them wait for the slow provider meanwhile")
		alone, beside = append(alone, p99(without)), append(beside, p99(with))
		t.Logf("round %d: alone %d answers, p99 %s; beside %d answers, p99 %s; %d payments waited for the slow provider",
			i+1, len(without), p99(without), len(with), p99(with), waiting)
	}
	if *isolationRounds == 0 {
		return
	}
	slices.Sort(alone)
	slices.Sort(beside)
	ratio := float64(beside[len(beside)/2]) / float64(alone[len(alone)/2])
	t.Logf("median p99 over %d rounds: alone %s, beside the slow provider %s: %.2f times", rounds, alone[len(alone)/2], beside[len(beside)/2], ratio)
	require.LessOrEqual(t, ratio, 1.5)
}

func p99(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)*99/100]
}

// apiRound lets four callers pay at the provider that is not slow, and read, for that
// long; it returns how long each answer took.
func (w *world) apiRound(each time.Duration) []time.Duration {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, each)
	defer cancel()
	var mu sync.Mutex
	var took []time.Duration
	timed := func(call func()) {
		begin := time.Now()
		call()
		mu.Lock()
		defer mu.Unlock()
		took = append(took, time.Since(begin))
	}
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				var p client.Payment
				timed(func() { p = w.post(w.order(wechatpay, 100)) })
				if *isolationRounds > 0 && p.NextAction == nil { // a busy machine may need a second look
					w.Errorf("the first answer of a payment at the other provider is %s", p.Status)
				}
				require.NotNil(w, w.paymentIs(p.ID, client.PaymentStatusAwaitingPayer).NextAction)
				timed(func() { w.payment(p.ID) })
				timed(func() { w.posted(client.AccountTypeMerchantAvailable, w.shop.id) })
				timed(func() { w.eventsOf(p.ID) })
			}
		})
	}
	callers.Wait()
	require.NotEmpty(w, took)
	return took
}

// slowCrowd are so many payers who want a code of the slow provider at once. The
// function it returns waits for the API's answers to them, and tells how many of them
// had no code when it was called.
func (w *world) slowCrowd(payers int) (leave func() int) {
	w.Helper()
	before := w.hits()
	var crowd sync.WaitGroup
	ids := make(chan string, payers)
	for range payers {
		crowd.Go(func() { ids <- w.post(w.order(alipay, 100)).ID })
	}
	w.await("the slow provider is asked", func() (bool, any) { return w.hits() >= before+8, w.hits() })
	return func() (waiting int) {
		crowd.Wait()
		close(ids)
		for id := range ids {
			if w.payment(id).Status == client.PaymentStatusProcessing {
				waiting++
			}
		}
		return waiting
	}
}
