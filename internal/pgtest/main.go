package pgtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/suanpan/suanpan/internal/postgres"
)

// URLVariable names the server tests use. The database in the URL is only
// where the first connection goes; its user must be able to create databases.
const URLVariable = "SUANPAN_TEST_DATABASE_URL"

// Main runs a package's tests with a server for them, and exits:
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
func Main(m Runner) { os.Exit(run(m)) }

// Runner is what TestMain is given; *testing.M is one.
type Runner interface{ Run() int }

func run(m Runner) int {
	if os.Getenv(URLVariable) != "" {
		return m.Run()
	}
	server, remove, err := StartServer(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	defer remove()
	if err := os.Setenv(URLVariable, server.URL("postgres")); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	return m.Run()
}

// StartServer starts a server fit for tests in a temporary folder: nothing is
// fsynced, and it dies with this process. remove stops it and deletes its data.
func StartServer(ctx context.Context) (server *postgres.Server, remove func(), err error) {
	dir, err := os.MkdirTemp("", "suanpan-pg-")
	if err != nil {
		return nil, nil, err
	}
	// Under root the server runs as another user, who must pass through here.
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, nil, err
	}
	server, err = postgres.Start(ctx, postgres.Options{
		DataDir: filepath.Join(dir, "data"),
		Settings: map[string]string{
			"fsync":              "off",
			"synchronous_commit": "off",
			"full_page_writes":   "off",
			"max_connections":    "500",
			"shared_buffers":     "128MB",
			"max_wal_size":       "4GB",
			"autovacuum":         "off",
			"timezone":           "UTC",
		},
		DieWithParent: true,
		Say:           func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) },
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%w (files in %s)", err, dir)
	}
	return server, func() {
		_ = server.Stop()
		_ = os.RemoveAll(dir)
	}, nil
}
