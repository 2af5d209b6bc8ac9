package demo

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table is text in aligned columns.
type table struct {
	title string
	// columns name the columns; a name that begins with > is aligned to the right.
	columns []string
	rows    [][]string
}

func newTable(title string, columns ...string) *table { return &table{title: title, columns: columns} }

// row adds a row of as many cells as there are columns.
func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// print writes the table.
func (t *table) print(out io.Writer) {
	names, right := make([]string, len(t.columns)), make([]bool, len(t.columns))
	for i, column := range t.columns {
		names[i], right[i] = strings.CutPrefix(column, ">")
	}
	widths := make([]int, len(names))
	for _, cells := range append([][]string{names}, t.rows...) {
		for i, cell := range cells {
			widths[i] = max(widths[i], width(cell))
		}
	}
	line := func(cells []string) {
		var text strings.Builder
		for i, cell := range cells {
			pad := strings.Repeat(" ", widths[i]-width(cell))
			if right[i] {
				text.WriteString("  " + pad + cell)
			} else {
				text.WriteString("  " + cell + pad)
			}
		}
		fmt.Fprintln(out, strings.TrimRight(text.String(), " "))
	}
	fmt.Fprintf(out, "\n%s\n", t.title)
	line(names)
	rule := make([]string, len(widths))
	for i, w := range widths {
		rule[i] = strings.Repeat("─", w)
	}
	line(rule)
	for _, cells := range t.rows {
		line(cells)
	}
}

// width is how many columns of a terminal the text takes: Chinese characters
// take two.
func width(text string) int {
	n := utf8.RuneCountInString(text)
	for _, c := range text {
		if c >= 0x2e80 && c <= 0xffef {
			n++
		}
	}
	return n
}
