//go:build chaos

package crashmatrix_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	temporal "go.temporal.io/sdk/client"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/devseed"
	"github.com/suanpan/suanpan/internal/failpoint"
	"github.com/suanpan/suanpan/internal/freeport"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/internal/temporaldev"
	"github.com/suanpan/suanpan/internal/temporaltest"
	"github.com/suanpan/suanpan/sandbox"
	"github.com/suanpan/suanpan/sandbox/keys"
)

// world is one installation: a database, a namespace and a sandbox of its own, one
// API process and one worker process. A process that dies is started again, clean.
type world struct {
	*testing.T
	ctx      context.Context
	db       *pgtest.Database
	core     config.Core
	temporal temporal.Client
	// sandbox is the providers' address; frozen, when set, is where their time stands.
	sandbox string
	frozen  atomic.Pointer[time.Time]
	dir     string
	apiURL  string
	parts   []*part
	seed    devseed.Outcome
	api     *client.ClientWithResponses
	posts   *posts
	number  atomic.Int64
	shop    shop
}

// wish is what the failpoints of the first two processes are asked for: to record
// visits in a file, or to die at one visit, once.
type wish struct{ scenario, record, kill string }

func (o wish) environ(w *world) []string {
	var list []string
	if o.record != "" {
		list = append(list, failpoint.VariableRecord+"="+o.record)
	}
	if o.kill != "" {
		list = append(list, failpoint.VariableKill+"="+o.kill, failpoint.VariableMarker+"="+w.marker())
	}
	return list
}

func (w *world) marker() string { return filepath.Join(w.dir, "killed") }

// killed reports whether the armed visit has happened.
func (w *world) killed() bool {
	_, err := os.Stat(w.marker())
	return err == nil
}

// namespaces lends a namespace to one world after the other: each keeps the server
// busy for as long as it is there. A world gives it back when all its workflows
// have ended.
type namespaces struct {
	*testing.T
	mu   sync.Mutex
	free []*temporaltest.Namespace
}

func (n *namespaces) borrow() *temporaltest.Namespace {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.free) == 0 {
		return temporaltest.New(n.T)
	}
	last := n.free[len(n.free)-1]
	n.free = n.free[:len(n.free)-1]
	return last
}

func (n *namespaces) giveBack(namespace *temporaltest.Namespace) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.free = append(n.free, namespace)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// newWorld starts everything. The shop is opened before any process is armed, so
// that the first visits belong to the scenario.
func newWorld(t *testing.T, spaces *namespaces, o wish) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	w := &world{T: t, ctx: ctx, db: pgtest.New(t), dir: t.TempDir(), posts: &posts{}}
	t.Cleanup(cancel)
	namespace := spaces.borrow()
	t.Cleanup(func() {
		if !t.Failed() {
			spaces.giveBack(namespace)
		}
	})
	w.core = config.Core{Env: config.Development, DatabaseURL: w.db.URL, TemporalAddress: namespace.Address, TemporalNamespace: namespace.Name}
	var err error
	// It starts and describes; what it starts takes no arguments, so it needs no key.
	w.temporal, err = temporal.NewLazyClient(temporal.Options{HostPort: namespace.Address, Namespace: namespace.Name, Logger: temporaldev.Quiet()})
	require.NoError(t, err)
	t.Cleanup(w.temporal.Close)
	w.startSandbox()
	require.NoError(t, os.Mkdir(filepath.Join(w.dir, "secrets"), 0o700))
	w.apiURL = "http://127.0.0.1:" + w.port()
	w.seedTenant("tenant.json")

	if o.scenario == yearAhead {
		_, err = w.db.Pool.Exec(ctx, `update business_clock set ahead = interval '330 days'`)
		require.NoError(t, err)
	}
	if o.scenario == forget {
		w.leaveSomethingOld()
	}
	api := w.newPart("api", programs.starter, []string{"serve"}, "SUANPAN_API_LISTEN="+strings.TrimPrefix(w.apiURL, "http://"))
	worker := w.newPart("worker", programs.worker, nil, "SUANPAN_WORKER_HEALTH_LISTEN=127.0.0.1:"+w.port())
	t.Cleanup(w.stop)
	w.api = w.clientOf(w.seed.APIKey)
	api.start(o.environ(w))
	w.answers(api)
	w.openShop()
	worker.start(o.environ(w))
	return w
}

func (w *world) port() string {
	w.Helper()
	port, err := freeport.Reserve()
	require.NoError(w, err)
	return fmt.Sprint(port)
}

