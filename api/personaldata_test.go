package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/access"
	"github.com/suanpan/suanpan/internal/id"
)

const (
	canaryAccount = "13800138000"
	canaryName    = "欧阳金丝雀"
	canaryPayer   = "2088canary00001"
	why           = `{"reason":"ticket 4711"}`
)

// withPayee makes a merchant whose payee is a canary.
func (f *fixture) withPayee(reference string) (merchantID string) {
	f.t.Helper()
	made := f.post("/v1/merchants", `{"reference":"`+reference+`","name":"n","settlement":"T0",`+
		`"payout_account":{"channel":"alipay","account":"`+canaryAccount+`","name":"`+canaryName+`"}}`)
	require.Equal(f.t, http.StatusCreated, made.Code, made.Body)
	return made.field("id")
}

// everywhere is all that the database and the log hold, as text; bytes are shown as text
// where they are.
func (f *fixture) everywhere() string {
	f.t.Helper()
	var all strings.Builder
	all.WriteString(f.log.String())
	rows, err := f.db.Pool.Query(f.t.Context(), `select c.relname::text from pg_class c
		where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition`)
	require.NoError(f.t, err)
	var tables []string
	for rows.Next() {
		var table string
		require.NoError(f.t, rows.Scan(&table))
		tables = append(tables, table)
	}
	require.NoError(f.t, rows.Err())
	for _, table := range tables {
		var text, bytes string
		require.NoError(f.t, f.db.Pool.QueryRow(f.t.Context(),
			`select coalesce(string_agg(t::text, e'\n'), '') from `+table+` t`).Scan(&text))
		require.NoError(f.t, f.db.Pool.QueryRow(f.t.Context(), `
			select coalesce(string_agg(convert_from(decode(m[1], 'hex'), 'LATIN1'), e'\n'), '')
			from (select regexp_matches(t::text, '\\\\x((?:[0-9a-f]{2})+)', 'g') as m from `+table+` t) x
			where position('00' in m[1]) = 0`).Scan(&bytes))
		all.WriteString(text + bytes)
	}
	return all.String()
}

func TestAPayeeIsForgottenThroughTheAPI(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	merchantID := f.withPayee("rich")
	keep := f.merchant
	f.merchant = merchantID
	f.fund(1000)
	f.merchant = keep
	made := f.post("/v1/withdrawals", `{"merchant_id":"`+merchantID+`","reference":"w","amount":{"amount":100,"currency":"CNY"}}`)
	require.Equal(t, http.StatusCreated, made.Code, made.Body)
	target := "/v1/merchants/" + merchantID + "/forget_payee"
	f.post(target, `{}`).refused(http.StatusBadRequest, "field_missing", "reason")
	forgotten := f.post(target, why)
	require.Equal(t, http.StatusOK, forgotten.Code, forgotten.Body)
	f.conforms(forgotten, "Merchant")
	payout := forgotten.json()["payout_account"].(map[string]any)
	require.Equal(t, []any{"forgotten", "forgotten"}, []any{payout["account"], payout["name"]})
	require.NotNil(t, payout["forgotten_at"])
	require.JSONEq(t, forgotten.Body.String(), f.get("/v1/merchants/"+merchantID).Body.String())
	require.Equal(t, forgotten.Body.String(), f.post(target, `{"reason":"again"}`).Body.String(), "a repetition changes nothing")
	f.conforms(f.get("/v1/merchants"), "MerchantPage")

	// What is about the merchant stays, and nothing new goes to the payee.
	for _, address := range []string{"/v1/withdrawals/" + made.field("id"), "/v1/withdrawals?merchant_id=" + merchantID,
		"/v1/accounts?owner=" + merchantID, "/v1/trial_balance", "/v1/audit_entries"} {
		require.Equal(t, http.StatusOK, f.get(address).Code, address)
	}
	f.post("/v1/withdrawals", `{"merchant_id":"`+merchantID+`","reference":"w-2","amount":{"amount":100,"currency":"CNY"}}`).
		refused(http.StatusUnprocessableEntity, "payee_forgotten", "merchant_id")
	f.post("/v1/merchants/"+f.merchant+"/forget_payee", why).refused(http.StatusUnprocessableEntity, "payout_account_missing", "merchant_id")
	require.Equal(t, http.StatusNotFound, f.post("/v1/merchants/"+id.New(id.Merchant)+"/forget_payee", why).Code)
	all := f.everywhere()
	require.NotContains(t, all, canaryAccount)
	require.NotContains(t, all, canaryName)
}

