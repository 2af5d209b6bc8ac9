package crashmatrix_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"github.com/suanpan/suanpan/internal/crashmatrix"
)

// Whoever registers an activity, a workflow or a sweep gives it cells: add it to
// the Steps of a scenario that passes through it, or write one that does.
func TestEveryRegisteredStepHasAScenario(t *testing.T) {
	t.Parallel()
	registered := crashmatrix.Registered()
	for _, name := range []string{"SendRefund", "GiveUpReconciliation", "DailyRound", "LatePayment", "expire holds"} {
		require.Contains(t, registered, name)
	}
	require.Empty(t, crashmatrix.Unanswered(registered, crashmatrix.Scenarios()),
		"registered, and no scenario of internal/crashmatrix answers for it")
}

// extra is an activity that somebody registers and writes no scenario for.
type extra struct{}

func (*extra) PayTheMoon(context.Context) error { return nil }

func TestAnExtraStepTurnsItRed(t *testing.T) {
	t.Parallel()
	names := crashmatrix.NamesOf(func(r worker.ActivityRegistry) {
		r.RegisterActivity(&extra{})
		r.RegisterActivityWithOptions((&extra{}).PayTheMoon, activity.RegisterOptions{Name: "PayMars"})
		r.RegisterActivity((&extra{}).PayTheMoon)
	})
	require.Equal(t, []string{"PayTheMoon", "PayMars", "PayTheMoon"}, names)
	registered := append(crashmatrix.Registered(), "PayTheMoon")
	require.Equal(t, []string{"PayTheMoon"}, crashmatrix.Unanswered(registered, crashmatrix.Scenarios()))
}

func TestScenariosAnswerForWhatExists(t *testing.T) {
	t.Parallel()
	registered := crashmatrix.Registered()
	names := map[string]bool{}
	for _, s := range crashmatrix.Scenarios() {
		require.False(t, names[s.Name], "%s is there twice", s.Name)
		names[s.Name] = true
		for _, step := range s.Steps {
			known := slices.Contains(registered, step) || step == "webhooks" || len(step) > 5 && step[:5] == "POST "
			require.True(t, known, "%s answers for %s, which is not registered", s.Name, step)
		}
	}
}

func TestSharesOfSuccessiveSeedsAreTheWhole(t *testing.T) {
	t.Parallel()
	var cells []string
	for i := range 1000 {
		cells = append(cells, fmt.Sprintf("pay-alipay/QueryAttempt/commit.before#%d", i))
	}
	const first, n = 4711, 8
	seen := map[string]int{}
	for seed := range uint64(n) {
		share := crashmatrix.Share(cells, n, first+seed)
		require.InDelta(t, len(cells)/n, len(share), 60)
		for _, cell := range share {
			seen[cell]++
		}
	}
	require.Len(t, seen, len(cells))
	for cell, times := range seen {
		require.Equal(t, 1, times, cell)
	}
	require.Equal(t, cells, crashmatrix.Share(cells, 1, first))
	n8, err := crashmatrix.ParseShare("1/8")
	require.NoError(t, err)
	require.Equal(t, 8, n8)
	for _, bad := range []string{"", "8", "2/8", "1/0", "1/-1"} {
		_, err := crashmatrix.ParseShare(bad)
		require.Error(t, err, bad)
	}
}
