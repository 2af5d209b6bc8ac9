package split

import (
	"fmt"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/money"
)

// Leg is what one receiver finally keeps of a payment.
type Leg struct {
	// Level counts the rules the money came through: 0 for the payment's own
	// merchant, 1 for receivers of its rule, 2 for receivers of theirs.
	Level    int
	Receiver Receiver
	// MerchantID is empty for the platform.
	MerchantID string
	// RuleID is the rule that decided the amount, empty when there was none.
	RuleID string
	// Amount may be zero: a share too small for one minor unit.
	Amount money.Amount
}

// Compute divides total, which arrives at merchant, by the rules in force
// (keyed by merchant id). Percent legs are rounded down and the rule's own
// merchant keeps the remainder; what another merchant receives is divided
// further by its own rule, and kept whole when it has none or when it is zero.
//
// The legs always add up to total. They are ordered: what a merchant keeps,
// then its rule's legs in their order, each followed by its own division. One
// merchant may occur several times when money reaches it on several ways.
//
// Compute is pure. It refuses a total that is not positive and rules that
// break the bounds or run in a circle, which CreateRule does not let in.
func Compute(total money.Amount, merchant string, rules map[string]Rule) ([]Leg, error) {
	if err := total.Check(); err != nil {
		return nil, fault.Invalid("amount", "amount_out_of_range", err.Error())
	}
	if !total.IsPositive() {
		return nil, fault.Invalid("amount", "amount_out_of_range", "amount must be positive")
	}
	d := division{rules: rules}
	if err := d.divide(total, merchant, 0, ""); err != nil {
		return nil, err
	}
	return d.legs, nil
}

// division is one run of Compute.
type division struct {
	rules map[string]Rule
	// legs are what has been given out so far.
	legs []Leg
}

// divide gives out amount, which arrived at merchant on level by the rule
// named via.
func (d *division) divide(amount money.Amount, merchant string, level int, via string) error {
	rule, ok := d.rules[merchant]
	if !ok || amount.IsZero() {
		return d.give(Leg{Level: level, Receiver: ToMerchant, MerchantID: merchant, RuleID: via, Amount: amount})
	}
	// A circle shows as a depth without end, so this bound ends it as well.
	if level >= MaxDepth {
		return fault.Refused("", CodeTooDeep, fmt.Sprintf("the rules of %s pass through more than %d levels", merchant, MaxDepth))
	}
	shares, kept, err := rule.shares(amount)
	if err != nil {
		return err
	}
	if err := d.give(Leg{Level: level, Receiver: ToMerchant, MerchantID: merchant, RuleID: rule.ID, Amount: kept}); err != nil {
		return err
	}
	for i, leg := range rule.Legs {
		switch {
		case leg.Type == Remainder:
			continue
		case leg.Receiver == ToPlatform:
			err = d.give(Leg{Level: level + 1, Receiver: ToPlatform, RuleID: rule.ID, Amount: shares[i]})
		default:
			err = d.divide(shares[i], leg.MerchantID, level+1, rule.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *division) give(leg Leg) error {
	if len(d.legs) == MaxLegs {
		return fault.Refused("", CodeTooManyLegs, fmt.Sprintf("the rules divide one payment among more than %d receivers", MaxLegs))
	}
	d.legs = append(d.legs, leg)
	return nil
}

// shares returns the amount of each percent leg, aligned with r.Legs, and what
// the remainder keeps.
func (r Rule) shares(amount money.Amount) (shares []money.Amount, kept money.Amount, err error) {
	if err := r.Check(); err != nil {
		return nil, kept, fmt.Errorf("split rule %s: %w", r.ID, err)
	}
	kept = amount
	shares = make([]money.Amount, len(r.Legs))
	for i, leg := range r.Legs {
		if leg.Type == Remainder {
			continue
		}
		if shares[i], err = amount.Share(int64(leg.BasisPoints), wholeBasisPoints); err != nil {
			return nil, kept, err
		}
		if kept, err = kept.Sub(shares[i]); err != nil {
			return nil, kept, err
		}
	}
	return shares, kept, nil
}
