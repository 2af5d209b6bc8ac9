package api

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/access"
	"github.com/suanpan/suanpan/core/audit"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// changer performs each operation of the contract that changes something, once, with
// success, as somebody whose changes the log keeps.
type changer struct {
	*staffed
	person, operator []string
	// made are the ids of what was made before.
	made map[string]string
	done map[string]response
}

// does performs an operation and keeps the id of its answer under as.
func (c *changer) does(operation, as, method, target, body string, headers ...string) response {
	c.t.Helper()
	var resp response
	if body == "" {
		resp = c.send(method, target, nil, append([]string{"Idempotency-Key", id.Number()}, headers...)...)
	} else {
		resp = c.send(method, target, strings.NewReader(body), headers...)
	}
	require.Less(c.t, resp.Code, 300, "%s: %s", operation, resp.Body)
	if as != "" {
		c.made[as] = resp.field("id")
	}
	c.done[operation] = resp
	return resp
}

// money is what people do with money.
func (c *changer) money() {
	amount := `"amount":{"amount":100,"currency":"CNY"}`
	c.does("createPayment", "payment", "POST", "/v1/payments", strings.Replace(c.payment("p"), `,"method":{"channel":"alipay","product":"qr"}`, "", 1), c.person...)
	c.does("createPaymentAttempt", "", "POST", "/v1/payments/"+c.made["payment"]+"/attempts", `{"method":{"channel":"alipay","product":"qr"}}`, c.person...)
	c.does("cancelPayment", "", "POST", "/v1/payments/"+c.made["payment"]+"/cancel", "", c.person...)
	c.does("createPaymentLink", "link", "POST", "/v1/payment_links", `{"merchant_id":"`+c.merchant+`","subject":"s",`+amount+`}`, c.person...)
	c.does("closePaymentLink", "", "POST", "/v1/payment_links/"+c.made["link"]+"/close", "", c.person...)
	c.does("createTransfer", "", "POST", "/v1/transfers", c.transfer(c.other, "t", 10, ""), c.person...)
	c.does("createTransferBatch", "", "POST", "/v1/transfer_batches", `{"mode":"per_item","items":[`+c.transfer(c.other, "b", 10, "")+`]}`, c.person...)
	c.does("placeHold", "hold", "POST", "/v1/holds", `{"merchant_id":"`+c.merchant+`","reference":"h","reason":"r",`+amount+`}`, c.person...)
	c.does("releaseHold", "", "POST", "/v1/holds/"+c.made["hold"]+"/releases", `{"reason":"r"}`, c.person...)
	c.does("createMerchant", "rich", "POST", "/v1/merchants", `{"reference":"rich","name":"n","settlement":"T0",`+
		`"payout_account":{"channel":"alipay","account":"ann@example.com","name":"Ann Canary"}}`)
	first := c.merchant
	c.merchant = c.made["rich"]
	c.fund(1000)
	c.merchant = first
	c.does("createWithdrawal", "", "POST", "/v1/withdrawals", `{"merchant_id":"`+c.made["rich"]+`","reference":"w",`+amount+`}`, c.person...)
	reason := `{"reason":"the payee asked"}`
	_, admin := c.staff(access.Admin)
	c.does("unmaskPayee", "", "POST", "/v1/merchants/"+c.made["rich"]+"/unmask_payee", reason, as(admin)...)
	c.does("forgetPayee", "", "POST", "/v1/merchants/"+c.made["rich"]+"/forget_payee", reason)
	c.does("forgetPayer", "", "POST", "/v1/payments/"+c.post("/v1/payments", strings.Replace(c.payment("with-payer"),
		`"product":"qr"`, `"product":"qr","payer_id":"2088canary"`, 1)).field("id")+"/forget_payer", reason)
	c.does("createSplitRule", "", "POST", "/v1/split_rules", `{"merchant_id":"`+c.merchant+
		`","legs":[{"receiver":"merchant","merchant_id":"`+c.merchant+`","type":"remainder"}]}`)
	c.does("openAccount", "account", "POST", "/v1/accounts", `{"merchant_id":"`+c.merchant+`","name":"spare","currency":"CNY"}`)
	c.does("changeAccountStatus", "", "POST", "/v1/accounts/"+c.made["account"]+"/status_changes", `{"status":"frozen","reason":"r"}`)
	c.does("changeAccountLimits", "", "POST", "/v1/accounts/"+c.made["account"]+"/limit_changes",
		`{"limits":[{"name":"debit.day_count","max":9}],"reason":"r"}`)
	c.does("createDailyOperation", "", "POST", "/v1/daily_operations", `{"business_date":"2026-01-01"}`)
	c.does("createReconciliation", "", "POST", "/v1/reconciliations", `{"channel_account_id":"`+c.channel.ID+`","bill_date":"2026-01-01"}`)
}

