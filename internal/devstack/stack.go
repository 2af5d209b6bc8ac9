package devstack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/postgres"
	"github.com/suanpan/suanpan/internal/temporaldev"
)

// database is the name of ours on the server the stack starts.
const database = "suanpan"

// Env is what the hooks of Options are told.
type Env struct {
	// Root is the checkout, DataDir the stack's own folder.
	Root, DataDir string
	// API is the configuration of the first API, and so names the database,
	// Temporal, the providers and the master key.
	API config.API
	// APIURLs are the bases of both APIs, SandboxURL is the sandbox's.
	APIURLs    []string
	SandboxURL string
	// TemporalUI is the base of the Web UI, empty when Temporal was given.
	TemporalUI string
	// SandboxDir holds the sandbox's books and keys, DevFile (dev.json) is where
	// seeding writes the API keys it made.
	SandboxDir, DevFile string
	// Codec is where the Web UI has payloads decrypted; CodecToken is the file with the
	// token that a person signs in there with.
	Codec      config.Codec
	CodecToken string
}

// CodecURL is where an operator signs in to read payloads.
func (e Env) CodecURL() string { return "http://" + e.Codec.Listen }

// stack is one run of starter dev.
type stack struct {
	options  Options
	given    config.Stack // services that are there already
	ports    Ports
	super    *supervisor
	env      Env
	launch   *temporaldev.Launch // nil when Temporal is given
	webUI    *temporaldev.WebUILaunch
	programs string // folder of our binaries
}

func (s *stack) path(elements ...string) string {
	return filepath.Join(append([]string{s.options.DataDir}, elements...)...)
}

func (s *stack) log(name string) string { return s.path("log", name+".log") }

// needs lists the ports of the parts that will be started.
func (s *stack) needs() []need {
	p := s.ports
	var needs []need
	if s.given.DatabaseURL == "" {
		needs = append(needs, need{"PostgreSQL", p.Postgres})
	}
	if s.given.TemporalAddress == "" {
		needs = append(needs, need{"Temporal", p.Temporal}, need{"the Temporal Web UI", p.TemporalUI})
	}
	return append(needs, need{"the sandbox", p.Sandbox}, need{"API 1", p.API[0]}, need{"API 2", p.API[1]},
		need{"worker 1", p.WorkerHealth[0]}, need{"worker 2", p.WorkerHealth[1]}, need{"the codec endpoint", p.Codec})
}

// postgresPart prepares the server, or checks the given one and returns nil.
func (s *stack) postgresPart(ctx context.Context) (*part, string, error) {
	if s.given.DatabaseURL != "" {
		err := checkDatabase(ctx, s.given.DatabaseURL)
		return nil, s.given.DatabaseURL, err
	}
	cluster, err := postgres.Prepare(ctx, postgres.Options{
		DataDir:  s.path("postgres"),
		Port:     s.ports.Postgres,
		Settings: map[string]string{"max_connections": "300", "timezone": "UTC"},
		Log:      s.log("postgres"),
		Say:      s.super.say,
	})
	if err != nil {
		return nil, "", err
	}
	return &part{name: "postgres", address: local(s.ports.Postgres), log: cluster.Log(), grace: 20 * time.Second,
		command: cluster.Command,
		ready: func(ctx context.Context) error {
			return cluster.CreateDatabase(ctx, database)
		},
	}, cluster.URL(database), nil
}

func checkDatabase(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("SUANPAN_DATABASE_URL: %s: correct it, or unset it and starter dev starts a PostgreSQL of its own",
			strings.Join(strings.Fields(err.Error()), " "))
	}
	return conn.Close(ctx)
}

