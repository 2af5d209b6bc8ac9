package ledger_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
)

func held(reference string, amount int64) ledger.HoldRequest {
	return ledger.HoldRequest{Account: key(ledger.MerchantAvailable, "mch_a"), Amount: amount, Reference: reference}
}

func (b *bench) getHold(reference string) (h ledger.Hold) {
	b.t.Helper()
	require.NoError(b.t, b.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		h, err = ledger.GetHold(ctx, tx, b.tenant, reference)
		return err
	}))
	return h
}

func TestHoldIsCapturedInParts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustPost(collect("p1", "mch_a", 100))
	holds, err := b.hold(held("h1", 70))
	require.NoError(t, err)
	require.Equal(t, ledger.HoldOpen, holds[0].Status)
	again, err := b.hold(held("h1", 70))
	require.NoError(t, err)
	require.True(t, again[0].Replayed)
	require.Equal(t, holds[0].ID, again[0].ID)
	_, err = b.hold(held("h1", 71))
	require.True(t, ledger.IsKind(err, ledger.Mismatch), "%v", err)

	_, err = b.post(spend("r0", "mch_a", 31, ""))
	require.True(t, ledger.IsKind(err, ledger.Insufficient), "%v", err)
	b.mustPost(spend("r1", "mch_a", 30, ""), spend("r2", "mch_a", 50, "h1"))
	require.True(t, b.mustPost(spend("r2", "mch_a", 50, "h1"))[0].Replayed)
	_, err = b.post(spend("r3", "mch_a", 21, "h1"))
	require.True(t, ledger.IsKind(err, ledger.HoldExceeded), "%v", err)
	b.mustPost(spend("r3", "mch_a", 20, "h1"))
	require.Equal(t, ledger.HoldCaptured, b.getHold("h1").Status)

	_, err = b.post(spend("r4", "mch_a", 1, "h1"))
	require.True(t, ledger.IsKind(err, ledger.HoldClosed), "%v", err)
	require.True(t, ledger.IsKind(b.release("h1"), ledger.HoldClosed))
	account := b.balance(key(ledger.MerchantAvailable, "mch_a"))
	require.Zero(t, account.Posted)
	require.Zero(t, account.Held)
	b.requireSound()
}

func TestReleaseFreesWhatIsLeft(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustPost(collect("p1", "mch_a", 100))
	_, err := b.hold(held("h1", 60), held("h2", 40))
	require.NoError(t, err)
	_, err = b.hold(held("h3", 1))
	require.True(t, ledger.IsKind(err, ledger.Insufficient), "%v", err)
	b.mustPost(spend("r1", "mch_a", 10, "h1"))
	require.NoError(t, b.release("h1"))
	require.NoError(t, b.release("h1"), "releasing again changes nothing")
	h := b.getHold("h1")
	require.Equal(t, ledger.HoldReleased, h.Status)
	require.EqualValues(t, 10, h.Captured)
	require.EqualValues(t, 50, h.Released)
	_, err = b.post(spend("r2", "mch_a", 1, "h1"))
	require.True(t, ledger.IsKind(err, ledger.HoldClosed), "%v", err)
	account := b.balance(key(ledger.MerchantAvailable, "mch_a"))
	require.EqualValues(t, 90, account.Posted)
	require.EqualValues(t, 50, account.Available())
	require.True(t, ledger.IsKind(b.release("h9"), ledger.NotFound))
	b.requireSound()
}

func TestHoldRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustPost(collect("p1", "mch_a", 100), collect("p2", "mch_b", 100))
	_, err := b.hold(held("h1", 60))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		request ledger.HoldRequest
		kind    ledger.ErrorKind
	}{
		"zero":         {held("x", 0), ledger.Invalid},
		"negative":     {held("x", -5), ledger.Invalid},
		"no reference": {held("", 5), ledger.Invalid},
		"internal":     {ledger.HoldRequest{Account: key(ledger.ChannelUnsettled, "chn"), Amount: 1, Reference: "x"}, ledger.Invalid},
		"unknown":      {ledger.HoldRequest{Account: key("cash", "mch_a"), Amount: 1, Reference: "x"}, ledger.Invalid},
		"nobody's":     {ledger.HoldRequest{Account: key(ledger.MerchantAvailable, "mch_z"), Amount: 1, Reference: "x"}, ledger.Insufficient},
		"other's":      {ledger.HoldRequest{Account: key(ledger.MerchantAvailable, "mch_b"), Amount: 60, Reference: "h1"}, ledger.Mismatch},
	} {
		_, err := b.hold(c.request)
		require.True(t, ledger.IsKind(err, c.kind), "%s: %v", name, err)
	}
	_, err = b.post(spend("r1", "mch_b", 10, "h1"))
	require.True(t, ledger.IsKind(err, ledger.HoldExceeded), "%v", err)
	_, err = b.post(spend("r1", "mch_b", 10, "h9"))
	require.True(t, ledger.IsKind(err, ledger.NotFound), "%v", err)
	b.requireSound()
}

