package api

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/access"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// headed checks what every answer of the API process has, whatever it is.
func headed(t *testing.T, what string, resp response) {
	t.Helper()
	h := resp.Header()
	require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), what)
	require.Equal(t, "DENY", h.Get("X-Frame-Options"), what)
	require.Equal(t, "max-age=63072000; includeSubDomains", h.Get("Strict-Transport-Security"), what)
	for _, word := range []string{"default-src 'none'", "base-uri 'none'", "form-action ", "frame-ancestors 'none'"} {
		require.Contains(t, h.Get("Content-Security-Policy"), word, what)
	}
	require.NotContains(t, h.Get("Content-Security-Policy"), "unsafe", what)
	require.Contains(t, []string{"no-referrer", "strict-origin"}, h.Get("Referrer-Policy"), what)
	for name := range h {
		require.False(t, strings.HasPrefix(name, "Access-Control-"), "%s: %s", what, name)
	}
	require.Empty(t, h.Get("Set-Cookie"), what)
	require.Empty(t, h.Get("Server")+h.Get("X-Powered-By"), what)
	if resp.Body.Len() == 0 {
		return
	}
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	require.NoError(t, err, what)
	switch {
	case strings.HasPrefix(media, "text/"):
		require.Equal(t, "utf-8", params["charset"], what)
	case media == "application/json", media == "application/problem+json":
		require.True(t, json.Valid(resp.Body.Bytes()), "%s: %s", what, resp.Body)
	default:
		require.Equal(t, "application/yaml", media, what)
	}
}

func TestEveryAnswerHasItsHeaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	plain := f.handler
	f.handler = f.serve(Options{Dev: true, PublicURL: "https://pay.example.com"})
	operator := f.newOperator(tenant.OperatorScopes()...)
	statuses := map[int]int{}
	everyOperation(t, func(op *operation, target string) {
		key := f.key
		if op.operator {
			key = operator
		}
		for _, authorization := range []string{"Bearer " + key, "Bearer " + f.newKey(f.tenant, "nothing:read"), ""} {
			resp := f.call(op, target, "Authorization", authorization, "Origin", "https://evil.example.com")
			statuses[resp.Code]++
			what := op.route.Method + " " + target
			headed(t, what, resp)
			require.Equal(t, "no-store", resp.Header().Get("Cache-Control"), what)
		}
		resp := f.send(http.MethodOptions, target, nil, "Origin", "https://evil.example.com", "Access-Control-Request-Method", op.route.Method)
		headed(t, "OPTIONS "+target, resp)
		require.Equal(t, http.StatusMethodNotAllowed, resp.Code)
	})
	for _, status := range []int{http.StatusOK, http.StatusCreated, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound} {
		require.Positive(t, statuses[status], "no answer was %d", status)
	}
	_, checkout := f.unchosen("")
	for target, status := range map[string]int{"/healthz": 200, "/openapi.yaml": 200, "/docs": 200, "/docs/reference.css": 200, "/docs/reference.js": 200,
		"/nowhere": 404, "/v1/nowhere": 404, checkout: 200, checkout + "/state": 200, "/checkout/" + strings.Repeat("x", 24): 404,
		"/pay/" + strings.Repeat("x", 24): 404, "/oauth/alipay?state=x": 404, "/checkout-assets/x.css": 404, "/notify/alipay/x": 405} {
		resp := f.get(target)
		require.Equal(t, status, resp.Code, target)
		headed(t, target, resp)
	}
	headed(t, "notify", f.post("/notify/alipay/x", "x=1"))
	f.handler = plain
	require.Empty(t, f.get("/healthz").Header().Get("Strict-Transport-Security"), "an address without TLS demands none")
}