// temporalPart prepares the dev server, or checks the given one and returns nil.
func (s *stack) temporalPart(ctx context.Context) (*part, string, error) {
	if s.given.TemporalAddress != "" {
		return nil, s.given.TemporalAddress, s.checkTemporal(ctx)
	}
	binary := temporaldev.Binary{Tools: filepath.Join(s.options.Root, "tools"), Say: s.super.say}
	launch, err := temporaldev.Prepare(ctx, temporaldev.Options{
		Binary:    binary,
		File:      s.path("temporal", "temporal.db"),
		Port:      s.ports.Temporal,
		Namespace: s.given.TemporalNamespace,
		Log:       s.log("temporal"),
	})
	if err != nil {
		return nil, "", err
	}
	s.launch = launch
	s.webUI, err = temporaldev.PrepareWebUI(ctx, temporaldev.WebUIOptions{Binary: binary, Server: launch.Address(), Port: s.ports.TemporalUI,
		Namespace: s.given.TemporalNamespace, Codec: localURL(s.ports.Codec, ""), Dir: s.path("temporal", "webui")})
	if err != nil {
		return nil, "", err
	}
	return &part{name: "temporal", address: launch.Address(), log: s.log("temporal"), grace: 15 * time.Second,
		command: launch.Command, ready: launch.Ready}, launch.Address(), nil
}

func (s *stack) checkTemporal(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := temporaldev.Reachable(ctx, s.given.TemporalAddress); err != nil {
		return fmt.Errorf("SUANPAN_TEMPORAL_ADDRESS: no Temporal server answers at %s (%w): correct it, "+
			"or unset it and starter dev starts a server of its own", s.given.TemporalAddress, err)
	}
	return nil
}

