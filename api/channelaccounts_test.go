package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/channels/keys"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// deskStub is the desk without the calls to providers: what it finds is given.
type deskStub struct {
	mu       sync.Mutex
	findings []channel.Finding
	checked  int
}

func (d *deskStub) Providers() []channel.Provider {
	return []channel.Provider{
		{Name: "alipay", Offers: []channel.Offer{
			{Product: channel.ProductQR, Action: channel.ActionQRCode},
			{Product: channel.ProductPage, Action: channel.ActionRedirect, Needs: []channel.Need{channel.NeedReturnURL}}},
			Abilities: []channel.Ability{channel.AbilityTransfer}, Params: keys.Params("alipay"), Credentials: keys.Fields("alipay")},
		{Name: "wechatpay", Offers: []channel.Offer{{Product: channel.ProductQR, Action: channel.ActionQRCode}},
			Params: keys.Params("wechatpay"), Credentials: keys.Fields("wechatpay")},
	}
}

func (d *deskStub) CheckParams(channelName string, params map[string]string) error {
	return keys.CheckParams(channelName, params)
}

func (d *deskStub) Inspect(account tenant.ChannelAccount, c channel.Credentials) (channel.Credentials, channel.KeyFacts, error) {
	return keys.Inspect(account.Channel, c, time.Now())
}

func (d *deskStub) Check(context.Context, tenant.ChannelAccount) ([]channel.Finding, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.checked++
	return d.findings, nil
}

// pair is a key as its owner has it.
type pair struct{ private, public, certificate, serial string }

