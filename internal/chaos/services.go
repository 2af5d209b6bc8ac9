package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/devseed"
	"github.com/suanpan/suanpan/internal/freeport"
	pgserver "github.com/suanpan/suanpan/internal/postgres"
	"github.com/suanpan/suanpan/internal/temporaldev"
	"github.com/suanpan/suanpan/internal/temporalserver"
)

// What is between the processes, by the names the plan uses.
const (
	toPostgres = "postgres"
	toTemporal = "temporal"
	toSandbox  = "sandbox"
	toAPI      = "api"
	toSink     = "sink"
)

const (
	database  = "suanpan"
	namespace = "suanpan"
	// timeScale makes the sandbox repeat its notifications within the run.
	timeScale = 60
)

// platform is the stack with everything known of it.
type platform struct {
	*stack
	net     *proxies
	cluster *pgserver.Cluster
	launch  *temporalserver.Launch
	bin     string
	ports   struct {
		postgres, sandbox int
		api, worker       [2]int
	}
	secrets string
	seeded  devseed.Outcome
}

func (p *platform) apiURLs() []string {
	return []string{localURL(p.ports.api[0], ""), localURL(p.ports.api[1], "")}
}

func (p *platform) sandboxURL() string { return localURL(p.ports.sandbox, "") }

// directURL reaches our database past the proxies, for the judge.
func (p *platform) directURL() string { return p.cluster.URL(database) }

// bringUp starts everything; what was started by then runs on after an error.
func (p *platform) bringUp(ctx context.Context, say func(string, ...any)) error {
	for _, port := range []*int{&p.ports.postgres, &p.ports.sandbox, &p.ports.api[0], &p.ports.api[1],
		&p.ports.worker[0], &p.ports.worker[1]} {
		var err error
		if *port, err = freeport.Reserve(); err != nil {
			return err
		}
	}
	p.secrets = p.path("secrets")
	for _, dir := range []string{p.path("log"), p.path("bin"), p.secrets} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		what string
		do   func(context.Context, func(string, ...any)) error
	}{
		{"programs", p.build}, {"postgres", p.startPostgres}, {"temporal", p.startTemporal},
		{"sandbox", p.startSandbox}, {"migrate and seed", p.prepare}, {"workers and APIs", p.startOurs},
	} {
		began := time.Now()
		if err := step.do(ctx, say); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		say("%-18s up in %s", step.what, time.Since(began).Round(100*time.Millisecond))
	}
	return nil
}

func (p *platform) build(ctx context.Context, _ func(string, ...any)) error {
	p.bin = p.path("bin")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", p.bin+string(filepath.Separator),
		"./starter", "./worker", "./sandbox/cmd/sandbox")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// startPostgres runs PostgreSQL with production's durability: nothing about
// fsync, commits or pages is set.
func (p *platform) startPostgres(ctx context.Context, say func(string, ...any)) error {
	var err error
	p.cluster, err = pgserver.Prepare(ctx, pgserver.Options{DataDir: p.path("postgres"), Port: p.ports.postgres,
		Settings: map[string]string{"max_connections": "400", "timezone": "UTC", "log_min_messages": "warning"},
		Log:      p.path("log", "postgres.log"), Say: say})
	if err != nil {
		return err
	}
	err = p.add(ctx, &process{name: "postgres", kind: "postgres", command: p.cluster.Command, ready: p.cluster.Ready})
	if err != nil {
		return err
	}
	return p.cluster.CreateDatabase(ctx, database)
}

// startTemporal runs the full server with the settings of an installation.
func (p *platform) startTemporal(ctx context.Context, say func(string, ...any)) error {
	programs, err := temporalserver.Link(ctx, "tools", p.path("temporal-bin"), say)
	if err != nil {
		return err
	}
	direct, err := url.Parse(p.cluster.URL("postgres"))
	if err != nil {
		return err
	}
	password, _ := direct.User.Password()
	user := direct.User.Username()
	err = programs.Schema(ctx, "/bin/sh", filepath.Join("deploy", "temporal", "schema.sh"), []string{
		"SQL_PLUGIN=postgres12", "SQL_HOST=127.0.0.1", "SQL_PORT=" + strconv.Itoa(p.ports.postgres),
		"SQL_USER=" + user, "SQL_PASSWORD=" + password})
	if err != nil {
		return err
	}
	proxied, err := p.net.open("temporal", toPostgres, postgres, p.ports.postgres)
	if err != nil {
		return err
	}
	ports, err := temporalserver.ReservePorts()
	if err != nil {
		return err
	}
	dynamic, err := filepath.Abs(filepath.Join("deploy", "temporal", "dynamicconfig.yaml"))
	if err != nil {
		return err
	}
	p.launch, err = temporalserver.Prepare(ctx, temporalserver.Options{Programs: programs, Ports: ports,
		DynamicConfig: dynamic, Log: p.path("log", "temporal.log"),
		Environ: []string{"DB=postgres12", "POSTGRES_SEEDS=127.0.0.1", "DB_PORT=" + strconv.Itoa(proxied),
			"POSTGRES_USER=" + user, "POSTGRES_PWD=" + password, "DBNAME=temporal", "VISIBILITY_DBNAME=temporal_visibility",
			"NUM_HISTORY_SHARDS=4", "BIND_ON_IP=127.0.0.1", "LOG_LEVEL=warn"}})
	if err != nil {
		return err
	}
	return p.add(ctx, &process{name: "temporal", kind: "temporal", needs: []*process{p.find("postgres")},
		command: p.launch.Command, ready: p.launch.Ready})
}

