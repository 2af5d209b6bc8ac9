package split

import (
	"fmt"
	"time"

	"github.com/suanpan/suanpan/core/fault"
)

// Receiver says whom a leg pays.
type Receiver string

const (
	// ToPlatform: the tenant's own fee income.
	ToPlatform Receiver = "platform"
	// ToMerchant: the merchant named by the leg.
	ToMerchant Receiver = "merchant"
)

// LegType says how a leg's amount is found.
type LegType string

const (
	// Percent takes BasisPoints/10000 of what arrives, rounded down.
	Percent LegType = "percent"
	// Remainder takes what the percent legs leave. It is the rule's own merchant.
	Remainder LegType = "remainder"
)

// The bounds of rules.
const (
	// MaxRuleLegs bounds the legs of one rule.
	MaxRuleLegs = 50
	// MaxDepth bounds how many rules money may pass through, one after another.
	MaxDepth = 10
	// MaxLegs bounds the legs of one payment over all levels.
	MaxLegs = 500
	// wholeBasisPoints is 100 %.
	wholeBasisPoints = 10000
)

// RuleLeg is one line of a rule.
type RuleLeg struct {
	Receiver Receiver
	// MerchantID is set exactly when Receiver is ToMerchant.
	MerchantID string
	Type       LegType
	// BasisPoints is 1 to 10000 for Percent and 0 for Remainder.
	BasisPoints int
}

// Rule says how money that arrives at MerchantID, paid or split to it, is
// divided. The highest version of a merchant is in force from its creation;
// versions never change.
type Rule struct {
	ID         string
	MerchantID string
	Version    int
	Legs       []RuleLeg
	CreatedAt  time.Time
}

// The codes of refused rules.
const (
	CodeLegsOutOfRange    = "legs_out_of_range"
	CodeReceiverUnknown   = "receiver_unknown"
	CodeReceiverDuplicate = "receiver_duplicate"
	CodeReceiverMismatch  = "receiver_mismatch"
	CodeTypeUnknown       = "type_unknown"
	CodeBasisPoints       = "basis_points_out_of_range"
	CodeOverWhole         = "percent_over_whole"
	CodeRemainder         = "remainder_not_own_merchant"
	CodeCycle             = "split_cycle"
	CodeTooDeep           = "split_too_deep"
	CodeTooManyLegs       = "split_too_many_legs"
)

// Check returns an Invalid fault that names the first field at fault, looking
// at the rule alone: not at whether receivers exist nor at other rules.
func (r Rule) Check() error {
	if r.MerchantID == "" {
		return fault.Invalid("merchant_id", CodeReceiverMismatch, "merchant_id must name the merchant whose money is divided")
	}
	if len(r.Legs) < 1 || len(r.Legs) > MaxRuleLegs {
		return fault.Invalid("legs", CodeLegsOutOfRange,
			fmt.Sprintf("a rule has 1 to %d legs, one of them the remainder", MaxRuleLegs))
	}
	seen := make(map[string]bool, len(r.Legs))
	remainder, sum := false, 0
	for i, leg := range r.Legs {
		if err := r.checkLeg(i, leg); err != nil {
			return err
		}
		if seen[leg.MerchantID] {
			return invalidLeg(i, receiverField(leg), CodeReceiverDuplicate, "each receiver may have one leg; add up its shares")
		}
		seen[leg.MerchantID] = true
		remainder = remainder || leg.Type == Remainder
		if sum += leg.BasisPoints; sum > wholeBasisPoints {
			return invalidLeg(i, "basis_points", CodeOverWhole,
				fmt.Sprintf("the percent legs up to this one add up to %d basis points; 10000 is the whole", sum))
		}
	}
	if !remainder {
		return fault.Invalid("legs", CodeRemainder, "one leg must be the remainder, and its receiver the rule's own merchant")
	}
	return nil
}

func (r Rule) checkLeg(i int, leg RuleLeg) error {
	switch {
	case leg.Receiver != ToPlatform && leg.Receiver != ToMerchant:
		return invalidLeg(i, "receiver", CodeReceiverUnknown, "receiver must be platform or merchant")
	case (leg.Receiver == ToMerchant) != (leg.MerchantID != ""):
		return invalidLeg(i, "merchant_id", CodeReceiverMismatch, "merchant_id is needed for a merchant and not allowed for the platform")
	case leg.Type != Percent && leg.Type != Remainder:
		return invalidLeg(i, "type", CodeTypeUnknown, "type must be percent or remainder")
	case leg.Type == Percent && (leg.BasisPoints < 1 || leg.BasisPoints > wholeBasisPoints):
		return invalidLeg(i, "basis_points", CodeBasisPoints, "basis_points must be 1 to 10000 (100 %)")
	case leg.Type == Remainder && leg.BasisPoints != 0:
		return invalidLeg(i, "basis_points", CodeBasisPoints, "a remainder takes what is left; leave basis_points out")
	case (leg.Type == Remainder) != (leg.MerchantID == r.MerchantID):
		return invalidLeg(i, receiverField(leg), CodeRemainder, "the rule's own merchant takes the remainder, and nobody else does")
	}
	return nil
}

func receiverField(leg RuleLeg) string {
	if leg.Receiver == ToMerchant {
		return "merchant_id"
	}
	return "receiver"
}

func invalidLeg(i int, field, code, detail string) error {
	return fault.Invalid(legField(i, field), code, detail)
}

func legField(i int, field string) string { return fmt.Sprintf("legs[%d].%s", i, field) }
