package split_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/split"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/money"
)

func requireFault(t *testing.T, err error, kind fault.Kind, code, field string) {
	t.Helper()
	f, ok := fault.As(err)
	require.True(t, ok, "not a fault: %v", err)
	require.Equal(t, []string{string(kind), code, field}, []string{string(f.Kind), f.Code, f.Field}, f.Detail)
}

func TestARuleMustBeWellFormed(t *testing.T) {
	t.Parallel()
	var tooMany []split.RuleLeg
	for i := range 50 {
		tooMany = append(tooMany, percent(fmt.Sprint(i), 1))
	}
	for name, c := range map[string]struct {
		legs        []split.RuleLeg
		code, field string
	}{
		"no legs":              {nil, split.CodeLegsOutOfRange, "legs"},
		"51 legs":              {append(tooMany, remainder("m")), split.CodeLegsOutOfRange, "legs"},
		"no remainder":         {[]split.RuleLeg{platform(1)}, split.CodeRemainder, "legs"},
		"two remainders":       {[]split.RuleLeg{remainder("m"), remainder("m")}, split.CodeReceiverDuplicate, "legs[1].merchant_id"},
		"another's remainder":  {[]split.RuleLeg{remainder("a")}, split.CodeRemainder, "legs[0].merchant_id"},
		"platform's remainder": {[]split.RuleLeg{{Receiver: split.ToPlatform, Type: split.Remainder}}, split.CodeRemainder, "legs[0].receiver"},
		"own percent":          {[]split.RuleLeg{percent("m", 1), remainder("m")}, split.CodeRemainder, "legs[0].merchant_id"},
		"receiver twice":       {[]split.RuleLeg{remainder("m"), percent("a", 1), percent("a", 1)}, split.CodeReceiverDuplicate, "legs[2].merchant_id"},
		"platform twice":       {[]split.RuleLeg{remainder("m"), platform(1), platform(1)}, split.CodeReceiverDuplicate, "legs[2].receiver"},
		"0 basis points":       {[]split.RuleLeg{remainder("m"), percent("a", 0)}, split.CodeBasisPoints, "legs[1].basis_points"},
		"10001 basis points":   {[]split.RuleLeg{remainder("m"), percent("a", 10001)}, split.CodeBasisPoints, "legs[1].basis_points"},
		"-1 basis points":      {[]split.RuleLeg{remainder("m"), percent("a", -1)}, split.CodeBasisPoints, "legs[1].basis_points"},
		"over the whole":       {[]split.RuleLeg{percent("a", 9000), remainder("m"), platform(1001)}, split.CodeOverWhole, "legs[2].basis_points"},
		"remainder of so much": {[]split.RuleLeg{{Receiver: split.ToMerchant, MerchantID: "m", Type: split.Remainder, BasisPoints: 1}}, split.CodeBasisPoints, "legs[0].basis_points"},
		"unknown receiver":     {[]split.RuleLeg{{Receiver: "user", Type: split.Percent, BasisPoints: 1}}, split.CodeReceiverUnknown, "legs[0].receiver"},
		"unknown type":         {[]split.RuleLeg{{Receiver: split.ToPlatform, Type: "fixed"}}, split.CodeTypeUnknown, "legs[0].type"},
		"nobody":               {[]split.RuleLeg{percent("", 1)}, split.CodeReceiverMismatch, "legs[0].merchant_id"},
		"platform by name":     {[]split.RuleLeg{{Receiver: split.ToPlatform, MerchantID: "a", Type: split.Percent, BasisPoints: 1}}, split.CodeReceiverMismatch, "legs[0].merchant_id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireFault(t, split.Rule{MerchantID: "m", Legs: c.legs}.Check(), fault.KindInvalid, c.code, c.field)
		})
	}
	requireFault(t, split.Rule{Legs: []split.RuleLeg{remainder("")}}.Check(), fault.KindInvalid, split.CodeReceiverMismatch, "merchant_id")
}

func TestANewRuleIsANewVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.New(t))
	store, agent := w.merchant("store", party.T1), w.merchant("agent", party.T0)

	first := w.rule(store, percent(agent, 1000))
	require.Equal(t, 1, first.Version)
	require.Equal(t, int64(100), w.preview(store, 1000)[1].Amount.Minor)
	second := w.rule(store, platform(100), percent(agent, 2000))
	require.Equal(t, 2, second.Version)
	require.Equal(t, 1, w.rule(agent, platform(1)).Version)

	legs := w.preview(store, 1000)
	require.Equal(t, []int64{790, 10, 200, 0}, minors(legs))
	require.Equal(t, second.ID, legs[0].RuleID)

	w.must(func(ctx context.Context, tx pgx.Tx) error {
		got, err := split.GetRule(ctx, tx, w.tenant, first.ID)
		require.NoError(t, err)
		require.Equal(t, first, got, "an old version stays as it was")

		page, next, err := split.ListRules(ctx, tx, w.tenant, split.RuleFilter{MerchantID: store, Limit: 1})
		require.NoError(t, err)
		require.Equal(t, []split.Rule{second}, page)
		require.Equal(t, second.ID, next)
		page, next, err = split.ListRules(ctx, tx, w.tenant, split.RuleFilter{MerchantID: store, Limit: 1, Before: next})
		require.NoError(t, err)
		require.Equal(t, []split.Rule{first}, page)
		require.Empty(t, next)

		_, err = split.GetRule(ctx, tx, w.tenant, id.New(id.SplitRule))
		requireFault(t, err, fault.KindNotFound, "not_found", "")
		return nil
	})
}