// TestSecurityEventsAreInTheLog: who was refused what, from where, and nothing that a
// log should not hold.
func TestSecurityEventsAreInTheLog(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	viewer := f.newKey(f.tenant, "payments:read")
	good := f.handler
	slow := f.serve(Options{Dev: true, Rates: Rates{Key: tenant.Rate{PerSecond: 1, Burst: 1}}})
	behind := f.serve(Options{Dev: true, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	_, checkout := f.unchosen("")
	for name, c := range map[string]struct {
		handler http.Handler
		ask     func() response
		has     []string
		hasNot  []string
	}{
		"a good request": {good, func() response { return f.get("/v1/payments") },
			[]string{"level=INFO", "method=GET", "route=/v1/payments", "status=200", "tenant=" + f.tenant, "key=key_", "remote=192.0.2.1"}, []string{"event=", "code="}},
		"nobody": {good, func() response { return f.get("/v1/payments", "Authorization", "") },
			[]string{"level=WARN", "status=401", "code=unauthenticated", "event=authentication_failed", "remote=192.0.2.1"}, []string{"tenant="}},
		"an unknown key": {good, func() response {
			return f.get("/v1/payments", "Authorization", "Bearer sk_test_"+strings.Repeat("hush", 11)[:43])
		},
			[]string{"level=WARN", "event=authentication_failed", "code=unauthenticated"}, []string{"hush"}},
		"a bad signature": {good, func() response { return f.get("/v1/payments", "Signature", "hush", "Signature-Input", "hush") },
			[]string{"level=WARN", "event=authentication_failed", "code=signature_malformed", "tenant=" + f.tenant}, []string{"hush"}},
		"no scope": {good, func() response { return f.get("/v1/merchants", "Authorization", "Bearer "+viewer) },
			[]string{"level=WARN", "status=403", "event=authorization_failed", "code=scope_missing", "tenant=" + f.tenant, "key=key_"}, []string{viewer}},
		"another's object": {good, func() response { return f.get("/v1/payments/" + id.New(id.Payment)) },
			[]string{"status=404", "code=not_found", "tenant=" + f.tenant}, []string{"event="}},
		"bad input": {good, func() response { return f.post("/v1/payments", `{"hush":1}`) },
			[]string{"status=400", "code=field_", "tenant=" + f.tenant}, []string{"hush"}},
		"bad query": {good, func() response { return f.get("/v1/payments?token=hush") },
			[]string{"status=400", "code=parameter_unknown"}, []string{"hush"}},
		"an unknown address": {good, func() response { return f.get("/v1/hush%0aevent=forged") },
			[]string{"status=404", "code=not_found", "remote=192.0.2.1"}, []string{"hush", "forged"}},
		"an unknown method": {good, func() response { return f.send(http.MethodTrace, "/v1/payments", nil) },
			[]string{"status=405", "code=method_not_allowed"}, nil},
		"too often": {slow, func() response { f.get("/v1/payments"); return f.get("/v1/payments") },
			[]string{"level=WARN", "status=429", "event=rate_exceeded", "code=rate_limited", "tenant=" + f.tenant}, nil},
		"by a trusted proxy": {behind, func() response { return f.get("/v1/payments", "X-Forwarded-For", "203.0.113.7") },
			[]string{"remote=203.0.113.7"}, nil},
		"by anybody else": {good, func() response { return f.get("/v1/payments", "X-Forwarded-For", "203.0.113.7") },
			[]string{"remote=192.0.2.1"}, []string{"203.0.113.7"}},
		"a payer": {good, func() response { return f.get(checkout) },
			[]string{"route=/checkout/:token", "status=200"}, []string{"remote=", strings.TrimPrefix(checkout, "/checkout/")}},
	} {
		f.handler = c.handler
		f.log.Reset()
		c.ask()
		lines := strings.Split(strings.TrimSpace(f.log.String()), "\n")
		last := lines[len(lines)-1]
		for _, word := range c.has {
			require.Contains(t, last, word, name)
		}
		for _, word := range c.hasNot {
			require.NotContains(t, f.log.String(), word, name)
		}
		require.NotContains(t, f.log.String(), f.key, name)
	}
}

// TestPeopleAreNamedInTheLog: a key that belongs to somebody tells whose it is.
func TestPeopleAreNamedInTheLog(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	person, key := f.staff(access.Viewer)
	f.log.Reset()
	f.post("/v1/merchants", `{"reference":"x","name":"A shop","settlement":"T0"}`, "Authorization", "Bearer "+key).refused(http.StatusForbidden, "role_missing", "")
	for _, word := range []string{"level=WARN", "event=authorization_failed", "code=role_missing", "principal=" + person} {
		require.Contains(t, f.log.String(), word)
	}
}
