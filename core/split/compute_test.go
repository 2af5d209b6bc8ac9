package split_test

import (
	"fmt"
	"math/big"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/split"
	"github.com/suanpan/suanpan/money"
)

func percent(merchant string, basisPoints int) split.RuleLeg {
	return split.RuleLeg{Receiver: split.ToMerchant, MerchantID: merchant, Type: split.Percent, BasisPoints: basisPoints}
}

func platform(basisPoints int) split.RuleLeg {
	return split.RuleLeg{Receiver: split.ToPlatform, Type: split.Percent, BasisPoints: basisPoints}
}

func remainder(merchant string) split.RuleLeg {
	return split.RuleLeg{Receiver: split.ToMerchant, MerchantID: merchant, Type: split.Remainder}
}

func ruleOf(merchant string, legs ...split.RuleLeg) split.Rule {
	return split.Rule{ID: "rule of " + merchant, MerchantID: merchant, Version: 1, Legs: append(legs, remainder(merchant))}
}

func byMerchant(rules ...split.Rule) map[string]split.Rule {
	out := map[string]split.Rule{}
	for _, r := range rules {
		out[r.MerchantID] = r
	}
	return out
}

func TestComputeDividesLevelByLevel(t *testing.T) {
	t.Parallel()
	rules := byMerchant(
		ruleOf("store", platform(60), percent("agent", 1000), percent("brand", 500)),
		ruleOf("agent", percent("province", 3333)),
	)
	legs, err := split.Compute(money.Fen(19999), "store", rules)
	require.NoError(t, err)
	require.Equal(t, []split.Leg{
		{Level: 0, Receiver: split.ToMerchant, MerchantID: "store", RuleID: "rule of store", Amount: money.Fen(19999 - 119 - 1999 - 999)},
		{Level: 1, Receiver: split.ToPlatform, RuleID: "rule of store", Amount: money.Fen(119)},
		{Level: 1, Receiver: split.ToMerchant, MerchantID: "agent", RuleID: "rule of agent", Amount: money.Fen(1999 - 666)},
		{Level: 2, Receiver: split.ToMerchant, MerchantID: "province", RuleID: "rule of agent", Amount: money.Fen(666)},
		{Level: 1, Receiver: split.ToMerchant, MerchantID: "brand", RuleID: "rule of store", Amount: money.Fen(999)},
	}, legs)
}

func TestComputeAtTheEdges(t *testing.T) {
	t.Parallel()
	many := make([]split.RuleLeg, 0, 49)
	for i := range 49 {
		many = append(many, percent(fmt.Sprintf("receiver %d", i), 200))
	}
	for name, c := range map[string]struct {
		total money.Amount
		rules map[string]split.Rule
		kept  int64
		legs  int
	}{
		"no rule keeps all":             {money.Fen(1), nil, 1, 1},
		"a third, three times":          {money.Fen(100), byMerchant(ruleOf("m", percent("a", 3333), percent("b", 3333), percent("c", 3333))), 1, 4},
		"0.01 % of one fen":             {money.Fen(1), byMerchant(ruleOf("m", platform(1))), 1, 2},
		"seven fen among fifty":         {money.Fen(7), byMerchant(ruleOf("m", many...)), 7, 50},
		"everything to one receiver":    {money.Fen(7), byMerchant(ruleOf("m", platform(10000))), 0, 2},
		"the largest amount there is":   {money.Fen(money.MaxMinor), byMerchant(ruleOf("m", platform(9999))), money.MaxMinor / 10000, 2},
		"a zero share is not divided":   {money.Fen(1), byMerchant(ruleOf("m", percent("a", 1)), ruleOf("a", platform(5000))), 1, 2},
		"a currency without minor unit": {money.Of(3, "JPY"), byMerchant(ruleOf("m", platform(5000))), 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			legs, err := split.Compute(c.total, "m", c.rules)
			require.NoError(t, err)
			require.Len(t, legs, c.legs)
			require.Equal(t, money.Of(c.kept, c.total.Currency), legs[0].Amount)
			requireSum(t, c.total, legs)
		})
	}
}

func TestComputeRefuses(t *testing.T) {
	t.Parallel()
	chain := map[string]split.Rule{}
	for i := range 11 {
		m := fmt.Sprintf("m%d", i)
		chain[m] = ruleOf(m, percent(fmt.Sprintf("m%d", i+1), 9000))
	}
	wide := map[string]split.Rule{}
	var outer []split.RuleLeg
	for i := range 20 {
		m := fmt.Sprintf("w%d", i)
		outer = append(outer, percent(m, 500))
		var inner []split.RuleLeg
		for j := range 30 {
			inner = append(inner, percent(fmt.Sprintf("x%d", j), 300))
		}
		wide[m] = ruleOf(m, inner...)
	}
	wide["m"] = ruleOf("m", outer...)
	for name, c := range map[string]struct {
		total    money.Amount
		merchant string
		rules    map[string]split.Rule
		code     string
	}{
		"zero":            {money.Fen(0), "m", nil, "amount_out_of_range"},
		"negative":        {money.Fen(-1), "m", nil, "amount_out_of_range"},
		"too large":       {money.Fen(money.MaxMinor + 1), "m", nil, "amount_out_of_range"},
		"no currency":     {money.Of(1, "XXX"), "m", nil, "amount_out_of_range"},
		"a circle":        {money.Fen(1 << 40), "a", byMerchant(ruleOf("a", percent("b", 9000)), ruleOf("b", percent("a", 9000))), split.CodeTooDeep},
		"eleven rules":    {money.Fen(1 << 40), "m0", chain, split.CodeTooDeep},
		"too many":        {money.Fen(1 << 40), "m", wide, split.CodeTooManyLegs},
		"a broken rule":   {money.Fen(100), "m", map[string]split.Rule{"m": {MerchantID: "m"}}, split.CodeLegsOutOfRange},
		"over 100 %":      {money.Fen(100), "m", byMerchant(ruleOf("m", platform(9000), percent("a", 1001))), split.CodeOverWhole},
		"itself and rest": {money.Fen(100), "m", byMerchant(ruleOf("m", percent("m", 1))), split.CodeRemainder},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			legs, err := split.Compute(c.total, c.merchant, c.rules)
			require.Nil(t, legs)
			f, ok := fault.As(err)
			require.True(t, ok, "%v", err)
			require.Equal(t, c.code, f.Code)
		})
	}
}

