package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// everyOperation calls visit with each operation of the contract and a path of
// which every id is well formed and belongs to nobody.
func everyOperation(t *testing.T, visit func(op *operation, target string)) {
	t.Helper()
	contract, err := loadContract()
	require.NoError(t, err)
	require.Greater(t, len(contract.operations), 30)
	for _, op := range contract.operations {
		target := op.route.Path
		for name, prefix := range pathKinds() {
			target = strings.ReplaceAll(target, "{"+name+"}", id.New(prefix))
		}
		require.NotContains(t, target, "{", "a new kind of id: add it to this table")
		visit(op, target)
	}
}

// pathKinds says of which kind the ids in paths are.
func pathKinds() map[string]id.Prefix {
	return map[string]id.Prefix{
		"payment_id": id.Payment, "refund_id": id.Refund, "withdrawal_id": id.Withdrawal, "transfer_id": id.Transfer, "merchant_id": id.Merchant,
		"transfer_batch_id": id.TransferBatch, "payment_link_id": id.PaymentLink,
		"hold_id": id.Hold, "split_rule_id": id.SplitRule, "account_id": id.Account, "entry_id": id.Entry, "daily_operation_id": id.Daily,
		"reconciliation_id": id.Reconciliation, "event_id": id.Event, "webhook_endpoint_id": id.Endpoint, "channel_account_id": id.ChannelAccount, "credential_id": id.Credential,
		"principal_id": id.Principal, "approval_id": id.Approval,
		"tenant_id": id.Tenant, "api_key_id": id.APIKey, "signing_key_id": id.SigningKey,
		"webhook_redelivery_id": id.Redelivery,
	}
}

// A body that passes the contract of each operation, for tests that want to get
// past validation.
func (f *fixture) bodyFor(op *operation) string {
	amount := `"amount":{"amount":100,"currency":"CNY"}`
	return map[string]string{
		"createPayment":        f.payment("r-" + id.Number()),
		"createPaymentAttempt": `{"method":{"channel":"alipay","product":"qr"}}`,
		"createPaymentLink":    `{"merchant_id":"` + f.merchant + `","subject":"s",` + amount + `}`,
		"createRefund":         `{"reference":"r",` + amount + `,"reason":"r"}`,
		"createWithdrawal":     `{"merchant_id":"` + f.merchant + `","reference":"r",` + amount + `}`,
		"createTransfer":       `{"from_merchant_id":"` + f.merchant + `","to_merchant_id":"` + id.New(id.Merchant) + `","reference":"r",` + amount + `}`,
		"createTransferBatch": `{"mode":"per_item","items":[{"from_merchant_id":"` + f.merchant + `","to_merchant_id":"` + id.New(id.Merchant) +
			`","reference":"r",` + amount + `}]}`,
		"openAccount":             `{"merchant_id":"` + f.merchant + `","name":"spare","currency":"CNY"}`,
		"changeAccountStatus":     `{"status":"frozen","reason":"r"}`,
		"changeAccountLimits":     `{"limits":[],"reason":"r"}`,
		"placeHold":               `{"merchant_id":"` + f.merchant + `","reference":"r","reason":"r",` + amount + `}`,
		"releaseHold":             `{"reason":"r"}`,
		"redirectRefund":          `{"to":"merchant"}`,
		"forgetPayer":             `{"reason":"r"}`,
		"forgetPayee":             `{"reason":"r"}`,
		"unmaskPayee":             `{"reason":"r"}`,
		"resolveRefund":           `{"decision":"failed","reason":"r"}`,
		"resolveWithdrawal":       `{"decision":"failed","reason":"r"}`,
		"createMerchant":          `{"reference":"` + id.Number() + `","name":"n","settlement":"T0"}`,
		"createSplitRule":         `{"merchant_id":"` + f.merchant + `","legs":[{"receiver":"merchant","merchant_id":"` + f.merchant + `","type":"remainder"}]}`,
		"createSplitPreview":      `{"merchant_id":"` + f.merchant + `",` + amount + `}`,
		"createDailyOperation":    `{"business_date":"2026-01-01"}`,
		"createReconciliation":    `{"channel_account_id":"` + f.channel.ID + `","bill_date":"2026-01-01"}`,
		"createWebhookEndpoint":   `{"url":"http://127.0.0.1:9/hook"}`,
		"changeWebhookEndpoint":   `{"url":"http://127.0.0.1:9/other"}`,
		"redeliverEvent":          `{}`,
		"createWebhookRedelivery": `{"created_from":"2026-01-01T00:00:00Z","created_to":"2026-01-02T00:00:00Z"}`,
		"moveTestClock":           `{"now":"2026-01-01T00:00:00Z"}`,
		"createChannelAccount": `{"channel":"alipay","name":"n","params":{"app_id":"2021000000000000","seller_id":"2088000000000000"},` +
			`"fee_basis_points":60,"fee_returned":false}`,
		"createPrincipal":          `{"kind":"service","name":"n","roles":["viewer"],"reason":"r"}`,
		"changePrincipal":          `{"name":"n","reason":"r"}`,
		"changeApprovalPolicy":     `{"kind":"refund","required":false,"reason":"r"}`,
		"approveApproval":          `{"content_sha256":"` + strings.Repeat("0", 64) + `"}`,
		"rejectApproval":           `{"reason":"r"}`,
		"bindPrincipalKey":         `{"api_key_id":"` + id.New(id.APIKey) + `","reason":"r"}`,
		"changeChannelAccount":     `{"weight":1}`,
		"createChannelCredentials": `{"private_key":"x"}`,
		"changeChannelProducts":    `{"products":[{"product":"qr","status":"opened"}]}`,
		"createTenant":             `{"name":"n","custody_mode":"own_funds"}`,
		"createTenantKey":          `{"name":"n","scopes":["payments:read"]}`,
		"createAPIKey":             `{"name":"n","scopes":["keys:write"]}`,
		"rotateAPIKey":             `{"overlap":0}`,
		"createSigningKey":         `{"name":"n","public_key":"JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="}`,
		"retireSigningKey":         `{"overlap":0}`,
	}[op.route.Operation.OperationID]
}

