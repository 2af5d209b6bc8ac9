package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/freeport"
	"github.com/suanpan/suanpan/internal/postgres"
	"github.com/suanpan/suanpan/internal/temporalserver"
	"github.com/suanpan/suanpan/internal/temporaltest"
)

// keptTemporal is a Temporal server of a test's own that keeps what it is told, and the ways to
// read that past the server.
type keptTemporal struct {
	address string
	places  map[string]func() []byte
}

// keptInSQLite is the development server on a file.
func keptInSQLite(ctx context.Context, t *testing.T, dir string) keptTemporal {
	t.Helper()
	server, remove, err := temporaltest.StartServerOn(ctx, filepath.Join(dir, "temporal.db"))
	require.NoError(t, err)
	t.Cleanup(remove)
	return keptTemporal{server.Address(), map[string]func() []byte{"Temporal's files": func() []byte { return temporalFiles(t, dir) }}}
}

// temporalFiles is the database of the development server as it lies on disk, with what
// was deleted and not overwritten yet.
func temporalFiles(t *testing.T, dir string) (all []byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "temporal.db*"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if !errors.Is(err, fs.ErrNotExist) { // a journal ends with its transaction
			require.NoError(t, err)
		}
		all = append(all, text...)
	}
	require.Contains(t, string(all), "payment/pay_")
	return all
}

// keptInPostgreSQL is the server of production on a PostgreSQL of its own, with the
// schema and the settings of an installation.
func keptInPostgreSQL(ctx context.Context, t *testing.T, dir string) keptTemporal {
	t.Helper()
	port, err := freeport.Reserve()
	require.NoError(t, err)
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o711)) // PostgreSQL's user passes through
	require.NoError(t, os.Chmod(dir, 0o711))
	database, err := postgres.Start(ctx, postgres.Options{DataDir: filepath.Join(dir, "postgres"), Port: port, Say: t.Logf,
		Settings: map[string]string{"fsync": "off", "max_connections": "200"}, DieWithParent: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = database.Stop() })
	at, err := url.Parse(database.URL("postgres"))
	require.NoError(t, err)
	password, _ := at.User.Password()
	programs, err := temporalserver.Link(ctx, "../../tools", filepath.Join(dir, "bin"), t.Logf)
	require.NoError(t, err)
	require.NoError(t, programs.Schema(ctx, "/bin/sh", "../../deploy/temporal/schema.sh", []string{"SQL_PLUGIN=postgres12",
		"SQL_HOST=127.0.0.1", "SQL_PORT=" + at.Port(), "SQL_USER=" + at.User.Username(), "SQL_PASSWORD=" + password}))
	ports, err := temporalserver.ReservePorts()
	require.NoError(t, err)
	launch, err := temporalserver.Prepare(ctx, temporalserver.Options{Programs: programs, Ports: ports,
		DynamicConfig: impatient(t, dir), Log: filepath.Join(dir, "temporal.log"),
		Environ: []string{"DB=postgres12", "POSTGRES_SEEDS=127.0.0.1", "DB_PORT=" + at.Port(), "POSTGRES_USER=" + at.User.Username(),
			"POSTGRES_PWD=" + password, "DBNAME=temporal", "VISIBILITY_DBNAME=temporal_visibility", "NUM_HISTORY_SHARDS=4",
			"BIND_ON_IP=127.0.0.1", "LOG_LEVEL=warn"}})
	require.NoError(t, err)
	process, err := launch.Start(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { _ = process.Stop(20 * time.Second) })
	dump := func(name string) func() []byte {
		return func() []byte {
			text := dumpOf(ctx, t, database.URL(name))
			require.Contains(t, string(text), "payment/pay_")
			return text
		}
	}
	return keptTemporal{launch.Address(), map[string]func() []byte{
		"dump of Temporal's database": dump("temporal"), "dump of its visibility": dump("temporal_visibility")}}
}

// impatient is the dynamic configuration of an installation, whose server learns of a new
// namespace at once besides.
func impatient(t *testing.T, dir string) (file string) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/temporal/dynamicconfig.yaml")
	require.NoError(t, err)
	file = filepath.Join(dir, "dynamicconfig.yaml")
	text = append(text, "\nsystem.namespaceCacheRefreshInterval:\n  - value: 200ms\n"...)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}

// dumpOf is a database as pg_dump writes it.
func dumpOf(ctx context.Context, t *testing.T, databaseURL string) []byte {
	t.Helper()
	cmd := exec.CommandContext(ctx, pgDump(t), "--dbname", databaseURL)
	var refused bytes.Buffer
	cmd.Stderr = &refused
	out, err := cmd.Output()
	require.NoError(t, err, refused.String())
	return out
}

// pgDump is the program, which Debian keeps beside the server.
func pgDump(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("pg_dump"); err == nil {
		return path
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
	require.NoError(t, err)
	require.NotEmpty(t, found, "pg_dump is in the package postgresql-client")
	return found[len(found)-1]
}