// setUp is how the tenant's channels and webhooks are set up.
func (c *changer) setUp() {
	c.does("createChannelAccount", "channel", "POST", "/v1/channel_accounts",
		`{"channel":"alipay","name":"n","params":{"app_id":"2021000000000000","seller_id":"2088000000000000"},"fee_basis_points":60,"fee_returned":false}`)
	account := "/v1/channel_accounts/" + c.made["channel"]
	keys := func() string {
		return encoded(c.t, map[string]any{"private_key": newPair(c.t).private, "provider_public_key": newPair(c.t).public})
	}
	c.does("createChannelCredentials", "first keys", "POST", account+"/credentials", keys())
	c.does("createChannelCredentials", "", "POST", account+"/credentials", keys())
	c.does("retireChannelCredentials", "", "POST", account+"/credentials/"+c.made["first keys"]+"/retire", "")
	c.does("changeChannelAccount", "", "PATCH", account, `{"weight":7}`)
	c.does("changeChannelProducts", "", "PUT", account+"/products", `{"products":[{"product":"qr","status":"opened"}]}`)
	c.does("createWebhookEndpoint", "endpoint", "POST", "/v1/webhook_endpoints", `{"url":"http://127.0.0.1:9/hook/canary-token"}`)
	endpoint := "/v1/webhook_endpoints/" + c.made["endpoint"]
	c.does("changeWebhookEndpoint", "", "PATCH", endpoint, `{"url":"http://127.0.0.1:9/other-canary-token"}`)
	c.does("pingWebhookEndpoint", "event", "POST", endpoint+"/ping", "")
	_, err := c.db.Pool.Exec(c.t.Context(), `update webhook_deliveries set status = 'delivered', delivered_at = now()`)
	require.NoError(c.t, err)
	c.does("redeliverEvent", "", "POST", "/v1/events/"+c.made["event"]+"/redeliver", `{}`)
	c.does("createWebhookRedelivery", "", "POST", endpoint+"/redeliveries", `{"created_from":"2026-01-01T00:00:00Z","created_to":"2026-01-02T00:00:00Z"}`)
	c.does("rotateWebhookSecret", "", "POST", endpoint+"/rotate_secret", "")
	c.does("deleteWebhookEndpoint", "", "DELETE", endpoint, "")
}

// people comes first: with a policy in force, such changes wait for a second person.
func (c *changer) people() {
	c.does("createPrincipal", "principal", "POST", "/v1/principals", `{"kind":"operator","name":"li.na","roles":["viewer"],"reason":"r"}`)
	c.does("changePrincipal", "", "POST", "/v1/principals/"+c.made["principal"]+"/changes", `{"name":"li.na.2","reason":"r"}`)
	c.does("createAPIKey", "key", "POST", "/v1/api_keys", `{"name":"n","scopes":["payments:read"]}`)
	c.does("bindPrincipalKey", "", "POST", "/v1/principals/"+c.made["principal"]+"/keys", `{"api_key_id":"`+c.made["key"]+`","reason":"r"}`)
	c.does("changeApprovalPolicy", "", "POST", "/v1/approval_policies", `{"kind":"transfer","required":true,"from_amount":500,"reason":"r"}`)
}

