package app

import (
	"io"
	"log/slog"

	"github.com/suanpan/suanpan/internal/config"
)

// NewLogger returns the process's logger: JSON lines at the configured level.
func NewLogger(w io.Writer, cfg config.Core) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: cfg.LogLevel}))
}