func (p *platform) startSandbox(ctx context.Context, _ func(string, ...any)) error {
	return p.add(ctx, &process{name: "sandbox", kind: "sandbox", ready: answers(localURL(p.ports.sandbox, "/healthz")),
		command: func() (*exec.Cmd, os.Signal) {
			return exec.Command(filepath.Join(p.bin, "sandbox"), "--listen", local(p.ports.sandbox),
				"--data", p.path("sandbox"), "--time-scale", strconv.Itoa(timeScale)), syscall.SIGTERM
		}})
}

// prepare migrates and makes the tenant with its channel accounts.
func (p *platform) prepare(ctx context.Context, _ func(string, ...any)) error {
	migrate := exec.CommandContext(ctx, filepath.Join(p.bin, "starter"), "migrate")
	migrate.Env = config.Environ(config.Tool{Core: p.core(p.directURL(), p.launch.Address())})
	if out, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate: %w: %s", err, temporalserver.Tail(string(out)))
	}
	if err := temporaldev.Ready(ctx, p.launch.Address(), namespace); err != nil {
		return err
	}
	var err error
	p.seeded, err = devseed.Seed(ctx, devseed.Request{DatabaseURL: p.directURL(), SandboxURL: p.sandboxURL(),
		APIURLs: p.apiURLs(), MasterKeyFile: p.masterKey(), File: p.path("dev.json")})
	return err
}

// masterKey is what seals the keys of the channel accounts.
func (p *platform) masterKey() string { return filepath.Join(p.secrets, "master.key") }

func (p *platform) core(databaseURL, temporal string) config.Core {
	return config.Core{Env: config.Development, DatabaseURL: databaseURL, DatabaseMaxConns: 16,
		TemporalAddress: temporal, TemporalNamespace: namespace}
}

// proxied is the configuration of one of our processes: everything it calls, it
// calls through proxies of its own.
func (p *platform) proxied(name, notifyURL string) (config.Core, config.Channels, error) {
	_, text, err := net2(p.launch.Address())
	if err != nil {
		return config.Core{}, config.Channels{}, err
	}
	ports := map[string]int{}
	for to, target := range map[string]struct {
		speaks protocol
		port   int
	}{toPostgres: {postgres, p.ports.postgres}, toTemporal: {opaque, text}, toSandbox: {web, p.ports.sandbox}} {
		if ports[to], err = p.net.open(name, to, target.speaks, target.port); err != nil {
			return config.Core{}, config.Channels{}, err
		}
	}
	databaseURL, err := url.Parse(p.directURL())
	if err != nil {
		return config.Core{}, config.Channels{}, err
	}
	databaseURL.Host = local(ports[toPostgres])
	return p.core(databaseURL.String(), local(ports[toTemporal])), config.Channels{
		AlipayGatewayURL: localURL(ports[toSandbox], "/alipay/gateway.do"),
		WeChatPayBaseURL: localURL(ports[toSandbox], "/wechatpay"),
		Secrets:          config.Secrets{MasterKeyFile: p.masterKey()}, PublicURL: notifyURL,
	}, nil
}

func (p *platform) startOurs(ctx context.Context, _ func(string, ...any)) error {
	notify, err := p.net.open("sandbox", toAPI, web, p.ports.api[0])
	if err != nil {
		return err
	}
	hooks := config.Webhooks{WebhookDialAllow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, WebhookTryMonths: 3}
	for i := range 2 {
		name := "worker-" + strconv.Itoa(i+1)
		core, channels, err := p.proxied(name, localURL(notify, ""))
		if err != nil {
			return err
		}
		err = p.startOne(ctx, name, "worker", p.ports.worker[i], "worker", config.Environ(
			config.Worker{Core: core, Channels: channels, Webhooks: hooks, HealthListen: local(p.ports.worker[i])}))
		if err != nil {
			return err
		}
	}
	for i := range 2 {
		name := "api-" + strconv.Itoa(i+1)
		core, channels, err := p.proxied(name, localURL(notify, ""))
		if err != nil {
			return err
		}
		err = p.startOne(ctx, name, "api", p.ports.api[i], "starter", config.Environ(
			config.API{Core: core, Channels: channels, Webhooks: hooks, Listen: local(p.ports.api[i])}), "serve")
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *platform) startOne(ctx context.Context, name, kind string, port int, program string, environ []string, args ...string) error {
	return p.add(ctx, &process{name: name, kind: kind, needs: []*process{p.find("postgres")},
		ready: answers(localURL(port, "/healthz")),
		command: func() (*exec.Cmd, os.Signal) {
			cmd := exec.Command(filepath.Join(p.bin, program), args...)
			cmd.Env = environ
			return cmd, syscall.SIGTERM
		}})
}

// answers asks a health address; only 200 counts.
func answers(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", address, response.Status)
		}
		return nil
	}
}

// net2 splits host:port of an address of ours.
func net2(address string) (host string, port int, err error) {
	parsed, err := netip.ParseAddrPort(address)
	return parsed.Addr().String(), int(parsed.Port()), err
}
