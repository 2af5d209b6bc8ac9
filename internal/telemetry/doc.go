// Package telemetry owns the metrics of a process and their address: counters and
// timings in Prometheus' format, on a listener of their own, because they are not
// for the public.
//
// It knows no money and no payment: callers hand it words and durations. A label
// holds only ids and words of a fixed list, never what a person or a provider wrote.
package telemetry
