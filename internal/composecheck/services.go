package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/suanpan/suanpan/internal/child"
	"github.com/suanpan/suanpan/internal/freeport"
	"github.com/suanpan/suanpan/internal/postgres"
	"github.com/suanpan/suanpan/internal/temporaldev"
)

// scene is the local stand-in for the containers' surroundings.
type scene struct {
	dir      string // temporary
	bin      string // Temporal's programs under the names the images give them
	database *postgres.Server
	password string
	ports    map[string]string
}

// runServices runs temporal-schema, temporal and migrate as the file says.
func runServices(ctx context.Context, file compose) error {
	dir, err := os.MkdirTemp("", "suanpan-compose-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil { // PostgreSQL's user passes through
		return err
	}
	s := &scene{dir: dir, bin: filepath.Join(dir, "bin")}
	if err := s.build(ctx); err != nil {
		return err
	}
	if err := s.startPostgres(ctx); err != nil {
		return err
	}
	defer func() { _ = s.database.Stop() }()
	for _, turn := range []string{"made", "checked again"} { // compose runs it at every up
		if err := s.runSchema(ctx, file.Services["temporal-schema"]); err != nil {
			return err
		}
		say("temporal-schema: both schemas %s", turn)
	}
	server, err := s.startTemporal(ctx, file.Services["temporal"])
	if err != nil {
		return err
	}
	defer func() { _ = server.Stop(20 * time.Second) }()
	return s.migrate(ctx, file.Services["migrate"])
}

// build makes Temporal's programs and links them under their plain names.
func (s *scene) build(ctx context.Context) error {
	if err := os.MkdirAll(s.bin, 0o755); err != nil {
		return err
	}
	for _, program := range []temporaldev.Program{temporaldev.FullServer(), temporaldev.SQLTool()} {
		path, err := temporaldev.Binary{Program: program, Tools: "tools", Say: say}.Ensure(ctx)
		if err != nil {
			return err
		}
		if err := os.Symlink(path, filepath.Join(s.bin, program.Name)); err != nil {
			return err
		}
	}
	return nil
}

func (s *scene) startPostgres(ctx context.Context) error {
	ports, err := reservePorts("postgres", "frontend", "frontend-http", "history", "matching", "worker",
		"frontend-member", "history-member", "matching-member", "worker-member")
	if err != nil {
		return err
	}
	s.ports = ports
	port, err := strconv.Atoi(ports["postgres"])
	if err != nil {
		return err
	}
	s.database, err = postgres.Start(ctx, postgres.Options{DataDir: filepath.Join(s.dir, "postgres"), Port: port,
		Settings: map[string]string{"fsync": "off"}, DieWithParent: true, Say: say})
	if err != nil {
		return err
	}
	address, err := url.Parse(s.database.URL("suanpan"))
	if err != nil {
		return err
	}
	s.password, _ = address.User.Password()
	return s.database.CreateDatabase(ctx, "suanpan")
}

// runSchema runs the service's own script with the service's own variables.
func (s *scene) runSchema(ctx context.Context, schema service) error {
	if len(schema.Entrypoint) != 2 {
		return errors.New("temporal-schema: the entrypoint is to be a shell and a script")
	}
	script := filepath.Join("deploy", "temporal", filepath.Base(schema.Entrypoint[1]))
	cmd := exec.CommandContext(ctx, schema.Entrypoint[0], script)
	cmd.Env = append(schema.environ(map[string]string{"SQL_PORT": s.ports["postgres"], "SQL_PASSWORD": s.password}),
		"PATH="+s.bin+":/usr/bin:/bin")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("temporal-schema: %w: %s", err, tail(string(out)))
	}
	return nil
}

// startTemporal starts the server with the service's variables: database,
// ports and the dynamic configuration's path are local, the rest is the file's.
func (s *scene) startTemporal(ctx context.Context, temporal service) (*child.Process, error) {
	dynamic := filepath.Join("deploy", "temporal", filepath.Base(temporal.Environment["DYNAMIC_CONFIG_FILE_PATH"]))
	server := filepath.Join(s.bin, "temporal-server")
	if out, err := exec.CommandContext(ctx, server, "validate-dynamic-config", dynamic).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", dynamic, err, tail(string(out)))
	}
	log := filepath.Join(s.dir, "temporal.log")
	cmd := exec.Command(server, "--allow-no-auth", "start")
	cmd.Env = append(temporal.environ(map[string]string{
		"DB_PORT": s.ports["postgres"], "POSTGRES_PWD": s.password, "DYNAMIC_CONFIG_FILE_PATH": dynamic,
		"FRONTEND_GRPC_PORT": s.ports["frontend"], "FRONTEND_HTTP_PORT": s.ports["frontend-http"],
	}),
		"HISTORY_GRPC_PORT="+s.ports["history"], "MATCHING_GRPC_PORT="+s.ports["matching"],
		"WORKER_GRPC_PORT="+s.ports["worker"], "FRONTEND_MEMBERSHIP_PORT="+s.ports["frontend-member"],
		"HISTORY_MEMBERSHIP_PORT="+s.ports["history-member"], "MATCHING_MEMBERSHIP_PORT="+s.ports["matching-member"],
		"WORKER_MEMBERSHIP_PORT="+s.ports["worker-member"])
	process, err := child.Start(child.Options{Cmd: cmd, Log: log, DieWithParent: true})
	if err != nil {
		return nil, err
	}
	began := time.Now()
	for {
		err := temporaldev.Reachable(ctx, s.frontend())
		if err == nil {
			say("temporal: answers on %s after %s", s.frontend(), time.Since(began).Round(100*time.Millisecond))
			return process, nil
		}
		select {
		case <-process.Done():
			content, _ := os.ReadFile(log)
			return nil, fmt.Errorf("temporal: ended: %s", tail(string(content)))
		case <-time.After(200 * time.Millisecond):
		}
		if time.Since(began) > 2*time.Minute {
			content, _ := os.ReadFile(log)
			return nil, errors.Join(fmt.Errorf("temporal: does not answer: %w: %s", err, tail(string(content))),
				process.Stop(time.Second))
		}
	}
}

func (s *scene) frontend() string { return net.JoinHostPort("127.0.0.1", s.ports["frontend"]) }

// migrate runs the service's command and looks for what it must have made.
func (s *scene) migrate(ctx context.Context, migrate service) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"run", "./starter"}, migrate.Command...)...)
	cmd.Env = cmd.Environ() // for Go's own tools
	cmd.Env = append(cmd.Env, migrate.environ(map[string]string{
		"SUANPAN_DATABASE_URL": s.database.URL("suanpan"), "SUANPAN_TEMPORAL_ADDRESS": s.frontend()})...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("migrate: %w: %s", err, tail(string(out)))
	}
	for line := range strings.Lines(string(out)) {
		say("migrate: %s", strings.TrimSpace(line))
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := temporaldev.Ready(ctx, s.frontend(), "suanpan"); err != nil {
		return fmt.Errorf("after migrate: %w", err)
	}
	say("temporal: namespace suanpan and its search attributes can be used")
	return nil
}

// reservePorts gives each name a port that nobody uses.
func reservePorts(names ...string) (map[string]string, error) {
	ports := map[string]string{}
	for _, name := range names {
		port, err := freeport.Reserve()
		if err != nil {
			return nil, err
		}
		ports[name] = strconv.Itoa(port)
	}
	return ports, nil
}

// tail is the end of a text, where failures say why; long lines are cut.
func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	lines = lines[max(0, len(lines)-5):]
	for i, line := range lines {
		lines[i] = line[:min(len(line), 400)]
	}
	return strings.Join(lines, "\n")
}