func (f *fixture) call(op *operation, target string, headers ...string) response {
	f.t.Helper()
	if op.route.Method == http.MethodPost {
		if !op.hasBody {
			return f.send(http.MethodPost, target, nil, append([]string{"Idempotency-Key", id.Number()}, headers...)...)
		}
		return f.post(target, f.bodyFor(op), headers...)
	}
	if op.hasBody {
		return f.send(op.route.Method, target, strings.NewReader(f.bodyFor(op)), headers...)
	}
	return f.send(op.route.Method, target, nil, headers...)
}

func TestEveryOperationNeedsAKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	everyOperation(t, func(op *operation, target string) {
		var first string
		for _, authorization := range []string{"", "Bearer", "Bearer ", "Basic " + f.key, f.key, "Bearer sk_test_unknown", "Bearer " + f.key + "x", "Bearer  " + f.key} {
			resp := f.call(op, target, "Authorization", authorization)
			resp.refused(http.StatusUnauthorized, "unauthenticated", "")
			require.Contains(t, resp.Header().Get("WWW-Authenticate"), "Bearer")
			if first == "" {
				first = resp.Body.String()
			}
			require.Equal(t, first, resp.Body.String(), "the answer tells keys apart")
		}
	})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/payments", nil)
	r.Header["Authorization"] = []string{"Bearer " + f.key, "Bearer " + f.key}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.NotContains(t, f.log.String(), f.key, "a key got into the log")
}

