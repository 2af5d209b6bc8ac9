package telemetry

import (
	"context"
	"net/http"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// span is a piece of work under way. The zero span is none, and costs nothing.
type span struct{ of trace.Span }

// End ends the work. It may be called once.
func (s span) End() {
	if s.of != nil {
		s.of.End()
	}
}

// fail says that the work failed, for a reason in our own words.
func (s span) fail(reason string) { s.of.SetStatus(codes.Error, reason) }

func (t *Traces) start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, span) {
	ctx, of := t.tracer.Start(ctx, name, options...)
	return ctx, span{of}
}

// TraceID is the id of the trace that ctx belongs to, for lines of the log; empty when
// there is none, or when it is not sent.
func TraceID(ctx context.Context) string {
	c := trace.SpanContextFromContext(ctx)
	if !c.IsSampled() {
		return ""
	}
	return c.TraceID().String()
}

// Request is a request to the API.
type Request struct{ span }

// RequestFacts are what is known of a request at its end; empty where nothing is.
type RequestFacts struct {
	// ID is the request's, Operation the id in the contract, Tenant whose key it was and
	// Refusal the code of the answer's problem.
	ID, Operation, Tenant, Refusal string
}

// Request begins the trace of a request to an address of the API, given as its template.
// It is a trace of its own whatever the caller says of one; see Link.
func (t *Traces) Request(ctx context.Context, method, route string) (context.Context, Request) {
	if t == nil {
		return ctx, Request{}
	}
	method = knownMethod(method)
	ctx, s := t.start(ctx, method+" "+route, trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(keyMethod.String(method), keyRoute.String(route)))
	return ctx, Request{s}
}

func knownMethod(method string) string {
	known := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	if !slices.Contains(known, method) {
		return "_OTHER"
	}
	return method
}

// Answered says how the request was answered. What is our fault is a failure.
func (r Request) Answered(status int, facts RequestFacts) {
	if r.of == nil {
		return
	}
	attributes := []attribute.KeyValue{keyStatus.Int(status)}
	for key, text := range map[attribute.Key]string{keyRequest: facts.ID, keyOperation: facts.Operation, keyTenant: facts.Tenant,
		keyRefusal: facts.Refusal} {
		if text != "" {
			attributes = append(attributes, key.String(text))
		}
	}
	r.of.SetAttributes(attributes...)
	if status >= http.StatusInternalServerError {
		r.fail(facts.Refusal)
	}
}

// Link notes beside the request of ctx what its caller says that it belongs to, in the
// form of W3C Trace Context's header traceparent. It changes neither the trace's id nor
// whether it is sent. What is no such header is ignored.
func Link(ctx context.Context, traceparent string) {
	own := trace.SpanFromContext(ctx)
	if traceparent == "" || !own.IsRecording() {
		return
	}
	said := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent})
	if theirs := trace.SpanContextFromContext(said); theirs.IsValid() {
		own.AddLink(trace.Link{SpanContext: idsOnly(theirs)})
	}
}

// Call is a call to a payment provider.
type Call struct{ span }

// Call begins a call to a provider, from when it asks to be let go.
func (t *Traces) Call(ctx context.Context, channel, account, operation string) (context.Context, Call) {
	if t == nil {
		return ctx, Call{}
	}
	ctx, s := t.start(ctx, channel+" "+operation, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(keyChannel.String(channel), keyAccount.String(account), keyCall.String(operation)))
	return ctx, Call{s}
}

// Waited says for how long the call was not let go yet.
func (c Call) Waited(waited time.Duration) {
	if c.of != nil {
		c.of.SetAttributes(keyWaited.Int64(waited.Milliseconds()))
	}
}

// Refused says that the call was not let go, by what: bulkhead, breaker or rate.
func (c Call) Refused(by string) {
	if c.of != nil {
		c.of.SetAttributes(keyRefusedBy.String(by))
		c.fail("not_sent")
	}
}

// Answered says what the answer means, with its code and, where that is a word of ours,
// the provider's own. failed: nothing can be concluded from it.
func (c Call) Answered(outcome, code, providerCode string, failed bool) {
	if c.of == nil {
		return
	}
	c.of.SetAttributes(keyOutcome.String(outcome))
	if code != "" {
		c.of.SetAttributes(keyCode.String(code))
	}
	if providerCode != "" {
		c.of.SetAttributes(keyProviderCode.String(providerCode))
	}
	if failed {
		c.fail(outcome)
	}
}

// Webhook is one try of telling a tenant's system about an event.
type Webhook struct{ span }

// Webhook begins a try, numbered from 1.
func (t *Traces) Webhook(ctx context.Context, tenant, event, endpoint string, try int) (context.Context, Webhook) {
	if t == nil {
		return ctx, Webhook{}
	}
	ctx, s := t.start(ctx, "webhook", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		keyTenant.String(tenant), keyEvent.String(event), keyEndpoint.String(endpoint), keyTry.Int(try)))
	return ctx, Webhook{s}
}

// Answered says what came of the try: one of the outcomes that are counted, or that it
// could not be recorded, and the receiver's status, 0 for none.
func (w Webhook) Answered(outcome string, status int) {
	if w.of == nil {
		return
	}
	w.of.SetAttributes(keyTryOutcome.String(outcome))
	if status != 0 {
		w.of.SetAttributes(keyStatus.Int(status))
	}
	if outcome != WebhookDelivered {
		w.fail(outcome)
	}
}

// Transaction is work on the database.
type Transaction struct{ span }

// InTransaction begins a transaction of a database role, within the work of ctx; there is
// none when that is not traced.
func InTransaction(ctx context.Context, role string) (context.Context, Transaction) {
	within := trace.SpanFromContext(ctx)
	if !within.IsRecording() {
		return ctx, Transaction{}
	}
	ctx, of := within.TracerProvider().Tracer(scope).Start(ctx, "transaction "+role, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(keyDatabase.String("postgresql"), keyRole.String(role)))
	return ctx, Transaction{span{of}}
}

// Ended says whether the transaction was committed, and ends it.
func (t Transaction) Ended(committed bool) {
	if t.of != nil {
		t.of.SetAttributes(keyCommitted.Bool(committed))
		t.of.End()
	}
}

// Attempt numbers the present try of the activity of ctx, from 1.
func Attempt(ctx context.Context, attempt int) {
	if s := trace.SpanFromContext(ctx); s.IsRecording() {
		s.SetAttributes(keyAttempt.Int(attempt))
	}
}
