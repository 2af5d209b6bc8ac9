package session_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/session"
	"github.com/suanpan/suanpan/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// newPage is a page on a database of its own.
func newPage(t *testing.T) (session.Page, *pgtest.Database) {
	t.Helper()
	t.Parallel()
	db := pgtest.New(t)
	return session.Page{DB: db.DB, Name: "desk", Idle: time.Hour, Life: 8 * time.Hour}, db
}

func begin(t *testing.T, p session.Page, subject string) string {
	t.Helper()
	token, err := p.Begin(t.Context(), subject)
	require.NoError(t, err)
	return token
}

// who is whose session it is, or "".
func who(t *testing.T, p session.Page, token string) string {
	t.Helper()
	subject, found, err := p.Subject(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, found, subject != "")
	return subject
}

func TestASessionIsFoundUntilItEnds(t *testing.T) {
	page, db := newPage(t)
	one, two, other := begin(t, page, "anna"), begin(t, page, "anna"), begin(t, page, "ben")
	require.NotEqual(t, one, two)
	random, err := base64.RawURLEncoding.DecodeString(one)
	require.NoError(t, err)
	require.Len(t, random, 32)
	require.Equal(t, []string{"anna", "anna", "ben"}, []string{who(t, page, one), who(t, page, two), who(t, page, other)})
	for _, strange := range []string{"", "x", one[1:], one + "x", two[:10] + one[10:]} {
		require.Empty(t, who(t, page, strange))
	}
	require.Empty(t, who(t, session.Page{DB: db.DB, Name: "another", Idle: time.Hour, Life: time.Hour}, one))
	var dump string
	require.NoError(t, db.Pool.QueryRow(t.Context(), `select string_agg(to_jsonb(s)::text, '') from sessions s`).Scan(&dump))
	require.NotContains(t, dump, one, "a token is kept as it is")

	for range 2 {
		require.NoError(t, page.End(t.Context(), one))
		require.Equal(t, []string{"", "anna", "ben"}, []string{who(t, page, one), who(t, page, two), who(t, page, other)})
	}
	for range 2 {
		require.NoError(t, page.EndAll(t.Context(), "anna"))
		require.Equal(t, []string{"", "ben"}, []string{who(t, page, two), who(t, page, other)})
	}
}

func TestASessionEndsByItself(t *testing.T) {
	page, db := newPage(t)
	pass := func(column, time string) {
		_, err := db.Pool.Exec(t.Context(), `update sessions set `+column+` = `+column+` - $1::interval`, time)
		require.NoError(t, err)
	}
	token := begin(t, page, "anna")
	for range 3 { // used again and again
		pass("seen_at", "59 minutes")
		require.Equal(t, "anna", who(t, page, token))
	}
	pass("seen_at", "61 minutes")
	require.Empty(t, who(t, page, token), "idle for too long")
	pass("seen_at", "-61 minutes")

	pass("created_at", "479 minutes")
	require.Equal(t, "anna", who(t, page, token))
	pass("created_at", "2 minutes")
	require.Empty(t, who(t, page, token), "too old, though in use")

	begin(t, page, "ben")
	var left int
	require.NoError(t, db.Pool.QueryRow(t.Context(), `select count(*) from sessions`).Scan(&left))
	require.Equal(t, 1, left, "what is over is forgotten")
}

func TestOnlyTheSystemRoleKnowsSessions(t *testing.T) {
	page, db := newPage(t)
	token := begin(t, page, "anna")
	for _, sql := range []string{`select 1 from sessions`, `delete from sessions`, `insert into sessions (token_hash, page, subject) values (sha256('x'), 'desk', 'eve')`} {
		tx, err := db.Pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `set local role suanpan_app`)
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), sql)
		require.ErrorContains(t, err, "permission denied", sql)
		require.NoError(t, tx.Rollback(t.Context()))
	}
	require.Equal(t, "anna", who(t, page, token))
}
