// Package e2e_test drives the whole platform on real parts: PostgreSQL, a
// Temporal server, the sandbox with its own books, two API instances and two
// workers, everything through HTTP and the generated client.
package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	temporal "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/suanpan/suanpan/api"
	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/devseed"
	"github.com/suanpan/suanpan/internal/payload"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/internal/telemetry"
	"github.com/suanpan/suanpan/internal/telemetry/tracetest"
	"github.com/suanpan/suanpan/internal/temporaltest"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/sandbox"
	"github.com/suanpan/suanpan/sandbox/keys"
	"github.com/suanpan/suanpan/workflows"
)

// cache is how many workflows a worker keeps in memory; with 0 each workflow task
// replays the whole history.
var cache = flag.Int("cache", 2000, "size of the workers' cache of workflows")

func TestMain(m *testing.M) {
	flag.Parse()
	worker.SetStickyWorkflowCacheSize(*cache)
	// These tests wait for timers and other processes far more than they compute.
	if err := flag.Set("test.parallel", "10"); err != nil {
		panic(err)
	}
	pgtest.Main(temporaltest.With(m))
}

// world is one installation with one tenant. Its money is judged when the test
// has ended: every invariant, and our books against the sandbox's.
type world struct {
	*testing.T
	ctx      context.Context
	db       *pgtest.Database
	core     config.Core
	channels config.Channels
	// played: the workflows ran in a test environment, and the server has none of theirs.
	played bool
	// repeatWindow bounds how long something is sent again under its number; 0 does not.
	repeatWindow time.Duration
	// guards, when set, stand around every adapter.
	guards *config.Guards
	// log is where all instances write; nowhere unless a test sets it. metrics are those
	// of every guard.
	log     *slog.Logger
	metrics []*telemetry.Metrics
	// collector, when set, takes the traces of all instances.
	collector *tracetest.Collector
	traces    *telemetry.Traces
	// heard, when set, is shown every request that comes to the sandbox.
	heard func(*http.Request)
	// temporalAt, when set, is a Temporal server of this world's own.
	temporalAt string
	temporal   temporal.Client
	codec      *payload.Codec
	sandbox    string
	// sandboxDir holds the sandbox's keys and books.
	sandboxDir string
	// frozen, when set, is the moment at which the providers' time stands.
	frozen atomic.Pointer[time.Time]
	// notices are what the providers sent to the tenant's notification address.
	notices *tap
	// apis are the addresses of the two instances; api speaks to them in turn.
	apis    []string
	seed    devseed.Outcome
	api     *client.ClientWithResponses
	sweeper *app.Sweeper
	stop    []func()
	number  atomic.Int64
	shop    shop
}

// newWorld starts everything, with two workers.
func newWorld(t *testing.T, with ...func(*world)) *world {
	t.Helper()
	w := newWorldWithoutWorkers(t, with...)
	w.startWorkers()
	return w
}

// newWorldWithoutWorkers starts everything else, after with has changed what it
// wants otherwise.
func newWorldWithoutWorkers(t *testing.T, with ...func(*world)) *world {
	t.Helper()
	t.Parallel()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	w := &world{T: t, ctx: ctx, db: pgtest.New(t), notices: newTap(), log: quiet()}
	for _, change := range with {
		change(w)
	}
	w.startTraces()
	namespace := w.namespace()
	w.core = config.Core{Env: config.Development, DatabaseURL: w.db.URL,
		TemporalAddress: namespace.Address, TemporalNamespace: namespace.Name}
	notices := httptest.NewServer(w.notices)
	t.Cleanup(notices.Close)
	w.startSandbox()
	w.channels = config.Channels{Secrets: config.Secrets{MasterKeyFile: filepath.Join(t.TempDir(), "master.key")}, PublicURL: notices.URL,
		AlipayGatewayURL: w.sandbox + "/alipay/gateway.do", WeChatPayBaseURL: w.sandbox + "/wechatpay"}
	require.NoError(t, app.EnsureMasterKey(w.channels.MasterKeyFile))
	var err error
	w.codec = app.NewCodec(w.openPool(), w.box())
	w.temporal, err = app.DialTemporal(w.core, w.codec, w.log, app.TracedTemporal(w.traces)...)
	require.NoError(t, err)
	t.Cleanup(w.temporal.Close)
	starter := workflows.Starter{Client: w.temporal}
	w.sweeper = &app.Sweeper{DB: w.openPool(), Starter: starter, Log: w.log, Grace: app.PaymentGrace, ReturnWatch: returnWatch}

	var background sync.WaitGroup
	for range 2 {
		db := w.openPool()
		w.apis = append(w.apis, w.serve(db, starter))
		sweeper := &app.Sweeper{DB: db, Starter: starter, Log: w.log, Grace: app.PaymentGrace, ReturnWatch: returnWatch}
		background.Go(func() { sweeper.Run(ctx) })
	}
	w.notices.forwardTo(w.apis[0])
	w.seed = w.seedTenant("tenant.json")
	w.api = w.clientOf(w.seed.APIKey)
	t.Cleanup(func() {
		defer func() { // also when the judgement ends this function
			w.stopWorkers()
			cancel()
			background.Wait()
		}()
		w.judge()
	})
	w.openShop()
	return w
}

