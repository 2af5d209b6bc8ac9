package tenant_test

import (
	"crypto/sha256"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func requireFault(t *testing.T, err error, kind fault.Kind, code, field string) {
	t.Helper()
	f, ok := fault.As(err)
	require.True(t, ok, "not a fault: %v", err)
	require.Equal(t, []string{string(kind), code, field}, []string{string(f.Kind), f.Code, f.Field}, f.Detail)
}

func asSystem(t *testing.T, db *pgtest.Database, fn func(tx pgx.Tx)) {
	t.Helper()
	require.NoError(t, db.DB.AsSystem(t.Context(), func(tx pgx.Tx) error { fn(tx); return nil }))
}

func create(t *testing.T, db *pgtest.Database, name string) tenant.Tenant {
	t.Helper()
	var out tenant.Tenant
	asSystem(t, db, func(tx pgx.Tx) {
		var err error
		out, err = tenant.Create(t.Context(), tx, name, tenant.BankCustody)
		require.NoError(t, err)
	})
	return out
}

func createKey(t *testing.T, db *pgtest.Database, tenantID string, scopes ...string) (tenant.Key, string) {
	t.Helper()
	var key tenant.Key
	var secret string
	asSystem(t, db, func(tx pgx.Tx) {
		var err error
		key, secret, err = tenant.CreateKey(t.Context(), tx, tenantID, tenant.NewKey{Name: "till", Scopes: scopes})
		require.NoError(t, err)
	})
	return key, secret
}

// There are no default accounts: a database that was only migrated lets nobody in.
func TestAFreshDatabaseKnowsNobody(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for _, table := range []string{"tenants", "api_keys", "signing_keys", "operator_keys", "principals", "sessions"} {
		var n int
		require.NoError(t, db.Pool.QueryRow(t.Context(), `select count(*) from `+table).Scan(&n))
		require.Zero(t, n, table)
	}
}

func TestCreateAndGet(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ours, theirs := create(t, db, "茶馆"), create(t, db, "茶馆")
	require.NoError(t, id.Check(id.Tenant, ours.ID))
	require.NoError(t, db.DB.InTenant(t.Context(), ours.ID, func(tx pgx.Tx) error {
		got, err := tenant.Get(t.Context(), tx, ours.ID)
		require.NoError(t, err)
		require.Equal(t, ours, got)
		_, err = tenant.Get(t.Context(), tx, theirs.ID)
		requireFault(t, err, fault.KindNotFound, "not_found", "")
		return nil
	}))
	for name, field := range map[string]string{
		"": "length_out_of_range", strings.Repeat("长", 129): "length_out_of_range", " x": "characters_not_allowed",
		"a\x00b": "characters_not_allowed", "a\nb": "characters_not_allowed", "\xff": "characters_not_allowed",
	} {
		asSystem(t, db, func(tx pgx.Tx) {
			_, err := tenant.Create(t.Context(), tx, name, tenant.OwnFunds)
			requireFault(t, err, fault.KindInvalid, field, "name")
		})
	}
	asSystem(t, db, func(tx pgx.Tx) {
		_, err := tenant.Create(t.Context(), tx, "x", "cash_box")
		requireFault(t, err, fault.KindInvalid, "custody_mode_unknown", "custody_mode")
	})
}

func TestOnlyTheSystemRoleCreates(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ours := create(t, db, "ours")
	key, secret := createKey(t, db, ours.ID, tenant.AllScopes)
	for name, attempt := range map[string]func(tx pgx.Tx) error{
		"tenant": func(tx pgx.Tx) error {
			_, err := tenant.Create(t.Context(), tx, "x", tenant.OwnFunds)
			return err
		},
		"operator's key": func(tx pgx.Tx) error {
			_, _, err := tenant.CreateOperatorKey(t.Context(), tx, "x", tenant.OperatorScopes(), nil)
			return err
		},
		"mode": func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `update tenants set mode = 'live'`)
			return err
		},
		"scopes": func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `update api_keys set scopes = '{*}' where id = $1`, key.ID)
			return err
		},
	} {
		err := db.DB.InTenant(t.Context(), ours.ID, attempt)
		require.ErrorContains(t, err, "permission denied", name)
	}
	_, err := tenant.Authenticate(t.Context(), db.DB, secret)
	require.NoError(t, err)
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ours, theirs := create(t, db, "ours"), create(t, db, "theirs")
	key, secret := createKey(t, db, ours.ID, "payments:write", "payments:read")
	other, otherSecret := createKey(t, db, theirs.ID, tenant.AllScopes)
	require.Regexp(t, regexp.MustCompile(`^sk_test_[0-9A-Za-z]{43}$`), secret)

	p, err := tenant.Authenticate(t.Context(), db.DB, secret)
	require.NoError(t, err)
	require.Equal(t, tenant.Principal{TenantID: ours.ID, Mode: tenant.Test, KeyID: key.ID,
		Scopes: []string{"payments:write", "payments:read"}, Signature: tenant.SignNever}, p)
	require.True(t, p.Allows("payments:read"))
	require.False(t, p.Allows("payments"))
	require.False(t, p.Allows("refunds:write"))
	p, err = tenant.Authenticate(t.Context(), db.DB, otherSecret)
	require.NoError(t, err)
	require.Equal(t, theirs.ID, p.TenantID)
	require.True(t, p.Allows("refunds:write"))

	// A tenant cannot revoke another's key, and revoking twice changes nothing.
	asSystem(t, db, func(tx pgx.Tx) {
		requireFault(t, tenant.RevokeKey(t.Context(), tx, ours.ID, other.ID), fault.KindNotFound, "not_found", "")
		require.NoError(t, tenant.RevokeKey(t.Context(), tx, ours.ID, key.ID))
		before, err := tenant.ListKeys(t.Context(), tx, ours.ID, "", 10)
		require.NoError(t, err)
		require.Len(t, before, 1)
		require.NotNil(t, before[0].RevokedAt)
		require.NoError(t, tenant.RevokeKey(t.Context(), tx, ours.ID, key.ID))
		after, err := tenant.ListKeys(t.Context(), tx, ours.ID, "", 10)
		require.NoError(t, err)
		require.Equal(t, before, after)
	})

	// All refusals are one and the same.
	_, unknown := tenant.Authenticate(t.Context(), db.DB, "sk_test_"+strings.Repeat("0", 43))
	requireFault(t, unknown, fault.KindUnauthenticated, "unauthenticated", "")
	for _, bad := range []string{"", secret, secret + " ", strings.ToLower(otherSecret), otherSecret[:50],
		strings.Replace(otherSecret, "sk_test_", "sk_live_", 1), "' or true --", "a\x00b", "\xff", strings.Repeat("x", 1<<20)} {
		p, err := tenant.Authenticate(t.Context(), db.DB, bad)
		require.Equal(t, unknown, err)
		require.Zero(t, p)
	}
	_, err = tenant.Authenticate(t.Context(), db.DB, otherSecret)
	require.NoError(t, err)
}