func minors(legs []split.Leg) []int64 {
	out := make([]int64, len(legs))
	for i, leg := range legs {
		out[i] = leg.Amount.Minor
	}
	return out
}

func TestMoneyMayNotRunInACircle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.New(t))
	a, b, c := w.merchant("a", party.T0), w.merchant("b", party.T0), w.merchant("c", party.T0)
	w.rule(a, percent(b, 1000))
	w.rule(b, percent(c, 1000))

	_, err := w.tryRule(c, remainder(c), platform(5), percent(a, 1))
	requireFault(t, err, fault.KindRefused, split.CodeCycle, "legs[2].merchant_id")
	_, err = w.tryRule(b, percent(a, 1), remainder(b))
	requireFault(t, err, fault.KindRefused, split.CodeCycle, "legs[0].merchant_id")

	w.rule(a, platform(1)) // a pays b no more, so c may pay a
	w.rule(c, percent(a, 1))
	_, err = w.tryRule(a, percent(b, 1), remainder(a))
	requireFault(t, err, fault.KindRefused, split.CodeCycle, "legs[0].merchant_id")
}

// Two rules that only together make a circle are created at the same time:
// one of them is refused, every time.
func TestConcurrentRulesDoNotMakeACircle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.New(t))
	for round := range 20 {
		a, b := w.merchant(fmt.Sprint("a", round), party.T0), w.merchant(fmt.Sprint("b", round), party.T0)
		errs := make(chan error, 2)
		go func() { _, err := w.tryRule(a, percent(b, 1), remainder(a)); errs <- err }()
		go func() { _, err := w.tryRule(b, percent(a, 1), remainder(b)); errs <- err }()
		first, second := <-errs, <-errs
		if first == nil {
			first, second = second, first
		}
		require.NoError(t, second)
		requireFault(t, first, fault.KindRefused, split.CodeCycle, "legs[0].merchant_id")
	}
}

func TestConcurrentVersionsOfOneMerchant(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.New(t))
	m := w.merchant("m", party.T0)
	errs := make(chan error, 10)
	for i := range 10 {
		go func() { _, err := w.tryRule(m, platform(i+1), remainder(m)); errs <- err }()
	}
	for range 10 {
		require.NoError(t, <-errs)
	}
	require.Equal(t, 11, w.rule(m, platform(1)).Version)
}

func TestRulesAreBoundedAsAWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.New(t))
	chain := make([]string, 12)
	for i := range chain {
		chain[i] = w.merchant(fmt.Sprint("chain", i), party.T0)
	}
	for i := range 5 { // rules 0…4 and 6…10, the sixth would join them to eleven
		w.rule(chain[i], percent(chain[i+1], 5000))
		w.rule(chain[i+6], percent(chain[i+7-i/5], 5000))
	}
	_, err := w.tryRule(chain[5], percent(chain[6], 1), remainder(chain[5]))
	requireFault(t, err, fault.KindRefused, split.CodeTooDeep, "legs")
	w.rule(chain[5], percent(chain[7], 1))
	require.Len(t, w.preview(chain[0], money.MaxMinor), 11)

	var wide []split.RuleLeg
	for i := range 49 {
		wide = append(wide, percent(w.merchant(fmt.Sprint("wide", i), party.T0), 100))
	}
	parents := make([]split.RuleLeg, 11)
	for i := range parents {
		m := w.merchant(fmt.Sprint("parent", i), party.T0)
		w.rule(m, wide...)
		parents[i] = percent(m, 100)
	}
	top := w.merchant("top", party.T0)
	_, err = w.tryRule(top, append(parents, remainder(top))...)
	requireFault(t, err, fault.KindRefused, split.CodeTooManyLegs, "legs")
	w.rule(top, parents[:9]...)
	require.Len(t, w.preview(top, money.MaxMinor), 9*50+1)
	// The bound also holds when the rule that grows is far below the top.
	_, err = w.tryRule(wide[0].MerchantID, append(wide[1:8:8], remainder(wide[0].MerchantID))...)
	requireFault(t, err, fault.KindRefused, split.CodeTooManyLegs, "legs")
}

func TestReceiversMustExist(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	w, other := newWorld(t, db), newWorld(t, db)
	m, foreign := w.merchant("m", party.T0), other.merchant("m", party.T0)

	for _, missing := range []string{id.New(id.Merchant), foreign, "no id at all"} {
		_, err := w.tryRule(m, remainder(m), platform(1), percent(missing, 1))
		requireFault(t, err, fault.KindRefused, party.CodeMerchantNotFound, "legs[2].merchant_id")
		_, err = w.tryRule(missing, remainder(missing))
		requireFault(t, err, fault.KindRefused, party.CodeMerchantNotFound, "merchant_id")
		err = w.do(func(ctx context.Context, tx pgx.Tx) error {
			_, err := split.Preview(ctx, tx, w.tenant, missing, money.Fen(1))
			return err
		})
		requireFault(t, err, fault.KindRefused, party.CodeMerchantNotFound, "merchant_id")
	}
}