func newPair(t *testing.T) pair {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(0x5157F09EFDC096), Subject: pkix.Name{CommonName: "1900000109"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return pair{text("PRIVATE KEY", private), text("PUBLIC KEY", public), text("CERTIFICATE", certificate), "5157F09EFDC096"}
}

func encoded(t *testing.T, body map[string]any) string {
	t.Helper()
	out, err := json.Marshal(body)
	require.NoError(t, err)
	return string(out)
}

func (f *fixture) openAccount(more string) string {
	f.t.Helper()
	resp := f.post("/v1/channel_accounts", `{"channel":"alipay","name":"Second","params":{"app_id":"2021000000000000",`+
		`"seller_id":"2088000000000000"},"fee_basis_points":38,"fee_returned":true`+more+`}`)
	require.Equal(f.t, http.StatusCreated, resp.Code, resp.Body.String())
	f.conforms(resp, "ChannelAccount")
	return "/v1/channel_accounts/" + resp.field("id")
}

func (f *fixture) change(method, target, body string) response {
	f.t.Helper()
	return f.send(method, target, strings.NewReader(body))
}

func TestAChannelAccountIsOpenedKeyedCheckedAndActivated(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	providers := f.get("/v1/channels")
	f.conforms(providers, "ChannelPage")
	require.Contains(t, providers.Body.String(), `"needs":["return_url"]`)

	account := f.openAccount(`,"merchant_id":"` + f.merchant + `","weight":7`)
	read := f.get(account)
	f.conforms(read, "ChannelAccount")
	m := read.json()
	require.Equal(t, []any{"suspended", 7.0, f.merchant, nil}, []any{m["status"], m["weight"], m["merchant_id"], m["health"]})
	f.conforms(f.get("/v1/channel_accounts"), "ChannelAccountPage")

	f.change(http.MethodPatch, account, `{"status":"active"}`).refused(http.StatusUnprocessableEntity, "credentials_missing", "")
	own, provider := newPair(t), newPair(t)
	keyBody := encoded(t, map[string]any{"private_key": own.private, "provider_public_key": provider.public})
	key := id.Number()
	entered := f.post(account+"/credentials", keyBody, "Idempotency-Key", key)
	require.Equal(t, http.StatusCreated, entered.Code, entered.Body.String())
	f.conforms(entered, "ChannelCredentials")
	require.Equal(t, "current", entered.field("status"))
	require.Len(t, entered.field("fingerprint"), 64)
	again := f.post(account+"/credentials", keyBody, "Idempotency-Key", key)
	require.Equal(t, entered.Body.String(), again.Body.String())
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	f.post(account+"/credentials", encoded(t, map[string]any{"private_key": provider.private, "provider_public_key": own.public}),
		"Idempotency-Key", key).refused(http.StatusConflict, "idempotency_key_reused", "Idempotency-Key")

	active := f.change(http.MethodPatch, account, `{"status":"active","name":"Renamed","fee_basis_points":55,"fee_returned":false,"weight":0}`)
	require.Equal(t, http.StatusOK, active.Code, active.Body.String())
	f.conforms(active, "ChannelAccount")
	m = active.json()
	require.Equal(t, []any{"active", "Renamed", 55.0, false, 0.0}, []any{m["status"], m["name"], m["fee_basis_points"], m["fee_returned"], m["weight"]})

	// Rotation: the first keys become previous and can be retired, the current ones cannot.
	second := newPair(t)
	rotated := f.post(account+"/credentials", encoded(t, map[string]any{"private_key": second.private, "provider_public_key": provider.public}))
	require.Equal(t, http.StatusCreated, rotated.Code, rotated.Body.String())
	list := f.get(account + "/credentials")
	f.conforms(list, "ChannelCredentialsPage")
	require.Equal(t, []string{"current", "previous"}, statuses(list))
	f.post(account+"/credentials/"+rotated.field("id")+"/retire", "", "Content-Type", "").refused(http.StatusUnprocessableEntity, "credentials_in_use", "")
	retired := f.post(account+"/credentials/"+entered.field("id")+"/retire", "", "Content-Type", "")
	require.Equal(t, http.StatusOK, retired.Code, retired.Body.String())
	require.Equal(t, "retired", retired.field("status"))
	require.Equal(t, []string{"current", "retired"}, statuses(f.get(account+"/credentials")))

	// Health, as the guard of the adapter wrote it.
	_, err := f.db.Pool.Exec(t.Context(), `insert into channel_health (tenant_id, channel_account_id, state, until, reason)
		values ($1, $2, 'open', now() + interval '1 minute', 'five timeouts')`, f.tenant, strings.TrimPrefix(account, "/v1/channel_accounts/"))
	require.NoError(t, err)
	read = f.get(account)
	f.conforms(read, "ChannelAccount")
	require.Contains(t, read.Body.String(), `"reason":"five timeouts"`)
}

func statuses(list response) []string {
	var out []string
	for _, each := range list.json()["data"].([]any) {
		out = append(out, each.(map[string]any)["status"].(string))
	}
	return out
}

func TestACheckSaysInWordsWhatIsWrong(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	account := f.openAccount("")
	well := f.post(account+"/check", "", "Content-Type", "")
	f.conforms(well, "ChannelAccountCheck")
	require.Equal(t, true, well.json()["ok"])
	f.desk.findings = keys.Explain(channel.Trade{Answer: channel.Answer{Outcome: channel.Unknown, Code: channel.CodeBadSignature,
		Message: "the answer is not signed: 40002 isv.invalid-app-id"}})
	wrong := f.post(account+"/check", "", "Content-Type", "")
	f.conforms(wrong, "ChannelAccountCheck")
	require.Equal(t, false, wrong.json()["ok"])
	require.Contains(t, wrong.Body.String(), `"field":"params.app_id"`)
	require.Equal(t, 2, f.desk.checked)
}

func TestChannelAccountsAreHeldAgainstTheContract(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := `{"channel":"alipay","name":"n","params":{"app_id":"2021000000000000","seller_id":"2088000000000000"},"fee_basis_points":60,"fee_returned":false}`
	for name, c := range map[string]struct {
		old, replacement string
		status           int
		code, field      string
	}{
		"channel":         {`"alipay"`, `"paypal"`, 400, "value_unknown", "channel"},
		"no name":         {`"name":"n",`, ``, 400, "field_missing", "name"},
		"control":         {`"name":"n"`, `"name":"a\nb"`, 400, "characters_not_allowed", "name"},
		"fee":             {`60`, `1001`, 400, "out_of_range", "fee_basis_points"},
		"fee text":        {`60`, `"60"`, 400, "type_mismatch", "fee_basis_points"},
		"weight":          {`60,`, `60,"weight":-1,`, 400, "out_of_range", "weight"},
		"status":          {`60,`, `60,"status":"active",`, 400, "field_unknown", "status"},
		"no param":        {`"app_id":"2021000000000000",`, ``, 400, "param_missing", "params.app_id"},
		"bad param":       {`2088000000000000`, `2099000000000000`, 400, "param_malformed", "params.seller_id"},
		"other's param":   {`"seller_id"`, `"mch_id":"1900000109","seller_id"`, 400, "param_unknown", "params.mch_id"},
		"key as param":    {`2021000000000000`, `-----BEGIN PRIVATE KEY-----`, 400, "format_mismatch", "params.app_id"},
		"number as param": {`"2021000000000000"`, `2021000000000000`, 400, "type_mismatch", "params.app_id"},
		"merchant":        {`60,`, `60,"merchant_id":"` + id.New(id.Merchant) + `",`, 422, "merchant_unknown", "merchant_id"},
		"kind of id":      {`60,`, `60,"merchant_id":"` + id.New(id.Payment) + `",`, 400, "format_mismatch", "merchant_id"},
	} {
		require.Contains(t, good, c.old, name)
		f.post("/v1/channel_accounts", strings.Replace(good, c.old, c.replacement, 1)).refused(c.status, c.code, c.field)
	}
	account := f.openAccount("")
	for body, refusal := range map[string][2]string{
		`{}`:                      {"contract_mismatch", ""},
		`{"channel":"wechatpay"}`: {"field_unknown", "channel"},
		`{"params":{}}`:           {"field_unknown", "params"},
		`{"status":"closed"}`:     {"value_unknown", "status"},
		`{"weight":1001}`:         {"out_of_range", "weight"},
		`{"name":null}`:           {"type_mismatch", "name"},
		`{"name":" x"}`:           {"characters_not_allowed", "name"},
	} {
		f.change(http.MethodPatch, account, body).refused(http.StatusBadRequest, refusal[0], refusal[1])
	}
	for body, refusal := range map[string][2]string{
		`{"products":[]}`: {"length_out_of_range", "products"},
		`{"products":[{"product":"qr","status":"sold"}]}`:                 {"value_unknown", "products[0].status"},
		`{"products":[{"product":"cheque","status":"opened"}]}`:           {"value_unknown", "products[0].product"},
		`{"products":[{"product":"barcode","status":"opened"}]}`:          {"product_not_offered", "products[0].product"},
		`{"products":[{"product":"qr","status":"opened","note":"a\nb"}]}`: {"characters_not_allowed", "products[0].note"},
		`{"products":[{"product":"qr"}]}`:                                 {"field_missing", "products[0].status"},
	} {
		f.change(http.MethodPut, account+"/products", body).refused(http.StatusBadRequest, refusal[0], refusal[1])
	}
	f.get(account+"/products?history=perhaps").refused(http.StatusBadRequest, "parameter_malformed", "history")
}

func TestBadKeysAreNamedAndStoreNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	account := f.openAccount("")
	own, other := newPair(t), newPair(t)
	short, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // refused for being so short
	require.NoError(t, err)
	shortKey := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(short)}))
	for name, c := range map[string]struct {
		body        map[string]any
		code, field string
	}{
		"garbage":           {map[string]any{"private_key": "hush hush", "provider_public_key": other.public}, "key_malformed", "private_key"},
		"public as private": {map[string]any{"private_key": own.public, "provider_public_key": other.public}, "key_kind_wrong", "private_key"},
		"private as public": {map[string]any{"private_key": own.private, "provider_public_key": other.private}, "key_kind_wrong", "provider_public_key"},
		"short":             {map[string]any{"private_key": shortKey, "provider_public_key": other.public}, "key_too_short", "private_key"},
		"none":              {map[string]any{"private_key": own.private}, "key_missing", "provider_public_key"},
		"our own":           {map[string]any{"private_key": own.private, "provider_public_key": own.public}, "key_is_our_own", "provider_public_key"},
		"not for alipay":    {map[string]any{"private_key": own.private, "provider_public_key": other.public, "api_v3_key": "x"}, "field_not_used", "api_v3_key"},
		"certificate of another key": {map[string]any{"private_key": own.private, "certificate": other.certificate, "provider_certificate": other.certificate,
			"provider_root_certificate": other.certificate}, "key_does_not_fit", "certificate"},
		"unknown field": {map[string]any{"private_key": own.private, "password": "hush"}, "field_unknown", "password"},
		"no key":        {map[string]any{"provider_public_key": own.public}, "field_missing", "private_key"},
		"null":          {map[string]any{"private_key": nil}, "type_mismatch", "private_key"},
	} {
		resp := f.post(account+"/credentials", encoded(t, c.body))
		require.Equal(t, http.StatusBadRequest, resp.Code, name)
		resp.refused(http.StatusBadRequest, c.code, c.field)
		require.NotContains(t, resp.Body.String(), "hush", name)
	}
	var stored int
	require.NoError(t, f.db.Pool.QueryRow(t.Context(), `select (select count(*) from channel_credentials) + (select count(*) from data_keys)`).Scan(&stored))
	require.Zero(t, stored)
	require.NotContains(t, f.log.String(), "hush")
}

