package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// step is one fault of the plan: after a pause, as soon as there is work in
// flight to be hit.
type step struct {
	Pause  time.Duration `json:"pause"`
	Kind   string        `json:"kind"`
	Target string        `json:"target"`         // a process, or a link as from→to
	Length time.Duration `json:"length"`         // how long it lasts, where it lasts
	Draw   uint64        `json:"draw,omitempty"` // for what the kind itself decides
}

// plan is what shall go wrong, in two lanes that run side by side: kills, and
// what spoils the network and the clocks.
type plan struct {
	Seed  uint64        `json:"seed"`
	Load  time.Duration `json:"load"`
	Kills []step        `json:"kills"`
	Rest  []step        `json:"rest"`
}

// Mean distances between faults of each lane.
const (
	killEvery = 7 * time.Second
	restEvery = 15 * time.Second
	// wholeEvery is how often everything is killed at once.
	wholeEvery = 5 * time.Minute
)

// newPlan draws the plan of a run: the same for the same seed and length.
func newPlan(seed uint64, length time.Duration) plan {
	random := rand.New(rand.NewPCG(seed, 1))
	p := plan{Seed: seed, Load: length}
	p.Kills = draw(random, laneKills, int(length/killEvery), killEvery)
	p.Rest = draw(random, laneRest, int(length/restEvery), restEvery)
	wholes := max(1, int(length/wholeEvery))
	for i := range wholes { // evenly, never first: something must be in flight
		at := (i + 1) * len(p.Kills) / (wholes + 1)
		p.Kills[at].Kind, p.Kills[at].Target, p.Kills[at].Length = kindKillAll, everything, 0
	}
	return p
}

func draw(random *rand.Rand, lane string, n int, every time.Duration) []step {
	var weighted []faultKind
	for _, kind := range faultKinds() {
		if kind.lane == lane {
			for range kind.weight {
				weighted = append(weighted, kind)
			}
		}
	}
	steps := make([]step, 0, n)
	for range n {
		kind := weighted[random.IntN(len(weighted))]
		s := step{Kind: kind.name, Target: kind.targets[random.IntN(len(kind.targets))], Draw: random.Uint64(),
			Pause: every/2 + time.Duration(random.Int64N(int64(every/2)))}
		if kind.longest > 0 {
			s.Length = kind.shortest + time.Duration(random.Int64N(int64(kind.longest-kind.shortest)))
		}
		steps = append(steps, s)
	}
	return steps
}

// total is how many faults are planned.
func (p plan) total() int { return len(p.Kills) + len(p.Rest) }

// counts tells how many of each kind are planned.
func (p plan) counts() map[string]int {
	n := map[string]int{}
	for _, lane := range [][]step{p.Kills, p.Rest} {
		for _, s := range lane {
			n[s.Kind]++
		}
	}
	return n
}

func (s step) String() string {
	if s.Length > 0 {
		return fmt.Sprintf("%s %s for %s", s.Kind, s.Target, s.Length.Round(10*time.Millisecond))
	}
	return s.Kind + " " + s.Target
}