func TestTheSecretIsNotStored(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	key, secret := createKey(t, db, create(t, db, "ours").ID, "payments:read")
	var row string
	var digest []byte
	require.NoError(t, db.Pool.QueryRow(t.Context(), `select k::text, secret_hash from api_keys k where id = $1`, key.ID).Scan(&row, &digest))
	require.NotContains(t, row, secret[8:])
	sum := sha256.Sum256([]byte(secret))
	require.Equal(t, sum[:], digest)
	_, again := createKey(t, db, create(t, db, "ours").ID, "payments:read")
	require.NotEqual(t, secret, again)
}

func TestWithoutADatabaseNobodyIsAuthenticated(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	_, secret := createKey(t, db, create(t, db, "ours").ID, "*")
	_, err := db.Pool.Exec(t.Context(), `alter table api_keys rename to lost`)
	require.NoError(t, err)
	p, err := tenant.Authenticate(t.Context(), db.DB, secret)
	require.Zero(t, p)
	requireFault(t, err, fault.KindUnavailable, "unavailable", "")
}

func TestKeysAreValidated(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ours := create(t, db, "ours")
	past := time.Now().Add(-time.Second)
	for _, c := range []struct {
		ask         tenant.NewKey
		code, field string
	}{
		{tenant.NewKey{Scopes: []string{"*"}}, "length_out_of_range", "name"},
		{tenant.NewKey{Name: "n"}, "scopes_out_of_range", "scopes"},
		{tenant.NewKey{Name: "n", Scopes: make([]string, 65)}, "scopes_out_of_range", "scopes"},
		{tenant.NewKey{Name: "n", Scopes: []string{"*", "payments"}}, "scope_malformed", "scopes[1]"},
		{tenant.NewKey{Name: "n", Scopes: []string{"payments:delete"}}, "scope_malformed", "scopes[0]"},
		{tenant.NewKey{Name: "n", Scopes: []string{"*"}, Signature: "maybe"}, "signature_demand_unknown", "signature"},
		{tenant.NewKey{Name: "n", Scopes: []string{"*"}, ExpiresAt: &past}, "expiry_past", "expires_at"},
	} {
		asSystem(t, db, func(tx pgx.Tx) {
			_, _, err := tenant.CreateKey(t.Context(), tx, ours.ID, c.ask)
			requireFault(t, err, fault.KindInvalid, c.code, c.field)
		})
	}
}
