package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// as makes one request under another key.
func (f *fixture) as(secret, method, target, body string, headers ...string) response {
	f.t.Helper()
	headers = append([]string{"Authorization", "Bearer " + secret}, headers...)
	switch {
	case method == http.MethodGet:
		return f.get(target, headers...)
	case body == "":
		return f.send(method, target, nil, append(headers, "Idempotency-Key", id.Number())...)
	}
	return f.post(target, body, headers...)
}

func TestAnOperatorMakesATenantAndItsFirstKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	operator := f.newOperator(tenant.OperatorScopes()...)
	created := f.as(operator, "POST", "/v1/tenants", `{"name":"Tea","custody_mode":"bank_custody"}`, "Idempotency-Key", "tenant-0001")
	require.Equal(t, http.StatusCreated, created.Code, created.Body)
	f.conforms(created, "Tenant")
	require.Equal(t, "test", created.field("mode"))
	again := f.as(operator, "POST", "/v1/tenants", `{"name":"Tea","custody_mode":"bank_custody"}`, "Idempotency-Key", "tenant-0001")
	require.Equal(t, created.Body.String(), again.Body.String())
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	f.as(operator, "POST", "/v1/tenants", `{"name":"Tee","custody_mode":"bank_custody"}`, "Idempotency-Key", "tenant-0001").
		refused(409, "idempotency_key_reused", "Idempotency-Key")
	f.as(operator, "POST", "/v1/tenants", `{"name":"Tea","custody_mode":"mattress"}`).refused(400, "value_unknown", "custody_mode")
	tenantID := created.field("id")
	require.JSONEq(t, created.Body.String(), f.as(operator, "GET", "/v1/tenants/"+tenantID, "").Body.String())
	page := f.as(operator, "GET", "/v1/tenants?limit=1", "")
	f.conforms(page, "TenantPage")
	require.NotNil(t, page.json()["next_cursor"])

	ask := `{"name":"first","scopes":["keys:write","keys:read","payments:read"]}`
	made := f.as(operator, "POST", "/v1/tenants/"+tenantID+"/api_keys", ask, "Idempotency-Key", "first-key-1")
	require.Equal(t, http.StatusCreated, made.Code, made.Body)
	f.conforms(made, "APIKeyWithSecret")
	f.as(operator, "POST", "/v1/tenants/"+tenantID+"/api_keys", ask, "Idempotency-Key", "first-key-1").
		refused(409, "secret_already_shown", "Idempotency-Key")
	secret := made.field("secret")
	require.True(t, strings.HasPrefix(secret, "sk_test_"))
	require.Equal(t, http.StatusOK, f.as(secret, "GET", "/v1/payments", "").Code)
	f.as(secret, "POST", "/v1/payments", f.payment("r")).refused(403, "scope_missing", "")
	list := f.as(operator, "GET", "/v1/tenants/"+tenantID+"/api_keys", "")
	f.conforms(list, "APIKeyPage")
	require.NotContains(t, list.Body.String(), secret)
	f.as(operator, "POST", "/v1/tenants/"+f.tenant+"/api_keys/"+made.field("id")+"/revoke", "").refused(404, "not_found", "")
	revoked := f.as(operator, "POST", "/v1/tenants/"+tenantID+"/api_keys/"+made.field("id")+"/revoke", "")
	require.Equal(t, http.StatusOK, revoked.Code, revoked.Body)
	f.feels(secret, http.StatusUnauthorized)
	var stored int
	require.NoError(t, f.db.Pool.QueryRow(t.Context(), `select count(*) from operator_requests where convert_from(body, 'utf8') like '%'||$1||'%'`,
		secret).Scan(&stored))
	require.Zero(t, stored, "a secret is kept")
}

// feels waits until every instance answers a key with status, for at most the five
// seconds that are promised.
func (f *fixture) feels(secret string, status int) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		return f.as(secret, "GET", "/v1/api_keys", "").Code == status
	}, 5*time.Second, 50*time.Millisecond)
}

func TestRevocationIsFeltByEveryInstanceWithinFiveSeconds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	second := &fixture{t: t, db: f.db, log: f.log, workflows: f.workflows, adapters: f.adapters, desk: f.desk, box: f.box}
	second.handler = second.serve(Options{Dev: true})
	for _, how := range []string{"revoke", "rotate"} {
		made := f.post("/v1/api_keys", `{"name":"till","scopes":["keys:read"]}`)
		secret := made.field("secret")
		for _, instance := range []*fixture{f, second} {
			require.Equal(t, http.StatusOK, instance.as(secret, "GET", "/v1/api_keys", "").Code)
		}
		body := map[string]string{"rotate": `{"overlap":0}`}[how]
		require.Equal(t, http.StatusOK, f.as(f.key, "POST", "/v1/api_keys/"+made.field("id")+"/"+how, body).Code)
		began := time.Now()
		for _, instance := range []*fixture{f, second} {
			require.Eventually(t, func() bool { return instance.as(secret, "GET", "/v1/api_keys", "").Code == http.StatusUnauthorized },
				5*time.Second, 50*time.Millisecond)
		}
		t.Logf("%s: refused by both after %s", how, time.Since(began).Round(time.Millisecond))
		require.Less(t, time.Since(began), 5*time.Second)
	}
}

