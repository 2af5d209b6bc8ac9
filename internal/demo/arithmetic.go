package demo

import (
	"fmt"
	"strconv"
	"strings"
)

// The demo's own arithmetic, written as one would do it on paper, so that it
// does not share a mistake with what it checks. Amounts are fen.

const tenThousand = 10_000

// yuan shows fen as yuan with two decimals.
func yuan(fen int64) string {
	sign := ""
	if fen < 0 {
		sign, fen = "-", -fen
	}
	return fmt.Sprintf("%s%d.%02d", sign, fen/100, fen%100)
}

// fenOf reads yuan text of any number of decimals and rounds half away from zero.
func fenOf(text string) (int64, error) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, part, _ := strings.Cut(digits, ".")
	part += "000"
	yuans, err := strconv.ParseUint(whole, 10, 50)
	if err != nil {
		return 0, fmt.Errorf("%q is not an amount in yuan", text)
	}
	thousandths, err := strconv.ParseUint(part[:3], 10, 50)
	if err != nil {
		return 0, fmt.Errorf("%q is not an amount in yuan", text)
	}
	fen := int64(yuans*100 + (thousandths+5)/10)
	if negative {
		fen = -fen
	}
	return fen, nil
}

// percentDown is a share in basis points, rounded down.
func percentDown(fen, basisPoints int64) int64 { return fen * basisPoints / tenThousand }

// percentHalfUp is a share in basis points, rounded half up.
func percentHalfUp(fen, basisPoints int64) int64 {
	return (fen*basisPoints + tenThousand/2) / tenThousand
}

// feeBack is what a provider returns of fee, all in all, once refunded of
// amount has gone back: in proportion, rounded half up. It is for amounts up to
// ten million yuan.
func feeBack(fee, refunded, amount int64) int64 {
	return (fee*refunded*2 + amount) / (amount * 2)
}

// terms are how a store's income is divided: the platform and the agent take a
// share of what arrives, and the head agent a share of the agent's.
type terms struct{ platform, agent, head int64 }

// shares are who gets what of one payment.
type shares struct{ store, platform, agent, head int64 }

// divide splits a payment of a store in two levels.
func (t terms) divide(fen int64) shares {
	var s shares
	s.platform = percentDown(fen, t.platform)
	agents := percentDown(fen, t.agent)
	s.store = fen - s.platform - agents
	s.head = percentDown(agents, t.head)
	s.agent = agents - s.head
	return s
}

// part is the num/den of s where that divides without a rest; ok tells whether
// it does.
func (s shares) part(num, den int64) (p shares, ok bool) {
	ok = true
	cut := func(fen int64) int64 {
		ok = ok && fen*num%den == 0
		return fen * num / den
	}
	return shares{cut(s.store), cut(s.platform), cut(s.agent), cut(s.head)}, ok
}

// less is s without o.
func (s shares) less(o shares) shares {
	return shares{s.store - o.store, s.platform - o.platform, s.agent - o.agent, s.head - o.head}
}

// tally counts movements and adds them up.
type tally struct{ count, fen int64 }

func (t *tally) add(fen int64) {
	t.count++
	t.fen += fen
}

func (t tally) String() string { return fmt.Sprintf("%d of %s yuan", t.count, yuan(t.fen)) }

// same fails unless expected and got are equal.
func same[T comparable](what string, expected, got T) error {
	if expected != got {
		return fmt.Errorf("%s: expected %v, got %v", what, expected, got)
	}
	return nil
}

// sameFen is same for amounts, which people read in yuan.
func sameFen(what string, expected, got int64) error { return same(what, yuan(expected), yuan(got)) }
