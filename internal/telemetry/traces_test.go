package telemetry_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/suanpan/suanpan/internal/telemetry"
	"github.com/suanpan/suanpan/internal/telemetry/tracetest"
)

// observed are traces with the metrics and the log that tell of them.
type observed struct {
	*telemetry.Traces
	metrics *telemetry.Metrics
	log     *strings.Builder
}

func tracesTo(t *testing.T, endpoint string, change ...func(*telemetry.TraceOptions)) observed {
	t.Helper()
	o := observed{metrics: telemetry.New(), log: &strings.Builder{}}
	opts := telemetry.TraceOptions{Service: "suanpan-test", Version: "v1", Endpoint: endpoint, Ratio: 1}
	for _, c := range change {
		c(&opts)
	}
	var err error
	o.Traces, err = telemetry.NewTraces(opts, o.metrics.Spans, slog.New(slog.NewTextHandler(o.log, nil)))
	require.NoError(t, err)
	return o
}

// counted is a metric's value.
func (o observed) counted(t *testing.T, metric string) int {
	t.Helper()
	w := httptest.NewRecorder()
	o.metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == metric {
			n, err := strconv.ParseFloat(value, 64)
			require.NoError(t, err)
			return int(n)
		}
	}
	require.Fail(t, "no metric "+metric, w.Body.String())
	return 0
}

func (o observed) spans(t *testing.T, outcome string) int {
	t.Helper()
	return o.counted(t, `suanpan_trace_spans_total{outcome="`+outcome+`"}`)
}

