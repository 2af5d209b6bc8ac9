package temporaltrace

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/internal/telemetry"
)

// header is where Temporal's SDKs keep the trace of a workflow or an activity.
const header = "_tracer-data"

// spanKey is where a workflow's context keeps its span.
type spanKey struct{}

// tracer is how Temporal's interceptor makes spans.
type tracer struct {
	interceptor.BaseTracer
	traces *telemetry.Traces
	// codeOf is the code of an error that is a refusal of ours, or empty.
	codeOf func(error) string
}

// Options are the interceptor's. Signals and queries are not traced: they are many and
// say nothing that the steps after them do not.
func (t *tracer) Options() interceptor.TracerOptions {
	return interceptor.TracerOptions{SpanContextKey: spanKey{}, HeaderKey: header, DisableSignalTracing: true,
		DisableQueryTracing: true, AllowInvalidParentSpans: true}
}

// span is work that a workflow or an activity does, or, without work of its own, a place
// that others' work belongs under.
type span struct {
	under trace.SpanContext
	work  trace.Span
	// code is tracer.codeOf.
	code func(error) string
	// held is told only when it was released; see ending.
	held, released bool
}

// Finish ends the work.
func (s *span) Finish(o *interceptor.TracerFinishSpanOptions) {
	if s.work == nil || s.held && !s.released {
		return
	}
	if o.Error != nil && !workflow.IsContinueAsNewError(o.Error) {
		s.work.SetStatus(codes.Error, reason(o.Error, s.code))
	}
	s.work.End()
}

// reason is an error in words of ours; its text could be anybody's.
func reason(err error, codeOf func(error) string) string {
	switch code := codeOf(err); {
	case code != "":
		return code
	case temporal.IsCanceledError(err), errors.Is(err, context.Canceled):
		return "canceled"
	case temporal.IsTimeoutError(err), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case temporal.IsPanicError(err):
		return "panic"
	}
	return "error"
}

// UnmarshalSpan reads the header of a workflow or an activity.
func (t *tracer) UnmarshalSpan(data map[string]string) (interceptor.TracerSpanRef, error) {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": data["traceparent"]})
	under := trace.SpanContextFromContext(ctx)
	if !under.IsValid() {
		return nil, errors.New("the header names no trace")
	}
	return &span{under: under}, nil
}

// MarshalSpan writes that header; nothing for a place outside of any trace.
func (t *tracer) MarshalSpan(s interceptor.TracerSpan) (map[string]string, error) {
	data := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), contextOf(s)), data)
	return data, nil
}

// SpanFromContext is the work of a request or an activity.
func (t *tracer) SpanFromContext(ctx context.Context) interceptor.TracerSpan {
	under := trace.SpanContextFromContext(ctx)
	if !under.IsValid() {
		return nil
	}
	return &span{under: under}
}

// ContextWithSpan puts work into the context of what is done for it.
func (t *tracer) ContextWithSpan(ctx context.Context, s interceptor.TracerSpan) context.Context {
	if own, ok := s.(*span); ok && own.work != nil {
		return trace.ContextWithSpan(ctx, own.work)
	}
	return ctx
}

func contextOf(ref interceptor.TracerSpanRef) trace.SpanContext {
	if s, ok := ref.(*span); ok {
		return s.under
	}
	return trace.SpanContext{}
}

// StartSpan begins work, where there is any: asking for an activity or a child is none,
// and neither is a start by nobody in particular, such as a sweep; the workflow then
// begins its own trace. A workflow's span has an id made of its run, because every
// worker that replays it begins it again.
func (t *tracer) StartSpan(o *interceptor.TracerStartSpanOptions) (interceptor.TracerSpan, error) {
	under := contextOf(o.Parent)
	kind := trace.SpanKindInternal
	switch o.Operation {
	case "StartWorkflow", "SignalWithStartWorkflow", "UpdateWorkflow", "UpdateWithStartWorkflow":
		if !under.IsValid() {
			return &span{}, nil
		}
		kind = trace.SpanKindClient
	case "RunWorkflow", "RunActivity", "HandleUpdate":
		kind = trace.SpanKindServer
	default:
		return &span{under: under}, nil
	}
	ctx := trace.ContextWithSpanContext(context.Background(), under)
	if o.IdempotencyKey != "" {
		ctx = telemetry.Known(ctx, o.IdempotencyKey)
	}
	attributes := make([]attribute.KeyValue, 0, len(o.Tags))
	for key, value := range o.Tags {
		if value != "" {
			attributes = append(attributes, attribute.String(key, value))
		}
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(kind), trace.WithAttributes(attributes...)}
	if !o.Time.IsZero() {
		options = append(options, trace.WithTimestamp(o.Time))
	}
	_, work := t.traces.Tracer().Start(ctx, t.SpanName(o), options...)
	return &span{under: work.SpanContext(), work: work, code: t.codeOf, held: o.IdempotencyKey != ""}, nil
}

// GetLogger puts the trace into the lines of workflows and activities.
func (t *tracer) GetLogger(logger log.Logger, ref interceptor.TracerSpanRef) log.Logger {
	if under := contextOf(ref); under.IsSampled() {
		return log.With(logger, "trace_id", under.TraceID().String())
	}
	return logger
}