func TestTheCatalogueIsKeptWithItsHistory(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	account := f.openAccount("")
	first := f.get(account + "/products")
	f.conforms(first, "ChannelProductPage")
	require.Equal(t, []string{"not_opened", "not_opened"}, statuses(first))
	for _, status := range []string{"applying", "opened"} {
		changed := f.change(http.MethodPut, account+"/products", `{"products":[{"product":"page","status":"`+status+`","note":"申请 17"}]}`)
		require.Equal(t, http.StatusOK, changed.Code, changed.Body.String())
		f.conforms(changed, "ChannelProductPage")
	}
	require.Equal(t, []string{"opened", "not_opened"}, statuses(f.get(account+"/products")))
	history := f.get(account + "/products?history=true")
	f.conforms(history, "ChannelProductPage")
	require.Equal(t, []string{"opened", "applying", "not_opened"}, statuses(history))
	exception := f.change(http.MethodPut, account+"/products", `{"products":[{"product":"qr","status":"opened","merchant_id":"`+f.merchant+`"}]}`)
	f.conforms(exception, "ChannelProductPage")
	require.Equal(t, []string{"opened", "opened", "not_opened"}, statuses(exception))
	f.change(http.MethodPut, account+"/products", `{"products":[{"product":"qr","status":"opened","merchant_id":"`+id.New(id.Merchant)+`"}]}`).
		refused(http.StatusUnprocessableEntity, "merchant_unknown", "products[0].merchant_id")

	// It is enforced: the tenant's only active account sells qr, until it does not.
	f.change(http.MethodPut, "/v1/channel_accounts/"+f.channel.ID+"/products", `{"products":[{"product":"qr","status":"suspended"}]}`)
	f.post("/v1/payments", f.payment("r-1")).refused(http.StatusUnprocessableEntity, "product_not_open", "method.product")
	f.change(http.MethodPut, "/v1/channel_accounts/"+f.channel.ID+"/products", `{"products":[{"product":"qr","status":"opened"}]}`)
	require.Equal(t, http.StatusCreated, f.post("/v1/payments", f.payment("r-1")).Code)
}

