package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sample is the outcome of one measurement.
type sample struct {
	perSecond float64
	p50, p99  time.Duration
	done      int
	failed    int
	err       error // the first failure
	// wal is how many bytes of write-ahead log each thing done took.
	wal float64
	// images and reads are pages of 8 kB, per thing done: written whole to that log,
	// being changed for the first time since a checkpoint, and read into the server's
	// buffers. The server tells of them up to a second late.
	images, reads float64
}

// operation is one thing done, by one of several callers.
type operation func(ctx context.Context, random *rand.Rand) error

// warmUp is run before a measurement of d and not counted.
func warmUp(d time.Duration) time.Duration { return min(d, time.Second) }

// measure lets callers do op again and again, each waiting for its own answer,
// and counts what was begun and ended within the time d after a warm-up.
func measure(ctx context.Context, callers int, d time.Duration, op operation) sample {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := time.Now().Add(warmUp(d))
	end := start.Add(d)
	var mu sync.Mutex
	var all []time.Duration
	var failures atomic.Int64
	var firstErr error
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(start.UnixNano()), uint64(caller)))
			mine := make([]time.Duration, 0, 1<<14)
			for {
				began := time.Now()
				if began.After(end) || ctx.Err() != nil {
					break
				}
				if err := op(ctx, random); err != nil {
					failures.Add(1)
					mu.Lock()
					if firstErr == nil {
						firstErr = err
					}
					mu.Unlock()
					continue
				}
				if now := time.Now(); began.After(start) && now.Before(end) {
					mine = append(mine, now.Sub(began))
				}
			}
			mu.Lock()
			all = append(all, mine...)
			mu.Unlock()
		})
	}
	group.Wait()
	s := sample{done: len(all), failed: int(failures.Load()), err: firstErr}
	if len(all) > 0 {
		slices.Sort(all)
		s.perSecond = float64(len(all)) / d.Seconds()
		s.p50, s.p99 = all[len(all)/2], all[len(all)*99/100]
	}
	return s
}

// check makes an error of a measurement that did not go well: nothing here is
// expected to be refused.
func (s sample) check(name string) error {
	switch {
	case s.err != nil:
		return fmt.Errorf("%s: %d failed, the first: %w", name, s.failed, s.err)
	case s.done == 0:
		return fmt.Errorf("%s: nothing was done in time", name)
	}
	return nil
}

// median of the rates, and the medians of the percentiles.
func medianOf(samples []sample) sample {
	pick := func(value func(sample) float64) float64 {
		values := make([]float64, len(samples))
		for i, s := range samples {
			values[i] = value(s)
		}
		slices.Sort(values)
		if n := len(values); n%2 == 0 {
			return (values[n/2-1] + values[n/2]) / 2
		}
		return values[len(values)/2]
	}
	m := sample{
		perSecond: pick(func(s sample) float64 { return s.perSecond }),
		p50:       time.Duration(pick(func(s sample) float64 { return float64(s.p50) })),
		p99:       time.Duration(pick(func(s sample) float64 { return float64(s.p99) })),
		wal:       pick(func(s sample) float64 { return s.wal }),
		images:    pick(func(s sample) float64 { return s.images }),
		reads:     pick(func(s sample) float64 { return s.reads }),
	}
	for _, s := range samples {
		m.done += s.done
	}
	return m
}
