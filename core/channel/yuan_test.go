package channel

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/money"
)

func TestFormatYuan(t *testing.T) {
	t.Parallel()
	for fen, want := range map[int64]string{
		0: "0.00", 1: "0.01", 10: "0.10", 100: "1.00", 8888: "88.88",
		10_000_000_000: "100000000.00", money.MaxMinor: "10000000000000.00",
	} {
		got, err := FormatYuan(money.Fen(fen))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for name, amount := range map[string]money.Amount{
		"negative":     money.Fen(-1),
		"other":        money.Of(100, "JPY"),
		"no currency":  {Minor: 100},
		"out of range": money.Fen(money.MaxMinor + 1),
		"smallest":     money.Fen(math.MinInt64),
	} {
		_, err := FormatYuan(amount)
		require.Error(t, err, name)
	}
}

func TestParseYuanAccepts(t *testing.T) {
	t.Parallel()
	for text, fen := range map[string]int64{
		"0": 0, "0.00": 0, "0.01": 1, "0.1": 10, "1.10": 110, "5": 500, "5.0": 500,
		"88.88": 8888, "100000000.00": 10_000_000_000, "10000000000000.00": money.MaxMinor,
	} {
		got, err := ParseYuan(text)
		require.NoError(t, err, text)
		require.Equal(t, money.Fen(fen), got, text)
	}
	for text, fen := range map[string]int64{"-0.01": -1, "-0.00": 0, "-88.88": -8888, "3.10": 310} {
		got, err := ParseSignedYuan(text)
		require.NoError(t, err, text)
		require.Equal(t, money.Fen(fen), got, text)
	}
}

func TestParseYuanRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", ".", "-", "--1", "+5", " 5", "5 ", "5\t", "1.", ".5", "01.5", "00", "0.001", "1.100", "1.000",
		"1e2", "1E-2", "0x10", "1_000", "1,000.00", "\"5\"", "NaN", "Infinity", "null", "true", "1.2.3", "1.-2", "-1.+2",
		"１００", "٣", "1\u00a0", "\u202e1", "\ufeff1", "１.00", "1。00", "10000000000000.01", "99999999999999999999",
		strings.Repeat("9", 4096), "0." + strings.Repeat("0", 4096),
	} {
		_, err := ParseYuan(text)
		require.Error(t, err, text)
		_, err = ParseSignedYuan(text)
		require.Error(t, err, text)
		require.Less(t, len(err.Error()), 300)
	}
	for _, text := range []string{"-0.01", "-5", "-0"} {
		_, err := ParseYuan(text)
		require.Error(t, err, text)
	}
}

func TestYuanDecimalKeepsSubFen(t *testing.T) {
	t.Parallel()
	value, err := YuanDecimal("-0.00600", 5, true)
	require.NoError(t, err)
	require.Equal(t, "-0.006", value.String())
	_, err = YuanDecimal("0.000001", 5, true)
	require.Error(t, err)
}

// FuzzParseYuan holds: what is accepted is exactly the amount, so writing it
// back gives the same fen, and nothing else than the plain grammar is accepted.
func FuzzParseYuan(f *testing.F) {
	for _, seed := range []string{"0.01", "88.88", "-1.1", "1e2", "1.", ".5", "１", "100000000.00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		signed, err := ParseSignedYuan(text)
		if err != nil {
			_, err = ParseYuan(text)
			require.Error(t, err)
			return
		}
		require.NoError(t, signed.Check())
		require.NotContains(t, text, "+")
		magnitude := signed
		if magnitude.IsNegative() {
			magnitude = magnitude.Neg()
		}
		written, err := FormatYuan(magnitude)
		require.NoError(t, err)
		again, err := ParseYuan(written)
		require.NoError(t, err)
		require.Equal(t, magnitude, again)
		// The text itself is the written form up to trailing zeros of the fraction.
		whole, fraction, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
		require.Equal(t, written, whole+"."+(fraction + "00")[:2])
	})
}

// FuzzFormatYuan holds: every fen amount survives the round trip.
func FuzzFormatYuan(f *testing.F) {
	f.Add(int64(1))
	f.Add(money.MaxMinor)
	f.Fuzz(func(t *testing.T, fen int64) {
		text, err := FormatYuan(money.Fen(fen))
		if err != nil {
			require.True(t, fen < 0 || fen > money.MaxMinor)
			return
		}
		back, err := ParseYuan(text)
		require.NoError(t, err)
		require.Equal(t, money.Fen(fen), back)
	})
}