// trust is who may do what.
func (c *changer) trust() {
	c.does("createAPIKey", "key", "POST", "/v1/api_keys", `{"name":"n","scopes":["payments:read"]}`)
	key := "/v1/api_keys/" + c.made["key"]
	c.does("rotateAPIKey", "", "POST", key+"/rotate", `{"overlap":0}`)
	public, _, err := ed25519.GenerateKey(nil)
	require.NoError(c.t, err)
	c.does("createSigningKey", "signing key", "POST", key+"/signing_keys", `{"name":"n","public_key":"`+base64.StdEncoding.EncodeToString(public)+`"}`)
	c.does("retireSigningKey", "", "POST", key+"/signing_keys/"+c.made["signing key"]+"/retire", `{"overlap":0}`)
	c.does("revokeAPIKey", "", "POST", key+"/revoke", "")
	asked := c.ask("asked")
	c.does("approveApproval", "", "POST", "/v1/approvals/"+asked.field("id")+"/approve", `{"content_sha256":"`+asked.field("content_sha256")+`"}`, c.checker...)
	c.does("rejectApproval", "", "POST", "/v1/approvals/"+c.ask("asked-2").field("id")+"/reject", `{"reason":"no"}`, c.checker...)
	c.does("createTenant", "tenant", "POST", "/v1/tenants", `{"name":"n","custody_mode":"own_funds"}`, c.operator...)
	c.does("createTenantKey", "tenant key", "POST", "/v1/tenants/"+c.made["tenant"]+"/api_keys", `{"name":"n","scopes":["payments:read"]}`, c.operator...)
	c.does("revokeTenantKey", "", "POST", "/v1/tenants/"+c.made["tenant"]+"/api_keys/"+c.made["tenant key"]+"/revoke", "", c.operator...)
	c.does("moveTestClock", "", "POST", "/v1/test/clock", `{"now":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`)
}

// refund writes what refunds need by SQL of the application's role: a payment that was
// paid, and a refund that the provider could not pay, take workflows.
func (c *changer) refund() {
	paid := c.post("/v1/payments", c.payment("paid")).field("id")
	refundID := id.New(id.Refund)
	c.byHand("createRefund", `
		insert into refunds (tenant_id, id, payment_id, attempt_id, origin, reference, reason, currency, amount, number, request_hash, status)
		select tenant_id, $2, payment_id, id, 'request', 'r', 'r', 'CNY', 1, $3, sha256(''), 'processing' from attempts where payment_id = $1`,
		paid, refundID, id.Number())
	c.byHand("redirectRefund", `update refunds set abnormal_at = now(), redirect_to = 'merchant', redirect_status = 'requested',
		redirect_requested_at = now() where id = $1`, refundID)
	for _, operation := range []string{"resolveRefund", "resolveWithdrawal"} {
		c.byHand("a step", `insert into unresolved (tenant_id, object_id, number, code) values ($1, $2, $2, 'REPEAT_OVER')`, c.tenant, operation)
		c.byHand(operation, `update unresolved set decision = 'failed', reason = 'r', decided_at = suanpan_now() where object_id = $1`, operation)
	}
}

// byHand runs a statement as the operation would.
func (c *changer) byHand(operation, sql string, args ...any) {
	c.t.Helper()
	request := "by hand: " + operation
	who := audit.Acting(c.t.Context(), audit.Actor{Kind: audit.Principal, KeyID: "key", Operation: operation, RequestID: request})
	require.NoError(c.t, c.db.DB.InTenant(who, c.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(who, sql, args...)
		return err
	}))
	resp := c.get("/v1/payments")
	resp.Header().Set("X-Request-Id", request)
	c.done[operation] = resp
}

