package demo

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// patience is how long anything may take that the platform does by itself,
	// somebody killing and restarting its parts included.
	patience = 2 * time.Minute
	// lookAgain is the pause between two looks at the same thing.
	lookAgain = 150 * time.Millisecond
)

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await looks until there is nothing more to wait for. look returns what it
// still waits for, in words, or "" once it is there.
func await(ctx context.Context, what string, look func() (missing string, err error)) error {
	deadline := time.Now().Add(patience)
	for {
		missing, err := look()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if missing == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: %s, even after %s", what, missing, patience)
		}
		if err := pause(ctx, lookAgain); err != nil {
			return fmt.Errorf("%s: %s: %w", what, missing, err)
		}
	}
}

// each runs do for every item, by at most workers at a time, and returns the
// first error; the rest is then given up.
func each[T any](ctx context.Context, workers int, items []T, do func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan T)
	var running sync.WaitGroup
	for range min(workers, len(items)) {
		running.Go(func() {
			for item := range queue {
				if err := do(ctx, item); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, item := range items {
		select {
		case queue <- item:
		case <-ctx.Done():
		}
	}
	close(queue)
	running.Wait()
	return context.Cause(ctx)
}

// together runs all of jobs at once and returns the first error.
func together(ctx context.Context, jobs ...func(context.Context) error) error {
	return each(ctx, len(jobs), jobs, func(ctx context.Context, job func(context.Context) error) error { return job(ctx) })
}
