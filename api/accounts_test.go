package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/ledger"
)

// named opens an account of the fixture's merchant and moves fen of its usual one there.
func (f *fixture) named(name string, fen int64) (accountID string) {
	f.t.Helper()
	opened := f.post("/v1/accounts", `{"merchant_id":"`+f.merchant+`","name":"`+name+`","currency":"CNY"}`)
	require.Equal(f.t, http.StatusCreated, opened.Code, opened.Body)
	if fen > 0 {
		moved := f.post("/v1/transfers", f.transfer(f.merchant, id.Number(), fen, `,"to_account":"`+name+`"`))
		require.Equal(f.t, http.StatusCreated, moved.Code, moved.Body)
	}
	return opened.field("id")
}

func (f *fixture) changes(accountID, what, body string) response {
	f.t.Helper()
	return f.post("/v1/accounts/"+accountID+"/"+what, body)
}

func (f *fixture) events(kind string) int { return f.count(`events where type = '` + kind + `'`) }

// requireAmount checks an amount of an account.
func requireAmount(t *testing.T, want float64, resp response, field string) {
	t.Helper()
	require.Equal(t, map[string]any{"amount": want, "currency": "CNY"}, resp.json()[field], "%s: %s", field, resp.Body)
}

func TestAMerchantHasSeveralAccounts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(1000)
	body := `{"merchant_id":"` + f.merchant + `","name":"rent","currency":"CNY"}`
	opened := f.post("/v1/accounts", body, "Idempotency-Key", "key-open-0001")
	require.Equal(t, http.StatusCreated, opened.Code, opened.Body)
	f.conforms(opened, "Account")
	require.Equal(t, "rent", opened.field("name"))
	again := f.post("/v1/accounts", body, "Idempotency-Key", "key-open-0001")
	require.Equal(t, opened.Body.String(), again.Body.String())
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	rent := opened.field("id")
	require.Equal(t, rent, f.post("/v1/accounts", body).field("id"), "an open account is answered as it is")

	moved := f.post("/v1/transfers", f.transfer(f.merchant, "t-1", 300, `,"to_account":"rent"`))
	f.conforms(moved, "Transfer")
	require.Equal(t, "rent", moved.field("to_account"))
	require.Empty(t, moved.field("from_account"))
	requireAmount(t, 300, f.get("/v1/accounts/"+rent), "available")
	requireAmount(t, 0, f.get("/v1/accounts/"+rent), "withdrawable")
	other := f.newMerchant("other")
	paid := f.post("/v1/transfers", f.transfer(other, "t-2", 100, `,"from_account":"rent"`))
	require.Equal(t, http.StatusCreated, paid.Code, paid.Body)
	requireAmount(t, 200, f.get("/v1/accounts/"+rent), "available")
	require.JSONEq(t, paid.Body.String(), f.get("/v1/transfers/"+paid.field("id")).Body.String())
	require.Len(t, f.get("/v1/accounts?type=merchant_available&owner=" + f.merchant).json()["data"], 2)
	tried := f.post("/v1/transfers", f.transfer(f.merchant, "t-3", 50, `,"from_account":"rent","dry_run":true`))
	f.conforms(tried, "TransferPreview")
	require.Contains(t, tried.Body.String(), `"account_name":"rent"`)

	f.post("/v1/transfers", f.transfer(f.merchant, "t-4", 201, `,"from_account":"rent"`)).refused(422, "funds_insufficient", "amount")
	f.post("/v1/transfers", f.transfer(f.merchant, "t-4", 1, `,"from_account":"rent","to_account":"rent"`)).refused(400, "same_merchant", "to_merchant_id")
	f.post("/v1/transfers", f.transfer(other, "t-4", 1, `,"to_account":"rent"`)).refused(422, "account_unknown", "to_account")
	f.post("/v1/transfers", f.transfer(other, "t-4", 1, `,"from_account":"rant"`)).refused(422, "account_unknown", "from_account")
	f.post("/v1/transfers", f.transfer(other, "t-4", 1, `,"from_account":""`)).refused(400, "length_out_of_range", "from_account")
	require.Equal(t, 2, f.count("transfers"))
}