func TestEveryOperationNeedsItsScope(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	other := f.newKey(f.tenant, "nothing:read")
	everyOperation(t, func(op *operation, target string) {
		f.call(op, target, "Authorization", "Bearer "+other).refused(http.StatusForbidden, "scope_missing", "")
		if op.operator {
			f.call(op, target).refused(http.StatusForbidden, "scope_missing", "") // whatever the tenant's key holds
			otherwise := map[string]string{"tenants:read": "tenants:write", "tenants:write": "tenants:read", "platform_audit:read": "tenants:read"}[op.scope]
			f.call(op, target, "Authorization", "Bearer "+f.newOperator(otherwise)).refused(http.StatusForbidden, "scope_missing", "")
			exact := f.newOperator(op.scope)
			require.NotEqual(t, http.StatusForbidden, f.call(op, target, "Authorization", "Bearer "+exact).Code, op.scope)
			return
		}
		f.call(op, target, "Authorization", "Bearer "+f.newOperator(tenant.OperatorScopes()...)).
			refused(http.StatusForbidden, "scope_missing", "")
		exact := f.newKey(f.tenant, op.scope)
		require.NotEqual(t, http.StatusForbidden, f.call(op, target, "Authorization", "Bearer "+exact).Code, op.scope)
	})
}

// TestForeignObjectsDoNotExist asks for objects of another tenant, for ids that
// never were and for malformed ids, on every operation that takes an id.
func TestForeignObjectsDoNotExist(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	own := f.post("/v1/payments", f.payment("r-1")).field("id")
	endpoint := f.post("/v1/webhook_endpoints", `{"url":"http://127.0.0.1:9/hook"}`).field("id")
	_, stranger := f.newTenant()
	operator := f.newOperator(tenant.OperatorScopes()...)
	never := f.get("/v1/payments/" + id.New(id.Payment))
	never.refused(http.StatusNotFound, "not_found", "")
	everyOperation(t, func(op *operation, target string) {
		if !strings.Contains(op.route.Path, "{") {
			return
		}
		caller := "Bearer " + f.key
		if op.operator {
			caller = "Bearer " + operator
		}
		resp := f.call(op, target, "Authorization", caller)
		require.Equal(t, http.StatusNotFound, resp.Code, "%s %s: %s", op.route.Method, target, resp.Body)
		require.Equal(t, never.Body.String(), resp.Body.String())
		malformed := strings.Replace(op.route.Path, op.route.Path[strings.Index(op.route.Path, "{"):strings.Index(op.route.Path, "}")+1], "1", 1)
		require.Equal(t, never.Body.String(), f.call(op, malformed, "Authorization", caller).Body.String())
	})
	for _, target := range []string{"/v1/payments/" + own, "/v1/merchants/" + f.merchant, "/v1/webhook_endpoints/" + endpoint,
		"/v1/webhook_endpoints/" + endpoint + "/deliveries"} {
		require.Equal(t, http.StatusOK, f.get(target).Code)
		resp := f.get(target, "Authorization", "Bearer "+stranger)
		require.Equal(t, never.Body.String(), resp.Body.String())
	}
	f.send(http.MethodDelete, "/v1/webhook_endpoints/"+endpoint, nil, "Authorization", "Bearer "+stranger).refused(404, "not_found", "")
	f.post("/v1/payments/"+own+"/refunds", `{"reference":"r","amount":{"amount":1,"currency":"CNY"},"reason":"r"}`,
		"Authorization", "Bearer "+stranger).refused(404, "not_found", "")
	// A foreign id inside a body is refused like an unknown one.
	resp := f.post("/v1/payments", f.payment("r-2"), "Authorization", "Bearer "+stranger)
	require.Equal(t, http.StatusUnprocessableEntity, resp.Code, resp.Body)
	require.Equal(t, http.StatusOK, f.get("/v1/payments", "Authorization", "Bearer "+stranger).Code)
	require.Empty(t, f.get("/v1/payments", "Authorization", "Bearer "+stranger).json()["data"])
}