func newChanger(t *testing.T) *changer {
	t.Helper()
	f := &staffed{fixture: newFixture(t)}
	f.fund(100_000)
	f.other = f.newMerchant("other")
	_, makerKey := f.staff(access.FinanceMaker)
	_, person := f.staff(access.FinanceMaker, access.Risk, access.Support)
	checkerID, checkerKey := f.staff(access.FinanceChecker)
	f.maker, f.checker, f.checkerID = as(makerKey), as(checkerKey), checkerID
	c := &changer{staffed: f, person: as(person), operator: as(f.newOperator(tenant.OperatorScopes()...)),
		made: map[string]string{}, done: map[string]response{}}
	c.people()
	c.money()
	c.setUp()
	c.refund()
	c.trust()
	return c
}

// Every operation of the contract that changes something leaves an entry, with who,
// by what and under which request: a new one fails here until it does.
func TestEveryChangeLeavesAnEntry(t *testing.T) {
	t.Parallel()
	c := newChanger(t)
	unchanging := map[string]string{"createSplitPreview": "computes", "checkChannelAccount": "asks the provider"}
	operations := 0
	everyOperation(t, func(op *operation, _ string) {
		name := op.route.Operation.OperationID
		if op.route.Method == http.MethodGet || unchanging[name] != "" {
			return
		}
		operations++
		resp, performed := c.done[name]
		require.True(t, performed, "%s: perform it in this test; what it changes must be under the audit log (migrations/028_audit.sql)", name)
		require.Positive(t, c.count(`audit_entries where operation = '`+name+`' and key_id <> '' and actor_kind <> 'system'
			and request_id = '`+resp.Header().Get("X-Request-Id")+`'`), "%s left no entry", name)
	})
	t.Logf("%d operations, %d entries", operations, c.count(`audit_entries`))
	log := c.dumpOf("audit_entries")
	for _, secret := range []string{c.key, "canary-token", "Ann Canary", "ann@example.com", "PRIVATE KEY", "whsec_", "sk_test_", "li.na", "2088canary"} {
		require.NotContains(t, log, secret)
	}
	require.Equal(t, 1, c.count(`audit_entries where before->>'weight' = '100' and after->>'weight' = '7'`))
}

func (f *fixture) dumpOf(table string) (text string) {
	f.t.Helper()
	require.NoError(f.t, f.db.Pool.QueryRow(f.t.Context(), `select string_agg(t::text, e'\n') from `+table+` t`).Scan(&text))
	return text
}

