package main

import (
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// chart writes one SVG, readable on light and dark pages.
type chart struct {
	text          strings.Builder
	width, height int
}

func newChart(width, height int, title string) *chart {
	c := &chart{width: width, height: height}
	fmt.Fprintf(&c.text, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		width, height)
	fmt.Fprintf(&c.text, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	c.label(16, 22, "start", "#1f2933", title)
	return c
}

func (c *chart) label(x, y float64, anchor, colour, text string) {
	fmt.Fprintf(&c.text, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, anchor, colour, html.EscapeString(text))
}

func (c *chart) line(x1, y1, x2, y2 float64, colour, more string) {
	fmt.Fprintf(&c.text, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" %s/>`+"\n", x1, y1, x2, y2, colour, more)
}

func (c *chart) write(folder, name string) error {
	if folder == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(folder, name), []byte(c.text.String()+"</svg>\n"), 0o644)
}

// bar is a row of a bar chart; target 0 is none.
type bar struct {
	name          string
	value, target float64
}

// bars draws ratios to pgbench, with a mark where the target is.
func bars(title string, rows []bar) *chart {
	const left, unit, high = 400, 130, 26
	most := 1.0
	for _, row := range rows {
		most = max(most, row.value, row.target)
	}
	c := newChart(left+int(most*unit)+80, 50+len(rows)*high, title)
	c.line(left+unit, 34, left+unit, float64(c.height)-8, "#9aa5b1", `stroke-dasharray="3 3"`)
	for i, row := range rows {
		y := float64(40 + i*high)
		colour := "#4c78a8"
		switch {
		case row.target > 0 && row.value >= row.target:
			colour = "#54a24b"
		case row.target > 0:
			colour = "#e45756"
		}
		c.label(left-8, y+14, "end", "#1f2933", row.name)
		fmt.Fprintf(&c.text, `<rect x="%d" y="%.1f" width="%.1f" height="18" fill="%s"/>`+"\n", left, y, row.value*unit, colour)
		c.label(left+row.value*unit+6, y+14, "start", "#1f2933", fmt.Sprintf("%.2f", row.value))
		if row.target > 0 {
			x := left + row.target*unit
			c.line(x, y-3, x, y+21, "#1f2933", `stroke-width="2"`)
		}
	}
	return c
}

// chartThroughput draws every row beside pgbench.
func (r *report) chartThroughput(all []measurement, taken map[string][]sample) {
	base := medianOf(taken[referenceName]).perSecond
	rows := []bar{{name: referenceName, value: 1}}
	for _, m := range all {
		if samples := taken[m.name]; len(samples) > 0 {
			rows = append(rows, bar{m.name, medianOf(samples).perSecond / base, m.least})
		}
	}
	r.charts = append(r.charts, namedChart{"throughput.svg",
		bars("Per second, as a ratio to pgbench TPC-B on the same server (black marks: targets)", rows)})
}

// chartReads draws the time of each read over the size of the books.
func (r *report) chartReads(all []*history, times timings) {
	const left, top, wide, high = 70.0, 44.0, 520.0, 260.0
	colours := []string{"#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2"}
	c := newChart(960, 350, "Time of a read over the size of the books (median, milliseconds)")
	most := time.Duration(0)
	for _, row := range times {
		for _, took := range row {
			most = max(most, took)
		}
	}
	most = most * 11 / 10
	first, last := math.Log10(float64(all[0].postings)), math.Log10(float64(all[len(all)-1].postings))
	x := func(postings int) float64 {
		return left + (math.Log10(float64(postings))-first)/max(last-first, 0.1)*wide
	}
	y := func(took time.Duration) float64 { return top + high - float64(took)/float64(most)*high }
	c.line(left, top+high, left+wide, top+high, "#9aa5b1", "")
	for step := range 5 {
		took := most * time.Duration(step) / 4
		c.line(left, y(took), left+wide, y(took), "#e4e7eb", "")
		c.label(left-8, y(took)+4, "end", "#1f2933", fmt.Sprintf("%.2f", took.Seconds()*1000))
	}
	for _, h := range all {
		c.label(x(h.postings), top+high+18, "middle", "#1f2933", fmt.Sprintf("%.0e", float64(h.postings)))
	}
	for i, read := range reads() {
		var points []string
		for j, took := range times[i] {
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(all[j].postings), y(took)))
		}
		fmt.Fprintf(&c.text, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), colours[i])
		c.label(left+wide+20, top+20+float64(i)*20, "start", colours[i], read.name)
	}
	r.charts = append(r.charts, namedChart{"reads.svg", c})
}

type namedChart struct {
	name  string
	chart *chart
}
