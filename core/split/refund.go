package split

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/suanpan/suanpan/money"
)

// Part is what one leg gives back in one refund.
type Part struct {
	// Position is the leg's, within its split.
	Position int
	Amount   money.Amount
}

// RefundParts says what each leg gives back when refundNow of a payment is
// refunded; parts[i] belongs to legs[i] and may be zero. legs are all legs of
// the payment's split, and refundedBefore is what earlier refunds gave back or,
// still in flight, have promised: each leg's Refunded must include the same
// refunds, else RefundParts returns an error.
//
// It promises: the parts add up to refundNow; none is negative or more than
// its leg has left; after refunds that add up to the payment, in any number
// and of any sizes, every leg has given back exactly its amount.
//
// How: each leg gives back in proportion to what it has left, rounded down, and
// the few minor units this leaves go one each to the legs with the largest
// fractions cut off (of equals, to the earlier leg). Why a leg never gives too
// much: its exact part is at most what it has left, a whole number, so when a
// fraction was cut off there is room for the unit; and the units are fewer than
// the legs with a fraction, because each fraction is less than one. Why it ends
// at zero: a refund of all that is left makes every exact part what the leg has
// left.
func RefundParts(legs []BookedLeg, paymentAmount, refundedBefore, refundNow money.Amount) ([]Part, error) {
	left, err := leftToRefund(legs, paymentAmount, refundedBefore, refundNow)
	if err != nil {
		return nil, err
	}
	parts := make([]Part, len(legs))
	fractions := make([]fraction, 0, len(legs))
	rest := refundNow.Minor
	for i, leg := range legs {
		has := leg.Amount.Minor - leg.Refunded.Minor
		floor, err := money.Of(has, refundNow.Currency).Share(refundNow.Minor, left)
		if err != nil {
			return nil, err
		}
		parts[i] = Part{Position: leg.Position, Amount: floor}
		rest -= floor.Minor
		// The remainder of the division is below left and fits 64 bits, so it is
		// right although both products may wrap.
		cut := uint64(has)*uint64(refundNow.Minor) - uint64(floor.Minor)*uint64(left)
		if cut > 0 {
			fractions = append(fractions, fraction{leg: i, cut: cut})
		}
	}
	slices.SortStableFunc(fractions, func(a, b fraction) int { return cmp.Compare(b.cut, a.cut) })
	for _, f := range fractions[:rest] {
		parts[f.leg].Amount.Minor++
	}
	return parts, nil
}

// fraction is what rounding down cut off a leg's part, in units of 1/left.
type fraction struct {
	leg int
	cut uint64
}

// leftToRefund checks the arguments of RefundParts against each other and
// returns what all legs together have left, in minor units.
func leftToRefund(legs []BookedLeg, paymentAmount, refundedBefore, refundNow money.Amount) (int64, error) {
	for _, a := range []money.Amount{paymentAmount, refundedBefore, refundNow} {
		if err := a.Check(); err != nil {
			return 0, fmt.Errorf("refund parts: %w", err)
		}
		if a.Currency != paymentAmount.Currency {
			return 0, fmt.Errorf("refund parts: %w", money.ErrCurrency)
		}
	}
	left := paymentAmount.Minor - refundedBefore.Minor
	if refundedBefore.IsNegative() || !refundNow.IsPositive() || refundNow.Minor > left {
		return 0, fmt.Errorf("refund parts: cannot refund %d more of %d after %d",
			refundNow.Minor, paymentAmount.Minor, refundedBefore.Minor)
	}
	sum := money.Of(0, paymentAmount.Currency)
	for _, leg := range legs {
		has, err := leg.Left()
		if err == nil && has.IsNegative() {
			err = fmt.Errorf("leg %d has given back more than its amount", leg.Position)
		}
		if err == nil {
			sum, err = sum.Add(has)
		}
		if err != nil {
			return 0, fmt.Errorf("refund parts: %w", err)
		}
	}
	if sum.Minor != left {
		return 0, fmt.Errorf("refund parts: the legs have %d left and the payment %d; they must count the same refunds",
			sum.Minor, left)
	}
	return left, nil
}
