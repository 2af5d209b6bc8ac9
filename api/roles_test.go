package api

import (
	"net/http"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/access"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// newPrincipal adds a principal and returns its id and the secret of a key of it
// with these scopes, all of them when there are none.
func (f *fixture) newPrincipal(p access.Principal, scopes ...string) (principalID, secret string) {
	f.t.Helper()
	if len(scopes) == 0 {
		scopes = []string{tenant.AllScopes}
	}
	require.NoError(f.t, f.db.DB.AsSystem(f.t.Context(), func(tx pgx.Tx) error {
		if p.Name == "" {
			p.Name = "test"
		}
		created, err := access.Create(f.t.Context(), tx, f.tenant, p)
		if err != nil {
			return err
		}
		principalID = created.ID
		key, made, err := tenant.CreateKey(f.t.Context(), tx, f.tenant, tenant.NewKey{Name: "test", Scopes: scopes})
		if err != nil {
			return err
		}
		secret = made
		return access.BindKey(f.t.Context(), tx, f.tenant, key.ID, created.ID)
	}))
	return principalID, secret
}

func (f *fixture) staff(roles ...access.Role) (principalID, secret string) {
	f.t.Helper()
	return f.newPrincipal(access.Principal{Kind: access.Operator, Roles: roles})
}

func (f *fixture) merchantStaff(merchantID string) (principalID, secret string) {
	f.t.Helper()
	return f.newPrincipal(access.Principal{Kind: access.MerchantStaff, Roles: []access.Role{access.Merchant}, MerchantID: merchantID})
}

func as(secret string) []string { return []string{"Authorization", "Bearer " + secret} }

// Every role meets every operation: what the matrix allows is let through, all
// else is refused as role_missing and nothing else.
func TestEveryRoleOnEveryOperation(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	secrets := map[access.Role]string{}
	for _, role := range access.Roles() {
		if role == access.Merchant {
			_, secrets[role] = f.merchantStaff(f.merchant)
		} else {
			_, secrets[role] = f.staff(role)
		}
	}
	rows := map[string]access.Action{}
	for _, action := range access.Matrix() {
		rows[action.Name] = action
	}
	cells := 0
	everyOperation(t, func(op *operation, target string) {
		if op.operator {
			return // no tenant's key comes near it, whatever its roles
		}
		name := op.route.Operation.OperationID
		row, known := rows[name]
		require.True(t, known, "%s has no row in core/access/matrix.go: say which roles may", name)
		for _, role := range access.Roles() {
			resp := f.call(op, target, as(secrets[role])...)
			if slices.Contains(row.Roles, role) {
				require.NotEqual(t, http.StatusForbidden, resp.Code, "%s as %s: %s", name, role, resp.Body)
			} else {
				resp.refused(http.StatusForbidden, "role_missing", "")
			}
			cells++
		}
		delete(rows, name)
	})
	require.Empty(t, rows, "these are in the matrix and not in the contract")
	t.Logf("%d cells", cells)
}

// The scopes of a key and the roles of its principal must both allow.
func TestScopesAndRolesMustBothAllow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, narrow := f.newPrincipal(access.Principal{Kind: access.Operator, Roles: []access.Role{access.Admin, access.FinanceMaker}}, "payments:read")
	require.Equal(t, http.StatusOK, f.get("/v1/payments", as(narrow)...).Code)
	f.get("/v1/transfers", as(narrow)...).refused(http.StatusForbidden, "scope_missing", "")
	_, viewer := f.newPrincipal(access.Principal{Kind: access.Service, Roles: []access.Role{access.Viewer}}, "payments:write", "payments:read")
	f.post("/v1/payments", f.payment("r-1"), as(viewer)...).refused(http.StatusForbidden, "role_missing", "")
	require.Zero(t, f.count("payments"))
}

