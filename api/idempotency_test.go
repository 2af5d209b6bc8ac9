package api

import (
	"flag"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
)

var (
	idempotencyRounds = flag.Int("idempotency.rounds", 8, "rounds of calls with one key")
	idempotencyCalls  = flag.Int("idempotency.calls", 100, "calls of a round, all at once")
)

// All at once, on two instances: one object, the same bytes for everybody; then the
// key with another body is refused, each time.
func TestOneKeyMakesOneObject(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(1_000_000)
	other := f.newMerchant("other")
	instances := f.twoInstances()
	bodies := map[string]func(reference string) string{
		"/v1/transfers": func(reference string) string { return f.transfer(other, reference, 1, "") },
		"/v1/payments":  f.payment,
	}
	targets := []string{"/v1/transfers", "/v1/payments"}
	if *program != "" {
		targets = targets[:1] // a payment waits a moment for its workflow, and here is none
	}
	conflicts, counted, kills := 0, 0, 0
	for round := range *idempotencyRounds {
		target := targets[round%len(targets)]
		key, reference := id.Number(), id.Number()
		body := bodies[target](reference)
		answers := make([]response, *idempotencyCalls)
		var calls sync.WaitGroup
		for i := range answers {
			calls.Go(func() { answers[i] = insists(instances, i, target, body, key) })
		}
		if *program != "" && round%5 == 4 {
			instances[kills%2].restart() // while they call
			kills++
		}
		calls.Wait()
		first := 0
		for _, got := range answers {
			require.Equal(t, http.StatusCreated, got.Code, got.Body)
			require.Equal(t, answers[0].Body.String(), got.Body.String())
			if got.Header().Get("Idempotency-Replayed") == "" {
				first++
			}
		}
		require.LessOrEqual(t, first, 1, "one made it")
		counted++
		for i := range 2 {
			instances[i].post(target, bodies[target](id.Number()), "Idempotency-Key", key).
				refused(http.StatusConflict, "idempotency_key_reused", "Idempotency-Key")
			conflicts++
		}
		require.Equal(t, counted, f.count(`transfers`)+f.count(`payments`))
	}
	t.Logf("%d rounds of %d calls on two instances, one of them killed %d times, %d objects; %d other bodies refused",
		counted, *idempotencyCalls, kills, counted, conflicts)
}