// Keys entered over the API are searched for in every table, in the log and in
// every answer: whole, in part, and in other encodings of the same bytes.
func TestEnteredKeysAreFoundNowhere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	resp := f.post("/v1/channel_accounts", `{"channel":"wechatpay","name":"W","params":{"app_id":"wx0123456789abcdef","mch_id":"1900000109"},`+
		`"fee_basis_points":60,"fee_returned":true}`)
	require.Equal(t, http.StatusCreated, resp.Code, resp.Body.String())
	account := "/v1/channel_accounts/" + resp.field("id")
	own, provider := newPair(t), newPair(t)
	const apiV3 = "canary0123456789canary0123456789"
	answers := resp.Body.String()
	note := func(r response) response {
		answers += r.Body.String()
		for _, values := range r.Header() {
			answers += strings.Join(values, " ")
		}
		return r
	}
	body := map[string]any{"private_key": own.private, "certificate": own.certificate, "provider_public_key": provider.public,
		"provider_public_key_id": "PUB_KEY_ID_0119000001092026", "api_v3_key": apiV3}
	entered := note(f.post(account+"/credentials", encoded(t, body)))
	require.Equal(t, http.StatusCreated, entered.Code, entered.Body.String())
	require.Equal(t, own.serial, entered.field("key_id"))
	require.Equal(t, "PUB_KEY_ID_0119000001092026", entered.field("provider_key_id"))
	// Also where requests go wrong: a serial that does not fit, a field too long, a broken body.
	body["serial"] = "00FF00FF00FF00FF"
	note(f.post(account+"/credentials", encoded(t, body))).refused(http.StatusBadRequest, "serial_wrong", "serial")
	body["provider_public_key_id"] = strings.Repeat(apiV3, 5)
	note(f.post(account+"/credentials", encoded(t, body))).refused(http.StatusBadRequest, "length_out_of_range", "provider_public_key_id")
	note(f.post(account+"/credentials", encoded(t, body)[1:]))
	note(f.post("/v1/channel_accounts", encoded(t, body)))
	note(f.get(account + "/credentials"))
	note(f.get(account))
	note(f.post(account+"/check", "", "Content-Type", ""))

	places := map[string]string{"log": f.log.String(), "answers": answers, "database": f.dump()}
	require.Contains(t, places["database"], entered.field("fingerprint"), "the dump holds what it should")
	block, _ := pem.Decode([]byte(own.private))
	line := strings.Split(own.private, "\n")[5]
	for place, text := range places {
		for _, canary := range []string{apiV3, "canary0123456789", own.private, line, line[8:40], encodedHex(block.Bytes[200:232]), encodedHex([]byte(apiV3))} {
			require.NotContains(t, strings.ToLower(text), strings.ToLower(canary), place)
		}
	}
	// They are there: whoever holds the master key opens them.
	require.NoError(t, f.db.DB.InTenant(t.Context(), f.tenant, func(tx pgx.Tx) error {
		_, inUse, err := tenant.OpenCredentials(t.Context(), tx, f.box, f.tenant, strings.TrimPrefix(account, "/v1/channel_accounts/"))
		require.Contains(t, string(inUse[0].Secret.Reveal()), apiV3)
		return err
	}))
}

func encodedHex(b []byte) string {
	const digits = "0123456789abcdef"
	var out []byte
	for _, each := range b {
		out = append(out, digits[each>>4], digits[each&15])
	}
	return string(out)
}

// dump is every row of every table as text, binary columns in hex and as they are.
func (f *fixture) dump() string {
	f.t.Helper()
	rows, err := f.db.Pool.Query(f.t.Context(), `
		select format('%I.%I', schemaname, tablename) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`)
	require.NoError(f.t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(f.t, err)
	require.Greater(f.t, len(tables), 30)
	var out bytes.Buffer
	for _, table := range tables {
		lines, err := f.db.Pool.Query(f.t.Context(), "select t::text from "+table+" t")
		require.NoError(f.t, err)
		texts, err := pgx.CollectRows(lines, pgx.RowTo[string])
		require.NoError(f.t, err)
		for _, text := range texts {
			out.WriteString(text + "\n")
		}
	}
	return out.String()
}
