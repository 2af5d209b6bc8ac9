package app

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/suanpan/suanpan/api"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/failpoint/intercept"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/internal/telemetry"
	"github.com/suanpan/suanpan/workflows"
)

// RunAPI serves the HTTP API, and sweeps, until ctx ends; requests under way are
// finished.
func RunAPI(ctx context.Context, cfg config.API, log *slog.Logger) error {
	db, err := pg.Open(ctx, cfg.DatabaseURL, pg.Options{MaxConns: cfg.DatabaseMaxConns})
	if err != nil {
		return err
	}
	defer db.Close()
	box, err := OpenBox(cfg.Secrets)
	if err != nil {
		return err
	}
	metrics := telemetry.New()
	traces, err := newTraces(cfg.Traces, "suanpan-api", metrics, log)
	if err != nil {
		return err
	}
	defer traces.Close()
	temporal, err := DialTemporal(cfg.Core, NewCodec(db, box), log, slices.Concat(intercept.Temporal(ctx), TracedTemporal(traces))...)
	if err != nil {
		return err
	}
	defer temporal.Close()
	guards, stop, err := startGuards(ctx, cfg.Guards, cfg.Metrics, cfg.Listening, metrics, traces, db, log)
	if err != nil {
		return err
	}
	defer stop()
	adapters := NewAdapters(cfg.Channels, db, box).Guarded(guards)
	starter := workflows.Starter{Client: temporal}
	handler, err := api.New(api.Options{
		DB:        db,
		Workflows: starter,
		Adapters:  adapters,
		Glossary:  Glossary(),
		Desk:      adapters,
		Box:       box,
		PublicURL: strings.TrimSuffix(cfg.PublicURL, "/"),

		TrustedProxies: cfg.TrustedProxies,
		Guard:          webhookGuard(cfg.Webhooks, log),
		Log:            log,
		Traces:         traces,
		Dev:            cfg.Dev(),
		Mode:           tenant.Mode(cfg.TenantMode),
		Rates:          ratesOf(cfg.Serving),
	})
	if err != nil {
		return err
	}
	listener, err := listen(ctx, cfg.Listening, cfg.Listen, "API_LISTEN")
	if err != nil {
		return err
	}
	var background sync.WaitGroup
	sweeper := &Sweeper{DB: db, Starter: starter, Log: log, Grace: PaymentGrace,
		CallMonths: cfg.ChannelCallMonths, TryMonths: cfg.WebhookTryMonths, ReturnWatch: cfg.ReturnWatch}
	background.Go(func() { sweeper.Run(ctx) })
	defer background.Wait()
	return api.Serve(ctx, listener, intercept.Handler(ctx, handler), log)
}

// ratesOf lets a second's worth of requests be saved up.
func ratesOf(cfg config.Serving) api.Rates {
	return api.Rates{
		Tenant: tenant.Rate{PerSecond: cfg.RateTenant, Burst: cfg.RateTenant},
		Key:    tenant.Rate{PerSecond: cfg.RateKey, Burst: cfg.RateKey},
	}
}