func TestSpansArriveWithWhatIsKnown(t *testing.T) {
	t.Parallel()
	collector := tracetest.New(t)
	traces := tracesTo(t, collector.URL, func(o *telemetry.TraceOptions) { o.Token = "hush" })
	ctx, request := traces.Request(t.Context(), "POST", "/v1/payments/:payment_id/refunds")
	id := telemetry.TraceID(ctx)
	telemetry.Link(ctx, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	within, call := traces.Call(ctx, "alipay", "chn_A", "refund")
	_, tx := telemetry.InTransaction(within, "suanpan_app")
	tx.Ended(false)
	call.Waited(1500 * time.Millisecond)
	call.Answered("unknown", "NO_ANSWER", "ACQ.SYSTEM_ERROR", true)
	call.End()
	_, late := traces.Call(ctx, "alipay", "chn_A", "query_refund")
	late.Refused("rate")
	late.End()
	request.Answered(503, telemetry.RequestFacts{ID: "abcdefghijklmnopqrstuvwxyz", Operation: "createRefund", Tenant: "ten_A", Refusal: "unavailable"})
	request.End()
	_, webhook := traces.Webhook(t.Context(), "ten_A", "evt_A", "whe_A", 2)
	webhook.Answered("retried", 410)
	webhook.End()
	_, get := traces.Request(ctx, "HUSH", "/v1/payments")
	get.Answered(200, telemetry.RequestFacts{})
	get.End()
	traces.Close()

	spans := collector.Trace(id)
	require.Equal(t, "POST /v1/payments/:payment_id/refunds\n  alipay refund\n    transaction suanpan_app\n  alipay query_refund\n",
		tracetest.Tree(spans, tracetest.None))
	root := spans[0]
	require.Equal(t, "suanpan-test", root.Service)
	require.Equal(t, "server", root.Kind)
	require.Equal(t, map[string]string{"http.request.method": "POST", "http.route": "/v1/payments/:payment_id/refunds",
		"http.response.status_code": "503", "suanpan.request_id": "abcdefghijklmnopqrstuvwxyz", "suanpan.operation": "createRefund",
		"suanpan.tenant": "ten_A", "suanpan.refusal": "unavailable"}, root.Attributes)
	require.Equal(t, []string{"0af7651916cd43dd8448eb211c80319c"}, root.Links)
	require.True(t, root.Failed)
	require.Equal(t, "unavailable", root.Reason)
	require.Equal(t, map[string]string{"suanpan.channel": "alipay", "suanpan.channel_account": "chn_A", "suanpan.channel.operation": "refund",
		"suanpan.channel.waited_ms": "1500", "suanpan.channel.outcome": "unknown", "suanpan.channel.code": "NO_ANSWER",
		"suanpan.channel.provider_code": "ACQ.SYSTEM_ERROR"}, spans[1].Attributes)
	require.Equal(t, "unknown", spans[1].Reason)
	require.Equal(t, "false", spans[2].Attributes["suanpan.database.committed"])
	require.Equal(t, "rate", spans[3].Attributes["suanpan.channel.refused_by"])
	require.Equal(t, "not_sent", spans[3].Reason)

	others := collector.Spans()[4:]
	require.Len(t, others, 2)
	require.Equal(t, map[string]string{"suanpan.tenant": "ten_A", "suanpan.event": "evt_A", "suanpan.webhook_endpoint": "whe_A",
		"suanpan.webhook.try": "2", "suanpan.webhook.outcome": "retried", "http.response.status_code": "410"}, others[0].Attributes)
	require.Equal(t, "_OTHER /v1/payments", others[1].Name)
	require.Empty(t, others[1].Parent, "a request is a trace of its own")
	require.NotEqual(t, id, others[1].Trace)
	require.Equal(t, "Bearer hush", collector.Tokens()[0])
	require.Equal(t, 6, traces.spans(t, "sent"))
	require.Zero(t, traces.counted(t, "suanpan_trace_withheld_total"))
}

// What is not of the vocabulary does not leave the process, whoever puts it into a span.
func TestNothingThatAPersonWroteLeaves(t *testing.T) {
	t.Parallel()
	collector := tracetest.New(t)
	traces := tracesTo(t, collector.URL)
	const hush = "张三 hush"
	for _, a := range []attribute.KeyValue{
		attribute.String("suanpan.channel.code", hush),
		attribute.String("suanpan.channel.code", "13912345678"), // a telephone number
		attribute.Int64("suanpan.channel.code", 13912345678),
		attribute.Int64("suanpan.channel.waited_ms", 13912345678),
		attribute.Int64("suanpan.webhook.try", -1),
		attribute.String("suanpan.webhook.try", "hush"),
		attribute.Bool("suanpan.webhook.try", true),
		attribute.String("suanpan.tenant", "hush"),
		attribute.String("suanpan.tenant", "ten_A\nhush"),
		attribute.String("http.route", "/v1/payments?hush"),
		attribute.String("temporalWorkflowID", "payment/hush@example.com"),
		attribute.String("suanpan.hush", "hush"),
		attribute.String("exception.message", "hush"),
		attribute.StringSlice("suanpan.channel", []string{"hush"}),
		attribute.Float64("suanpan.webhook.try", 0.5),
	} {
		_, span := traces.Tracer().Start(t.Context(), "one", trace.WithAttributes(a))
		span.End()
	}
	_, span := traces.Tracer().Start(t.Context(), hush)
	span.End()
	_, span = traces.Tracer().Start(t.Context(), "two")
	span.SetStatus(codes.Error, hush)
	span.RecordError(errors.New(hush))
	span.AddEvent("hush")
	span.End()
	_, span = traces.Tracer().Start(t.Context(), "three")
	state, err := trace.ParseTraceState("who=hush")
	require.NoError(t, err)
	span.AddLink(trace.Link{SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1},
		TraceState: state}), Attributes: []attribute.KeyValue{attribute.String("who", "hush")}})
	span.End()
	traces.Close()

	require.Len(t, collector.Spans(), 18)
	require.NotContains(t, string(collector.Bytes()), "hush")
	require.NotContains(t, string(collector.Bytes()), "13912345678")
	require.Equal(t, 15+1+1, traces.counted(t, "suanpan_trace_withheld_total"))
	require.True(t, named(collector.Spans(), "two")[0].Failed)
	require.Len(t, named(collector.Spans(), "three")[0].Links, 1)
	for _, s := range named(collector.Spans(), "one") {
		require.Empty(t, s.Attributes)
	}
}

func named(spans []tracetest.Span, name string) (found []tracetest.Span) {
	for _, s := range spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// Whatever a collector does, spans cost no time, the process ends in time, and what was
// not delivered is counted.
func TestACollectorHarmsNothing(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	lure := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(lure.Close)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		taken  bool
	}{
		"hangs":    {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, false},
		"500":      {status(500), false},
		"no proxy": {status(407), false},
		"says to wait for a year": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "31536000")
			w.WriteHeader(503)
		}, false},
		"sends elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, lure.URL, http.StatusTemporaryRedirect)
		}, false},
		"breaks off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false},
		"talks for ever": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("hush ", 1000)); err != nil {
					return
				}
			}
		}, true},
		"takes a part, with words": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-protobuf")
			// partial_success: rejected_spans 1, error_message "hush"
			_, _ = w.Write([]byte{0x0a, 0x08, 0x08, 0x01, 0x12, 0x04, 'h', 'u', 's', 'h'})
		}, true},
		"answers noise": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-protobuf")
			_, _ = io.WriteString(w, "\xff\xffhush")
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			collector := tracetest.New(t)
			collector.Answer(c.answer)
			traces := tracesTo(t, collector.URL)
			began := time.Now()
			for range 600 { // more than a batch
				_, span := traces.Tracer().Start(t.Context(), "one")
				span.End()
			}
			require.Less(t, time.Since(began), time.Second)
			traces.Close()
			require.Less(t, time.Since(began), 5*time.Second)
			require.NotContains(t, traces.log.String(), "hush")
			if c.taken {
				require.Equal(t, 600, traces.spans(t, "sent"))
				return
			}
			require.Zero(t, traces.spans(t, "sent"))
			require.Equal(t, 600, traces.spans(t, "failed")+traces.spans(t, "dropped"))
			require.Contains(t, traces.log.String(), "not delivered")
			require.Zero(t, elsewhere.Load())
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "hush")
	}
}

