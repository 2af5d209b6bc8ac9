package api

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
)

// FuzzCursor: a cursor that is taken is one that we could have given, and leads
// to the same place.
func FuzzCursor(f *testing.F) {
	f.Add(*nextCursor("pay_01J8ZQ4M6W3N5P7R9S1T2V4X6Y"))
	f.Add(*nextCursor("s.12.3"))
	for _, seed := range []string{"", "MS4", "MS5zLjEuMQ==", "MS5zLi0xLjE", "MS5zLjEuMTAwMDAw", "!!", "MS5wYXlf"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		if p, err := readPage(nil, &cursor, id.Payment); err == nil {
			require.NoError(t, id.Check(id.Payment, p.before))
			again, err := readPage(nil, nextCursor(p.before), id.Payment)
			require.NoError(t, err)
			require.Equal(t, p, again)
		}
		if at, err := readPosition(&cursor); err == nil {
			require.Positive(t, at.Seq)
			require.Positive(t, at.Leg)
		}
	})
}
