package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Channels are the metrics of calls to payment providers.
type Channels struct {
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	inFlight *prometheus.GaugeVec
	open     *prometheus.GaugeVec
	lost     *prometheus.CounterVec
}

func newChannels(registry *prometheus.Registry) *Channels {
	account := []string{"channel", "channel_account"}
	c := &Channels{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "suanpan_channel_calls_total",
			Help: "Calls to payment providers that were let go, by what their answer means.",
		}, append(account, "operation", "outcome")),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "suanpan_channel_call_seconds",
			Help:    "How long calls to payment providers took.",
			Buckets: []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30, 60, 300},
		}, []string{"channel", "operation"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "suanpan_channel_calls_refused_total",
			Help: "Calls that our own guard did not let go: bulkhead, breaker or rate.",
		}, append(account, "by")),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "suanpan_channel_calls_in_flight",
			Help: "Calls under way, waiting for the rate included.",
		}, account),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "suanpan_channel_breaker_state",
			Help: "The breaker of a channel account in this process: 0 closed, 1 half open, 2 open.",
		}, account),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "suanpan_channel_records_lost_total",
			Help: "Records about calls that could not be written: calls (for timelines) or health.",
		}, []string{"of"}),
	}
	registry.MustRegister(c.calls, c.seconds, c.refused, c.inFlight, c.open, c.lost)
	return c
}

// Called counts a call that was let go.
func (c *Channels) Called(channel, account, operation, outcome string, took time.Duration) {
	c.calls.WithLabelValues(channel, account, operation, outcome).Inc()
	c.seconds.WithLabelValues(channel, operation).Observe(took.Seconds())
}

// Refused counts a call that was not let go, by what: bulkhead, breaker or rate.
func (c *Channels) Refused(channel, account, by string) {
	c.refused.WithLabelValues(channel, account, by).Inc()
}

// Began counts a call under way; the function it returns ends it.
func (c *Channels) Began(channel, account string) (ended func()) {
	gauge := c.inFlight.WithLabelValues(channel, account)
	gauge.Inc()
	return gauge.Dec
}

// Breaker shows the state of an account's breaker: 0 closed, 1 half open, 2 open.
func (c *Channels) Breaker(channel, account string, state int) {
	c.open.WithLabelValues(channel, account).Set(float64(state))
}

// Lost counts records about calls that could not be written: of calls or health.
func (c *Channels) Lost(of string, n int) { c.lost.WithLabelValues(of).Add(float64(n)) }
