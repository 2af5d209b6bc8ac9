// Package telemetry owns the metrics and the traces of a process: counters and
// timings in Prometheus' format, on a listener of their own, because they are not
// for the public; and spans, sent to an OpenTelemetry collector when one is configured.
//
// It knows no money and no payment: callers hand it words and durations. A label
// or an attribute holds only ids and words of a fixed list or form, never what a
// person or a provider wrote; spans are held to that once more on their way out
// (vocabulary.go). A collector that is slow, away or hostile harms nothing.
package telemetry
