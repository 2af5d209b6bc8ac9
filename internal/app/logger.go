package app

import (
	"io"
	"log/slog"

	"github.com/suanpan/suanpan/internal/config"
)

// NewLogger returns the process's logger: JSON lines at the configured level, their
// times in UTC. Whatever a text holds, it stays inside its line and its field.
func NewLogger(w io.Writer, cfg config.Core) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: cfg.LogLevel, ReplaceAttr: inUTC}))
}

func inUTC(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 && a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}
