package split_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/split"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/money"
)

func TestSettlePerMerchantAndPaymentDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.New(t))
	store, agent, fast := w.merchant("store", party.T1), w.merchant("agent", party.T1), w.merchant("fast", party.T0)
	w.rule(store, platform(100), percent(agent, 1000), percent(fast, 1000))
	first := w.payment(store, 10000, "2026-03-01")
	w.record(first)
	w.record(w.payment(store, 20000, "2026-03-01"))
	w.record(w.payment(store, 40000, "2026-03-02"))
	w.record(w.payment(store, 80000, "2026-03-03"))

	require.Empty(t, w.due("2026-02-28"))
	require.Equal(t, []string{store, agent}, w.due("2026-03-02"))
	settled := w.settle(store, "2026-03-02")
	require.Equal(t, []split.Settlement{
		{ID: settled[0].ID, MerchantID: store, PaidOn: "2026-03-01", Amount: money.Fen(7900 + 15800)},
		{ID: settled[1].ID, MerchantID: store, PaidOn: "2026-03-02", Amount: money.Fen(31600)},
	}, settled)
	require.Empty(t, w.settle(store, "2026-03-02"), "a second run finds nothing")
	require.Empty(t, w.settle(fast, "2026-03-02"), "T0 money is never pending")
	require.Equal(t, []string{agent}, w.due("2026-03-02"))

	legs := w.legs(first.ID)
	require.True(t, legs[0].Available)
	require.Equal(t, settled[0].ID, legs[0].SettlementID)
	require.Equal(t, agent, legs[2].MerchantID)
	require.False(t, legs[2].Available)

	require.Len(t, w.settle(agent, "2026-03-31"), 3)
	require.Len(t, w.settle(store, "2026-03-31"), 1)
	require.Empty(t, w.due("2026-03-31"))

	requireFault(t, w.do(func(ctx context.Context, tx pgx.Tx) error {
		_, err := split.Settle(ctx, tx, w.tenant, store, "tomorrow")
		return err
	}), fault.KindInvalid, "date_malformed", "date")
	requireFault(t, w.do(func(ctx context.Context, tx pgx.Tx) error {
		_, err := split.DueMerchants(ctx, tx, w.tenant, "20260301")
		return err
	}), fault.KindInvalid, "date_malformed", "date")
}

func TestSettleLeavesRefundsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.New(t))
	m := w.merchant("m", party.T1)
	whole, part, flight := w.payment(m, 100, "2026-03-01"), w.payment(m, 200, "2026-03-01"), w.payment(m, 400, "2026-03-01")
	for _, p := range []split.Payment{whole, part, flight} {
		w.record(p)
	}
	refund := func(p split.Payment, amount int64) {
		w.must(func(ctx context.Context, tx pgx.Tx) error {
			legs, err := split.Legs(ctx, tx, w.tenant, p.ID)
			require.NoError(t, err)
			return split.AddRefunded(ctx, tx, w.tenant, legs[0].SplitID, []split.Part{{Position: 0, Amount: money.Fen(amount)}})
		})
	}
	refund(whole, 100)
	refund(part, 50)
	w.exec(`update payments set refunding = 1 where id = $1`, flight.ID)

	require.Equal(t, []string{m}, w.due("2026-03-01"))
	settled := w.settle(m, "2026-03-01")
	require.Len(t, settled, 1)
	require.Equal(t, money.Fen(150), settled[0].Amount)
	require.Empty(t, w.due("2026-03-01"))
	require.False(t, w.legs(whole.ID)[0].Available)
	require.False(t, w.legs(flight.ID)[0].Available)

	w.exec(`update payments set refunding = 0 where id = $1`, flight.ID)
	require.Equal(t, []string{m}, w.due("2026-03-01"))
	require.Equal(t, money.Fen(400), w.settle(m, "2026-03-01")[0].Amount)
}

// A refund is being accepted while the settlement runs: the settlement waits
// for it and then leaves the payment out.
func TestSettleWaitsForARefundBeingAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.New(t))
	m := w.merchant("m", party.T1)
	p := w.payment(m, 100, "2026-03-01")
	w.record(p)
	settled := make(chan []split.Settlement, 1)
	errs := make(chan error, 1)
	w.must(func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `update payments set refunding = 100 where tenant_id = $1 and id = $2`, w.tenant, p.ID)
		require.NoError(t, err)
		go func() {
			errs <- w.do(func(ctx context.Context, tx pgx.Tx) error {
				got, err := split.Settle(ctx, tx, w.tenant, m, "2026-03-01")
				settled <- got
				return err
			})
		}()
		w.waitForBlocked()
		return nil
	})
	require.Empty(t, <-settled)
	require.NoError(t, <-errs)
	require.False(t, w.legs(p.ID)[0].Available)
}

func TestConcurrentSettlementsSettleOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.New(t))
	m := w.merchant("m", party.T1)
	for range 20 {
		w.record(w.payment(m, 100, "2026-03-01"))
	}
	settled := make(chan []split.Settlement, 6)
	errs := make(chan error, 6)
	for range 6 {
		go func() {
			var got []split.Settlement
			err := w.do(func(ctx context.Context, tx pgx.Tx) (err error) {
				got, err = split.Settle(ctx, tx, w.tenant, m, "2026-03-01")
				return err
			})
			settled <- got
			errs <- err
		}()
	}
	var all []split.Settlement
	for range 6 {
		require.NoError(t, <-errs)
		all = append(all, <-settled...)
	}
	require.Len(t, all, 1)
	require.Equal(t, money.Fen(2000), all[0].Amount)
}