func TestReduceNamesWhatRemains(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustPost(collect("p1", "mch_a", 100))
	_, err := b.hold(held("h1", 60))
	require.NoError(t, err)
	reduce := func(left int64) error {
		return b.in(func(ctx context.Context, tx pgx.Tx) error { return ledger.ReduceHold(ctx, tx, b.tenant, "h1", left) })
	}
	require.NoError(t, reduce(40))
	require.NoError(t, reduce(40), "again changes nothing")
	require.EqualValues(t, 60, b.balance(key(ledger.MerchantAvailable, "mch_a")).Available())
	b.mustPost(spend("r1", "mch_a", 30, "h1"))
	require.NoError(t, reduce(40), "less is left already")
	_, err = b.post(spend("r2", "mch_a", 11, "h1"))
	require.True(t, ledger.IsKind(err, ledger.HoldExceeded), "%v", err)
	require.True(t, ledger.IsKind(reduce(-1), ledger.Invalid))
	b.mustPost(spend("r2", "mch_a", 10, "h1"))
	h := b.getHold("h1")
	require.Equal(t, ledger.HoldCaptured, h.Status)
	require.EqualValues(t, 40, h.Captured)
	require.EqualValues(t, 20, h.Released)
	require.True(t, ledger.IsKind(reduce(0), ledger.HoldClosed))
	b.requireSound()
}

func TestHoldsExpire(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	b.mustPost(collect("p1", "mch_a", 100), collect("p2", "mch_b", 100))
	var now time.Time
	require.NoError(t, b.Pool.QueryRow(context.Background(), `select suanpan_now()`).Scan(&now))
	expiring := func(reference, merchant string, in time.Duration) ledger.HoldRequest {
		return ledger.HoldRequest{Account: key(ledger.MerchantAvailable, merchant), Amount: 30, Reference: reference, ExpiresAt: now.Add(in)}
	}
	_, err := b.hold(expiring("h1", "mch_a", time.Hour), expiring("h2", "mch_b", time.Hour), expiring("h3", "mch_b", 3*time.Hour), held("h4", 10))
	require.NoError(t, err)
	b.mustPost(spend("r1", "mch_a", 10, "h1"))
	require.Zero(t, b.expire())
	b.ahead("2 hours")
	_, err = b.post(spend("r2", "mch_a", 1, "h1"))
	require.True(t, ledger.IsKind(err, ledger.HoldClosed), "before the sweep comes: %v", err)

	swept := make([]int, 6)
	var done sync.WaitGroup
	for i := range swept {
		done.Go(func() { swept[i] = b.expire() })
	}
	done.Wait()
	total := 0
	for _, n := range swept {
		total += n
	}
	require.Equal(t, 2, total, "each once, whoever sweeps")
	h := b.getHold("h1")
	require.Equal(t, ledger.HoldExpired, h.Status)
	require.EqualValues(t, 10, h.Captured)
	require.EqualValues(t, 20, h.Released)
	require.NoError(t, b.release("h1"), "what was left is free already")
	require.EqualValues(t, 80, b.balance(key(ledger.MerchantAvailable, "mch_a")).Available())
	require.EqualValues(t, 70, b.balance(key(ledger.MerchantAvailable, "mch_b")).Available())
	_, err = b.post(spend("r2", "mch_a", 1, "h1"))
	require.True(t, ledger.IsKind(err, ledger.HoldClosed), "%v", err)
	b.requireSound()
}
