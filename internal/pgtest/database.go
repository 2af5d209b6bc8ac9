package pgtest

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// Database is one test's own database. It disappears when the test ends.
type Database struct {
	// URL connects as the server's superuser; pass it to what opens its own pool.
	URL string
	// DB is what production code uses: the two roles behind row-level security.
	DB *pg.DB
	// Pool is the superuser's, for looking at everything and for breaking things.
	Pool *pgxpool.Pool
}

// New clones a migrated database for t.
func New(t testing.TB) *Database {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	base := serverURL(t)
	template, err := ensureTemplate(ctx, base)
	require.NoError(t, err, "migrate the template database")

	name := "suanpan_test_" + strings.ToLower(id.Number())
	require.NoError(t, execOn(ctx, base, "create database "+name+" template "+template))
	t.Cleanup(func() { drop(t, base, name) })

	d := &Database{URL: withDatabase(base, name)}
	d.Pool, err = pgxpool.New(ctx, d.URL)
	require.NoError(t, err)
	t.Cleanup(d.Pool.Close)
	d.DB, err = pg.Open(ctx, d.URL, pg.Options{MaxConns: 8})
	require.NoError(t, err)
	t.Cleanup(d.DB.Close)
	return d
}

// NewEmpty gives t a database without any schema, and its superuser URL.
func NewEmpty(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	base := serverURL(t)
	name := "suanpan_test_" + strings.ToLower(id.Number())
	require.NoError(t, execOn(ctx, base, "create database "+name))
	t.Cleanup(func() { drop(t, base, name) })
	return withDatabase(base, name)
}

func serverURL(t testing.TB) string {
	t.Helper()
	base := os.Getenv(URLVariable)
	require.NotEmpty(t, base, "no PostgreSQL for tests: add `func TestMain(m *testing.M) { pgtest.Main(m) }` "+
		"to this package, or set "+URLVariable)
	return base
}

func drop(t testing.TB, base, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := execOn(ctx, base, "drop database if exists "+name+" with (force)"); err != nil {
		t.Logf("the test database %s stays: %v", name, err)
	}
}

// execOn runs one statement on a connection of its own.
func execOn(ctx context.Context, databaseURL, sql string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}

// withDatabase replaces the database in a URL.
func withDatabase(base, name string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base // pgx will name what is wrong with it
	}
	u.Path = "/" + name
	return u.String()
}