// configure fixes the configuration of every process of ours.
func (s *stack) configure(databaseURL, temporalAddress string) error {
	secrets := s.path("secrets")
	if err := os.MkdirAll(secrets, 0o700); err != nil {
		return notWritable(secrets, err)
	}
	core := config.Core{Env: config.Development, DatabaseURL: databaseURL, DatabaseMaxConns: 16,
		TemporalAddress: temporalAddress, TemporalNamespace: s.given.TemporalNamespace}
	channels := config.Channels{
		AlipayGatewayURL: localURL(s.ports.Sandbox, "/alipay/gateway.do"),
		WeChatPayBaseURL: localURL(s.ports.Sandbox, "/wechatpay"),
		Secrets:          config.Secrets{MasterKeyFile: filepath.Join(secrets, "master.key")}, // seeding makes it
		PublicURL:        localURL(s.ports.API[0], ""),
	}
	webhooks := config.Webhooks{
		WebhookDialAllow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
	s.env = Env{
		Root: s.options.Root, DataDir: s.options.DataDir,
		API: config.API{Core: core, Channels: channels, Webhooks: webhooks, Listen: local(s.ports.API[0]),
			Traces: config.Traces{TracesEndpoint: s.given.TracesEndpoint}},
		APIURLs:    []string{localURL(s.ports.API[0], ""), localURL(s.ports.API[1], "")},
		SandboxURL: localURL(s.ports.Sandbox, ""),
		SandboxDir: s.path("sandbox"),
		DevFile:    s.path("dev.json"),
		Codec: config.Codec{Core: core, Secrets: channels.Secrets, Listen: local(s.ports.Codec),
			Operators: filepath.Join(secrets, "operators"), // seeding makes both files
			Origins:   []string{localURL(s.ports.TemporalUI, ""), "http://localhost:" + strconv.Itoa(s.ports.TemporalUI)}},
		CodecToken: s.path("codec-token"),
	}
	if s.launch != nil {
		s.env.TemporalUI = localURL(s.ports.TemporalUI, "")
	}
	return nil
}

func (s *stack) sandboxPart() *part {
	return s.ours("sandbox", s.ports.Sandbox, "sandbox", nil,
		"--listen", local(s.ports.Sandbox), "--data", s.env.SandboxDir, "--time-scale", "60")
}

func (s *stack) workerPart(i int) *part {
	c := config.Worker{Core: s.env.API.Core, Channels: s.env.API.Channels,
		Webhooks: s.env.API.Webhooks, Traces: s.env.API.Traces, HealthListen: local(s.ports.WorkerHealth[i])}
	return s.ours(fmt.Sprintf("worker-%d", i+1), s.ports.WorkerHealth[i], "worker", config.Environ(c))
}

func (s *stack) apiPart(i int) *part {
	c := s.env.API
	c.Listen = local(s.ports.API[i])
	return s.ours(fmt.Sprintf("api-%d", i+1), s.ports.API[i], "starter", config.Environ(c), "serve")
}

func (s *stack) codecPart() *part {
	return s.ours("codec", s.ports.Codec, "starter", config.Environ(s.env.Codec), "codec")
}

// webUIPart is Temporal's Web UI, nil when Temporal is given.
func (s *stack) webUIPart() *part {
	if s.webUI == nil {
		return nil
	}
	return &part{name: "temporal-ui", address: s.webUI.URL(), log: s.log("temporal-ui"), grace: 5 * time.Second,
		command: s.webUI.Command, ready: answersHTTP(s.webUI.URL() + "/healthz")}
}

// ours is a program of this module with a health address.
func (s *stack) ours(name string, port int, program string, settings []string, args ...string) *part {
	return &part{name: name, address: localURL(port, ""), log: s.log(name), grace: 20 * time.Second,
		command: func() (*exec.Cmd, os.Signal) {
			cmd := exec.Command(filepath.Join(s.programs, program), args...)
			cmd.Env = append(withoutOurs(s.options.Environ), settings...)
			cmd.Dir = s.options.Root
			return cmd, syscall.SIGTERM
		},
		ready: answersHTTP(localURL(port, "/healthz")),
	}
}

// withoutOurs drops our own variables: the stack decides them all.
func withoutOurs(environ []string) []string {
	var kept []string
	for _, line := range environ {
		if !strings.HasPrefix(line, config.Prefix) {
			kept = append(kept, line)
		}
	}
	return kept
}

// start brings everything up, in the order things need each other.
func (s *stack) start(ctx context.Context) error {
	if err := buildPrograms(ctx, s.options.Root, s.programs, s.super.say); err != nil {
		return err
	}
	if err := s.startServices(ctx); err != nil {
		return err
	}
	if err := s.hook(ctx, "migrate", s.options.Migrate); err != nil {
		return err
	}
	if err := s.super.up(ctx, s.sandboxPart()); err != nil {
		return err
	}
	if err := s.hook(ctx, "seed", s.options.Seed); err != nil {
		return err
	}
	return s.super.up(ctx, there(s.workerPart(0), s.workerPart(1), s.apiPart(0), s.apiPart(1), s.codecPart(), s.webUIPart())...)
}

// there leaves out the parts that are given.
func there(parts ...*part) []*part {
	return slices.DeleteFunc(parts, func(p *part) bool { return p == nil })
}

// startServices brings up, or checks, PostgreSQL and Temporal.
func (s *stack) startServices(ctx context.Context) error {
	postgresPart, databaseURL, postgresErr := s.postgresPart(ctx)
	temporalPart, temporalAddress, temporalErr := s.temporalPart(ctx)
	if err := errors.Join(postgresErr, temporalErr); err != nil {
		return err
	}
	if postgresPart == nil {
		s.super.say("  %-12s %-28s given by SUANPAN_DATABASE_URL", "postgres", "–")
	}
	if temporalPart == nil {
		s.super.say("  %-12s %-28s given by SUANPAN_TEMPORAL_ADDRESS", "temporal", temporalAddress)
	}
	if err := s.super.up(ctx, there(postgresPart, temporalPart)...); err != nil {
		return err
	}
	return s.configure(databaseURL, temporalAddress)
}

// hook runs a step that is not a process.
func (s *stack) hook(ctx context.Context, name string, run func(context.Context, Env) error) error {
	if run == nil {
		return nil
	}
	began := time.Now()
	if err := run(ctx, s.env); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.super.say("  %-12s %-28s done in %s", name, "", since(began))
	return nil
}

// addresses are what people look at once everything is up.
func (s *stack) addresses() []Address {
	all := []Address{
		{"API", s.env.APIURLs[0] + "/v1"},
		{"API, second instance", s.env.APIURLs[1] + "/v1"},
		{"API contract", s.env.APIURLs[0] + "/openapi.yaml"},
		{"API keys", s.env.DevFile},
		{"sandbox: pay by clicking", s.env.SandboxURL + "/"},
	}
	if s.launch != nil {
		all = append(all,
			Address{"Temporal Web UI", s.env.TemporalUI + "/namespaces/" + s.given.TemporalNamespace + "/workflows"},
			Address{"read payloads in it", localURL(s.ports.Codec, "/") + " with the token in " + s.env.CodecToken},
			Address{"temporal CLI", s.launch.Binary() + " --address " + s.launch.Address() +
				" -n " + s.given.TemporalNamespace})
	}
	return append(all,
		Address{"database", s.env.API.DatabaseURL},
		Address{"logs", s.path("log")})
}
