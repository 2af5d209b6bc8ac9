package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/suanpan/suanpan/client"
)

// The business clock runs in two places, at the platform and at the providers;
// the demo moves both, and only forward.

// shanghai is the calendar of business days.
func shanghai() *time.Location { return time.FixedZone("Asia/Shanghai", 8*60*60) }

// clockSlack is how far the two clocks may be apart.
const clockSlack = 2 * time.Second

// clocks reads both business clocks.
func (r *run) clocks(ctx context.Context) (ours, theirs time.Time, err error) {
	clock, err := got[client.TestClock](r.api.GetTestClockWithResponse(ctx))
	if err != nil {
		return ours, theirs, fmt.Errorf("the business clock (only a development stack has one to read): %w", err)
	}
	theirs, err = r.sandbox.now(ctx)
	return clock.Now, theirs, err
}

// moveClocks brings both clocks to the same later moment.
func (r *run) moveClocks(ctx context.Context, what string, to time.Time) error {
	_, err := got[client.TestClock](r.api.MoveTestClockWithResponse(ctx,
		&client.MoveTestClockParams{IdempotencyKey: r.key("clock-" + what)}, client.MoveTestClock{Now: to}))
	if err != nil {
		return fmt.Errorf("moving the business clock: %w", err)
	}
	clock, err := got[client.TestClock](r.api.GetTestClockWithResponse(ctx))
	if err != nil {
		return err
	}
	if err := r.sandbox.moveClock(ctx, clock.Now); err != nil {
		return err
	}
	ours, theirs, err := r.clocks(ctx)
	if err != nil {
		return err
	}
	if ours.Before(to) || ours.Sub(theirs).Abs() > clockSlack {
		return fmt.Errorf("the business clocks should be at %s and are at %s here and %s at the providers",
			to.Format(time.DateTime), ours.Format(time.DateTime), theirs.Format(time.DateTime))
	}
	return nil
}

// alignClocks brings the clocks into step, at a moment far enough from
// midnight: a day cannot be closed while payments run across its end, and near
// midnight reconciliation rightly explains what it would otherwise report.
func (r *run) alignClocks(ctx context.Context) error {
	ours, theirs, err := r.clocks(ctx)
	if err != nil {
		return err
	}
	start := playable(later(ours, theirs))
	if start.After(ours) || ours.Sub(theirs).Abs() > clockSlack {
		if err := r.moveClocks(ctx, "start", later(ours, start)); err != nil {
			return err
		}
	}
	r.day = later(ours, start).In(shanghai()).Format(time.DateOnly)
	return nil
}

// playable is now, or the next morning if now is too close to midnight.
func playable(now time.Time) time.Time {
	local := now.In(shanghai())
	midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, shanghai())
	switch sinceMidnight := local.Sub(midnight); {
	case sinceMidnight < 30*time.Minute:
		return midnight.Add(30 * time.Minute)
	case sinceMidnight > 23*time.Hour:
		return midnight.AddDate(0, 0, 1).Add(30 * time.Minute)
	}
	return now
}

// nextMorning is half past ten on the day after date: both providers have made
// the day's bills by then.
func nextMorning(date string) (time.Time, error) {
	day, err := time.ParseInLocation(time.DateOnly, date, shanghai())
	return day.AddDate(0, 0, 1).Add(10*time.Hour + 30*time.Minute), err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
