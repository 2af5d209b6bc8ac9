package activities_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/recon"
)

// yesterday opens the daily operations of the last business date.
func (s *scene) yesterday() accept.Ref {
	s.Helper()
	var daily recon.Daily
	s.do(func(ctx context.Context, tx pgx.Tx) error {
		date, err := recon.Yesterday(ctx, tx)
		if err != nil {
			return err
		}
		daily, err = recon.DriveDaily(ctx, tx, s.tenant, date)
		return err
	})
	return s.ref(daily.ID)
}

func TestDailySteps(t *testing.T) {
	s := newScene(t)
	in := s.yesterday()
	first, err := s.steps.Daily.OpenReconciliations(t.Context(), in)
	require.NoError(t, err)
	require.Len(t, first, 1)
	require.Equal(t, first, twice(s, s.steps.Daily.OpenReconciliations, in))
	require.Equal(t, int64(1), s.count(`select count(*) from reconciliations`))
	require.Zero(t, twice(s, s.steps.Daily.SettleDay, in))
	for range 2 {
		require.NoError(t, s.steps.Daily.FinishDaily(t.Context(), in))
	}
	require.Equal(t, int64(1), s.count(`select count(*) from daily_operations where status = 'done'`))
	days, err := s.steps.Daily.OpenReconciliations(t.Context(), in)
	require.NoError(t, err)
	require.Empty(t, days, "an operation that is done opens nothing")
}

func TestOpenYesterdayLeavesWhatRunsAlone(t *testing.T) {
	s := newScene(t)
	s.yesterday()
	started, err := s.steps.Daily.OpenYesterday(t.Context())
	require.NoError(t, err)
	require.Zero(t, started)
	require.Equal(t, int64(1), s.count(`select count(*) from daily_operations`))
}

// A round whose worker died after it had opened the day runs again, perhaps when
// the day's operations are done.
func TestOpenYesterdayOpensADayOnce(t *testing.T) {
	s := newScene(t)
	for round := range 3 {
		started, err := s.steps.Daily.OpenYesterday(t.Context())
		require.NoError(t, err)
		require.Equal(t, max(0, 1-round), started)
		var id string
		require.NoError(t, s.db.Pool.QueryRow(t.Context(), `select id from daily_operations`).Scan(&id))
		require.NoError(t, s.steps.Daily.FinishDaily(t.Context(), s.ref(id)))
		require.Equal(t, int64(1), s.count(`select count(*) from daily_operations where status = 'done'`))
	}
	// What was run before the day ended has not reconciled it.
	_, err := s.db.Pool.Exec(t.Context(), `update daily_operations set created_at = created_at - interval '1 day'`)
	require.NoError(t, err)
	started, err := s.steps.Daily.OpenYesterday(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, started)
}

// reconciliation opens the run of yesterday.
func (s *scene) reconciliation() accept.Ref {
	s.Helper()
	days, err := s.steps.Daily.OpenReconciliations(s.Context(), s.yesterday())
	require.NoError(s, err)
	return s.ref(days[0].ReconciliationID)
}

func emptyBill() channel.BillResult {
	raw := []byte("no trades")
	digest := sha256.Sum256(raw)
	return channel.BillResult{Answer: succeeded(), State: channel.BillReady,
		Bill: channel.Bill{Raw: raw, SHA256: hex.EncodeToString(digest[:])}}
}

func TestFetchBill(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bill            channel.BillResult
		err             error
		stored, refused bool
		waiting         string
	}{
		"ready":     {bill: emptyBill(), stored: true},
		"empty":     {bill: channel.BillResult{Answer: succeeded(), State: channel.BillEmpty}, stored: true},
		"not ready": {bill: channel.BillResult{State: channel.BillNotReady}, waiting: "alipay has not made the bill yet; asking again"},
		"unknown": {bill: channel.BillResult{Answer: unknown(), State: channel.BillUnknown},
			waiting: "no usable answer from alipay (BAD_SIGNATURE); asking again"},
		"unreadable": {err: errors.New("row 7: no amount"), waiting: "the bill of alipay cannot be used: row 7: no amount"},
		"refused": {bill: channel.BillResult{Answer: answer(channel.Failed, "NO_AUTH"), State: channel.BillRefused}, refused: true,
			waiting: "no usable answer from alipay (NO_AUTH); asking again"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			in := s.reconciliation()
			s.provider.bill, s.provider.billErr = c.bill, c.err
			state := twice(s, s.steps.Reconciliations.FetchBill, in)
			require.Equal(t, c.stored, state.Stored)
			require.Equal(t, c.refused, state.Refused)
			require.Equal(t, c.waiting, s.count1(`select coalesce(waiting_for, '') from reconciliations`))
			if !c.stored {
				return
			}
			require.Equal(t, "balanced", twice(s, s.steps.Reconciliations.MatchBill, in).Status)
			require.Equal(t, int64(1), s.events(in.ID))
			require.True(t, twice(s, s.steps.Reconciliations.FetchBill, in).Final, "an ended run fetches nothing")
		})
	}
}

func TestGiveUpReconciliation(t *testing.T) {
	s := newScene(t)
	in := s.reconciliation()
	state := twice(s, func(ctx context.Context, in accept.Ref) (activities.ReconciliationState, error) {
		return s.steps.Reconciliations.GiveUpReconciliation(ctx, in, "no bill")
	}, in)
	require.True(t, state.Final)
	require.Equal(t, "failed", state.Status)
	require.Equal(t, state, twice(s, s.steps.Reconciliations.ReadReconciliation, in))
}
