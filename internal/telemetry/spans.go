package telemetry

import "github.com/prometheus/client_golang/prometheus"

// What became of a span.
const (
	spanSent    = "sent"
	spanDropped = "dropped"
	spanFailed  = "failed"
)

// Spans are the metrics of traces.
type Spans struct {
	ended    *prometheus.CounterVec
	withheld prometheus.Counter
}

func newSpans(registry *prometheus.Registry) *Spans {
	s := &Spans{
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "suanpan_trace_spans_total",
			Help: "Spans of sampled traces, by what became of them: sent, dropped (no room) or failed (the collector did not take them).",
		}, []string{"outcome"}),
		withheld: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "suanpan_trace_withheld_total",
			Help: "Names, attributes and reasons of spans that were not of their form and were left out; each is a bug.",
		}),
	}
	registry.MustRegister(s.ended, s.withheld)
	for _, outcome := range []string{spanSent, spanDropped, spanFailed} {
		s.ended.WithLabelValues(outcome) // shown from the start, as 0
	}
	return s
}

func (s *Spans) count(outcome string, n int64) { s.ended.WithLabelValues(outcome).Add(float64(n)) }
