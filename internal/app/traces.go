package app

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"go.temporal.io/sdk/interceptor"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/telemetry"
	"github.com/suanpan/suanpan/internal/telemetry/temporaltrace"
)

// newTraces returns the traces of a process; nil when none are to be sent.
func newTraces(cfg config.Traces, service string, metrics *telemetry.Metrics, log *slog.Logger) (*telemetry.Traces, error) {
	if cfg.TracesEndpoint == "" {
		return nil, nil
	}
	opts := telemetry.TraceOptions{Service: service, Version: buildVersion(), Endpoint: cfg.TracesEndpoint, Ratio: cfg.TracesRatio}
	if cfg.TracesCAFile != "" {
		var err error
		if opts.Authorities, err = authorities("TRACES_CA_FILE", cfg.TracesCAFile); err != nil {
			return nil, err
		}
	}
	if cfg.TracesTokenFile != "" {
		content, err := os.ReadFile(cfg.TracesTokenFile)
		if err != nil {
			return nil, fmt.Errorf("%sTRACES_TOKEN_FILE: %w", config.Prefix, err)
		}
		if opts.Token = strings.TrimSpace(string(content)); opts.Token == "" || strings.ContainsAny(opts.Token, "\r\n") {
			return nil, fmt.Errorf("%sTRACES_TOKEN_FILE must hold one line, the token", config.Prefix)
		}
	}
	traces, err := telemetry.NewTraces(opts, metrics.Spans, log)
	if err != nil {
		return nil, err
	}
	log.Info("traces are sent", "to", cfg.TracesEndpoint, "ratio", cfg.TracesRatio)
	return traces, nil
}

// buildVersion is what the Go tool recorded about the build.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}

// TracedTemporal is what DialTemporal needs for calls, workflows and activities to be
// in traces; nothing for nil.
func TracedTemporal(traces *telemetry.Traces) []interceptor.ClientInterceptor {
	return temporaltrace.Interceptors(traces, codeOf)
}

func codeOf(err error) string {
	if f, ok := fault.As(err); ok {
		return f.Code
	}
	return ""
}
