package yuan_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/sandbox/yuan"
)

func TestParseAndFormat(t *testing.T) {
	t.Parallel()
	for text, fen := range map[string]int64{"0": 0, "0.01": 1, "0.1": 10, "1.10": 110, "199.00": 19900, "999999999.99": 99999999999} {
		got, err := yuan.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, fen, got, text)
	}
	for _, text := range []string{"", ".", "1.", ".5", "01.5", "-1", "+5", " 5", "1e2", "0x10", "1_000", "１", "٣", "1.001", "1,00", "NaN", "1000000000", "1.0.0"} {
		_, err := yuan.Parse(text)
		require.Error(t, err, text)
	}
	require.Equal(t, "-0.04", yuan.Format(-4))
	require.Equal(t, "199.00", yuan.Format(19900))
	require.Equal(t, "-92233720368547758.08", yuan.Format(math.MinInt64))
	require.Equal(t, "-0.12000", yuan.FormatScaled(-12000, 5))
	require.Equal(t, "0.00006", yuan.FormatScaled(6, 5))
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"0.01", "1.1", "007", "1.", "-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fen, err := yuan.Parse(text)
		if err != nil {
			return
		}
		again, err := yuan.Parse(yuan.Format(fen))
		require.NoError(t, err)
		require.Equal(t, fen, again)
	})
}
