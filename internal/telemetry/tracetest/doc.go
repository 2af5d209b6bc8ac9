// Package tracetest owns a collector of traces for tests: a server that takes OTLP over
// HTTP as an OpenTelemetry collector does, and shows the traces as trees. Only tests may
// import it.
package tracetest
