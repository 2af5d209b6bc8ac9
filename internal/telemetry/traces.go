package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/suanpan/suanpan/internal/id"
)

// scope names who makes the spans.
const scope = "github.com/suanpan/suanpan"

// The bounds of what a collector can cost. A span is one or two kilobytes in memory.
const (
	// spansWaiting is how many spans a process keeps that were not taken yet; others
	// are dropped and counted.
	spansWaiting = 8192
	spansBatch   = 512
	// sendEvery is for how long spans wait for company.
	sendEvery = 2 * time.Second
	// sendTimeout bounds the delivery of a batch with its repetitions, tryTimeout one try.
	sendTimeout = 10 * time.Second
	tryTimeout  = 5 * time.Second
	// closeTimeout bounds what is delivered at the end of a process.
	closeTimeout = 3 * time.Second
	// answerBytes is what is read, and thrown away, of a collector's answer, so that the
	// connection can be used again.
	answerBytes = 4 << 10
)

// TraceOptions say where the spans of a process go, and whose they are.
type TraceOptions struct {
	// Service and Version name the program, such as suanpan-api.
	Service, Version string
	// Endpoint is the URL that takes spans by OTLP over HTTP, in protobuf:
	// https://collector.example.com:4318/v1/traces.
	Endpoint string
	// Ratio is the share of traces that are sent, above 0 and up to 1. Who begins a
	// trace decides for all of it.
	Ratio float64
	// Authorities may have signed the collector's certificate; the system's when nil.
	Authorities *x509.CertPool
	// Token is shown to the collector as "Authorization: Bearer …"; empty for none.
	Token string
}

// Traces make the spans of one process. A nil *Traces makes none. They are safe for
// concurrent use.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	queue    *queue
	log      *slog.Logger
	giveUp   context.CancelFunc
}

// NewTraces returns Traces that send to the endpoint of opts in the background. It
// connects to nobody yet: a collector may come later than the process. metrics and
// log learn of spans that are not delivered. Nothing is read of what a collector
// answers but its status; redirects and proxies of the environment are not followed.
func NewTraces(opts TraceOptions, metrics *Spans, log *slog.Logger) (*Traces, error) {
	headers := map[string]string{}
	if opts.Token != "" {
		headers["Authorization"] = "Bearer " + opts.Token
	}
	// Everything is said here: what is left open is read from OTEL_ variables.
	out, err := otlptracehttp.New(context.Background(),
		otlptracehttp.WithEndpointURL(opts.Endpoint),
		otlptracehttp.WithHTTPClient(collectorClient(opts.Authorities)),
		otlptracehttp.WithHeaders(headers),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithTimeout(sendTimeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: 500 * time.Millisecond,
			MaxInterval: 2 * time.Second, MaxElapsedTime: sendTimeout}),
	)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	q := &queue{metrics: metrics}
	until, giveUp := context.WithCancel(context.Background())
	q.SpanProcessor = sdktrace.NewBatchSpanProcessor(&exporter{SpanExporter: out, queue: q, log: log, until: until},
		sdktrace.WithMaxQueueSize(spansWaiting), sdktrace.WithMaxExportBatchSize(spansBatch),
		sdktrace.WithBatchTimeout(sendEvery), sdktrace.WithExportTimeout(sendTimeout))
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(q),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(opts.Ratio))),
		sdktrace.WithIDGenerator(ids{}),
		sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{AttributeValueLengthLimit: 256, AttributeCountLimit: 32, LinkCountLimit: 1}),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", opts.Service),
			attribute.String("service.version", opts.Version),
			attribute.String("service.instance.id", id.Number()),
		)),
	)
	return &Traces{provider: provider, tracer: provider.Tracer(scope), queue: q, log: log, giveUp: giveUp}, nil
}

// Tracer begins spans of any kind; for those of this package's words there are
// Request, Call and Webhook.
func (t *Traces) Tracer() trace.Tracer { return t.tracer }

// Flush delivers what has ended until now, and returns an error when ctx ends first.
func (t *Traces) Flush(ctx context.Context) error { return t.provider.ForceFlush(ctx) }

// Close delivers what waits, for a few seconds at most. Spans that end later are lost.
func (t *Traces) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // what it could not deliver is told here
	t.giveUp()
	if n := t.queue.waiting.Load(); n > 0 {
		t.queue.metrics.count(spanDropped, n)
		t.log.Warn("spans of traces were not delivered before the end", "spans", n)
	}
}

// collectorClient talks to a collector and to nobody it may name.
func collectorClient(authorities *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout:       tryTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: statusOnly{&http.Transport{
			Proxy:                  nil,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities},
			MaxResponseHeaderBytes: 16 << 10,
			DisableCompression:     true,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        time.Minute,
			ForceAttemptHTTP2:      true,
		}},
	}
}

// statusOnly keeps the status of an answer and nothing else: a collector's words would
// come into our log.
type statusOnly struct{ next http.RoundTripper }

func (s statusOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := s.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	_, _ = io.CopyN(io.Discard, answer.Body, answerBytes)
	_ = answer.Body.Close()
	answer.Status = http.StatusText(answer.StatusCode)
	answer.Header, answer.Trailer, answer.Body, answer.ContentLength = http.Header{}, nil, http.NoBody, 0
	return answer, nil
}
