package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/channels/alipay"
	"github.com/suanpan/suanpan/channels/guard"
	"github.com/suanpan/suanpan/channels/wechatpay"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/internal/telemetry"
)

// Guards stand around the adapters of a process and write down what they see. A nil
// *Guards guards nothing. They are safe for concurrent use.
type Guards struct {
	around *guard.Guards
	calls  *guard.Log[channel.Call]
	health *guard.Log[channel.Health]
	// patience is the longest time a call of one answer may take.
	patience time.Duration
}

// NewGuards returns Guards under cfg; an operation or channel nobody knows is an
// error. What they see is written once Start was called.
// traces may be nil.
func NewGuards(
	cfg config.Guards, db *pg.DB, metrics *telemetry.Metrics, traces *telemetry.Traces, log *slog.Logger,
) (*Guards, error) {
	limits, patience, err := limitsOf(cfg)
	if err != nil {
		return nil, err
	}
	warn := func(of string) func(error) {
		return func(err error) { log.Warn("records about calls to providers are lost", "of", of, "error", err) }
	}
	g := &Guards{
		patience: patience,
		calls: guard.NewLog(tellingOf(warn("calls"), func(ctx context.Context, batch []channel.Call) error {
			return db.AsSystem(ctx, func(tx pgx.Tx) error { return channel.RecordCalls(ctx, tx, batch) })
		}), func(n int) { metrics.Channels.Lost("calls", n) }),
		health: guard.NewLog(tellingOf(warn("health"), func(ctx context.Context, batch []channel.Health) error {
			return db.AsSystem(ctx, func(tx pgx.Tx) error {
				for _, news := range batch {
					if err := channel.SaveHealth(ctx, tx, news); err != nil {
						return err
					}
				}
				return nil
			})
		}), func(n int) { metrics.Channels.Lost("health", n) }),
	}
	g.around = guard.New(limits, guard.Ports{
		TakeSlots: func(ctx context.Context, identity string, gap time.Duration, wanted int, maxWait time.Duration) (channel.Slots, error) {
			return channel.TakeSlots(ctx, db, identity, gap, wanted, maxWait)
		},
		Record: g.calls.Record,
		Tell: func(h channel.Health) {
			log.Warn("the breaker of a channel account changed", "tenant", h.Tenant, "channel_account", h.ChannelAccountID,
				"state", h.State, "reason", h.Reason)
			g.health.Record(h)
		},
		Metrics: metrics.Channels,
		Traces:  traces,
	})
	return g, nil
}

// tellingOf tells warn about errors of write, on their way.
func tellingOf[T any](warn func(error), write func(context.Context, []T) error) func(context.Context, []T) error {
	return func(ctx context.Context, batch []T) error {
		err := write(ctx, batch)
		if err != nil {
			warn(err)
		}
		return err
	}
}

// limitsOf puts the configuration into the guard's words.
func limitsOf(cfg config.Guards) (guard.Limits, time.Duration, error) {
	limits := guard.Limits{
		Timeout: cfg.ChannelTimeout, Timeouts: map[channel.Operation]time.Duration{},
		MaxInFlight: cfg.ChannelMaxInFlight, SlowAfter: cfg.ChannelSlowAfter,
		BadPercent: cfg.ChannelBadPercent, MinCalls: cfg.ChannelBreakerCalls,
		Window: cfg.ChannelBadWindow, Pause: cfg.ChannelBreakerPause,
		Rates: cfg.ChannelRates, RateWait: cfg.ChannelRateWait,
	}
	patience := cfg.ChannelTimeout
	for name, timeout := range cfg.ChannelTimeouts {
		op := channel.Operation(name)
		if !slices.Contains(channel.Operations(), op) {
			return limits, 0, fmt.Errorf("SUANPAN_CHANNEL_TIMEOUTS: there is no operation %q; there are %v", name, channel.Operations())
		}
		limits.Timeouts[op] = timeout
		if op != channel.OpFetchTradeBill && op != channel.OpFetchFundBill {
			patience = max(patience, timeout)
		}
	}
	for name := range cfg.ChannelRates {
		if !knownRate(name) {
			return limits, 0, fmt.Errorf("SUANPAN_CHANNEL_RATES: %q is neither a channel nor channel/operation", name)
		}
	}
	return limits, patience, nil
}

func knownRate(name string) bool {
	for _, of := range []string{alipay.Name, wechatpay.Name} {
		if name == of {
			return true
		}
		for _, op := range channel.Operations() {
			if name == of+"/"+string(op) {
				return true
			}
		}
	}
	return false
}

// Start begins to write down what the guards see; the function it returns ends that
// after everything seen until then is written. It may be called once.
func (g *Guards) Start() (stop func()) {
	// Of no request and no scope: what is written here belongs to many.
	ctx, cancel := context.WithCancel(context.Background())
	var writing sync.WaitGroup
	writing.Go(func() { g.calls.Run(ctx) })
	writing.Go(func() { g.health.Run(ctx) })
	return func() {
		cancel()
		writing.Wait()
	}
}

// Wrap returns adapter behind the guard of its account.
func (g *Guards) Wrap(account tenant.ChannelAccount, adapter channel.Adapter) channel.Adapter {
	if g == nil {
		return adapter
	}
	return g.around.Wrap(guard.Account{Tenant: account.TenantID, ID: account.ID, Identity: identityOf(account)}, adapter)
}

// Timeout is how long an adapter itself has to wait, so that the guard's deadlines
// are the ones that count; zero means the adapter's own.
func (g *Guards) Timeout() time.Duration {
	if g == nil {
		return 0
	}
	return g.patience
}

// identityOf is whose calls per second the provider counts.
func identityOf(account tenant.ChannelAccount) string {
	name := map[string]string{alipay.Name: "app_id", wechatpay.Name: "mch_id"}[account.Channel]
	if identity := account.Params[name]; identity != "" {
		return identity
	}
	return account.ID
}

// startGuards makes the guards of a process and starts what writes what they see and
// what shows the metrics; stop ends that, after the last call.
func startGuards(
	ctx context.Context, cfg config.Guards, show config.Metrics, own config.Listening,
	metrics *telemetry.Metrics, traces *telemetry.Traces, db *pg.DB, log *slog.Logger,
) (guards *Guards, stop func(), err error) {
	guards, err = NewGuards(cfg, db, metrics, traces, log)
	if err != nil {
		return nil, nil, err
	}
	stopMetrics, err := serveMetrics(ctx, show, own, metrics.Handler(), log)
	if err != nil {
		return nil, nil, err
	}
	stopWriting := guards.Start()
	return guards, func() { stopWriting(); stopMetrics() }, nil
}

// ForgetCalls drops the months of the records of calls to providers and of tries of
// webhooks that are too old. It returns how many.
func (s *Sweeper) ForgetCalls(ctx context.Context) (n int, err error) {
	err = s.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		n = 0
		for _, record := range []struct {
			months int
			forget func(context.Context, pgx.Tx, int) (int, error)
		}{{s.CallMonths, channel.ForgetCalls}, {s.TryMonths, event.ForgetAttempts}} {
			if record.months == 0 {
				continue
			}
			dropped, err := record.forget(ctx, tx, record.months)
			if err != nil {
				return err
			}
			n += dropped
		}
		return nil
	})
	return n, err
}

// Glossary explains the codes of every provider, for timelines.
func Glossary() channel.Glossary {
	return channel.Glossary{alipay.Name: alipay.Explain, wechatpay.Name: wechatpay.Explain}
}
