package pg_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/internal/pgtest"
)

// A process needs a login that is a member of the two roles and owns nothing; with it
// nobody takes the walls down.
func TestALoginThatOwnsNothingIsEnough(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	name, owner := "login_"+strings.ToLower(id.Number()), ""
	require.NoError(t, d.Pool.QueryRow(t.Context(), `select current_user`).Scan(&owner))
	_, err := d.Pool.Exec(t.Context(), `create role `+name+` login password 'open'; grant suanpan_app, suanpan_system to `+name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := d.Pool.Exec(context.WithoutCancel(t.Context()), `drop role `+name)
		require.NoError(t, err)
	})
	at, err := url.Parse(d.URL)
	require.NoError(t, err)
	at.User = url.UserPassword(name, "open")
	own, err := pg.Open(t.Context(), at.String(), pg.Options{MaxConns: 1})
	require.NoError(t, err)
	t.Cleanup(own.Close)
	var n int
	require.NoError(t, own.AsSystem(t.Context(), func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), `select count(*) from tenants`).Scan(&n)
	}))
	require.NoError(t, own.InTenant(t.Context(), id.New(id.Tenant), func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), `select count(*) from payments`).Scan(&n)
	}))

	conn, err := pgx.Connect(t.Context(), at.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	for _, attack := range []string{
		`alter table payments no force row level security`, `drop policy one_tenant on payments`, `alter table entries disable trigger all`,
		`set session_replication_role = replica`, `update entries set metadata = '{}'`, `truncate postings`, `delete from audit_entries`,
		`create table mine (n int)`, `create policy open on entries using (true)`, `set role ` + owner, `alter role ` + name + ` bypassrls`,
		`update schema_version set version = 0`,
	} {
		_, err := conn.Exec(t.Context(), attack)
		require.ErrorContains(t, err, "SQLSTATE 42501", attack) // insufficient privilege
	}
}
