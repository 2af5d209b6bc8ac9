package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What a try of a webhook came to.
const (
	WebhookDelivered = "delivered"
	WebhookRetried   = "retried"
	WebhookFailed    = "failed"
)

// Webhooks are the metrics of webhooks. A nil one counts nothing.
type Webhooks struct {
	tries     *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	alarms    *prometheus.CounterVec
	pending   prometheus.Gauge
	due       prometheus.Gauge
	oldest    prometheus.Gauge
	endpoints *prometheus.GaugeVec
}

func newWebhooks(registry *prometheus.Registry) *Webhooks {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	w := &Webhooks{
		tries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "suanpan_webhook_tries_total",
			Help: "Webhooks posted, by what came of it: delivered, retried (will be) or failed (given up).",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "suanpan_webhook_try_seconds",
			Help:    "How long receivers took, by what came of it.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15},
		}, []string{"outcome"}),
		alarms: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "suanpan_webhook_alarms_total",
			Help: "Tenants told that an endpoint is failing, paused or disabled.",
		}, []string{"what"}),
		pending: gauge("suanpan_webhook_pending", "Deliveries that are still to be made, of all instances; those of paused endpoints too."),
		due:     gauge("suanpan_webhook_due", "Deliveries that are due and not made, of active endpoints that do not rest, of all instances."),
		oldest:  gauge("suanpan_webhook_oldest_due_seconds", "How long the oldest of the due deliveries is overdue."),
		endpoints: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "suanpan_webhook_endpoints",
			Help: "Endpoints, of all instances, by status; failing ones are active.",
		}, []string{"status"}),
	}
	registry.MustRegister(w.tries, w.seconds, w.alarms, w.pending, w.due, w.oldest, w.endpoints)
	return w
}

// Tried counts a try by its outcome and how long it took.
func (w *Webhooks) Tried(outcome string, took time.Duration) {
	if w == nil {
		return
	}
	w.tries.WithLabelValues(outcome).Inc()
	w.seconds.WithLabelValues(outcome).Observe(took.Seconds())
}

// Alarmed counts an event that tells a tenant of an endpoint in trouble.
func (w *Webhooks) Alarmed(what string) {
	if w != nil {
		w.alarms.WithLabelValues(what).Inc()
	}
}

// Backlog shows what is to be done, and how many endpoints there are by status.
func (w *Webhooks) Backlog(pending, due int64, oldest time.Duration, endpoints map[string]int64) {
	if w == nil {
		return
	}
	w.pending.Set(float64(pending))
	w.due.Set(float64(due))
	w.oldest.Set(oldest.Seconds())
	for status, n := range endpoints {
		w.endpoints.WithLabelValues(status).Set(float64(n))
	}
}
