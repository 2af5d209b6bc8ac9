package split_test

import (
	"math/big"
	"math/bits"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/suanpan/suanpan/core/split"
	"github.com/suanpan/suanpan/money"
)

func legsOf(amounts ...int64) []split.BookedLeg {
	legs := make([]split.BookedLeg, len(amounts))
	for i, a := range amounts {
		legs[i].Position = i
		legs[i].Amount = money.Fen(a)
		legs[i].Refunded = money.Fen(0)
	}
	return legs
}

func amountsOf(parts []split.Part) []int64 {
	out := make([]int64, len(parts))
	for i, p := range parts {
		out[i] = p.Amount.Minor
	}
	return out
}

func TestRefundPartsByExample(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		legs   []int64
		refund int64
		want   []int64
	}{
		"all":                        {[]int64{90, 7, 3}, 100, []int64{90, 7, 3}},
		"one leg":                    {[]int64{100}, 33, []int64{33}},
		"exact":                      {[]int64{90, 10}, 50, []int64{45, 5}},
		"the nearest unit":           {[]int64{97, 3}, 1, []int64{1, 0}},
		"ties go to the earlier leg": {[]int64{1, 1}, 1, []int64{1, 0}},
		"spread over the legs":       {[]int64{1, 1, 1, 1}, 2, []int64{1, 0, 1, 0}},
		"empty legs stay empty":      {[]int64{0, 7, 0}, 3, []int64{0, 3, 0}},
		"beyond 64-bit products":     {[]int64{money.MaxMinor - 1, 1}, money.MaxMinor - 1, []int64{money.MaxMinor - 2, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			total := int64(0)
			for _, a := range c.legs {
				total += a
			}
			parts, err := split.RefundParts(legsOf(c.legs...), money.Fen(total), money.Fen(0), money.Fen(c.refund))
			require.NoError(t, err)
			require.Equal(t, c.want, amountsOf(parts))
		})
	}
}

func TestRefundPartsRefusesWhatDoesNotAddUp(t *testing.T) {
	t.Parallel()
	overdrawn := legsOf(10, 10)
	overdrawn[0].Refunded = money.Fen(11)
	foreign := legsOf(10)
	foreign[0].Amount.Currency = "USD"
	for name, c := range map[string]struct {
		legs               []split.BookedLeg
		total, before, now money.Amount
	}{
		"nothing":                  {legsOf(10), money.Fen(10), money.Fen(0), money.Fen(0)},
		"negative":                 {legsOf(10), money.Fen(10), money.Fen(0), money.Fen(-1)},
		"more than is left":        {legsOf(10), money.Fen(10), money.Fen(5), money.Fen(6)},
		"legs of another payment":  {legsOf(10), money.Fen(11), money.Fen(0), money.Fen(1)},
		"a promise not on the leg": {legsOf(10), money.Fen(10), money.Fen(1), money.Fen(1)},
		"an overdrawn leg":         {overdrawn, money.Fen(20), money.Fen(11), money.Fen(1)},
		"another currency":         {legsOf(10), money.Fen(10), money.Fen(0), money.Of(1, "USD")},
		"a leg of another":         {foreign, money.Fen(10), money.Fen(0), money.Fen(1)},
		"no legs":                  {nil, money.Fen(10), money.Fen(0), money.Fen(1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parts, err := split.RefundParts(c.legs, c.total, c.before, c.now)
			require.Error(t, err)
			require.Nil(t, parts)
		})
	}
}

// naiveTargets halves the legs as targets does, with exact fractions: a half's
// proportion plus one half, rounded down.
func naiveTargets(amounts []*big.Int, refunded *big.Int) []*big.Int {
	if len(amounts) == 1 {
		return []*big.Int{refunded}
	}
	sum := func(of []*big.Int) *big.Int {
		total := new(big.Int)
		for _, a := range of {
			total.Add(total, a)
		}
		return total
	}
	first, second := amounts[:len(amounts)/2], amounts[len(amounts)/2:]
	share := new(big.Int)
	if whole := sum(amounts); whole.Sign() > 0 {
		exact := new(big.Rat).SetFrac(new(big.Int).Mul(refunded, sum(first)), whole)
		exact.Add(exact, big.NewRat(1, 2))
		share.Quo(exact.Num(), exact.Denom())
	}
	rest := new(big.Int).Sub(refunded, share)
	return append(naiveTargets(first, share), naiveTargets(second, rest)...)
}

func bigAmounts(legs []split.BookedLeg) []*big.Int {
	out := make([]*big.Int, len(legs))
	for i, leg := range legs {
		out[i] = big.NewInt(leg.Amount.Minor)
	}
	return out
}