func TestAccountsAreOpenedWithinTheContract(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := func(merchant, name, currency string) string {
		return `{"merchant_id":"` + merchant + `","name":"` + name + `","currency":"` + currency + `"}`
	}
	f.post("/v1/accounts", body(id.New(id.Merchant), "rent", "CNY")).refused(422, "merchant_unknown", "merchant_id")
	_, stranger := f.newTenant()
	f.post("/v1/accounts", body(f.merchant, "rent", "CNY"), "Authorization", "Bearer "+stranger).refused(422, "merchant_unknown", "merchant_id")
	for _, name := range []string{"Rent", "re nt", "-rent", "张三", "rent;drop", "r\\u0000"} {
		resp := f.post("/v1/accounts", body(f.merchant, name, "CNY"))
		require.Equal(t, http.StatusBadRequest, resp.Code, resp.Body)
		require.Equal(t, "name", resp.field("field"), resp.Body)
	}
	f.post("/v1/accounts", body(f.merchant, strings.Repeat("n", 65), "CNY")).refused(400, "length_out_of_range", "name")
	f.post("/v1/accounts", body(f.merchant, "rent", "USD")).refused(400, "value_unknown", "currency")
	f.post("/v1/accounts", `{"name":"rent","currency":"CNY"}`).refused(400, "field_missing", "merchant_id")
	f.post("/v1/accounts", `{"merchant_id":"`+f.merchant+`","currency":"CNY","type":"bank"}`).refused(400, "field_unknown", "type")
	require.Zero(t, f.count("ledger_accounts"))
	require.Equal(t, http.StatusCreated, f.post("/v1/accounts", `{"merchant_id":"`+f.merchant+`","currency":"CNY"}`).Code, "the usual one")
}

func TestAccountStatusStopsWhatItSays(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(1000)
	rent := f.named("rent", 500)
	in := func() response {
		return f.post("/v1/transfers", f.transfer(f.merchant, id.Number(), 1, `,"to_account":"rent"`))
	}
	out := func() response {
		return f.post("/v1/transfers", f.transfer(f.merchant, id.Number(), 1, `,"from_account":"rent"`))
	}
	hold := func() response { return f.hold(id.Number(), 1, `,"account_name":"rent"`) }
	changed := 0
	for _, c := range []struct {
		status          string
		in, out, holdOK bool
	}{
		{"debit_frozen", true, false, false},
		{"credit_frozen", false, true, true},
		{"frozen", false, false, false},
		{"active", true, true, true},
	} {
		resp := f.changes(rent, "status_changes", `{"status":"`+c.status+`","reason":"a test of `+c.status+`"}`)
		require.Equal(t, http.StatusCreated, resp.Code, resp.Body)
		f.conforms(resp, "Account")
		require.Equal(t, c.status, resp.field("status"))
		require.Equal(t, c.status, f.get("/v1/accounts/"+rent).field("status"))
		changed++
		require.Equal(t, changed, f.events("account.status_changed"))
		require.Equal(t, c.status, f.changes(rent, "status_changes", `{"status":"`+c.status+`","reason":"again"}`).field("status"))
		require.Equal(t, changed, f.events("account.status_changed"), "no change, no event")
		for name, try := range map[string]struct {
			do func() response
			ok bool
		}{"in": {in, c.in}, "out": {out, c.out}, "hold": {hold, c.holdOK}} {
			resp := try.do()
			if try.ok {
				require.Equal(t, http.StatusCreated, resp.Code, "%s while %s: %s", name, c.status, resp.Body)
			} else {
				resp.refused(422, "account_not_active", "")
				require.Contains(t, resp.field("detail"), c.status)
			}
		}
	}
	page := f.get("/v1/accounts/" + rent + "/changes?limit=3")
	f.conforms(page, "AccountChangePage")
	require.Len(t, page.json()["data"], 3)
	require.Contains(t, page.Body.String(), `"reason":"a test of active"`)
	rest := f.get("/v1/accounts/" + rent + "/changes?limit=3&cursor=" + page.field("next_cursor"))
	require.Len(t, rest.json()["data"], 1)
	require.Nil(t, rest.json()["next_cursor"])
	require.Contains(t, rest.Body.String(), `"status_after":"debit_frozen","status_before":"active"`)
	f.get("/v1/accounts/"+rent+"/changes?cursor=x").refused(400, "cursor_malformed", "cursor")
}

