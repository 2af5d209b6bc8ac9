package money_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/suanpan/suanpan/money"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	require.NoError(t, money.Fen(money.MaxMinor).Check())
	require.NoError(t, money.Fen(-money.MaxMinor).Check())
	require.ErrorIs(t, money.Fen(money.MaxMinor+1).Check(), money.ErrOverflow)
	require.ErrorIs(t, money.Fen(math.MinInt64).Check(), money.ErrOverflow)
	require.ErrorContains(t, money.Amount{Minor: 1}.Check(), "unknown currency")
	require.ErrorContains(t, money.Of(1, "cny").Check(), `"cny"`)
	for _, c := range []money.Currency{"CNY", "HKD", "USD", "EUR", "JPY"} {
		require.True(t, c.Valid())
	}
	require.False(t, money.Currency("").Valid())
}

func TestAddAndSubRefuse(t *testing.T) {
	t.Parallel()
	_, err := money.Fen(1).Add(money.Of(1, "JPY"))
	require.ErrorIs(t, err, money.ErrCurrency)
	_, err = money.Fen(money.MaxMinor).Add(money.Fen(1))
	require.ErrorIs(t, err, money.ErrOverflow)
	_, err = money.Fen(math.MaxInt64).Add(money.Fen(math.MaxInt64))
	require.ErrorIs(t, err, money.ErrOverflow)
	_, err = money.Fen(math.MinInt64).Add(money.Fen(math.MinInt64))
	require.ErrorIs(t, err, money.ErrOverflow)
	_, err = money.Fen(math.MaxInt64).Sub(money.Fen(math.MinInt64))
	require.ErrorIs(t, err, money.ErrOverflow)
	_, err = money.Fen(-money.MaxMinor).Sub(money.Fen(1))
	require.ErrorIs(t, err, money.ErrOverflow)
}

func TestShareRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ minor, numerator, denominator int64 }{
		{-1, 1, 2}, {1, -1, 2}, {1, 1, 0}, {1, 1, -2}, {money.MaxMinor, math.MaxInt64, 1}, {money.MaxMinor, 2, 1},
	} {
		_, err := money.Fen(c.minor).Share(c.numerator, c.denominator)
		require.Error(t, err, "%+v", c)
		_, err = money.Fen(c.minor).ShareHalfUp(c.numerator, c.denominator)
		require.Error(t, err, "%+v", c)
	}
}

func TestShareRounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ minor, numerator, denominator, floor, halfUp int64 }{
		{19900, 60, 10000, 119, 119},
		{250, 60, 10000, 1, 2},
		{249, 60, 10000, 1, 1},
		{1, 1, 2, 0, 1},
		{5, 1, 3, 1, 2},
		{4, 1, 3, 1, 1},
		{0, 60, 10000, 0, 0},
		{money.MaxMinor, 1, 1, money.MaxMinor, money.MaxMinor},
		{money.MaxMinor, math.MaxInt64, math.MaxInt64, money.MaxMinor, money.MaxMinor},
	} {
		floor, err := money.Fen(c.minor).Share(c.numerator, c.denominator)
		require.NoError(t, err)
		require.Equal(t, money.Fen(c.floor), floor, "%+v", c)
		halfUp, err := money.Fen(c.minor).ShareHalfUp(c.numerator, c.denominator)
		require.NoError(t, err)
		require.Equal(t, money.Fen(c.halfUp), halfUp, "%+v", c)
	}
}

// Against arithmetic without bounds.
func TestArithmeticIsExactOrRefused(t *testing.T) {
	t.Parallel()
	within := func(n *big.Int) bool { return n.CmpAbs(big.NewInt(money.MaxMinor)) <= 0 }
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		sum, err := money.Fen(a).Add(money.Fen(b))
		exact := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		require.Equal(t, within(exact), err == nil)
		if err == nil {
			require.Equal(t, exact.Int64(), sum.Minor)
		}
		difference, err := money.Fen(a).Sub(money.Fen(b))
		exact = new(big.Int).Sub(big.NewInt(a), big.NewInt(b))
		require.Equal(t, within(exact) && b != math.MinInt64, err == nil)
		if err == nil {
			require.Equal(t, exact.Int64(), difference.Minor)
		}
	})
}

func TestShareIsExactOrRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		minor := rapid.Int64Range(0, money.MaxMinor).Draw(t, "minor")
		numerator := rapid.Int64Range(0, math.MaxInt64).Draw(t, "numerator")
		denominator := rapid.Int64Range(1, math.MaxInt64).Draw(t, "denominator")
		product := new(big.Int).Mul(big.NewInt(minor), big.NewInt(numerator))
		floor := new(big.Int).Div(product, big.NewInt(denominator))
		halfUp := new(big.Int).Div(new(big.Int).Add(new(big.Int).Lsh(product, 1), big.NewInt(denominator)), new(big.Int).Lsh(big.NewInt(denominator), 1))
		require.Equal(t, bounded(floor), result(money.Fen(minor).Share(numerator, denominator)))
		require.Equal(t, bounded(halfUp), result(money.Fen(minor).ShareHalfUp(numerator, denominator)))
	})
}

func bounded(n *big.Int) int64 {
	if n.Cmp(big.NewInt(money.MaxMinor)) > 0 {
		return -1
	}
	return n.Int64()
}

func result(a money.Amount, err error) int64 {
	if err != nil {
		return -1
	}
	return a.Minor
}