// answers waits until the API does.
func (w *world) answers(p *part) {
	w.Helper()
	w.await("the API answers", func() (bool, any) {
		response, err := http.Get(w.apiURL + "/healthz")
		if err != nil {
			return false, p.log()
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK, response.Status
	})
}

// stop ends all processes for good.
func (w *world) stop() {
	for _, p := range w.parts {
		p.stop()
	}
}

// providerKeys are the files of the sandbox's own keys, made once: making keys
// is slow.
var providerKeys = sync.OnceValues(func() (fstest.MapFS, error) {
	dir, err := os.MkdirTemp("", "suanpan-matrix-keys-")
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
	dir := filepath.Join(w.dir, "sandbox")
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
	web.Config.Handler = server.Handler()
	web.Start()
	ctx, cancel := context.WithCancel(w.ctx)
	var running sync.WaitGroup
	running.Go(func() { server.Run(ctx) })
	w.Cleanup(func() {
		cancel()
		web.Close()
		running.Wait()
		require.NoError(w, server.Close())
	})
}

// freeze lets nothing become due at the providers by itself until thaw.
func (w *world) freeze() {
	now := time.Now()
	w.frozen.Store(&now)
}

func (w *world) thaw() { w.frozen.Store(nil) }

// seedTenant makes a tenant with both channel accounts.
func (w *world) seedTenant(file string) devseed.Outcome {
	w.Helper()
	secrets := filepath.Join(w.dir, "secrets")
	out, err := devseed.Seed(w.ctx, devseed.Request{DatabaseURL: w.db.URL, SandboxURL: w.sandbox, APIURLs: []string{w.apiURL},
		MasterKeyFile: filepath.Join(secrets, "master.key"), File: filepath.Join(secrets, file)})
	require.NoError(w, err)
	if w.seed.TenantID == "" {
		w.seed = out
	}
	return out
}

// clientOf speaks to the API with a key. A request whose answer was lost is sent
// again, as a client should: the same bytes under the same key.
func (w *world) clientOf(key string) *client.ClientWithResponses {
	w.Helper()
	c, err := client.NewClientWithResponses(w.apiURL, client.WithHTTPClient(w.posts),
		client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+key)
			return nil
		}))
	require.NoError(w, err)
	return c
}

// posts is a client that does not give up, and that remembers what was answered
// to each POST.
type posts struct {
	mu       sync.Mutex
	answered []post
}

type post struct {
	request *http.Request
	body    []byte
	status  int
	answer  []byte
}

// Do sends the request until it is answered.
func (p *posts) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	deadline := time.Now().Add(patience)
	for {
		status, header, answer, err := exchange(r, body)
		if err == nil {
			if r.Method == http.MethodPost && status < 500 {
				p.mu.Lock()
				p.answered = append(p.answered, post{r, body, status, answer})
				p.mu.Unlock()
			}
			return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: header, Request: r,
				Body: io.NopCloser(bytes.NewReader(answer))}, nil
		}
		if time.Now().After(deadline) {
			return nil, err
		}
		pause(100 * time.Millisecond)
	}
}

// exchange sends a copy of r with the body, on a connection of its own.
func exchange(r *http.Request, body []byte) (status int, header http.Header, answer []byte, err error) {
	again := r.Clone(r.Context())
	again.Body, again.ContentLength, again.Close = io.NopCloser(bytes.NewReader(body)), int64(len(body)), true
	response, err := http.DefaultClient.Do(again)
	if err != nil {
		return 0, nil, nil, err
	}
	answer, err = io.ReadAll(response.Body)
	_ = response.Body.Close()
	return response.StatusCode, response.Header, answer, err
}

func pause(d time.Duration) { <-time.After(d) }

// ref is a text that was not used before in this world.
func (w *world) ref(what string) string { return fmt.Sprintf("%s-%05d", what, w.number.Add(1)) }

// patience is how long anything may take: a heartbeat's or a lease's end, some
// pauses of a workflow, and a machine that does much else.
const patience = 150 * time.Second

// await looks until it is done, less often the longer it takes, because many worlds
// wait at the same time. look returns what it sees, for the failure.
func (w *world) await(what string, look func() (done bool, sees any)) {
	w.Helper()
	deadline := time.Now().Add(patience)
	for interval := 50 * time.Millisecond; ; interval = min(interval*5/4, time.Second) {
		done, sees := look()
		if done {
			return
		}
		if time.Now().After(deadline) {
			require.FailNow(w, "waited in vain: "+what, "%+v", sees)
		}
		pause(interval)
	}
}

// control calls the sandbox and wants success.
func (w *world) control(method, path string, body, into any) {
	w.Helper()
	status, text := w.tryControl(method, path, body)
	require.Equal(w, http.StatusOK, status, "%s %s: %s", method, path, text)
	if into != nil {
		require.NoError(w, json.Unmarshal(text, into))
	}
}

func (w *world) tryControl(method, path string, body any) (status int, text []byte) {
	w.Helper()
	encoded, err := json.Marshal(body)
	require.NoError(w, err)
	request, err := http.NewRequestWithContext(w.ctx, method, w.sandbox+path, bytes.NewReader(encoded))
	require.NoError(w, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(w, err)
	defer func() { _ = response.Body.Close() }()
	text, err = io.ReadAll(response.Body)
	require.NoError(w, err)
	return response.StatusCode, text
}
