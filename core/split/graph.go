package split

import (
	"fmt"

	"github.com/suanpan/suanpan/core/fault"
)

// reach is what following a merchant's rules leads to, whatever the amount.
type reach struct {
	// depth counts the rules on the longest way, legs the receivers on all ways.
	depth, legs int
}

// checkGraph refuses a new rule that, with the other rules in force, would let
// money run in a circle, through more than MaxDepth rules, or to more than
// MaxLegs receivers. rules holds the new rule and everything reachable from
// every merchant whose money can come to it.
func checkGraph(rules map[string]Rule, added Rule) error {
	for i, leg := range added.Legs {
		if leg.Type == Percent && leads(rules, leg.MerchantID, added.MerchantID) {
			return fault.Refused(legField(i, "merchant_id"), CodeCycle,
				"the rules of this receiver lead back to the rule's own merchant; money may not run in a circle")
		}
	}
	known := make(map[string]reach, len(rules))
	for merchant := range rules {
		r := follow(rules, merchant, known)
		if r.depth > MaxDepth {
			return fault.Refused("legs", CodeTooDeep,
				fmt.Sprintf("money would pass through more than %d rules; divide among fewer levels", MaxDepth))
		}
		if r.legs > MaxLegs {
			return fault.Refused("legs", CodeTooManyLegs,
				fmt.Sprintf("one payment would be divided among more than %d receivers; divide among fewer", MaxLegs))
		}
	}
	return nil
}

// leads reports whether money arriving at from can come to target.
func leads(rules map[string]Rule, from, target string) bool {
	seen := map[string]bool{}
	waiting := []string{from}
	for len(waiting) > 0 {
		merchant := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		if merchant == target {
			return true
		}
		if seen[merchant] {
			continue
		}
		seen[merchant] = true
		for _, leg := range rules[merchant].Legs {
			if leg.Type == Percent && leg.Receiver == ToMerchant {
				waiting = append(waiting, leg.MerchantID)
			}
		}
	}
	return false
}

// follow measures merchant's reach, remembering what it has measured. Counts
// stop growing once they are over the bounds. Met again while it is being
// measured, that is in a circle, a merchant counts as too deep.
func follow(rules map[string]Rule, merchant string, known map[string]reach) reach {
	if r, ok := known[merchant]; ok {
		return r
	}
	rule, ok := rules[merchant]
	if !ok {
		return reach{depth: 0, legs: 1}
	}
	known[merchant] = reach{depth: MaxDepth, legs: 1}
	total := reach{depth: 1}
	for _, leg := range rule.Legs {
		part := reach{legs: 1}
		if leg.Type == Percent && leg.Receiver == ToMerchant {
			part = follow(rules, leg.MerchantID, known)
		}
		total.depth = max(total.depth, part.depth+1)
		total.legs = min(total.legs+part.legs, MaxLegs+1)
	}
	known[merchant] = total
	return total
}