// A collector that hangs leaves room for so many spans and no more; the rest is dropped
// and counted, and nobody waits.
func TestSpansThatFindNoRoomAreCounted(t *testing.T) {
	t.Parallel()
	collector := tracetest.New(t)
	collector.Answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	traces := tracesTo(t, collector.URL)
	began := time.Now()
	for range 8192 + 1000 {
		_, span := traces.Tracer().Start(t.Context(), "one")
		span.End()
	}
	require.Less(t, time.Since(began), 3*time.Second)
	require.Equal(t, 1000, traces.spans(t, "dropped"))
	traces.Close()
	_, span := traces.Tracer().Start(t.Context(), "late")
	span.End()
}

// Who begins a trace decides whether it is sent.
func TestATraceIsSentWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	collector := tracetest.New(t)
	few := tracesTo(t, collector.URL, func(o *telemetry.TraceOptions) { o.Ratio = 0.25 })
	all := tracesTo(t, collector.URL)
	begun := 0
	for range 1000 {
		ctx, request := few.Request(t.Context(), "GET", "/v1/payments")
		if telemetry.TraceID(ctx) != "" {
			begun++
		}
		_, call := all.Call(ctx, "alipay", "chn_A", "prepay")
		call.End()
		request.End()
	}
	few.Close()
	all.Close()
	require.InDelta(t, 250, begun, 80)
	require.Len(t, collector.Spans(), 2*begun)
}

// The same work has the same id wherever it is begun.
func TestKnownWorkHasOneID(t *testing.T) {
	t.Parallel()
	begin := func(ctx context.Context, traces observed) trace.SpanContext {
		_, span := traces.Tracer().Start(ctx, "one")
		return span.SpanContext()
	}
	here, there := tracesTo(t, "http://127.0.0.1:1/v1/traces"), tracesTo(t, "http://127.0.0.1:1/v1/traces")
	ctx := telemetry.Known(t.Context(), "payment/pay_A run 1")
	require.Equal(t, begin(ctx, here), begin(ctx, there))
	require.NotEqual(t, begin(ctx, here), begin(telemetry.Known(t.Context(), "payment/pay_A run 2"), here))
	within, request := here.Request(t.Context(), "GET", "/v1/payments")
	defer request.End()
	one := begin(telemetry.Known(within, "payment/pay_A run 1"), here)
	require.Equal(t, telemetry.TraceID(within), one.TraceID().String())
	require.Equal(t, begin(ctx, here).SpanID(), one.SpanID())
	require.NotEqual(t, begin(within, here), begin(within, here))
}

// Without an endpoint there is nothing: no trace, and nothing to allocate.
func TestNoTracesCostNothing(t *testing.T) {
	var none *telemetry.Traces
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(100, func() { work(ctx, none) }))
	require.Empty(t, telemetry.TraceID(ctx))
	none.Close()
}

// work is what a request costs in spans.
func work(ctx context.Context, traces *telemetry.Traces) {
	ctx, request := traces.Request(ctx, "POST", "/v1/payments")
	telemetry.Link(ctx, "")
	ctx, call := traces.Call(ctx, "alipay", "chn_A", "prepay")
	call.Waited(time.Second)
	_, tx := telemetry.InTransaction(ctx, "suanpan_app")
	tx.Ended(true)
	call.Answered("succeeded", "OK", "", false)
	call.Refused("rate")
	call.End()
	_, webhook := traces.Webhook(ctx, "ten_A", "evt_A", "whe_A", 1)
	webhook.Answered("delivered", 200)
	webhook.End()
	telemetry.Attempt(ctx, 1)
	request.Answered(201, telemetry.RequestFacts{ID: "abcdefghijklmnopqrstuvwxyz", Operation: "createPayment", Tenant: "ten_A"})
	request.End()
}

func BenchmarkRequestWithoutTraces(b *testing.B) {
	for b.Loop() {
		work(b.Context(), nil)
	}
}

func BenchmarkRequestWithTraces(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer server.Close()
	traces, err := telemetry.NewTraces(telemetry.TraceOptions{Service: "bench", Endpoint: server.URL, Ratio: 1}, telemetry.New().Spans,
		slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	for b.Loop() {
		work(b.Context(), traces)
	}
	traces.Close()
}
