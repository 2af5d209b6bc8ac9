package split

import (
	"fmt"

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
// and of any sizes, also with failed ones between them, every leg has given
// back exactly its amount. Many small refunds burden the legs as one large one
// does, within a few minor units.
//
// How: targets says what each leg should have given back after this refund,
// and its part is what is missing from that. Targets never fall as more is
// refunded, so a leg is past its target only when a failed refund took parts
// back from the middle; such a leg gives nothing now, and the others give so
// much less than their targets. Each part is thus at most what is missing from
// a target that is at most the leg, and after the last refund the targets are
// the legs themselves.
func RefundParts(legs []BookedLeg, paymentAmount, refundedBefore, refundNow money.Amount) ([]Part, error) {
	if err := checkRefund(legs, paymentAmount, refundedBefore, refundNow); err != nil {
		return nil, err
	}
	refunded, err := refundedBefore.Add(refundNow)
	if err != nil {
		return nil, fmt.Errorf("refund parts: %w", err)
	}
	target := make([]money.Amount, len(legs))
	if err := targets(legs, refunded, paymentAmount, target); err != nil {
		return nil, fmt.Errorf("refund parts: %w", err)
	}
	parts := make([]Part, len(legs))
	ahead := int64(0)
	for i, leg := range legs {
		missing := target[i].Minor - leg.Refunded.Minor
		ahead += max(0, -missing)
		parts[i] = Part{Position: leg.Position, Amount: money.Of(max(0, missing), refundNow.Currency)}
	}
	for i := range parts {
		less := min(ahead, parts[i].Amount.Minor)
		parts[i].Amount.Minor -= less
		ahead -= less
	}
	return parts, nil
}

// targets divides refunded, out of whole, over legs, whose amounts add up to
// whole. It halves the legs, gives the first half its proportion rounded to the
// nearest unit and the second half the rest, and goes on so in each half.
//
// As refunded grows by one unit, the first half's rounded proportion grows by
// nothing or one, being a line with a slope of at most one; so the rest grows
// by one or nothing, and no leg's target ever falls. At refunded = whole every
// half has its whole. Each halving is off by at most half a unit, so a leg is
// off its exact proportion by at most half a unit per halving above it.
func targets(legs []BookedLeg, refunded, whole money.Amount, target []money.Amount) error {
	if len(legs) == 1 {
		target[0] = refunded
		return nil
	}
	middle := len(legs) / 2
	first, err := sumAmounts(legs[:middle], whole.Currency)
	if err != nil {
		return err
	}
	share := money.Of(0, whole.Currency)
	if whole.IsPositive() {
		if share, err = refunded.ShareHalfUp(first.Minor, whole.Minor); err != nil {
			return err
		}
	}
	// Neither difference can leave the range: share ≤ refunded and first ≤ whole.
	rest := money.Of(refunded.Minor-share.Minor, whole.Currency)
	second := money.Of(whole.Minor-first.Minor, whole.Currency)
	if err := targets(legs[:middle], share, first, target[:middle]); err != nil {
		return err
	}
	return targets(legs[middle:], rest, second, target[middle:])
}

func sumAmounts(legs []BookedLeg, c money.Currency) (money.Amount, error) {
	sum := money.Of(0, c)
	for _, leg := range legs {
		var err error
		if sum, err = sum.Add(leg.Amount); err != nil {
			return money.Amount{}, err
		}
	}
	return sum, nil
}

// checkRefund holds the arguments of RefundParts against each other.
func checkRefund(legs []BookedLeg, paymentAmount, refundedBefore, refundNow money.Amount) error {
	for _, a := range []money.Amount{paymentAmount, refundedBefore, refundNow} {
		if err := a.Check(); err != nil {
			return fmt.Errorf("refund parts: %w", err)
		}
		if a.Currency != paymentAmount.Currency {
			return fmt.Errorf("refund parts: %w", money.ErrCurrency)
		}
	}
	left := paymentAmount.Minor - refundedBefore.Minor
	if refundedBefore.IsNegative() || !refundNow.IsPositive() || refundNow.Minor > left {
		return fmt.Errorf("refund parts: cannot refund %d more of %d after %d",
			refundNow.Minor, paymentAmount.Minor, refundedBefore.Minor)
	}
	refunded := money.Of(0, paymentAmount.Currency)
	for _, leg := range legs {
		if leg.Refunded.IsNegative() || leg.Refunded.Minor > leg.Amount.Minor {
			return fmt.Errorf("refund parts: leg %d of %d has given back %d", leg.Position, leg.Amount.Minor, leg.Refunded.Minor)
		}
		var err error
		if refunded, err = refunded.Add(leg.Refunded); err != nil {
			return fmt.Errorf("refund parts: %w", err)
		}
	}
	amount, err := sumAmounts(legs, paymentAmount.Currency)
	if err != nil {
		return fmt.Errorf("refund parts: %w", err)
	}
	if amount != paymentAmount || refunded != refundedBefore {
		return fmt.Errorf("refund parts: the legs are %d and gave back %d, the payment is %d and gave back %d; they must count the same refunds",
			amount.Minor, refunded.Minor, paymentAmount.Minor, refundedBefore.Minor)
	}
	return nil
}