// startTraces sends traces to the collector, if there is one.
func (w *world) startTraces() {
	w.Helper()
	if w.collector == nil {
		return
	}
	metrics := telemetry.New()
	w.metrics = append(w.metrics, metrics)
	var err error
	w.traces, err = telemetry.NewTraces(telemetry.TraceOptions{Service: "suanpan-test", Endpoint: w.collector.URL, Ratio: 1}, metrics.Spans, w.log)
	require.NoError(w, err)
	w.Cleanup(w.traces.Close)
}

func (w *world) namespace() *temporaltest.Namespace {
	w.Helper()
	if w.temporalAt != "" {
		return temporaltest.NewAt(w, w.temporalAt)
	}
	return temporaltest.New(w)
}

// returnWatch is how long money that was paid out may come back.
const returnWatch = 15 * 24 * time.Hour

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// openPool gives one instance its own connections.
func (w *world) openPool() *pg.DB {
	w.Helper()
	db, err := pg.Open(w.ctx, w.db.URL, pg.Options{MaxConns: 6})
	require.NoError(w, err)
	w.Cleanup(db.Close)
	return db
}

// box and adapters are those of one instance.
func (w *world) box() *secret.Box {
	box, err := app.OpenBox(w.channels.Secrets)
	require.NoError(w, err)
	return box
}

func (w *world) adapters(db *pg.DB) *app.Adapters {
	w.Helper()
	adapters := app.NewAdapters(w.channels, db, w.box())
	if w.guards == nil {
		return adapters
	}
	metrics := telemetry.New()
	w.metrics = append(w.metrics, metrics)
	guards, err := app.NewGuards(*w.guards, w.db.DB, metrics, w.traces, w.log)
	require.NoError(w, err)
	w.Cleanup(guards.Start())
	return adapters.Guarded(guards)
}

// serve starts one API instance and returns its address.
func (w *world) serve(db *pg.DB, port api.Workflows) string {
	w.Helper()
	adapters := w.adapters(db)
	handler, err := api.New(api.Options{
		DB: db, Workflows: port, Adapters: adapters, Desk: adapters, Box: w.box(), Log: w.log, Dev: true, PublicURL: w.channels.PublicURL,
		Glossary:       app.Glossary(),
		Traces:         w.traces,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Guard:          event.NewGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil),
	})
	require.NoError(w, err)
	server := httptest.NewServer(handler)
	w.Cleanup(server.Close)
	return server.URL
}

// dies stands for a process that dies after its commit, before it starts the
// workflow.
type dies struct{}

func (dies) FirstAnswer(context.Context, accept.Start, string) (bool, error) {
	panic(http.ErrAbortHandler)
}

// startWorkers starts two workers, as two processes would run them.
func (w *world) startWorkers() {
	w.Helper()
	for range 2 {
		db, err := pg.Open(w.ctx, w.db.URL, pg.Options{MaxConns: 6})
		require.NoError(w, err)
		steps := app.NewSteps(db, w.adapters(db), w.box(), app.NotifyURL(w.channels.PublicURL)).RepeatingFor(w.repeatWindow)
		c, err := app.DialTemporal(w.core, app.NewCodec(db, w.box()), w.log, app.TracedTemporal(w.traces)...)
		require.NoError(w, err)
		w.stop = append(w.stop, func() { c.Close(); db.Close() })
		for _, one := range app.NewWorkers(c, steps) {
			require.NoError(w, one.Start())
			w.stop = append(w.stop, one.Stop)
		}
	}
}

func (w *world) stopWorkers() {
	for i := len(w.stop) - 1; i >= 0; i-- {
		w.stop[i]()
	}
	w.stop = nil
}

// providerKeys are the files of the sandbox's own keys, made once: making keys
// is slow.
var providerKeys = sync.OnceValues(func() (fstest.MapFS, error) {
	dir, err := os.MkdirTemp("", "suanpan-e2e-keys-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if _, err := keys.LoadOrCreate(dir); err != nil {
		return nil, err
	}
	made := fstest.MapFS{}
	files, err := os.ReadDir(dir)
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			return nil, err
		}
		made[file.Name()] = &fstest.MapFile{Data: content, Mode: 0o600}
	}
	return made, err
})

func (w *world) startSandbox() {
	w.Helper()
	made, err := providerKeys()
	require.NoError(w, err)
	dir := w.TempDir()
	w.sandboxDir = dir
	require.NoError(w, os.CopyFS(filepath.Join(dir, "keys"), made))
	web := httptest.NewUnstartedServer(nil)
	w.sandbox = "http://" + web.Listener.Addr().String()
	server, err := sandbox.Open(sandbox.Config{DataDir: dir, PublicURL: w.sandbox, Now: func() time.Time {
		if at := w.frozen.Load(); at != nil {
			return *at
		}
		return time.Now()
	}})
	require.NoError(w, err)
	web.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.heard != nil {
			w.heard(r)
		}
		server.Handler().ServeHTTP(rw, r)
	})
	web.Start()
	var running sync.WaitGroup
	running.Go(func() { server.Run(w.ctx) })
	w.Cleanup(func() {
		web.Close()
		running.Wait()
		require.NoError(w, server.Close())
	})
}

