package main

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/suanpan/suanpan/internal/temporalserver"
)

// scene is the local stand-in for the containers' surroundings.
type scene struct {
	dir      string // temporary
	programs temporalserver.Programs
	database *postgres.Server
	port     int // of the database
	password string
	temporal *temporalserver.Launch
	server   *child.Process
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
	s := &scene{dir: dir}
	if s.programs, err = temporalserver.Link(ctx, "tools", filepath.Join(dir, "bin"), say); err != nil {
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
	if err := s.startTemporal(ctx, file.Services["temporal"]); err != nil {
		return err
	}
	defer func() { _ = s.server.Stop(20 * time.Second) }()
	return s.migrate(ctx, file.Services["migrate"])
}

func (s *scene) startPostgres(ctx context.Context) error {
	var err error
	if s.port, err = freeport.Reserve(); err != nil {
		return err
	}
	s.database, err = postgres.Start(ctx, postgres.Options{DataDir: filepath.Join(s.dir, "postgres"), Port: s.port,
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
	return s.programs.Schema(ctx, schema.Entrypoint[0], script,
		schema.environ(map[string]string{"SQL_PORT": strconv.Itoa(s.port), "SQL_PASSWORD": s.password}))
}

// startTemporal starts the server with the service's variables: database,
// ports and the dynamic configuration's path are local, the rest is the file's.
func (s *scene) startTemporal(ctx context.Context, temporal service) error {
	ports, err := temporalserver.ReservePorts()
	if err != nil {
		return err
	}
	s.temporal, err = temporalserver.Prepare(ctx, temporalserver.Options{Programs: s.programs, Ports: ports,
		Environ:       temporal.environ(map[string]string{"DB_PORT": strconv.Itoa(s.port), "POSTGRES_PWD": s.password}),
		DynamicConfig: filepath.Join("deploy", "temporal", filepath.Base(temporal.Environment["DYNAMIC_CONFIG_FILE_PATH"])),
		Log:           filepath.Join(s.dir, "temporal.log")})
	if err != nil {
		return err
	}
	began := time.Now()
	if s.server, err = s.temporal.Start(ctx); err != nil {
		return err
	}
	say("temporal: answers on %s after %s", s.temporal.Address(), time.Since(began).Round(100*time.Millisecond))
	return nil
}

// migrate runs the service's command and looks for what it must have made.
func (s *scene) migrate(ctx context.Context, migrate service) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"run", "./starter"}, migrate.Command...)...)
	cmd.Env = cmd.Environ() // for Go's own tools
	cmd.Env = append(cmd.Env, migrate.environ(map[string]string{
		"SUANPAN_DATABASE_URL": s.database.URL("suanpan"), "SUANPAN_TEMPORAL_ADDRESS": s.temporal.Address()})...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("migrate: %w: %s", err, temporalserver.Tail(string(out)))
	}
	for line := range strings.Lines(string(out)) {
		say("migrate: %s", strings.TrimSpace(line))
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := temporaldev.Ready(ctx, s.temporal.Address(), "suanpan"); err != nil {
		return fmt.Errorf("after migrate: %w", err)
	}
	say("temporal: namespace suanpan and its search attributes can be used")
	return nil
}
