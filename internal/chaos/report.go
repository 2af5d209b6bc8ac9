package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// report is everything a run came to.
type report struct {
	Seed     uint64            `json:"seed"`
	Began    time.Time         `json:"began"`
	Load     time.Duration     `json:"load"`
	Quiet    time.Duration     `json:"quiet"`
	Settings map[string]string `json:"postgres"`
	Counts   map[string]int64  `json:"counts"`
	Planned  map[string]int    `json:"planned"`
	// Hits are by kind; Steps are what was in flight at them.
	Hits     map[string]int        `json:"hits"`
	Steps    map[string]int        `json:"steps"`
	Channel  map[string]int        `json:"channel_faults"`
	Recovery map[string]recoveries `json:"recovery"`
	Missed   []string              `json:"missed,omitempty"`
	Verdicts []verdict             `json:"verdicts"`
	Problems []string              `json:"problems,omitempty"`
	Passed   bool                  `json:"passed"`
	All      []hit                 `json:"all_hits"`
}

// recoveries sums up times from a kill to health.
type recoveries struct {
	Count               int           `json:"count"`
	Median, P95, Longst time.Duration `json:",omitempty"`
}

func summed(times []time.Duration) recoveries {
	if len(times) == 0 {
		return recoveries{}
	}
	slices.Sort(times)
	return recoveries{len(times), times[len(times)/2], times[len(times)*95/100], times[len(times)-1]}
}

// longestColdStart is what the whole stack may take from kill -9 to healthy.
const longestColdStart = 60 * time.Second

// summarize fills in what the hits and the processes tell, and decides.
func (r *report) summarize(p plan, struck []hit, missed []string, processes []*process) {
	r.Planned, r.Missed, r.All = p.counts(), missed, struck
	r.Hits, r.Steps, r.Recovery = map[string]int{}, map[string]int{}, map[string]recoveries{}
	times := map[string][]time.Duration{}
	for _, h := range struck {
		r.Hits[h.Kind]++
		for _, e := range h.Evidence {
			r.Steps[e]++
		}
		if h.Kind == kindKillAll {
			times["everything"] = append(times["everything"], h.Recovery)
			if h.Recovery > longestColdStart {
				r.Problems = append(r.Problems, fmt.Sprintf("a cold start took %s", h.Recovery))
			}
		}
	}
	for _, process := range processes {
		process.mu.Lock()
		times[process.kind] = append(times[process.kind], process.recoveries...)
		process.mu.Unlock()
	}
	for kind, list := range times {
		r.Recovery[kind] = summed(list)
	}
	for kind, planned := range r.Planned {
		if r.Hits[kind] < planned {
			r.Problems = append(r.Problems, fmt.Sprintf("%s: %d of %d planned were hits", kind, r.Hits[kind], planned))
		}
	}
	for _, v := range r.Verdicts {
		if !v.right() {
			r.Problems = append(r.Problems, fmt.Sprintf("%s: %d differences", v.Check, len(v.Differences)))
		}
	}
	r.Passed = len(r.Problems) == 0
}

// kills counts the kills that were hits.
func (r *report) kills() int {
	n := 0
	for kind, count := range r.Hits {
		if strings.HasPrefix(kind, "kill -9") {
			n += count
		}
	}
	return n
}

// print tells it to people.
func (r *report) print(out io.Writer) {
	say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	say("\nseed %d, %s of load, everything final %s after the faults stopped", r.Seed, r.Load.Round(time.Second), r.Quiet.Round(time.Second))
	say("postgres: %v", r.Settings)
	say("asked for: %v", r.Counts)
	say("\nfaults that hit work in flight (planned):")
	for _, kind := range faultKinds() {
		if r.Planned[kind.name] > 0 {
			say("  %-24s %4d (%d)", kind.name, r.Hits[kind.name], r.Planned[kind.name])
		}
	}
	say("  kills in flight in all   %4d", r.kills())
	say("  answers of providers     %4d spoiled: %v", total(r.Channel), r.Channel)
	say("\nin flight at those moments:")
	for _, step := range byCount(r.Steps) {
		say("  %4d  %s", r.Steps[step], step)
	}
	say("\nfrom a kill to health:")
	for _, kind := range []string{"worker", "api", "sandbox", "temporal", "postgres", "everything"} {
		if t := r.Recovery[kind]; t.Count > 0 {
			say("  %-12s %4d times, median %s, 95 %% %s, longest %s", kind, t.Count, short(t.Median), short(t.P95), short(t.Longst))
		}
	}
	say("\njudge:")
	for _, v := range r.Verdicts {
		mark := "ok   "
		if !v.right() {
			mark = "WRONG"
		}
		say("  %s %-28s %s", mark, v.Check, v.Found)
		for i, d := range v.Differences {
			if i == 20 {
				say("          … and %d more", len(v.Differences)-i)
				break
			}
			say("          %s", d)
		}
	}
	for _, p := range r.Problems {
		say("PROBLEM %s", p)
	}
	if r.Passed {
		say("\nPASSED: 0 lost, 0 doubled")
	} else {
		say("\nFAILED")
	}
}

func (r *report) write(file string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o600)
}

func total(n map[string]int) int {
	sum := 0
	for _, count := range n {
		sum += count
	}
	return sum
}

func byCount(n map[string]int) []string {
	var names []string
	for name := range n {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if n[a] != n[b] {
			return n[b] - n[a]
		}
		return strings.Compare(a, b)
	})
	return names[:min(len(names), 40)]
}

func short(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
