package clock_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/clock"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestTheClockOnlyMovesForwardAndNotTooFar(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	advance := func(to time.Time) (now time.Time, err error) {
		err = d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
			now, err = clock.Advance(t.Context(), tx, to)
			return err
		})
		return now, err
	}
	target := time.Now().Add(72 * time.Hour)
	now, err := advance(target)
	require.NoError(t, err)
	require.WithinDuration(t, target, now, time.Minute)
	again, err := advance(target.Add(-48 * time.Hour))
	require.NoError(t, err)
	require.False(t, again.Before(now))
	_, err = advance(time.Now().Add(clock.MaxAhead + time.Hour))
	require.True(t, fault.Is(err, "clock_too_far"), "%v", err)

	require.NoError(t, d.DB.InTenant(t.Context(), id.New(id.Tenant), func(tx pgx.Tx) error {
		seen, err := clock.Now(t.Context(), tx)
		require.NoError(t, err)
		require.False(t, seen.Before(target))
		return nil
	}))
	err = d.DB.InTenant(t.Context(), id.New(id.Tenant), func(tx pgx.Tx) error {
		_, err := clock.Advance(t.Context(), tx, target.Add(time.Hour))
		return err
	})
	require.ErrorContains(t, err, "permission denied", "a tenant moved everybody's clock")
}
