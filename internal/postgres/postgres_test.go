package postgres_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/freeport"
	"github.com/suanpan/suanpan/internal/postgres"
)

// folder is a temporary folder that the server's user can reach.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "suanpan-pg-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := freeport.Reserve()
	require.NoError(t, err)
	return port
}

func start(t *testing.T, o postgres.Options) *postgres.Server {
	t.Helper()
	o.DieWithParent = true
	server, err := postgres.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop() })
	return server
}

func exec(t *testing.T, url, sql string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), sql)
	return err
}

func TestDataSurvivesARestartAndTCPWantsThePassword(t *testing.T) {
	t.Parallel()
	options := postgres.Options{DataDir: filepath.Join(folder(t), "data"), Port: freePort(t)}
	first := start(t, options)
	require.NoError(t, first.CreateDatabase(t.Context(), "books"))
	require.NoError(t, first.CreateDatabase(t.Context(), "books"), "again is no error")
	require.NoError(t, exec(t, first.URL("books"), "create table kept (n int)"))

	withoutPassword, err := pgx.ParseConfig(first.URL("books"))
	require.NoError(t, err)
	withoutPassword.Password = "wrong"
	_, err = pgx.ConnectConfig(t.Context(), withoutPassword)
	require.ErrorContains(t, err, "password authentication failed")

	require.NoError(t, first.Stop())
	second := start(t, options)
	require.False(t, second.Adopted)
	require.NoError(t, exec(t, second.URL("books"), "insert into kept values (1)"))
}

func TestARunningServerIsAdopted(t *testing.T) {
	t.Parallel()
	options := postgres.Options{DataDir: filepath.Join(folder(t), "data")}
	first := start(t, options)
	second := start(t, options)
	require.True(t, second.Adopted)
	require.NoError(t, exec(t, second.URL("postgres"), "select 1"))
	require.NoError(t, second.Stop())
	<-first.Done()
}

func TestAFolderNobodyElseCanEnterMovesTheDataUnderRoot(t *testing.T) {
	t.Parallel()
	locked := folder(t)
	require.NoError(t, os.Chmod(locked, 0o700))
	wanted := filepath.Join(locked, "data")
	got, err := postgres.Locate(wanted)
	require.NoError(t, err)
	if os.Geteuid() == 0 {
		require.Regexp(t, `^/var/lib/suanpan/[0-9a-f]{12}$`, got)
		return
	}
	require.Equal(t, wanted, got)
}

func TestWhatIsNoDataDirectoryIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	data := filepath.Join(folder(t), "data")
	require.NoError(t, os.Mkdir(data, 0o755))
	precious := filepath.Join(data, "thesis.txt")
	require.NoError(t, os.WriteFile(precious, []byte("x"), 0o600))
	_, err := postgres.Start(t.Context(), postgres.Options{DataDir: data})
	require.ErrorContains(t, err, "is not a PostgreSQL data directory")
	require.FileExists(t, precious)
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	_, err := postgres.Start(t.Context(), postgres.Options{DataDir: filepath.Join(folder(t), "data"),
		Settings: map[string]string{"shared_buffers": "plenty"}})
	require.ErrorContains(t, err, "shared_buffers")
}
