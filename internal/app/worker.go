package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/channels/alipay"
	"github.com/suanpan/suanpan/channels/wechatpay"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/failpoint"
	"github.com/suanpan/suanpan/internal/failpoint/intercept"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/internal/telemetry"
	"github.com/suanpan/suanpan/workflows"
)

// PaymentGrace is how long after its expiry a payment is closed, on the business
// clock: the provider's clock may be behind ours and a payer in the middle of it.
const PaymentGrace = 30 * time.Second

// Steps is every activity struct, wired.
type Steps struct {
	Payments        *activities.Payments
	Refunds         *activities.Refunds
	Withdrawals     *activities.Withdrawals
	Reconciliations *activities.Reconciliations
	Daily           *activities.Daily
}

// NewSteps wires the activities. box seals and opens who pays and who is paid, codes,
// cards and bills.
func NewSteps(db *pg.DB, channels activities.Channels, box *secret.Box, notifyURL func(string, string) string) Steps {
	return Steps{
		Payments: &activities.Payments{DB: db, Channels: channels, Box: box, Offers: OffersOf, NotifyURL: notifyURL,
			Grace: PaymentGrace},
		Refunds:         &activities.Refunds{DB: db, Channels: channels, Box: box, NotifyURL: notifyURL},
		Withdrawals:     &activities.Withdrawals{DB: db, Channels: channels, Box: box},
		Reconciliations: &activities.Reconciliations{DB: db, Channels: channels, Rules: recon.DefaultRules(), Box: box},
		Daily:           &activities.Daily{DB: db},
	}
}

// RepeatingFor bounds how long what a provider does not know is sent again under its
// number; 0 does not.
func (s Steps) RepeatingFor(window time.Duration) Steps {
	s.Refunds.RepeatWindow, s.Withdrawals.RepeatWindow = window, window
	return s
}

// Register registers the steps with a worker of any queue: steps are told apart
// by their names, and each queue is sent only its own.
func (s Steps) Register(w worker.ActivityRegistry) {
	w.RegisterActivity(s.Payments)
	w.RegisterActivity(s.Refunds)
	w.RegisterActivity(s.Withdrawals)
	w.RegisterActivity(s.Reconciliations)
	w.RegisterActivity(s.Daily)
}

// providerSlots is how many steps of one provider a worker runs at a time. It is a
// multiple of what one channel account may have under way (SUANPAN_CHANNEL_MAX_IN_FLIGHT,
// at most 64): steps beyond that are not sent and leave at once, so slow accounts
// leave room for the others of their provider.
const providerSlots = 256

// NewWorkers makes one worker for the workflows and the bookwork, and one per
// provider, so that a slow provider holds up nobody else's calls.
func NewWorkers(c client.Client, steps Steps) []worker.Worker {
	main := worker.New(c, workflows.Queue, worker.Options{
		WorkerStopTimeout: 20 * time.Second,
		// A workflow that panics is a bug to be deployed away, not a failed payment.
		WorkflowPanicPolicy: worker.BlockWorkflow,
		Interceptors:        []interceptor.WorkerInterceptor{&activities.Heartbeat{}},
	})
	workflows.Register(main)
	steps.Register(main)
	all := []worker.Worker{main}
	for _, queue := range []string{alipay.Name, wechatpay.Name} {
		w := worker.New(c, queue, worker.Options{
			WorkerStopTimeout:                  20 * time.Second,
			DisableWorkflowWorker:              true,
			MaxConcurrentActivityExecutionSize: providerSlots,
			Interceptors:                       []interceptor.WorkerInterceptor{&activities.Heartbeat{}},
		})
		steps.Register(w)
		all = append(all, w)
	}
	return all
}

// ScopeWebhooks is the scope of the failpoints of all deliveries of a process.
const ScopeWebhooks = "webhooks"

// RunWorker runs workflows, activities, sweeps and the webhook dispatcher until
// ctx ends, then lets what is under way finish.
func RunWorker(ctx context.Context, cfg config.Worker, log *slog.Logger) error {
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
	traces, err := newTraces(cfg.Traces, "suanpan-worker", metrics, log)
	if err != nil {
		return err
	}
	defer traces.Close() // after all that makes spans
	temporal, err := DialTemporal(cfg.Core, NewCodec(db, box), log, slices.Concat(intercept.Temporal(ctx), TracedTemporal(traces))...)
	if err != nil {
		return err
	}
	defer temporal.Close()
	guards, stop, err := startGuards(ctx, cfg.Guards, cfg.Metrics, cfg.Listening, metrics, traces, db, log)
	if err != nil {
		return err
	}
	defer stop() // after the workers, which still call
	steps := NewSteps(db, NewAdapters(cfg.Channels, db, box).Guarded(guards), box, NotifyURL(cfg.PublicURL)).
		RepeatingFor(cfg.RepeatWindow)
	workers := NewWorkers(temporal, steps)
	for _, w := range workers {
		if err := w.Start(); err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		defer w.Stop()
	}
	var background sync.WaitGroup
	sweeper := &Sweeper{DB: db, Starter: workflows.Starter{Client: temporal}, Log: log, Grace: PaymentGrace,
		CallMonths: cfg.ChannelCallMonths, TryMonths: cfg.WebhookTryMonths, ReturnWatch: cfg.ReturnWatch}
	background.Go(func() { sweeper.Run(ctx) })
	dispatcher := event.NewDispatcher(db, event.DispatcherOptions{
		Guard: webhookGuard(cfg.Webhooks, log), Box: box, Log: log, Metrics: metrics.Webhooks, Traces: traces})
	background.Go(func() { dispatcher.Run(failpoint.Scope(ctx, ScopeWebhooks)) })
	err = serveHealth(ctx, cfg, db, temporal, log)
	background.Wait()
	return err
}

// serveHealth answers /healthz until ctx ends: 200 while the database and
// Temporal answer, else 503 with the reason.
func serveHealth(ctx context.Context, cfg config.Worker, db *pg.DB, temporal client.Client, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		if err := Healthy(r.Context(), db, temporal); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	server := insideServer(mux, log)
	listener, err := listen(ctx, cfg.Listening, cfg.HealthListen, "WORKER_HEALTH_LISTEN")
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Shutdown(context.WithoutCancel(ctx)) })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Healthy returns nil when the database and Temporal answer within two seconds.
func Healthy(ctx context.Context, db *pg.DB, temporal client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := db.Ping(ctx); err != nil {
		return errors.New("the database does not answer")
	}
	if _, err := temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return errors.New("temporal does not answer")
	}
	return nil
}
