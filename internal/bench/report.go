package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// report collects Markdown for docs/performance.md.
type report struct {
	appendTo string
	text     strings.Builder
}

func newReport(o options) *report {
	r := &report{appendTo: o.appendTo}
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
	r.line("| what | per second | p50 | p99 | × pgbench | beside | target |")
	r.line("|---|---:|---:|---:|---:|---|---|")
	r.line("| %s | %.0f | %s | %s | 1.00 | | |", referenceName, base.perSecond, brief(base.p50), brief(base.p99))
	for _, m := range all {
		samples := taken[m.name]
		if len(samples) == 0 {
			continue
		}
		got := medianOf(samples)
		beside := ""
		if other := taken[m.beside]; len(other) > 0 {
			beside = fmt.Sprintf("%.2f of *%s*", got.perSecond/medianOf(other).perSecond, m.beside)
		}
		r.line("| %s | %.0f | %s | %s | %.2f | %s | %s |", m.name, got.perSecond, brief(got.p50), brief(got.p99),
			got.perSecond/base.perSecond, beside, m.target)
	}
	r.line("")
}

// finish prints the report, and appends it where asked.
func (r *report) finish() error {
	fmt.Println(r.text.String())
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