func TestUnknownAddressesAndMethods(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, target := range []string{"/", "/v1", "/v1/", "/v2/payments", "/v1/payments/", "//v1/payments", "/V1/payments", "/v1/Payments",
		"/v1//payments", "/v1/payments/../payments", "/debug/pprof/", "/metrics", "/swagger", "/.env"} {
		f.get(target).refused(http.StatusNotFound, "not_found", "")
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodTrace, "PROPFIND"} {
		resp := f.send(method, "/v1/payments", nil)
		require.Equal(t, http.StatusMethodNotAllowed, resp.Code, method)
	}
	for _, header := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		endpoint := "/v1/webhook_endpoints/" + f.post("/v1/webhook_endpoints", `{"url":"http://127.0.0.1:9/hook"}`).field("id")
		require.Equal(t, http.StatusOK, f.send(http.MethodGet, endpoint, nil, header, "DELETE").Code)
		require.Equal(t, http.StatusOK, f.get(endpoint).Code, "%s did something", header)
	}
	// Every address knows its own methods and no others.
	known := map[string]map[string]bool{}
	everyOperation(t, func(op *operation, target string) {
		if known[op.route.Path] == nil {
			known[op.route.Path] = map[string]bool{}
		}
		known[op.route.Path][op.route.Method] = true
	})
	everyOperation(t, func(op *operation, target string) {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead,
			http.MethodOptions, http.MethodTrace, http.MethodConnect, "PROPFIND", "get", "G"} {
			if !known[op.route.Path][method] {
				require.Equal(t, http.StatusMethodNotAllowed, f.send(method, target, nil).Code, "%s %s", method, target)
			}
		}
		for _, other := range []string{"/debug" + target, target + "/", strings.Replace(target, "/v1/", "/v0/", 1)} {
			require.Equal(t, http.StatusNotFound, f.get(other).Code, other)
		}
	})
}

func TestAnswersCarrySecurityHeadersAndARequestID(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, resp := range []response{f.get("/v1/payments"), f.get("/nowhere"), f.get("/healthz")} {
		require.Equal(t, "nosniff", resp.Header().Get("X-Content-Type-Options"))
		require.Equal(t, "no-store", resp.Header().Get("Cache-Control"))
		require.Contains(t, resp.Header().Get("Content-Security-Policy"), "default-src 'none'")
		require.NotEmpty(t, resp.Header().Get("X-Request-Id"))
	}
	resp := f.get("/v1/payments", "X-Request-Id", "mine\" injected=1")
	require.NotContains(t, resp.Header().Get("X-Request-Id"), "mine")
	require.Contains(t, f.log.String(), resp.Header().Get("X-Request-Id"))
	require.NotContains(t, f.log.String(), "injected")
}

func TestAPanicIsAnsweredAndTheProcessLives(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	calm := f.handler
	f.handler = f.serve(Options{Authenticate: func(context.Context, string) (tenant.Principal, error) { panic("the secret is hunter2") }})
	resp := f.get("/v1/payments")
	resp.refused(http.StatusInternalServerError, "internal", "")
	require.NotContains(t, resp.Body.String(), "hunter2")
	require.NotContains(t, resp.Body.String(), ".go:")
	require.Contains(t, f.log.String(), resp.Header().Get("X-Request-Id"))
	f.handler = calm
	require.Equal(t, http.StatusOK, f.get("/v1/payments").Code)
}

func TestADatabaseThatIsAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	require.Equal(t, http.StatusOK, f.get("/healthz").Code)
	f.db.DB.Close()
	for _, target := range []string{"/healthz", "/v1/payments"} {
		resp := f.get(target)
		resp.refused(http.StatusServiceUnavailable, "unavailable", "")
		require.Equal(t, "1", resp.Header().Get("Retry-After"))
	}
}

func TestTheTestClockIsOnlyThereInDevelopment(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.handler = f.serve(Options{Dev: false})
	f.get("/v1/test/clock").refused(http.StatusNotFound, "not_found", "")
	f.post("/v1/test/clock", `{"now":"2030-01-01T00:00:00Z"}`).refused(http.StatusNotFound, "not_found", "")
	require.NotContains(t, f.get("/v1/payments").Body.String(), "2030")
}

func TestTheContractIsServed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	require.Equal(t, string(ContractYAML()), f.get("/openapi.yaml").Body.String())
	page := f.get("/docs")
	require.Equal(t, http.StatusOK, page.Code)
	require.Contains(t, page.Body.String(), "createPayment")
	require.Contains(t, page.Header().Get("Content-Security-Policy"), "script-src 'self'")
	require.Equal(t, http.StatusOK, f.get("/docs/reference.css").Code)
	f.get("/docs/").refused(http.StatusNotFound, "not_found", "")
}