func TestForgettingCanNeedASecondPerson(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	merchantID := f.withPayee("rich")
	_, err := f.db.Pool.Exec(t.Context(), `insert into approval_policies (tenant_id, kind, version, required, expires_in, reason)
		values ($1, 'forget', 1, true, 3600, 'r')`, f.tenant)
	require.NoError(t, err)
	asked := f.post("/v1/merchants/"+merchantID+"/forget_payee", why)
	require.Equal(t, http.StatusAccepted, asked.Code, asked.Body)
	require.NotContains(t, f.get("/v1/merchants/"+merchantID).Body.String(), `"account":"forgotten"`)
	approved := f.post("/v1/approvals/"+asked.field("id")+"/approve", `{"content_sha256":"`+asked.field("content_sha256")+`"}`, f.checker...)
	require.Equal(t, http.StatusCreated, approved.Code, approved.Body)
	require.Contains(t, f.get("/v1/merchants/"+merchantID).Body.String(), `"account":"forgotten"`)
}

func TestAPayerIsForgottenThroughTheAPI(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	made := f.post("/v1/payments", strings.Replace(f.payment("p"), `"product":"qr"`,
		`"product":"qr","payer_id":"`+canaryPayer+`","payer_ip":"203.0.113.77"`, 1))
	require.Equal(t, http.StatusCreated, made.Code, made.Body)
	for range 2 {
		forgotten := f.post("/v1/payments/"+made.field("id")+"/forget_payer", why)
		require.Equal(t, http.StatusOK, forgotten.Code, forgotten.Body)
		f.conforms(forgotten, "Payment")
	}
	require.Equal(t, 1, f.count(`persons where sealed_key is null and forgotten_reason = 'ticket 4711'`))
	require.Equal(t, 1, f.count(`audit_entries where object_type = 'person' and operation = 'forgetPayer'`))
	all := f.everywhere()
	require.NotContains(t, all, canaryPayer)
	require.NotContains(t, all, "203.0.113.77")
}

// What is masked is shown once, to somebody whose name and reason are kept first, and is
// nowhere afterwards: in no stored answer, no log, no row.
func TestAPayeeIsUnmaskedOnceAndOnRecord(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	merchantID := f.withPayee("rich")
	target := "/v1/merchants/" + merchantID + "/unmask_payee"
	f.post(target, why).refused(http.StatusForbidden, "principal_required", "")
	_, viewer := f.staff(access.Viewer)
	f.post(target, why, as(viewer)...).refused(http.StatusForbidden, "role_missing", "")
	riskID, risk := f.staff(access.Risk)
	f.post(target, `{}`, as(risk)...).refused(http.StatusBadRequest, "field_missing", "reason")
	require.Zero(t, f.count("unmaskings"))

	key := append(as(risk), "Idempotency-Key", "look-once-4711")
	shown := f.post(target, why, key...)
	require.Equal(t, http.StatusCreated, shown.Code, shown.Body)
	f.conforms(shown, "UnmaskedPayee")
	require.Equal(t, []string{canaryAccount, canaryName}, []string{shown.field("account"), shown.field("name")})
	again := f.post(target, why, key...)
	again.refused(http.StatusConflict, "secret_already_shown", "Idempotency-Key")
	require.NotContains(t, again.Body.String(), canaryAccount)
	require.Equal(t, 1, f.count(`unmaskings where principal_id = '`+riskID+`' and reason = 'ticket 4711'`))
	require.Equal(t, 1, f.count(`audit_entries where object_type = 'unmasking' and operation = 'unmaskPayee'
		and principal_id = '`+riskID+`' and after->>'merchant_id' = '`+merchantID+`' and after->>'reason' = 'ticket 4711'`))
	all := f.everywhere()
	require.NotContains(t, all, canaryAccount)
	require.NotContains(t, all, canaryName)
	// The scan sees what is there: the masked form is in the stored answer of createMerchant.
	require.Contains(t, all, "138****8000")
}