// seedTenant makes a tenant with both channel accounts.
func (w *world) seedTenant(file string) devseed.Outcome {
	w.Helper()
	out, err := devseed.Seed(w.ctx, devseed.Request{DatabaseURL: w.db.URL, SandboxURL: w.sandbox, APIURLs: w.apis,
		MasterKeyFile: w.channels.MasterKeyFile, File: filepath.Join(filepath.Dir(w.channels.MasterKeyFile), file)})
	require.NoError(w, err)
	return out
}

// freeze lets nothing become due at the providers by itself until thaw.
func (w *world) freeze() { w.frozen.Store(ptr(time.Now())) }

func (w *world) thaw() { w.frozen.Store(nil) }

// inTurn sends requests to one instance after the other.
type inTurn struct {
	hosts []string
	turn  atomic.Uint64
}

func (d *inTurn) Do(r *http.Request) (*http.Response, error) {
	base, err := url.Parse(d.hosts[d.turn.Add(1)%uint64(len(d.hosts))])
	if err != nil {
		return nil, err
	}
	r.URL.Host, r.Host = base.Host, base.Host
	return http.DefaultClient.Do(r)
}

// clientOf speaks with this key to the given instances, by default to both.
func (w *world) clientOf(key string, hosts ...string) *client.ClientWithResponses {
	w.Helper()
	if len(hosts) == 0 {
		hosts = w.apis
	}
	c, err := client.NewClientWithResponses(hosts[0], client.WithHTTPClient(&inTurn{hosts: hosts}),
		client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+key)
			return nil
		}))
	require.NoError(w, err)
	return c
}

// ref is a text that was not used before in this world.
func (w *world) ref(what string) string { return fmt.Sprintf("%s-%05d", what, w.number.Add(1)) }

// patience is how long anything may take that the platform does by itself.
var patience = flag.Duration("patience", 3*time.Minute, "how long anything may take that the platform does by itself; more on a busy machine")

// await looks until it is done. look returns what it sees, for the failure.
func (w *world) await(what string, look func() (done bool, sees any)) {
	w.Helper()
	deadline := time.After(*patience)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		done, sees := look()
		if done {
			return
		}
		select {
		case <-deadline:
			require.FailNow(w, "waited in vain: "+what, "%+v", sees)
		case <-ticker.C:
		}
	}
}

// judge checks every invariant, our books against the sandbox's, and that every
// workflow replays.
func (w *world) judge() {
	if w.Failed() {
		return
	}
	var report ledger.Report
	err := w.db.DB.Snapshot(w.ctx, func(tx pgx.Tx) error {
		var err error
		report, err = ledger.Check(w.ctx, tx, app.Invariants(), ledger.VerifyOptions{})
		return err
	})
	require.NoError(w, err)
	require.True(w, report.Sound, "%+v", report)
	require.Equal(w, w.theirMoney(), w.ourMoney(), "the sandbox's books and ours")
	if !w.played {
		w.replayAll()
	}
}

// redrive does what `starter redrive` does.
func (w *world) redrive() int64 {
	w.Helper()
	n, err := w.sweeper.Redrive(w.ctx)
	require.NoError(w, err)
	return n
}

// terminate ends the run of a workflow by hand. A parent starts its children
// itself while a sweeper still has to look whether they run: that look comes
// first, or it would find nothing running and start the workflow again.
func (w *world) terminate(workflowID string) {
	w.Helper()
	w.await("the sweeper's look for "+workflowID, func() (bool, any) {
		var due bool
		err := w.db.DB.AsSystem(w.ctx, func(tx pgx.Tx) error {
			return tx.QueryRow(w.ctx, `
				select exists (select from workflow_starts where workflow_id = $1 and started_at is null)`, workflowID).Scan(&due)
		})
		return err == nil && !due, err
	})
	running, err := w.temporal.DescribeWorkflowExecution(w.ctx, workflowID, "")
	require.NoError(w, err)
	run := running.WorkflowExecutionInfo.Execution.RunId
	require.NoError(w, w.temporal.TerminateWorkflow(w.ctx, workflowID, run, "by hand"))
	w.await("the end of "+workflowID, func() (bool, any) {
		found, err := w.temporal.DescribeWorkflowExecution(w.ctx, workflowID, run)
		return err == nil && found.WorkflowExecutionInfo.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING, err
	})
}

// hurry tells a workflow to look now instead of after its pause.
func (w *world) hurry(workflowID string) {
	w.Helper()
	require.NoError(w, w.temporal.SignalWorkflow(w.ctx, workflowID, "", workflows.SignalNotified, nil))
}
