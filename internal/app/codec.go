package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/suanpan/suanpan/core/session"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/payload"
	"github.com/suanpan/suanpan/internal/pg"
)

// RunCodec serves the codec endpoint until ctx ends.
func RunCodec(ctx context.Context, cfg config.Codec, log *slog.Logger) error {
	db, err := pg.Open(ctx, cfg.DatabaseURL, pg.Options{MaxConns: 2})
	if err != nil {
		return err
	}
	defer db.Close()
	box, err := OpenBox(cfg.Secrets)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, cfg.Listening, cfg.Listen, "CODEC_LISTEN")
	if err != nil {
		return fmt.Errorf("codec: %w", err)
	}
	server := &http.Server{
		Handler: payload.Endpoint(payload.EndpointOptions{Codec: NewCodec(db, box), Operators: cfg.Operators,
			Sessions: session.Page{DB: db, Name: "codec", Idle: payload.SessionIdle, Life: payload.SessionLife},
			Origins:  cfg.Origins, Secure: !cfg.Dev(), Log: log}),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		ErrorLog: brokenConnections(log),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Shutdown(context.WithoutCancel(ctx)) })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// NewCodecToken draws a token for an operator and the line that lets it in.
func NewCodecToken(operator string) (token, line string, err error) {
	return payload.NewToken(operator)
}

// EnsureCodecOperator lets an operator in whose token is in tokenFile, and makes
// both when there is none: for development.
func EnsureCodecOperator(operator, file, tokenFile string) error {
	if _, err := os.Stat(tokenFile); err == nil {
		return nil
	}
	token, line, err := NewCodecToken(operator)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		return err
	}
	return os.WriteFile(tokenFile, []byte(token+"\n"), 0o600)
}