func TestAnAccountClosesAtZeroWithoutHoldsForEver(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(1000)
	rent := f.named("rent", 100)
	shut := func() response { return f.changes(rent, "status_changes", `{"status":"closed","reason":"moved out"}`) }
	shut().refused(422, "account_not_empty", "status")
	held := f.hold("h-1", 100, `,"account_name":"rent"`).field("id")
	shut().refused(422, "account_not_empty", "status")
	require.Equal(t, http.StatusCreated, f.post("/v1/transfers", f.transfer(f.merchant, "t-1", 100, `,"from_account":"rent","hold_id":"`+held+`"`)).Code)
	require.Equal(t, "closed", shut().field("status"))
	f.changes(rent, "status_changes", `{"status":"active","reason":"moved in"}`).refused(422, "account_closed", "")
	f.changes(rent, "limit_changes", `{"limits":[{"name":"debit.day_count","max":1}],"reason":"r"}`).refused(422, "account_closed", "")
	f.post("/v1/transfers", f.transfer(f.merchant, "t-2", 1, `,"to_account":"rent"`)).refused(422, "account_not_active", "")
	require.Equal(t, 1, f.events("account.status_changed"))
}

func TestLimitsAreSetReadRemovedAndNamed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(10_000)
	rent := f.named("rent", 5000)
	f.conforms(f.get("/v1/accounts/"+rent+"/limits"), "AccountLimits")
	require.Empty(t, f.get("/v1/accounts/" + rent + "/limits").json()["limits"])
	out := func(fen int64) response {
		return f.post("/v1/transfers", f.transfer(f.merchant, id.Number(), fen, `,"from_account":"rent"`))
	}
	in := func(fen int64) response {
		return f.post("/v1/transfers", f.transfer(f.merchant, id.Number(), fen, `,"to_account":"rent"`))
	}
	limited := func(resp response, limit string) {
		t.Helper()
		resp.refused(422, "limit_exceeded", "amount")
		require.Equal(t, limit, resp.field("limit"))
		require.Contains(t, resp.field("detail"), limit)
	}
	set := func(limits string) response {
		t.Helper()
		resp := f.changes(rent, "limit_changes", `{"limits":[`+limits+`],"reason":"a test"}`)
		require.Equal(t, http.StatusCreated, resp.Code, resp.Body)
		f.conforms(resp, "AccountLimits")
		require.JSONEq(t, resp.Body.String(), f.get("/v1/accounts/"+rent+"/limits").Body.String())
		return resp
	}
	for _, c := range []struct {
		limit string
		max   string
		try   func(int64) response
		first int64
	}{
		{"debit.posting_amount", "100", out, 100}, {"debit.day_amount", "100", out, 100}, {"debit.month_amount", "100", out, 100},
		{"debit.day_count", "1", out, 1}, {"debit.month_count", "1", out, 1},
		{"credit.posting_amount", "100", in, 100}, {"credit.day_amount", "100", in, 100}, {"credit.month_amount", "100", in, 100},
		{"credit.day_count", "1", in, 1}, {"credit.month_count", "1", in, 1},
	} {
		require.Empty(t, set("").json()["limits"])
		shown := set(`{"name":"` + c.limit + `","max":` + c.max + `}`)
		require.Contains(t, shown.Body.String(), `{"max":`+c.max+`,"name":"`+c.limit+`","used":0}`)
		require.Equal(t, http.StatusCreated, c.try(c.first).Code)
		limited(c.try(101), c.limit)
	}
	set("")
	require.Equal(t, http.StatusCreated, out(1000).Code)

	set(`{"name":"debit.day_amount","max":300},{"name":"debit.posting_amount","max":250}`)
	require.Equal(t, http.StatusCreated, out(200).Code)
	require.Contains(t, f.get("/v1/accounts/"+rent+"/limits").Body.String(), `"max":300,"name":"debit.day_amount","used":200`)
	held := f.hold("h-1", 90, `,"account_name":"rent"`)
	require.Equal(t, http.StatusCreated, held.Code, held.Body)
	limited(f.hold("h-2", 11, `,"account_name":"rent"`), "debit.day_amount")
	limited(f.post("/v1/transfers", f.transfer(f.merchant, "dry", 11, `,"from_account":"rent","dry_run":true`)), "debit.day_amount")
	each := f.post("/v1/transfer_batches", `{"mode":"per_item","items":[`+f.transfer(f.merchant, "b-1", 11, `,"from_account":"rent"`)+`]}`)
	f.conforms(each, "TransferBatch")
	require.Contains(t, each.Body.String(), `"limit":"debit.day_amount"`)
	require.JSONEq(t, each.Body.String(), f.get("/v1/transfer_batches/"+each.field("id")).Body.String())
	require.Equal(t, http.StatusCreated, f.post("/v1/holds/"+held.field("id")+"/releases", `{"reason":"r"}`).Code)
	require.Equal(t, http.StatusCreated, out(11).Code, "what is released goes back to the limit")
	require.Contains(t, f.get("/v1/accounts/"+rent+"/changes").Body.String(),
		`"limits_after":[{"max":250,"name":"debit.posting_amount"},{"max":300,"name":"debit.day_amount"}]`)
	before := f.events("account.limits_changed")
	set(`{"name":"debit.posting_amount","max":250},{"name":"debit.day_amount","max":300}`)
	require.Equal(t, before, f.events("account.limits_changed"), "the same limits are no change")
}

