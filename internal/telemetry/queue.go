package telemetry

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// queue counts the spans that wait for the collector, with those on their way to it,
// and takes no more than there is room for. The SDK's own queue is behind it, and
// drops what it has no room for without a word.
type queue struct {
	sdktrace.SpanProcessor
	metrics *Spans
	waiting atomic.Int64
	closed  atomic.Bool
}

// OnEnd takes a span, or drops and counts it. It never waits.
func (q *queue) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	switch {
	case q.closed.Load():
	case q.waiting.Add(1) > spansWaiting:
		q.waiting.Add(-1)
	default:
		q.SpanProcessor.OnEnd(s)
		return
	}
	q.metrics.count(spanDropped, 1)
}

// Shutdown delivers what waits until ctx ends.
func (q *queue) Shutdown(ctx context.Context) error {
	q.closed.Store(true)
	return q.SpanProcessor.Shutdown(ctx)
}

// complainEvery is how often the log tells that spans are not delivered.
const complainEvery = time.Minute

// exporter lets batches out: held to the vocabulary, counted, and with an error for our
// log instead of the SDK's.
type exporter struct {
	sdktrace.SpanExporter
	queue *queue
	log   *slog.Logger
	// until ends when the process waits no longer; what is under way then is given up, and
	// was counted.
	until      context.Context
	complained time.Time
}

// ExportSpans delivers a batch. The SDK calls it for one batch at a time.
func (e *exporter) ExportSpans(ctx context.Context, batch []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.until, cancel)()
	told := make([]sdktrace.ReadOnlySpan, len(batch))
	for i, s := range batch {
		told[i] = plain(s, e.queue.metrics)
	}
	err := e.SpanExporter.ExportSpans(ctx, told)
	if e.until.Err() != nil {
		return nil
	}
	e.queue.waiting.Add(-int64(len(batch)))
	outcome := spanSent
	if err != nil {
		outcome = spanFailed
	}
	e.queue.metrics.count(outcome, int64(len(batch)))
	if err != nil && time.Since(e.complained) > complainEvery {
		e.complained = time.Now()
		e.log.Warn("spans of traces are not delivered; nothing else is affected", "error", err.Error())
	}
	return nil
}
