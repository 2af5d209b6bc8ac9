package demo

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTableAlignsItsColumns(t *testing.T) {
	t.Parallel()
	table := newTable("Balances", "merchant", ">yuan", "status")
	table.row("平江书店 Bookshop", "1.00", "open")
	table.row("Teahouse", "1234567.89", "")
	var out strings.Builder
	table.print(&out)
	require.Equal(t, `
Balances
  merchant                 yuan  status
  ─────────────────  ──────────  ──────
  平江书店 Bookshop        1.00  open
  Teahouse           1234567.89
`, out.String())
}

func TestProgressCountsInPlaceOnATerminalOnly(t *testing.T) {
	t.Parallel()
	var screen, file strings.Builder
	for out, terminal := range map[*strings.Builder]bool{&screen: true, &file: false} {
		p := newProgress(out, terminal)
		p.count("1 of %d", 2)
		p.count("2 of %d", 2)
		p.done("all %d", 2)
		p.clear()
	}
	require.Equal(t, "   0.0s  … 1 of 2\r\x1b[K   0.0s  … 2 of 2\r\x1b[K   0.0s  all 2\n", screen.String())
	require.Equal(t, "   0.0s  all 2\n", file.String())
}