// requireClose checks that each leg is within half a unit per halving of its
// exact proportion of refunded.
func requireClose(t require.TestingT, legs []split.BookedLeg, total, refunded int64) {
	bound := big.NewInt(int64(bits.Len(uint(len(legs) - 1)))) // halvings, in half units
	bound.Mul(bound, big.NewInt(total))
	for i, leg := range legs {
		off := new(big.Int).Mul(big.NewInt(leg.Amount.Minor), big.NewInt(refunded))
		off.Sub(off, new(big.Int).Mul(big.NewInt(leg.Refunded.Minor), big.NewInt(total)))
		off.Abs(off).Mul(off, big.NewInt(2))
		require.LessOrEqual(t, off.Cmp(bound), 0, "leg %d of %d gave back %d of %d", i, leg.Amount.Minor, leg.Refunded.Minor, refunded)
	}
}

func TestAnySequenceOfRefundsBringsEveryLegToZero(t *testing.T) {
	t.Parallel()
	var sequences, refunds atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.OneOf(rapid.Int64Range(0, 30), rapid.Int64Range(0, 1_000_000), rapid.Int64Range(0, money.MaxMinor/8))
		legs := legsOf(rapid.SliceOfN(amount, 1, 8).Draw(t, "legs")...)
		total := int64(0)
		for _, leg := range legs {
			total += leg.Amount.Minor
		}
		if total == 0 {
			return
		}
		for before, n := int64(0), 1; before < total; n++ {
			now := total - before
			if n < 6 {
				now = rapid.OneOf(rapid.Int64Range(1, min(now, 3)), rapid.Int64Range(1, now)).Draw(t, "refund")
			}
			parts, err := split.RefundParts(legs, money.Fen(total), money.Fen(before), money.Fen(now))
			require.NoError(t, err)
			sum := int64(0)
			for i, p := range parts {
				require.Equal(t, legs[i].Position, p.Position)
				require.GreaterOrEqual(t, p.Amount.Minor, int64(0))
				legs[i].Refunded.Minor += p.Amount.Minor
				require.LessOrEqual(t, legs[i].Refunded.Minor, legs[i].Amount.Minor)
				sum += p.Amount.Minor
			}
			require.Equal(t, now, sum)
			before += now
			for i, target := range naiveTargets(bigAmounts(legs), big.NewInt(before)) {
				require.Equal(t, target.Int64(), legs[i].Refunded.Minor, "leg %d after %d", i, before)
			}
			requireClose(t, legs, total, before)
			refunds.Add(1)
		}
		for _, leg := range legs {
			require.Equal(t, leg.Amount, leg.Refunded)
		}
		sequences.Add(1)
	})
	t.Logf("%d refunds in %d sequences, each to zero", refunds.Load(), sequences.Load())
}

// Refunds overlap, and some fail after later ones were promised: their parts
// come back from the middle, and still every leg ends at exactly zero.
func TestFailedRefundsInTheMiddleLeaveNoTrace(t *testing.T) {
	t.Parallel()
	var promised, failed atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		legs := legsOf(rapid.SliceOfN(rapid.Int64Range(0, 1000), 1, 6).Draw(t, "legs")...)
		total, before := int64(0), int64(0)
		for _, leg := range legs {
			total += leg.Amount.Minor
		}
		var inFlight [][]split.Part
		count := func(parts []split.Part, sign int64) {
			for i, p := range parts {
				require.GreaterOrEqual(t, p.Amount.Minor, int64(0))
				legs[i].Refunded.Minor += sign * p.Amount.Minor
				require.LessOrEqual(t, legs[i].Refunded.Minor, legs[i].Amount.Minor)
				before += sign * p.Amount.Minor
			}
		}
		for n := 0; before < total; n++ {
			now := total - before
			if n < 8 {
				now = rapid.Int64Range(1, now).Draw(t, "refund")
			}
			parts, err := split.RefundParts(legs, money.Fen(total), money.Fen(before), money.Fen(now))
			require.NoError(t, err)
			after := before + now
			count(parts, 1)
			require.Equal(t, after, before)
			promised.Add(1)
			inFlight = append(inFlight, parts)
			if n < 8 && rapid.Bool().Draw(t, "one fails") {
				i := rapid.IntRange(0, len(inFlight)-1).Draw(t, "which")
				count(inFlight[i], -1)
				inFlight = slices.Delete(inFlight, i, i+1)
				failed.Add(1)
			}
		}
		for _, leg := range legs {
			require.Equal(t, leg.Amount, leg.Refunded)
		}
	})
	t.Logf("%d refunds promised, %d of them failed", promised.Load(), failed.Load())
}

// One fen a hundred times (failures B5.7): the legs drain evenly.
func TestOneFenAtATime(t *testing.T) {
	t.Parallel()
	legs := legsOf(50, 27, 20, 3)
	for before := range int64(100) {
		parts, err := split.RefundParts(legs, money.Fen(100), money.Fen(before), money.Fen(1))
		require.NoError(t, err)
		for i, p := range parts {
			legs[i].Refunded.Minor += p.Amount.Minor
		}
		requireClose(t, legs, 100, before+1)
	}
	for _, leg := range legs {
		require.Equal(t, leg.Amount, leg.Refunded)
	}
}