func TestAccountChangesAreHeldAgainstTheContract(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(100)
	rent := f.named("rent", 0)
	for _, c := range []struct{ what, body, code, field string }{
		{"status_changes", `{"status":"asleep","reason":"r"}`, "value_unknown", "status"},
		{"status_changes", `{"status":"frozen"}`, "field_missing", "reason"},
		{"status_changes", `{"status":"frozen","reason":""}`, "length_out_of_range", "reason"},
		{"status_changes", `{"status":"frozen","reason":"` + strings.Repeat("长", 86) + `"}`, "length_out_of_range", "reason"},
		{"status_changes", `{"status":"frozen","reason":"` + strings.Repeat("x", 257) + `"}`, "length_out_of_range", "reason"},
		{"status_changes", `{"status":"frozen","reason":"a\nb"}`, "format_mismatch", "reason"},
		{"status_changes", `{"status":"frozen","reason":"r","floor":-5}`, "field_unknown", "floor"},
		{"limit_changes", `{"reason":"r"}`, "field_missing", "limits"},
		{"limit_changes", `{"limits":[{"name":"debit.hour_amount","max":1}],"reason":"r"}`, "value_unknown", "limits[0].name"},
		{"limit_changes", `{"limits":[{"name":"debit.day_amount","max":0}],"reason":"r"}`, "out_of_range", "limits[0].max"},
		{"limit_changes", `{"limits":[{"name":"debit.day_amount","max":-1}],"reason":"r"}`, "out_of_range", "limits[0].max"},
		{"limit_changes", `{"limits":[{"name":"debit.day_amount","max":1.5}],"reason":"r"}`, "integer_required", "limits[0].max"},
		{"limit_changes", `{"limits":[{"name":"debit.day_amount","max":9007199254740993}],"reason":"r"}`, "out_of_range", "limits[0].max"},
		{"limit_changes", `{"limits":[{"name":"debit.day_amount","max":1},{"name":"debit.day_amount","max":2}],"reason":"r"}`, "limit_repeated", "limits[1].name"},
		{"limit_changes", `{"limits":[{"name":"debit.day_amount","max":null}],"reason":"r"}`, "type_mismatch", "limits[0].max"},
		{"limit_changes", `{"limits":[],"reason":"` + strings.Repeat("长", 86) + `"}`, "length_out_of_range", "reason"},
	} {
		resp := f.changes(rent, c.what, c.body)
		require.Equal(t, http.StatusBadRequest, resp.Code, "%s: %s", c.body, resp.Body)
		require.Equal(t, c.code, resp.field("code"), "%s: %s", c.body, resp.Body)
		require.Equal(t, c.field, resp.field("field"), "%s: %s", c.body, resp.Body)
	}
	require.Zero(t, f.count("account_changes"))
	require.Equal(t, http.StatusCreated, f.changes(rent, "status_changes", `{"status":"frozen","reason":"`+strings.Repeat("长", 85)+`"}`).Code)
}

