package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheSameSeedGivesTheSamePlan(t *testing.T) {
	t.Parallel()
	first := newPlan(7, 20*time.Minute)
	require.Equal(t, first, newPlan(7, 20*time.Minute))
	require.NotEqual(t, first.Kills, newPlan(8, 20*time.Minute).Kills)
	require.NotEqual(t, first.Rest, newPlan(8, 20*time.Minute).Rest)
}

func TestALongRunKillsOftenEnough(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		p := newPlan(seed, 20*time.Minute)
		require.GreaterOrEqual(t, len(p.Kills), 120)
		counts := p.counts()
		require.GreaterOrEqual(t, counts[kindKillAll], 3)
		for _, kind := range faultKinds() {
			require.NotZero(t, counts[kind.name], "seed %d never draws %q", seed, kind.name)
		}
		require.NotEqual(t, kindKillAll, p.Kills[0].Kind)
	}
}

func TestEveryStepCanBeCarriedOut(t *testing.T) {
	t.Parallel()
	kinds := map[string]faultKind{}
	for _, kind := range faultKinds() {
		require.NotNil(t, kind.strike, kind.name)
		kinds[kind.name] = kind
	}
	p := newPlan(3, 20*time.Minute)
	for _, s := range append(p.Kills, p.Rest...) {
		kind := kinds[s.Kind]
		require.Contains(t, kind.targets, s.Target)
		require.Positive(t, s.Pause)
		require.GreaterOrEqual(t, s.Length, kind.shortest)
		require.LessOrEqual(t, s.Length, kind.longest)
		require.True(t, strings.HasPrefix(s.String(), s.Kind+" "+s.Target))
	}
}

func TestTheSmokePlanFitsItsTime(t *testing.T) {
	t.Parallel()
	p := newPlan(1, smokeDuration)
	require.Equal(t, 1, p.counts()[kindKillAll])
	for _, lane := range [][]step{p.Kills, p.Rest} {
		var all time.Duration
		for _, s := range lane {
			all += s.Pause + s.Length
		}
		require.LessOrEqual(t, all, smokeDuration+10*time.Second)
	}
}

// A plan that is not carried out in full is no pass, whatever the judge says.
func TestFewerHitsThanPlannedIsNoPass(t *testing.T) {
	t.Parallel()
	p := plan{Kills: []step{{Kind: "kill -9 api"}, {Kind: "kill -9 api"}}}
	right := []verdict{{Check: "everything"}}
	struck := []hit{{Kind: "kill -9 api", Evidence: []string{"createPayment"}}}
	r := report{Verdicts: right}
	r.summarize(p, struck, []string{"kill -9 api: nothing was in flight"}, nil)
	require.False(t, r.Passed)
	require.Equal(t, []string{"kill -9 api: 1 of 2 planned were hits"}, r.Problems)

	r = report{Verdicts: right}
	r.summarize(p, append(struck, struck...), nil, nil)
	require.True(t, r.Passed, r.Problems)
	require.Equal(t, 2, r.kills())

	r = report{Verdicts: []verdict{{Check: "money", Differences: []string{"1 fen"}}}}
	r.summarize(p, append(struck, struck...), nil, nil)
	require.False(t, r.Passed)

	slow := []hit{{Kind: kindKillAll, Recovery: longestColdStart + time.Second}}
	r = report{Verdicts: right}
	r.summarize(plan{Kills: []step{{Kind: kindKillAll}}}, slow, nil, nil)
	require.False(t, r.Passed)
}