func TestKeysAreManagedByTheirTenant(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	made := f.post("/v1/api_keys", `{"name":"till","scopes":["payments:read","keys:write"],"expires_at":"2099-01-01T00:00:00Z"}`, "Idempotency-Key", "make-a-key")
	require.Equal(t, http.StatusCreated, made.Code, made.Body)
	f.conforms(made, "APIKeyWithSecret")
	f.post("/v1/api_keys", `{"name":"till","scopes":["payments:read","keys:write"],"expires_at":"2099-01-01T00:00:00Z"}`, "Idempotency-Key", "make-a-key").
		refused(409, "secret_already_shown", "Idempotency-Key")
	keyID, secret := made.field("id"), made.field("secret")

	// No wider than itself, by creating, rotating or adding keys to sign with.
	for body, field := range map[string]string{
		`{"name":"n","scopes":["*"]}`:                                                          "scopes[0]",
		`{"name":"n","scopes":["payments:read","refunds:write"]}`:                              "scopes[1]",
		`{"name":"n","scopes":["payments:read"]}`:                                              "expires_at",
		`{"name":"n","scopes":["payments:read"],"expires_at":"2099-01-01T00:00:01Z"}`:          "expires_at",
		`{"name":"n","scopes":["keys:write","keys:read"],"expires_at":"2098-01-01T00:00:00Z"}`: "scopes[1]",
	} {
		f.as(secret, "POST", "/v1/api_keys", body).refused(403, "key_too_wide", field)
	}
	own := f.ownKey()
	f.as(secret, "POST", "/v1/api_keys/"+own+"/rotate", `{"overlap":0}`).refused(403, "key_too_wide", "")
	f.as(secret, "POST", "/v1/api_keys/"+own+"/signing_keys", `{"name":"n","public_key":"JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="}`).
		refused(403, "key_too_wide", "")
	require.Equal(t, http.StatusCreated, f.as(secret, "POST", "/v1/api_keys", `{"name":"n","scopes":["payments:read"],"expires_at":"2099-01-01T00:00:00Z"}`).Code)

	// Scopes that no tenant can hold, and bad input.
	f.post("/v1/api_keys", `{"name":"n","scopes":["tenants:write"]}`).refused(400, "scope_unknown", "scopes[0]")
	f.post("/v1/api_keys", `{"name":"n","scopes":["payment:read"]}`).refused(400, "scope_unknown", "scopes[0]")
	f.post("/v1/api_keys", `{"name":"n","scopes":["*"],"expires_at":"2020-01-01T00:00:00Z"}`).refused(400, "expiry_past", "expires_at")
	f.post("/v1/api_keys/"+keyID+"/rotate", `{"overlap":2592001}`).refused(400, "out_of_range", "overlap")

	rotated := f.post("/v1/api_keys/"+keyID+"/rotate", `{"overlap":3600}`, "Idempotency-Key", "rotate-it")
	require.Equal(t, http.StatusOK, rotated.Code, rotated.Body)
	f.conforms(rotated, "APIKeyWithSecret")
	require.NotNil(t, rotated.json()["previous_secret_until"])
	f.post("/v1/api_keys/"+keyID+"/rotate", `{"overlap":3600}`, "Idempotency-Key", "rotate-it").refused(409, "secret_already_shown", "Idempotency-Key")
	for _, good := range []string{secret, rotated.field("secret")} {
		require.Equal(t, http.StatusOK, f.as(good, "GET", "/v1/payments", "").Code)
	}
	read := f.get("/v1/api_keys/" + keyID)
	f.conforms(read, "APIKey")
	require.NotNil(t, read.json()["last_used_at"])
	f.conforms(f.get("/v1/api_keys?limit=2"), "APIKeyPage")
	require.NotContains(t, f.log.String(), secret)
	for _, table := range []string{"accepted_responses", "api_keys"} {
		var kept int
		require.NoError(t, f.db.Pool.QueryRow(t.Context(), `select count(*) from `+table+` t where t::text like '%'||$1||'%'
			or t::text like '%'||encode(convert_to($1, 'utf8'), 'hex')||'%'`, secret).Scan(&kept))
		require.Zero(t, kept, table)
	}
}

// ownKey is the id of the fixture's key.
func (f *fixture) ownKey() string {
	f.t.Helper()
	var keyID string
	require.NoError(f.t, f.db.Pool.QueryRow(f.t.Context(), `select id from api_keys where tenant_id = $1 and scopes = '{*}' order by id limit 1`,
		f.tenant).Scan(&keyID))
	return keyID
}

// An installation serves one mode: a live key is nobody's where tests are served, and
// the other way round, whatever it holds.
func TestTestAndLiveAreApart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var live string
	require.NoError(t, f.db.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		owner, err := tenant.CreateIn(t.Context(), tx, tenant.Live, "Real", tenant.BankCustody)
		require.NoError(t, err)
		_, live, err = tenant.CreateKey(t.Context(), tx, owner.ID, tenant.NewKey{Name: "n", Scopes: []string{"*"}})
		return err
	}))
	require.True(t, strings.HasPrefix(live, "sk_live_"))
	never := f.as("sk_live_"+strings.Repeat("0", 43), "GET", "/v1/payments", "")
	refused := f.as(live, "GET", "/v1/payments", "")
	refused.refused(401, "unauthenticated", "")
	require.Equal(t, never.Body.String(), refused.Body.String())

	f.handler = f.serve(Options{Mode: tenant.Live})
	require.Equal(t, http.StatusOK, f.as(live, "GET", "/v1/payments", "").Code)
	f.get("/v1/payments").refused(401, "unauthenticated", "")
	operator := f.newOperator(tenant.OperatorScopes()...)
	require.Equal(t, "live", f.as(operator, "POST", "/v1/tenants", `{"name":"Tea","custody_mode":"bank_custody"}`).field("mode"))
}
