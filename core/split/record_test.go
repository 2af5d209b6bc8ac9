package split_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
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

func TestRecordBooksWhatPreviewShowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.New(t))
	const seed = 20260101
	random := rand.New(rand.NewPCG(seed, 0))
	merchants := make([]string, 7)
	for i := range merchants {
		merchants[i] = w.merchant(fmt.Sprint("m", i), []party.Settlement{party.T0, party.T1}[i%2])
	}
	for round := range 60 {
		i := random.IntN(len(merchants) - 1)
		legs := []split.RuleLeg{platform(1 + random.IntN(500))}
		for _, later := range merchants[i+1:] {
			if random.IntN(2) == 0 {
				legs = append(legs, percent(later, 1+random.IntN(1500)))
			}
		}
		w.rule(merchants[i], legs...)
		merchant, amount := merchants[random.IntN(3)], 1+random.Int64N(1_000_000)

		preview := w.preview(merchant, amount)
		p := w.payment(merchant, amount, "2026-03-01")
		booked := w.record(p)
		require.Len(t, booked, len(preview), "round %d of seed %d", round, seed)
		for n, leg := range booked {
			require.Equal(t, preview[n], leg.Leg)
			require.Equal(t, n, leg.Position)
			t0 := slices.Index(merchants, leg.MerchantID)%2 == 0
			require.Equal(t, leg.Receiver == split.ToPlatform || t0 || leg.Amount.IsZero(), leg.Available)
		}
		requireSum(t, p.Amount, preview)
		require.Equal(t, booked, w.legs(p.ID), "what is read is what was returned")
	}
}

func TestRecordIsIdempotent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.New(t))
	m := w.merchant("m", party.T1)
	w.rule(m, platform(60))
	p := w.payment(m, 10000, "2026-03-01")
	first := w.record(p)
	w.rule(m, platform(5000))
	require.Equal(t, first, w.record(p), "a new rule does not change what is booked")
	require.Equal(t, []string{m}, w.due("2026-03-01"))

	p.Amount = money.Fen(9999)
	requireFault(t, w.do(func(ctx context.Context, tx pgx.Tx) error {
		_, err := split.Record(ctx, tx, w.tenant, p)
		return err
	}), fault.KindConflict, "split_recorded_differently", "amount")

	for _, date := range []string{"", "2026-02-30", "1 March"} {
		p.PaidOn = date
		requireFault(t, w.do(func(ctx context.Context, tx pgx.Tx) error {
			_, err := split.Record(ctx, tx, w.tenant, p)
			return err
		}), fault.KindInvalid, "date_malformed", "paid_on")
	}
	require.Empty(t, w.legs(id.New(id.Payment)))
}

func TestConcurrentRecordsOfOnePayment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.New(t))
	m := w.merchant("m", party.T1)
	w.rule(m, platform(60))
	p := w.payment(m, 10000, "2026-03-01")
	type answer struct {
		legs []split.BookedLeg
		err  error
	}
	answers := make(chan answer, 8)
	for range 8 {
		go func() {
			var a answer
			a.err = w.do(func(ctx context.Context, tx pgx.Tx) (err error) {
				a.legs, err = split.Record(ctx, tx, w.tenant, p)
				return err
			})
			answers <- a
		}()
	}
	want := w.record(p)
	for range 8 {
		a := <-answers
		require.NoError(t, a.err)
		require.Equal(t, want, a.legs)
	}
}

func TestRefundedIsCountedPerLeg(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.New(t))
	store, agent := w.merchant("store", party.T1), w.merchant("agent", party.T0)
	w.rule(store, platform(60), percent(agent, 3333))
	w.rule(agent, platform(1))
	p := w.payment(store, 10001, "2026-03-01")
	legs := w.record(p)
	change := func(do func(context.Context, pgx.Tx, string, string, []split.Part) error, parts []split.Part) error {
		return w.do(func(ctx context.Context, tx pgx.Tx) error { return do(ctx, tx, w.tenant, legs[0].SplitID, parts) })
	}
	refund := func(before, now int64) []split.Part {
		parts, err := split.RefundParts(w.legs(p.ID), p.Amount, money.Fen(before), money.Fen(now))
		require.NoError(t, err)
		require.NoError(t, change(split.AddRefunded, parts))
		return parts
	}
	first := refund(0, 3334)
	refund(3334, 1)
	require.NoError(t, change(split.TakeBackRefunded, first))
	refund(1, 5000)
	last := refund(5001, 5000)
	for _, leg := range w.legs(p.ID) {
		require.Equal(t, leg.Amount, leg.Refunded)
	}

	require.ErrorContains(t, change(split.AddRefunded, last), "not that much left")
	require.ErrorContains(t, change(split.AddRefunded, []split.Part{{Position: 99, Amount: money.Fen(1)}}), "leg is missing")
	require.ErrorContains(t, change(split.AddRefunded, []split.Part{{Position: 0, Amount: money.Fen(-1)}}), "negative")
	require.NoError(t, change(split.TakeBackRefunded, last))
	require.Error(t, change(split.TakeBackRefunded, []split.Part{{Position: 0, Amount: money.Fen(10001)}}))
}

func TestTenantsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ours, theirs := newWorld(t, db), newWorld(t, db)
	m := ours.merchant("m", party.T1)
	rule := ours.rule(m, platform(60))
	p := ours.payment(m, 10000, "2026-03-01")
	legs := ours.record(p)

	// Neither by their own name nor, behind the second wall, by ours.
	for _, named := range []string{theirs.tenant, ours.tenant} {
		theirs.must(func(ctx context.Context, tx pgx.Tx) error {
			_, err := split.GetRule(ctx, tx, named, rule.ID)
			requireFault(t, err, fault.KindNotFound, "not_found", "")
			rules, _, err := split.ListRules(ctx, tx, named, split.RuleFilter{})
			require.NoError(t, err)
			require.Empty(t, rules)
			found, err := split.Legs(ctx, tx, named, p.ID)
			require.NoError(t, err)
			require.Empty(t, found)
			due, err := split.DueMerchants(ctx, tx, named, "2030-01-01")
			require.NoError(t, err)
			require.Empty(t, due)
			settled, err := split.Settle(ctx, tx, named, m, "2030-01-01")
			require.NoError(t, err)
			require.Empty(t, settled)
			_, err = split.Preview(ctx, tx, named, m, money.Fen(100))
			requireFault(t, err, fault.KindRefused, party.CodeMerchantNotFound, "merchant_id")
			return nil
		})
		require.Error(t, theirs.do(func(ctx context.Context, tx pgx.Tx) error {
			return split.AddRefunded(ctx, tx, named, legs[0].SplitID, []split.Part{{Position: 0, Amount: money.Fen(1)}})
		}))
		require.Error(t, theirs.do(func(ctx context.Context, tx pgx.Tx) error {
			_, err := split.Record(ctx, tx, named, p)
			return err
		}))
	}
	require.Equal(t, legs, ours.legs(p.ID))
}
