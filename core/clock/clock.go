// Package clock owns the business clock as Go sees it: reading it, and moving it
// forward in development. Protocol time (signatures, timeouts) never comes from
// here, and no code decides by it outside SQL's suanpan_now().
package clock

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
)

// MaxAhead bounds how far the business clock may run ahead of real time.
const MaxAhead = 400 * 24 * time.Hour

// Now returns the business time.
func Now(ctx context.Context, q pg.Querier) (time.Time, error) {
	var now time.Time
	if err := q.QueryRow(ctx, `select suanpan_now()`).Scan(&now); err != nil {
		return now, fmt.Errorf("business clock: %w", err)
	}
	return now, nil
}

// Advance moves the business clock of the whole installation forward to at
// least the moment to, and returns the business time after it. It needs the
// system role and is for development only; the caller checks that. Idempotent:
// a clock that is already there or later stays. It refuses more than MaxAhead.
func Advance(ctx context.Context, tx pgx.Tx, to time.Time) (time.Time, error) {
	var tooFar bool
	err := tx.QueryRow(ctx, `select $1::timestamptz > clock_timestamp() + $2::interval`, to, MaxAhead).Scan(&tooFar)
	if err != nil {
		return time.Time{}, fmt.Errorf("business clock: %w", err)
	}
	if tooFar {
		return time.Time{}, fault.Refused("now", "clock_too_far", "The business clock may be moved at most 400 days ahead of real time.")
	}
	if _, err := tx.Exec(ctx, `update business_clock set ahead = greatest(ahead, $1::timestamptz - clock_timestamp())`, to); err != nil {
		return time.Time{}, fmt.Errorf("move business clock: %w", err)
	}
	return Now(ctx, tx)
}
