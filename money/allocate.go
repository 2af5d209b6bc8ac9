package money

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
)

// MaxShares bounds how many shares one amount is divided into.
const MaxShares = 1000

// Allocate divides a in proportion to weights without losing or inventing a
// minor unit: every share is the floor of its proportion, and what is left goes,
// one unit each, to the shares with the largest remainders, ties to the lower
// index. It is for divisions that have no remainder leg of their own.
//
// The shares are in the order of weights and add up to a; a share of weight zero
// is zero. It returns an error when a is negative or out of range, when there is
// no weight, one is negative or all are zero, or when the weights' sum overflows.
func (a Amount) Allocate(weights ...int64) ([]Amount, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	if a.Minor < 0 {
		return nil, fmt.Errorf("money: allocate %d: only what is there can be divided", a.Minor)
	}
	total, err := sumWeights(weights)
	if err != nil {
		return nil, err
	}
	shares := make([]Amount, len(weights))
	remainders := make([]remainder, len(weights))
	left := a.Minor
	for i, weight := range weights {
		// The quotient fits: a ≤ MaxMinor and weight ≤ total.
		hi, lo := bits.Mul64(uint64(a.Minor), uint64(weight))
		share, rest := bits.Div64(hi, lo, uint64(total))
		shares[i] = Amount{int64(share), a.Currency}
		remainders[i] = remainder{i, rest}
		left -= int64(share)
	}
	// Stable, so that equal remainders stay in the order of their index. Fewer
	// units are left than there are remainders above zero.
	slices.SortStableFunc(remainders, func(x, y remainder) int { return cmp.Compare(y.rest, x.rest) })
	for _, r := range remainders[:left] {
		shares[r.index].Minor++
	}
	return shares, nil
}

type remainder struct {
	index int
	rest  uint64
}

func sumWeights(weights []int64) (int64, error) {
	if len(weights) == 0 || len(weights) > MaxShares {
		return 0, fmt.Errorf("money: allocate: 1 to %d weights, not %d", MaxShares, len(weights))
	}
	var total int64
	for i, weight := range weights {
		if weight < 0 {
			return 0, fmt.Errorf("money: allocate: weight %d is negative: %d", i, weight)
		}
		if total += weight; total < 0 {
			return 0, ErrOverflow
		}
	}
	if total == 0 {
		return 0, fmt.Errorf("money: allocate: all weights are zero")
	}
	return total, nil
}
