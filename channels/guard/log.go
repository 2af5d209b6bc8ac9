package guard

import (
	"context"
	"time"
)

// Log writes records in the background, in company, so that keeping a record
// neither slows nor fails what it is about. What cannot be written is lost and
// counted. It is safe for concurrent use.
type Log[T any] struct {
	write func(context.Context, []T) error
	lost  func(int)
	queue chan T
}

// The rhythm of a Log: records wait for company at most logEvery.
const (
	logQueue   = 4096
	logBatch   = 200
	logEvery   = 200 * time.Millisecond
	logTimeout = 5 * time.Second
)

// NewLog returns a Log that writes with write and tells lost how many it lost.
func NewLog[T any](write func(context.Context, []T) error, lost func(int)) *Log[T] {
	return &Log[T]{write: write, lost: lost, queue: make(chan T, logQueue)}
}

// Record keeps one record for Run. It never waits: without room the record is lost.
func (l *Log[T]) Record(record T) {
	select {
	case l.queue <- record:
	default:
		l.lost(1)
	}
}

// Run writes until ctx ends, and then what was recorded before. Values of ctx are
// passed on to write; its end is not.
func (l *Log[T]) Run(ctx context.Context) {
	for {
		var batch []T
		select {
		case first := <-l.queue:
			batch = l.company(ctx, first)
		case <-ctx.Done():
			for len(l.queue) > 0 {
				l.flush(ctx, l.rest())
			}
			return
		}
		l.flush(ctx, batch)
	}
}

// company waits a moment for records to be written with first.
func (l *Log[T]) company(ctx context.Context, first T) []T {
	batch := []T{first}
	timer := time.NewTimer(logEvery)
	defer timer.Stop()
	for len(batch) < logBatch {
		select {
		case next := <-l.queue:
			batch = append(batch, next)
		case <-timer.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// rest takes what is there now, without waiting.
func (l *Log[T]) rest() []T {
	var batch []T
	for len(batch) < logBatch {
		select {
		case next := <-l.queue:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

func (l *Log[T]) flush(ctx context.Context, batch []T) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), logTimeout)
	defer cancel()
	if err := l.write(bounded, batch); err != nil {
		l.lost(len(batch))
	}
}