// What a provider did is booked to the usual accounts, so nobody may make them refuse.
func TestAccountsOfFactsCannotBeFrozenOrLimited(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(100)
	for _, kind := range []ledger.Type{ledger.MerchantAvailable, ledger.ChannelUnsettled} {
		accountID := f.account(kind)
		f.changes(accountID, "status_changes", `{"status":"frozen","reason":"r"}`).refused(422, "account_not_changeable", "")
		f.changes(accountID, "limit_changes", `{"limits":[{"name":"debit.day_count","max":1}],"reason":"r"}`).refused(422, "account_not_changeable", "")
		f.conforms(f.get("/v1/accounts/"+accountID+"/limits"), "AccountLimits")
		require.Empty(t, f.get("/v1/accounts/" + accountID + "/changes").json()["data"])
	}
	require.Zero(t, f.count("account_changes"))
}

func TestAccountsOfOthersCannotBeTouched(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(100)
	rent := f.named("rent", 50)
	held := f.hold("h-1", 10, "").field("id")
	_, stranger := f.newTenant()
	as := []string{"Authorization", "Bearer " + stranger}
	for target, body := range map[string]string{
		"/v1/accounts/" + rent + "/status_changes": `{"status":"frozen","reason":"r"}`,
		"/v1/accounts/" + rent + "/limit_changes":  `{"limits":[],"reason":"r"}`,
		"/v1/holds/" + held + "/releases":          `{"reason":"r"}`,
	} {
		f.post(target, body, as...).refused(404, "not_found", "")
	}
	for _, target := range []string{"/v1/accounts/" + rent + "/limits", "/v1/accounts/" + rent + "/changes", "/v1/holds/" + held} {
		require.Equal(t, http.StatusOK, f.get(target).Code)
		f.get(target, as...).refused(404, "not_found", "")
	}
	require.Empty(t, f.get("/v1/holds?reference=h-1", as...).json()["data"])
	f.post("/v1/holds", `{"merchant_id":"`+f.merchant+`","reference":"h-2","reason":"r","amount":{"amount":1,"currency":"CNY"}}`, as...).
		refused(422, "merchant_unknown", "merchant_id")

	// The database says the same to whoever asks it with another tenant's name.
	own, foreign := f.tenant, ""
	require.NoError(t, f.db.Pool.QueryRow(t.Context(), `select id from tenants where id <> $1`, own).Scan(&foreign))
	err := f.db.DB.InTenant(t.Context(), foreign, func(tx pgx.Tx) error {
		for _, table := range []string{"placed_holds", "hold_releases", "account_changes", "transfers"} {
			var n int
			require.NoError(t, tx.QueryRow(context.WithoutCancel(t.Context()), `select count(*) from `+table).Scan(&n))
			require.Zero(t, n, table)
		}
		_, err := tx.Exec(t.Context(), `insert into placed_holds values ($1, $2, 'r', 'm', '', 'r')`, own, held)
		return err
	})
	require.ErrorContains(t, err, "row-level security")
}
