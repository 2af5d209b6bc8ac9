package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// report collects Markdown for docs/performance.md.
type report struct {
	appendTo string
	folder   string
	charts   []namedChart
	text     strings.Builder
}

func newReport(o options) *report {
	r := &report{appendTo: o.appendTo, folder: o.charts}
	r.line("## %s", time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	r.line("")
	r.line("Command: `bench %s`.", strings.Join(os.Args[1:], " "))
	if o.smoke {
		r.warn("a smoke run: it shows that everything runs; its numbers mean nothing")
	}
	return r
}

func (r *report) line(format string, args ...any) { fmt.Fprintf(&r.text, format+"\n", args...) }

func (r *report) warn(format string, args ...any) { r.line("**Note:** "+format+".", args...) }

// throughput writes the table of rates and ratios.
func (r *report) throughput(all []measurement, taken map[string][]sample) {
	base := medianOf(taken[referenceName])
	r.line("")
	r.line("Medians of %d rounds, in turns with the reference (`-M prepared -c %d -j %d`).", len(taken[referenceName]),
		referenceClients, referenceThreads)
	r.line("")
	r.line("| what | per second | p50 | p99 | × pgbench | beside | WAL per piece | target |")
	r.line("|---|---:|---:|---:|---:|---|---:|---|")
	r.line("| %s | %.0f | %s | %s | 1.00 | | %.1f kB | |", referenceName, base.perSecond, brief(base.p50), brief(base.p99), base.wal/1000)
	for _, m := range all {
		samples := taken[m.name]
		if len(samples) == 0 {
			continue
		}
		got := medianOf(samples)
		ratio, beside, target := got.perSecond/base.perSecond, "", ""
		if other := taken[m.beside]; len(other) > 0 {
			besides := got.perSecond / medianOf(other).perSecond
			beside = fmt.Sprintf("%.2f of *%s*", besides, m.beside)
			if m.leastBeside > 0 {
				target = met(besides >= m.leastBeside, m.target)
			}
		}
		if m.least > 0 {
			target = met(ratio >= m.least, m.target)
		}
		r.line("| %s | %.0f | %s | %s | %.2f | %s | %.1f kB | %s |", m.name, got.perSecond, brief(got.p50), brief(got.p99), ratio,
			beside, got.wal/1000, target)
	}
	r.chartThroughput(all, taken)
}

// ablation writes what each guarantee costs.
func (r *report) ablation(rows []ablated, together, alone int) {
	r.line("")
	r.line("### What each guarantee costs")
	r.line("")
	r.line("One switched off at a time, in a database of its own; all others stay. The check of holds and floors in Go and the " +
		"uniqueness of references are part of the statements and cannot be switched off.")
	r.line("")
	r.line("| what | Post in company, %d callers | ÷ all on | Post alone, %d callers | ÷ all on |", together, alone)
	r.line("|---|---:|---:|---:|---:|")
	for _, row := range rows {
		r.line("| %s | %.0f | %.2f | %.0f | %.2f |", row.name, row.together.perSecond, row.together.perSecond/rows[0].together.perSecond,
			row.alone.perSecond, row.alone.perSecond/rows[0].alone.perSecond)
	}
}

// ladder writes what each duty of a transfer adds.
func (r *report) ladder(steps []step, taken [][]sample) {
	r.line("")
	r.line("### From a posting to a transfer by HTTP")
	r.line("")
	r.line("%d callers; each row does what the rows above do, and one thing more.", httpCallers)
	r.line("")
	r.line("| what | per second | p50 | p99 | ÷ the row above |")
	r.line("|---|---:|---:|---:|---:|")
	above := 0.0
	for i, one := range steps {
		got := medianOf(taken[i])
		ratio := ""
		if above > 0 {
			ratio = fmt.Sprintf("%.2f", got.perSecond/above)
		}
		above = got.perSecond
		r.line("| %s | %.0f | %s | %s | %s |", one.name, got.perSecond, brief(got.p50), brief(got.p99), ratio)
	}
}

// reads writes the table of what reading costs by size.
func (r *report) reads(all []*history, times timings) {
	r.line("")
	r.line("### Reading, by size of the books")
	r.line("")
	r.line("Medians of %d, each on databases of every size in turns. The merchant has a tenth of all entries, the internal account "+
		"a posting of each.", readings)
	r.line("")
	head, rule := "| read", "|---"
	for _, h := range all {
		head, rule = head+fmt.Sprintf(" | %d postings", h.postings), rule+"|---:"
	}
	r.line("%s | slowest ÷ smallest | target |", head)
	r.line("%s|---:|---|", rule)
	for i, read := range reads() {
		row := "| " + read.name
		for _, took := range times[i] {
			row += " | " + brief(took)
		}
		ratio := float64(slices.Max(times[i])) / float64(times[i][0])
		target := ""
		if read.limit > 0 {
			target = met(ratio <= read.limit, fmt.Sprintf("≤ %.1f", read.limit))
		}
		r.line("%s | %.2f | %s |", row, ratio, target)
	}
	last := len(all) - 1
	for i := range 2 {
		now, past := times[i][last], times[i+4][last]
		r.line("")
		r.line("%s: %s is %.1f × %s at %d postings (%s).", reads()[i].name, readPast, float64(past)/float64(now), readNow,
			all[last].postings, met(past <= 10*now, "≤ 10"))
	}
	r.chartReads(all, times)
}

// grown writes what history costs posting.
func (r *report) grown(h *history, ops []besides) {
	r.line("")
	r.line("### Posting with %d postings and %d accounts present", h.postings, len(h.merchants)+1)
	r.line("")
	r.line("| what | empty, per second | grown, per second | grown ÷ empty | p99 empty | p99 grown | target |")
	r.line("|---|---:|---:|---:|---:|---:|---|")
	for _, row := range ops {
		ratio := row.grown.perSecond / row.empty.perSecond
		r.line("| %s | %.0f | %.0f | %.2f | %s | %s | %s |", row.name, row.empty.perSecond, row.grown.perSecond, ratio,
			brief(row.empty.p99), brief(row.grown.p99), met(ratio >= 0.85, "≥ 0.85"))
	}
	r.line("")
	r.line("What an entry costs the server; a page image is 8 kB written to the log because the page changes for the first time " +
		"since a checkpoint.")
	r.line("")
	r.line("| what | WAL, empty | WAL, grown | page images, empty | grown | pages read into buffers, empty | grown |")
	r.line("|---|---:|---:|---:|---:|---:|---:|")
	for _, row := range ops {
		r.line("| %s | %.1f kB | %.1f kB | %.2f | %.2f | %.2f | %.2f |", row.name, row.empty.wal/1000, row.grown.wal/1000,
			row.empty.images, row.grown.images, row.empty.reads, row.grown.reads)
	}
}

// verified writes what verify costs.
func (r *report) verified(h *history, v verified) {
	ratio := float64(v.full) / float64(v.sum)
	r.line("")
	r.line("### Verify on %d postings", h.postings)
	r.line("")
	if h.filled > 0 {
		r.line("Filled in %s and sealed in %s.", brief(h.filled), brief(h.sealed))
		r.line("")
	}
	r.line("| what | took | ratio | target |")
	r.line("|---|---:|---:|---|")
	r.line("| `SUM(amount) GROUP BY account` over all postings | %s | 1.0 | |", brief(v.sum))
	r.line("| verify in full, %d entries, sound | %s | %.1f | %s |", v.entries, brief(v.full), ratio, met(ratio <= 12, "≤ 12"))
	r.line("| verify since the last run | %s | | %s |", brief(v.since), met(v.since <= 10*time.Second, "≤ 10 s"))
}

// met says beside a target whether it was.
func met(ok bool, target string) string {
	if ok {
		return target + ": met"
	}
	return target + ": **missed**"
}

// finish prints the report, and appends it where asked.
func (r *report) finish() error {
	fmt.Println(r.text.String())
	for _, one := range r.charts {
		if err := one.chart.write(r.folder, one.name); err != nil {
			return err
		}
	}
	if r.appendTo == "" {
		return nil
	}
	file, err := os.OpenFile(r.appendTo, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if _, err := file.WriteString("\n" + r.text.String()); err != nil {
		return err
	}
	return file.Close()
}

// brief shows a duration with two or three digits.
func brief(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}