func TestTheAuditLogIsReadAndExported(t *testing.T) {
	t.Parallel()
	c := newChanger(t)
	all := c.get("/v1/audit_entries?limit=100")
	require.Equal(t, http.StatusOK, all.Code, all.Body)
	c.conforms(all, "AuditEntryPage")
	changed := c.get("/v1/audit_entries?object_type=channel_account&operation=changeChannelAccount").json()["data"].([]any)
	require.Len(t, changed, 1)
	entry := changed[0].(map[string]any)
	require.InDelta(t, 100, entry["before"].(map[string]any)["weight"], 0)
	require.InDelta(t, 7, entry["after"].(map[string]any)["weight"], 0)
	require.Equal(t, c.done["changeChannelAccount"].Header().Get("X-Request-Id"), entry["request_id"])
	require.Equal(t, c.made["channel"], entry["object_id"])
	for query, some := range map[string]bool{"actor=" + c.checkerID: true, "actor_kind=principal": true, "object_id=" + c.made["key"]: true,
		"recorded_from=2020-01-01T00:00:00Z": true, "recorded_to=2020-01-01T00:00:00Z": false, "object_type=tenant_key": false, "actor_kind=command": false} {
		require.Equal(t, some, len(c.get("/v1/audit_entries?" + query).json()["data"].([]any)) > 0, query)
	}
	// By pages and as files: the same entries.
	var ids []string
	for cursor := ""; ; {
		page := c.get("/v1/audit_entries?limit=7" + cursor).json()
		for _, e := range page["data"].([]any) {
			ids = append(ids, e.(map[string]any)["id"].(string))
		}
		next, more := page["next_cursor"].(string)
		if !more {
			break
		}
		cursor = "&cursor=" + next
	}
	require.Len(t, ids, c.count(`audit_entries where tenant_id = '`+c.tenant+`'`))
	lines := strings.Split(strings.TrimSpace(c.get("/v1/audit_entries?format=jsonl").Body.String()), "\n")
	require.Len(t, lines, len(ids))
	var first map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &first))
	require.Equal(t, ids[0], first["id"])
	file := c.get("/v1/audit_entries", "Accept", "text/csv")
	require.Contains(t, file.Header().Get("Content-Disposition"), "audit-"+c.tenant+".csv")
	require.Equal(t, len(ids)+1, strings.Count(file.Body.String(), "\n"))
	require.Empty(t, c.get("/v1/audit_entries?format=jsonl&object_id=nothing").Body.String())

	// A tenant sees its own, an operator the platform's and what operators did.
	_, stranger := c.newTenant()
	require.Empty(t, c.get("/v1/audit_entries?object_id="+c.made["key"], as(stranger)...).json()["data"])
	c.get("/v1/audit_entries", c.operator...).refused(http.StatusForbidden, "scope_missing", "")
	c.get("/v1/platform_audit_entries").refused(http.StatusForbidden, "scope_missing", "")
	platform := c.get("/v1/platform_audit_entries?limit=100", c.operator...)
	c.conforms(platform, "AuditEntryPage")
	require.Contains(t, platform.Body.String(), c.made["tenant key"])
	require.NotContains(t, platform.Body.String(), c.made["key"])
	require.NotEmpty(t, c.get("/v1/platform_audit_entries?format=csv", c.operator...).Body.String())
	c.get("/v1/audit_entries?cursor=x").refused(http.StatusBadRequest, "cursor_malformed", "cursor")
}

// Nobody but the triggers writes the log, and nobody changes it: neither role, nor the
// owner of the table.
func TestTheAuditLogIsAppendOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, sql := range []string{`update audit_entries set actor = 'x'`, `delete from audit_entries`, `truncate audit_entries`,
		`update audit_seals set entries = 1`, `delete from audit_seals`,
		`insert into audit_entries select * from audit_entries`, `alter table audit_entries disable trigger all`} {
		for name, in := range map[string]func(func(pgx.Tx) error) error{
			"app":    func(fn func(pgx.Tx) error) error { return f.db.DB.InTenant(t.Context(), f.tenant, fn) },
			"system": func(fn func(pgx.Tx) error) error { return f.db.DB.AsSystem(t.Context(), fn) },
		} {
			err := in(func(tx pgx.Tx) error { _, err := tx.Exec(t.Context(), sql); return err })
			require.ErrorContains(t, err, "42501", "%s as %s", sql, name)
		}
	}
	require.ErrorContains(t, f.db.DB.InTenant(t.Context(), f.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `select audit($1, 'done', 'forged', 'x', null, null)`, f.tenant)
		return err
	}), "42501")
	for _, sql := range []string{`update audit_entries set actor = 'x'`, `delete from audit_entries`, `truncate audit_entries`} {
		_, err := f.db.Pool.Exec(t.Context(), sql)
		require.ErrorContains(t, err, "append-only", sql)
	}
	// What fails leaves no entry, because it is written with the change.
	before := f.count(`audit_entries`)
	failed := f.db.DB.InTenant(t.Context(), f.tenant, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `update channel_accounts set weight = 5`); err != nil {
			return err
		}
		return http.ErrAbortHandler
	})
	require.ErrorIs(t, failed, http.ErrAbortHandler)
	require.Equal(t, before, f.count(`audit_entries`))
	require.Equal(t, 1, f.count(`audit_entries where object_type = 'channel_account' and actor_kind = 'system' and actor = 'suanpan_system'`))
}
