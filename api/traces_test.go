package api

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/telemetry"
	"github.com/suanpan/suanpan/internal/telemetry/tracetest"
)

// TestRequestsAreTraces: a span says of a request what the log says, and of what came
// from outside nothing but, as a link, the trace that a caller with a key says he is in.
func TestRequestsAreTraces(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	collector := tracetest.New(t)
	metrics := telemetry.New()
	traces, err := telemetry.NewTraces(telemetry.TraceOptions{Service: "test", Endpoint: collector.URL, Ratio: 1}, metrics.Spans, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	f.handler = f.serve(Options{Dev: true, Traces: traces})
	const (
		theirs = "0af7651916cd43dd8448eb211c80319c"
		parent = "00-" + theirs + "-b7ad6b7169203331-01"
	)
	_, checkout := f.unchosen("")
	f.log.Reset()
	traced := func(path string, headers ...string) tracetest.Span {
		t.Helper()
		f.log.Reset()
		request := f.get(path, headers...).Header().Get("X-Request-Id")
		require.NoError(t, traces.Flush(t.Context()))
		for _, s := range collector.Spans() {
			if s.Attributes["suanpan.request_id"] == request {
				require.Contains(t, f.log.String(), "trace_id="+s.Trace)
				require.Empty(t, s.Parent)
				require.NotEqual(t, theirs, s.Trace)
				return s
			}
		}
		require.Fail(t, "no span of "+path)
		return tracetest.Span{}
	}
	good := traced("/v1/payments", "traceparent", parent, "tracestate", "who=hush", "baggage", "who=hush")
	require.Equal(t, "GET /v1/payments", good.Name)
	require.Equal(t, map[string]string{"http.request.method": "GET", "http.route": "/v1/payments", "http.response.status_code": "200",
		"suanpan.request_id": good.Attributes["suanpan.request_id"], "suanpan.operation": "listPayments", "suanpan.tenant": f.tenant}, good.Attributes)
	require.Equal(t, []string{theirs}, good.Links)
	require.False(t, good.Failed)

	require.Empty(t, traced("/v1/payments", "traceparent", "00-hush").Links)
	require.Empty(t, traced("/v1/payments", "traceparent", parent[:len(parent)-1]).Links)
	nobody := traced("/v1/payments", "traceparent", parent, "Authorization", "Bearer hush")
	require.Empty(t, nobody.Links, "who shows no key links to nothing")
	require.Equal(t, "unauthenticated", nobody.Attributes["suanpan.refusal"])
	refused := traced("/v1/payments?hush=hush")
	require.Equal(t, "parameter_unknown", refused.Attributes["suanpan.refusal"])
	require.False(t, refused.Failed, "it is the caller's mistake")
	require.Equal(t, "GET /v1/payments/:payment_id", traced("/v1/payments/"+id.New(id.Payment)).Name)
	page := traced(checkout, "traceparent", parent)
	require.Equal(t, "GET /checkout/:token", page.Name)
	require.Empty(t, page.Links)

	before := len(collector.Spans())
	for _, path := range []string{"/healthz", "/hush", "/v1/hush"} {
		f.get(path)
	}
	f.send(http.MethodTrace, "/v1/payments", nil)
	traces.Close()
	require.Len(t, collector.Spans(), before, "what has no address here, and questions after health, are no traces")
	require.NotContains(t, string(collector.Bytes()), "hush")
	require.NotContains(t, string(collector.Bytes()), strings.TrimPrefix(checkout, "/checkout/"))
	require.NotContains(t, string(collector.Bytes()), f.key)
}
