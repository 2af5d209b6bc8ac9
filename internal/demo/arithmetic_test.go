package demo

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestYuan(t *testing.T) {
	t.Parallel()
	for fen, text := range map[int64]string{
		0: "0.00", 1: "0.01", 10: "0.10", 99: "0.99", 100: "1.00", 123_456_789: "1234567.89",
		-1: "-0.01", -100: "-1.00", -12_345: "-123.45",
	} {
		require.Equal(t, text, yuan(fen))
		back, err := fenOf(text)
		require.NoError(t, err)
		require.Equal(t, fen, back)
	}
}

func TestFenOfRoundsAndRefuses(t *testing.T) {
	t.Parallel()
	for text, fen := range map[string]int64{
		"12.02000": 1202, "0.005": 1, "0.00499": 0, "-0.005": -1, "-0.20000": -20, "7": 700, "7.1": 710, "7.": 700,
	} {
		got, err := fenOf(text)
		require.NoError(t, err, text)
		require.Equal(t, fen, got, text)
	}
	for _, text := range []string{"", "-", ".5", "1.2x", "x", "1,000.00", "--1"} {
		_, err := fenOf(text)
		require.Error(t, err, text)
	}
}

func TestSharesOnPaper(t *testing.T) {
	t.Parallel()
	mall := terms{platform: 100, agent: 500, head: 2000}
	require.Equal(t, shares{store: 18_800, platform: 200, agent: 800, head: 200}, mall.divide(20_000))
	require.Equal(t, shares{store: 1}, mall.divide(1))
	require.Equal(t, shares{store: 95, agent: 4}, mall.divide(99))
	require.Equal(t, int64(60), percentHalfUp(10_001, 60))
	require.Equal(t, int64(0), percentHalfUp(83, 60))
	require.Equal(t, int64(1), percentHalfUp(84, 60))
	require.Equal(t, int64(20), feeBack(60, 3_333, 10_001), "19.996 is nearer to 20")
}

func TestSharesAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rates := terms{
			platform: rapid.Int64Range(0, 5_000).Draw(t, "platform"),
			agent:    rapid.Int64Range(0, 5_000).Draw(t, "agent"),
			head:     rapid.Int64Range(0, 10_000).Draw(t, "head"),
		}
		fen := rapid.Int64Range(1, 100_000_000_000).Draw(t, "fen")
		s := rates.divide(fen)
		require.Equal(t, fen, s.store+s.platform+s.agent+s.head)
		require.GreaterOrEqual(t, min(s.store, s.platform, s.agent, s.head), int64(0))
		require.Equal(t, shares{}, s.less(s))
		whole, exact := s.part(1, 1)
		require.True(t, exact)
		require.Equal(t, s, whole)
		fee := percentHalfUp(fen, 60)
		if fen <= 1_000_000_000 {
			require.Equal(t, fee, feeBack(fee, fen, fen))
		}
	})
}

func TestPartSaysWhenItDoesNotDivide(t *testing.T) {
	t.Parallel()
	quarter, exact := shares{18_800, 200, 800, 200}.part(1, 4)
	require.True(t, exact)
	require.Equal(t, shares{4_700, 50, 200, 50}, quarter)
	_, exact = shares{18_801, 200, 800, 200}.part(1, 4)
	require.False(t, exact)
}

func TestSameSaysWhatWasExpected(t *testing.T) {
	t.Parallel()
	require.NoError(t, sameFen("the fee", 12, 12))
	require.EqualError(t, sameFen("the fee", 12, 1_300), "the fee: expected 0.12, got 13.00")
	require.EqualError(t, same("refunds", tally{2, 300}, tally{1, 100}), "refunds: expected 2 of 3.00 yuan, got 1 of 1.00 yuan")
}
