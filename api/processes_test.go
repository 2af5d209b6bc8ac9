package api

import (
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/child"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/freeport"
)

// program, when given, is run as processes that are killed in the middle, in the place of
// handlers in this process.
var program = flag.String("processes", "", "the program starter: run its serve as two processes and kill them in the middle")

// instance is one API and how it dies: in this process by being made anew, or as a
// process of its own by SIGKILL.
type instance struct {
	*fixture
	restart func()
}

// twoInstances are of one database.
func (f *fixture) twoInstances() []*instance {
	f.t.Helper()
	masters := filepath.Join(f.t.TempDir(), "master.key")
	require.NoError(f.t, os.WriteFile(masters, []byte(secret.NewMasterKeyText()), 0o600))
	var all []*instance
	for range 2 {
		one := *f
		i := &instance{fixture: &one}
		if *program == "" {
			i.restart = func() { one.handler = f.instances(1, Rates{})[0].handler }
			i.restart()
		} else {
			p := f.newServing(masters)
			one.handler, i.restart = p, p.restart
		}
		all = append(all, i)
	}
	return all
}

// serving is `starter serve` in a process, reached over HTTP.
type serving struct {
	t         *testing.T
	command   func() *exec.Cmd
	log       string
	address   string
	transport *http.Transport

	mu      sync.Mutex
	process *child.Process
}

func (f *fixture) newServing(masters string) *serving {
	f.t.Helper()
	port, err := freeport.Reserve()
	require.NoError(f.t, err)
	address := "127.0.0.1:" + strconv.Itoa(port)
	cfg := config.API{
		Core: config.Core{Env: config.Development, DatabaseURL: f.db.URL, DatabaseMaxConns: 16,
			TemporalAddress: "127.0.0.1:1", TemporalNamespace: "suanpan"}, // nobody: what is asked here needs no workflow
		Channels: config.Channels{Secrets: config.Secrets{MasterKeyFile: masters}, PublicURL: "http://" + address,
			AlipayGatewayURL: "http://127.0.0.1:1/gateway.do", WeChatPayBaseURL: "http://127.0.0.1:1"},
		Listen: address,
	}
	s := &serving{t: f.t, address: address, log: filepath.Join(f.t.TempDir(), "api.log"),
		transport: &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true},
		command: func() *exec.Cmd {
			cmd := exec.Command(*program, "serve")
			cmd.Env = append(config.Environ(cfg), "SUANPAN_RATE_TENANT=0", "SUANPAN_RATE_KEY=0")
			return cmd
		}}
	s.start()
	f.t.Cleanup(func() { _ = s.process.Stop(20 * time.Second) })
	return s
}

func (s *serving) start() {
	s.t.Helper()
	process, err := child.Start(child.Options{Cmd: s.command(), Log: s.log, DieWithParent: true})
	require.NoError(s.t, err)
	s.mu.Lock()
	s.process = process
	s.mu.Unlock()
	require.Eventually(s.t, func() bool {
		answer, err := http.Get("http://" + s.address + "/healthz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}, time.Minute, 20*time.Millisecond, "see %s", s.log)
}

// restart kills the process, whatever it is doing, and starts it again.
func (s *serving) restart() {
	s.t.Helper()
	require.NoError(s.t, syscall.Kill(s.process.Identity().PID, syscall.SIGKILL))
	<-s.process.Done()
	s.start()
}

// ServeHTTP passes a request on as it is. 502 stands for an answer that never came.
func (s *serving) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.RequestURI, out.URL.Scheme, out.URL.Host = "", "http", s.address
	answer, err := s.transport.RoundTrip(out)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(body)
}

// insists posts until somebody answers, to one instance and the other in turn.
func insists(instances []*instance, first int, target, body, key string) response {
	for n := first; ; n++ {
		got := instances[n%len(instances)].post(target, body, "Idempotency-Key", key)
		if got.Code != http.StatusBadGateway {
			return got
		}
	}
}