func TestTenRulesInARowAreAllowed(t *testing.T) {
	t.Parallel()
	rules := map[string]split.Rule{}
	for i := range 10 {
		m := fmt.Sprintf("m%d", i)
		rules[m] = ruleOf(m, percent(fmt.Sprintf("m%d", i+1), 9000))
	}
	legs, err := split.Compute(money.Fen(1<<40), "m0", rules)
	require.NoError(t, err)
	require.Len(t, legs, 11)
	require.Equal(t, 10, legs[10].Level)
}

func requireSum(t require.TestingT, total money.Amount, legs []split.Leg) {
	sum := money.Of(0, total.Currency)
	for _, leg := range legs {
		require.False(t, leg.Amount.IsNegative(), "%+v", leg)
		var err error
		sum, err = sum.Add(leg.Amount)
		require.NoError(t, err)
	}
	require.Equal(t, total, sum)
}

// place names a receiver in the naive model: where, who, by which rule.
type place struct {
	level          int
	merchant, rule string
}

// naive divides with big integers and a queue instead of recursion.
func naive(total int64, merchant string, rules map[string]split.Rule) map[place]*big.Int {
	type arrival struct {
		amount   *big.Int
		merchant string
		level    int
		via      string
	}
	kept := map[place]*big.Int{}
	keep := func(p place, amount *big.Int) {
		if kept[p] == nil {
			kept[p] = new(big.Int)
		}
		kept[p].Add(kept[p], amount)
	}
	queue := []arrival{{big.NewInt(total), merchant, 0, ""}}
	for len(queue) > 0 {
		a := queue[0]
		queue = queue[1:]
		rule, ok := rules[a.merchant]
		if !ok || a.amount.Sign() == 0 {
			keep(place{a.level, a.merchant, a.via}, a.amount)
			continue
		}
		rest := new(big.Int).Set(a.amount)
		for _, leg := range rule.Legs {
			if leg.BasisPoints == 0 {
				continue
			}
			share := new(big.Int).Mul(a.amount, big.NewInt(int64(leg.BasisPoints)))
			share.Div(share, big.NewInt(10000))
			rest.Sub(rest, share)
			if leg.MerchantID == "" {
				keep(place{a.level + 1, "", rule.ID}, share)
			} else {
				queue = append(queue, arrival{share, leg.MerchantID, a.level + 1, rule.ID})
			}
		}
		keep(place{a.level, a.merchant, rule.ID}, rest)
	}
	return kept
}

// drawRules draws rules without circles: a merchant pays only later ones.
func drawRules(t *rapid.T) map[string]split.Rule {
	rules := map[string]split.Rule{}
	merchants := rapid.IntRange(1, 6).Draw(t, "merchants")
	for i := range merchants {
		if rapid.IntRange(0, 3).Draw(t, "has no rule") == 0 {
			continue
		}
		m := fmt.Sprintf("m%d", i)
		left := 10000
		var legs []split.RuleLeg
		for j := i; j < merchants; j++ { // j == i stands for the platform
			if left == 0 || !rapid.Bool().Draw(t, "leg") {
				continue
			}
			share := rapid.IntRange(1, left).Draw(t, "basis points")
			left -= share
			if j == i {
				legs = append(legs, platform(share))
			} else {
				legs = append(legs, percent(fmt.Sprintf("m%d", j), share))
			}
		}
		rules[m] = ruleOf(m, legs...)
	}
	return rules
}

func TestComputeAgreesWithTheNaiveModel(t *testing.T) {
	t.Parallel()
	var cases, legCount atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		total := rapid.OneOf(rapid.Int64Range(1, 200), rapid.Int64Range(1, money.MaxMinor)).Draw(t, "total")
		legs, err := split.Compute(money.Fen(total), "m0", rules)
		require.NoError(t, err)
		requireSum(t, money.Fen(total), legs)
		got := map[place]*big.Int{}
		for _, leg := range legs {
			p := place{leg.Level, leg.MerchantID, leg.RuleID}
			if got[p] == nil {
				got[p] = new(big.Int)
			}
			got[p].Add(got[p], big.NewInt(leg.Amount.Minor))
		}
		want := naive(total, "m0", rules)
		require.Len(t, got, len(want))
		for p, amount := range want {
			require.Zero(t, amount.Cmp(got[p]), "%+v: want %s, got %s", p, amount, got[p])
		}
		again, err := split.Compute(money.Fen(total), "m0", rules)
		require.NoError(t, err)
		require.Equal(t, legs, again, "the order must not change")
		cases.Add(1)
		legCount.Add(int64(len(legs)))
	})
	t.Logf("%d payments divided into %d legs", cases.Load(), legCount.Load())
}
