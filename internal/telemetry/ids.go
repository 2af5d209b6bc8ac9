package telemetry

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// ids makes the ids of traces and spans: drawn, or made of a key (see Known).
type ids struct{}

type knownKey struct{}

// Known returns a context in which the next span gets an id made of key, and so does
// its trace when it begins one. It is for work that more than one process may begin,
// or one process more than once, and that is still one piece of work: a workflow.
func Known(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, knownKey{}, key)
}

// NewIDs makes the ids of a span that begins a trace.
func (ids) NewIDs(ctx context.Context) (traceID trace.TraceID, spanID trace.SpanID) {
	if digest, ok := digestOf(ctx); ok {
		copy(traceID[:], digest[8:])
		copy(spanID[:], digest[:])
		return traceID, spanID
	}
	binary.BigEndian.PutUint64(traceID[:8], 1+rand.Uint64N(1<<63)) // 0 is no id
	binary.BigEndian.PutUint64(traceID[8:], rand.Uint64())
	return traceID, drawn()
}

// NewSpanID makes the id of a span within a trace.
func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) (spanID trace.SpanID) {
	if digest, ok := digestOf(ctx); ok {
		copy(spanID[:], digest[:])
		return spanID
	}
	return drawn()
}

func drawn() (spanID trace.SpanID) {
	binary.BigEndian.PutUint64(spanID[:], 1+rand.Uint64N(1<<63))
	return spanID
}

func digestOf(ctx context.Context) (digest [sha256.Size]byte, ok bool) {
	key, ok := ctx.Value(knownKey{}).(string)
	if !ok {
		return digest, false
	}
	return sha256.Sum256([]byte(key)), true
}
