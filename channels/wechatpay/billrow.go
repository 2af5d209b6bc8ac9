package wechatpay

import (
	"fmt"
	"math/bits"
	"strings"
)

// maxEscapes bounds how many doubtful separators one row may have.
const maxEscapes = 10

// splitRow splits a row of which each cell begins with a backtick. A comma inside a
// text is escaped with a backslash, but a text may also end in a backslash of
// its own: which of the separators behind a backslash is none is found by the
// cells whose form is known, and only taken if every reading agrees on what is
// used.
func splitRow(text string, width int, plausible func([]string) bool, same func(one, other []string) bool) ([]string, error) {
	parts := strings.Split(strings.TrimPrefix(text, "`"), ",`")
	extra := len(parts) - width
	if extra == 0 {
		return unescaped(parts), nil
	}
	var doubtful []int
	for i, part := range parts[:len(parts)-1] {
		if strings.HasSuffix(part, `\`) {
			doubtful = append(doubtful, i)
		}
	}
	wrong := fmt.Errorf("has %d cells for %d columns", len(parts), width)
	if extra < 0 || len(doubtful) < extra || len(doubtful) > maxEscapes {
		return nil, wrong
	}
	var found []string
	for choice := uint(0); choice < 1<<len(doubtful); choice++ {
		if bits.OnesCount(choice) != extra {
			continue
		}
		cells := unescaped(joined(parts, doubtful, choice))
		if !plausible(cells) {
			continue
		}
		if found != nil && !same(found, cells) {
			return nil, fmt.Errorf("%w and can be read in two ways", wrong)
		}
		found = cells
	}
	if found == nil {
		return nil, wrong
	}
	return found, nil
}

// joined undoes the separators behind the doubtful parts that choice names.
func joined(parts []string, doubtful []int, choice uint) []string {
	undo := map[int]bool{}
	for bit, part := range doubtful {
		undo[part] = choice&(1<<bit) != 0
	}
	cells := []string{parts[0]}
	for i, part := range parts[1:] {
		if undo[i] {
			cells[len(cells)-1] += ",`" + part
			continue
		}
		cells = append(cells, part)
	}
	return cells
}

func unescaped(cells []string) []string {
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(cell, `\,`, ",")
	}
	return cells
}