func TestPrincipalsAreChangedAndSuspended(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	created := f.post("/v1/principals", `{"kind":"operator","name":"li.na","roles":["viewer"],"reason":"new"}`)
	require.Equal(t, http.StatusCreated, created.Code, created.Body)
	f.conforms(created, "Principal")
	principalID := created.field("id")
	var keyID, secret string
	require.NoError(t, f.db.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		key, made, err := tenant.CreateKey(t.Context(), tx, f.tenant, tenant.NewKey{Name: "li.na", Scopes: []string{tenant.AllScopes}})
		keyID, secret = key.ID, made
		return err
	}))
	bind := `{"api_key_id":"` + keyID + `","reason":"hers"}`
	require.Equal(t, http.StatusCreated, f.post("/v1/principals/"+principalID+"/keys", bind).Code)
	f.post("/v1/payments", f.payment("r-1"), as(secret)...).refused(http.StatusForbidden, "role_missing", "")
	// A key never changes hands, neither through the API nor by SQL of the application's role.
	other := f.post("/v1/principals", `{"kind":"service","name":"till","roles":["support"],"reason":"new"}`).field("id")
	f.post("/v1/principals/"+other+"/keys", bind).refused(http.StatusUnprocessableEntity, "key_bound", "principal_id")
	require.ErrorContains(t, f.db.DB.InTenant(t.Context(), f.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `update api_keys set principal_id = $1 where id = $2`, other, keyID)
		return err
	}), "one principal for good")

	change := "/v1/principals/" + principalID + "/changes"
	changed := f.post(change, `{"roles":["support"],"reason":"moved"}`)
	require.Equal(t, http.StatusCreated, changed.Code, changed.Body)
	require.Equal(t, http.StatusCreated, f.post("/v1/payments", f.payment("r-1"), as(secret)...).Code)
	require.JSONEq(t, changed.Body.String(), f.get("/v1/principals/"+principalID).Body.String())
	f.conforms(f.get("/v1/principals"), "PrincipalPage")
	f.post(change, `{"roles":["merchant"],"reason":"x"}`).refused(http.StatusBadRequest, "merchant_role_alone", "roles")
	f.post("/v1/principals", `{"kind":"merchant_staff","name":"n","roles":["merchant"],"merchant_id":"`+id.New(id.Merchant)+`","reason":"x"}`).
		refused(http.StatusUnprocessableEntity, "merchant_unknown", "merchant_id")
	require.Equal(t, http.StatusCreated, f.post(change, `{"status":"suspended","reason":"left"}`).Code)
	f.get("/v1/payments", as(secret)...).refused(http.StatusUnauthorized, "unauthenticated", "")
}

// A merchant's staff meets nothing of another merchant: lists are narrowed, objects
// do not exist, and the database holds it also where the handler would not.
func TestAMerchantsStaffSeesThatMerchantOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	mine := f.newMerchant("mine")
	_, secret := f.merchantStaff(mine)
	theirs := f.post("/v1/payments", f.payment("theirs")).field("id")
	own := f.merchant
	f.merchant = mine
	ours := f.post("/v1/payments", f.payment("ours")).field("id")
	f.merchant = own
	account := f.post("/v1/accounts", `{"merchant_id":"`+own+`","name":"spare","currency":"CNY"}`).field("id")
	never := f.get("/v1/payments/"+id.New(id.Payment), as(secret)...)
	never.refused(http.StatusNotFound, "not_found", "")
	require.Equal(t, http.StatusOK, f.get("/v1/payments/"+ours, as(secret)...).Code)
	for _, target := range []string{"/v1/payments/" + theirs, "/v1/merchants/" + own, "/v1/accounts/" + account,
		"/v1/accounts/" + account + "/statement", "/v1/accounts/" + account + "/limits"} {
		require.Equal(t, http.StatusOK, f.get(target).Code, target)
		require.Equal(t, never.Body.String(), f.get(target, as(secret)...).Body.String(), target)
	}
	for target, want := range map[string]int{"/v1/payments": 1, "/v1/merchants": 1, "/v1/accounts": 0, "/v1/payments?merchant_id=" + own: 0} {
		require.Len(t, f.get(target, as(secret)...).json()["data"], want, target)
	}
	f.post("/v1/withdrawals", `{"merchant_id":"`+own+`","reference":"w","amount":{"amount":100,"currency":"CNY"}}`, as(secret)...).
		refused(http.StatusUnprocessableEntity, "merchant_unknown", "merchant_id")
}
