package money_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/suanpan/suanpan/money"
)

func minors(amounts []money.Amount) (out []int64) {
	for _, a := range amounts {
		out = append(out, a.Minor)
	}
	return out
}

func TestAllocate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		minor   int64
		weights []int64
		want    []int64
	}{
		{100, []int64{3333, 3333, 3333}, []int64{34, 33, 33}}, // ties go by index
		{1, []int64{1, 9999}, []int64{0, 1}},                  // the largest remainder takes it
		{7, []int64{1, 1, 1, 1, 1, 1, 1, 1}, []int64{1, 1, 1, 1, 1, 1, 1, 0}},
		{10, []int64{1, 0, 2}, []int64{3, 0, 7}},
		{0, []int64{1, 2}, []int64{0, 0}},
		{5, []int64{9}, []int64{5}},
		{money.MaxMinor, []int64{math.MaxInt64 - 1, 1}, []int64{money.MaxMinor, 0}},
	} {
		got, err := money.Fen(c.minor).Allocate(c.weights...)
		require.NoError(t, err)
		require.Equal(t, c.want, minors(got), "%+v", c)
	}
}

func TestAllocateRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		amount  money.Amount
		weights []int64
	}{
		"negative amount":  {money.Fen(-1), []int64{1}},
		"out of range":     {money.Fen(money.MaxMinor + 1), []int64{1}},
		"no currency":      {money.Amount{Minor: 1}, []int64{1}},
		"no weights":       {money.Fen(1), nil},
		"too many weights": {money.Fen(1), make([]int64, money.MaxShares+1)},
		"negative weight":  {money.Fen(1), []int64{1, -1, 5}},
		"only zeroes":      {money.Fen(1), []int64{0, 0}},
		"weights overflow": {money.Fen(1), []int64{math.MaxInt64, 1}},
	} {
		_, err := c.amount.Allocate(c.weights...)
		require.Error(t, err, name)
	}
}

func TestAllocateProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amount := money.Fen(rapid.Int64Range(0, money.MaxMinor).Draw(t, "amount"))
		weights := rapid.SliceOfN(rapid.Int64Range(0, math.MaxInt64/50), 1, 50).
			Filter(func(weights []int64) bool { return total(weights) > 0 }).Draw(t, "weights")
		shares, err := amount.Allocate(weights...)
		require.NoError(t, err)
		requireAllocation(t, amount, weights, shares)
	})
}

// requireAllocation judges an allocation by its definition: nothing is lost, each
// share is its exact proportion rounded down or up, and whoever was rounded up
// had at least the remainder of whoever was not, at equal remainders the lower index.
func requireAllocation(t require.TestingT, amount money.Amount, weights []int64, shares []money.Amount) {
	require.Len(t, shares, len(weights))
	sum := money.Fen(0)
	all := big.NewInt(total(weights))
	ups, rests := make([]bool, len(shares)), make([]*big.Int, len(shares))
	for i, share := range shares {
		var err error
		sum, err = sum.Add(share)
		require.NoError(t, err)
		floor, rest := new(big.Int).DivMod(new(big.Int).Mul(big.NewInt(amount.Minor), big.NewInt(weights[i])), all, new(big.Int))
		up := share.Minor - floor.Int64()
		require.Contains(t, []int64{0, 1}, up)
		ups[i], rests[i] = up == 1, rest
	}
	require.Equal(t, amount, sum)
	for i := range shares {
		for j := range shares {
			if ups[i] && !ups[j] {
				order := rests[i].Cmp(rests[j])
				require.True(t, order > 0 || order == 0 && i < j, "share %d before %d", i, j)
			}
		}
	}
}

func total(weights []int64) (sum int64) {
	for _, weight := range weights {
		sum += weight
	}
	return sum
}

func FuzzAllocate(f *testing.F) {
	f.Add(int64(100), int64(1), int64(1), int64(1))
	f.Add(int64(1), int64(0), int64(9999), int64(1))
	f.Add(money.MaxMinor, int64(math.MaxInt64), int64(0), int64(0))
	f.Add(int64(-1), int64(-1), int64(math.MinInt64), int64(5))
	f.Fuzz(func(t *testing.T, minor, w1, w2, w3 int64) {
		amount, weights := money.Fen(minor), []int64{w1, w2, w3}
		shares, err := amount.Allocate(weights...)
		if err != nil {
			return
		}
		require.True(t, minor >= 0 && minor <= money.MaxMinor)
		for _, weight := range weights {
			require.GreaterOrEqual(t, weight, int64(0))
		}
		requireAllocation(t, amount, weights, shares)
	})
}

func FuzzShare(f *testing.F) {
	f.Add(int64(19900), int64(60), int64(10000))
	f.Add(money.MaxMinor, int64(math.MaxInt64), int64(1))
	f.Fuzz(func(t *testing.T, minor, numerator, denominator int64) {
		floor, err := money.Fen(minor).Share(numerator, denominator)
		if err != nil {
			return
		}
		exact := new(big.Int).Div(new(big.Int).Mul(big.NewInt(minor), big.NewInt(numerator)), big.NewInt(denominator))
		require.Equal(t, exact.Int64(), floor.Minor)
		require.True(t, exact.IsInt64() && floor.Check() == nil)
	})
}
