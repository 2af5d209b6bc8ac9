package api

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
)

func (f *fixture) link(more string) response {
	f.t.Helper()
	return f.post("/v1/payment_links", `{"merchant_id":"`+f.merchant+`","subject":"Summer course"`+more+`}`)
}

const fixed = `,"amount":{"amount":19900,"currency":"CNY"}`

func TestPaymentLinks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.handler = f.serve(Options{Dev: true, PublicURL: "https://pay.example.com"})
	made := f.link(fixed + `,"max_uses":1,"return_url":"https://shop.example.com/"`)
	require.Equal(t, http.StatusCreated, made.Code, made.Body.String())
	m := made.json()
	require.Equal(t, []any{true, "active", nil, nil, nil}, []any{m["open"], m["status"], m["min_amount"], m["expires_at"], m["closed_at"]})
	path := strings.TrimPrefix(made.field("url"), "https://pay.example.com")

	page := f.browse(path, nil)
	require.Equal(t, http.StatusOK, page.Code)
	require.Contains(t, page.Body.String(), "¥199.00")
	nonce := rand.Text()
	var checkout string
	for range 2 {
		w := f.browse(path, url.Values{"nonce": {nonce}})
		require.Equal(t, http.StatusSeeOther, w.Code, w.Body.String())
		checkout = w.Header().Get("Location")
	}
	require.Contains(t, f.browse(checkout, nil).Body.String(), "Summer course")
	require.Equal(t, http.StatusGone, f.browse(path, url.Values{"nonce": {rand.Text()}}).Code, "it is used up")
	require.Equal(t, http.StatusGone, f.browse(path, nil).Code)

	linkID := made.field("id")
	m = f.get("/v1/payment_links/" + linkID).json()
	require.Equal(t, []any{false, 1.0, 1.0, 0.0}, []any{m["open"], m["opened"], m["used"], m["paid"]})
	list := f.get("/v1/payments?payment_link_id=" + linkID).json()["data"].([]any)
	require.Len(t, list, 1)
	p := list[0].(map[string]any)
	require.Equal(t, []any{linkID, linkID + "-1", "https://shop.example.com/"}, []any{p["payment_link_id"], p["reference"], p["return_url"]})

	closed := f.post("/v1/payment_links/"+linkID+"/close", "", "Content-Type", "")
	require.Equal(t, http.StatusOK, closed.Code, closed.Body.String())
	require.Equal(t, "closed", closed.field("status"))
	other := f.link(`,"min_amount":{"amount":100,"currency":"CNY"},"max_amount":{"amount":500,"currency":"CNY"}`)
	require.Equal(t, []string{other.field("id")}, ids(t, f.get("/v1/payment_links?status=active")))
	require.Equal(t, []string{other.field("id"), linkID}, ids(t, f.get("/v1/payment_links?merchant_id="+f.merchant)))
	first := f.get("/v1/payment_links?limit=1").json()
	require.Equal(t, []string{linkID}, ids(t, f.get("/v1/payment_links?limit=1&cursor="+first["next_cursor"].(string))))
}

func ids(t *testing.T, list response) []string {
	t.Helper()
	out := []string{}
	for _, one := range list.json()["data"].([]any) {
		out = append(out, one.(map[string]any)["id"].(string))
	}
	return out
}

func TestThePayersOwnAmount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.handler = f.serve(Options{Dev: true, PublicURL: "https://pay.example.com"})
	made := f.link(`,"min_amount":{"amount":100,"currency":"CNY"},"max_amount":{"amount":500,"currency":"CNY"}`)
	path := strings.TrimPrefix(made.field("url"), "https://pay.example.com")
	for amount, status := range map[string]int{"": 422, "0.99": 422, "5.01": 422, "-1": 422, "1.001": 422, "1": 303, "5.00": 303, "3.3": 303} {
		w := f.browse(path, url.Values{"nonce": {rand.Text()}, "amount": {amount}})
		require.Equal(t, status, w.Code, amount)
	}
	require.Equal(t, 3.0, f.get("/v1/payment_links/" + made.field("id")).json()["opened"], "what was refused made no payment")
}

func TestPaymentLinksThatCannotBe(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, c := range map[string]struct {
		more, code, field string
		status            int
	}{
		"neither":       {``, "amount_or_range", "amount", 400},
		"half a range":  {`,"min_amount":{"amount":100,"currency":"CNY"}`, "amount_or_range", "amount", 400},
		"both":          {fixed + `,"min_amount":{"amount":1,"currency":"CNY"},"max_amount":{"amount":2,"currency":"CNY"}`, "amount_or_range", "amount", 400},
		"upside down":   {`,"min_amount":{"amount":9,"currency":"CNY"},"max_amount":{"amount":2,"currency":"CNY"}`, "amount_out_of_range", "max_amount", 400},
		"over already":  {fixed + `,"expires_at":"2020-01-01T00:00:00Z"`, "expiry_out_of_range", "expires_at", 400},
		"a trick":       {fixed + `,"return_url":"https://shop.example.com@evil.example.com/"`, "return_url_malformed", "return_url", 400},
		"somebody else": {fixed + `,"merchant_id":"` + id.New(id.Merchant) + `"`, "", "", 400},
	} {
		t.Run(name, func(t *testing.T) {
			resp := f.link(c.more)
			require.Equal(t, c.status, resp.Code, resp.Body.String())
			if c.code != "" {
				resp.refused(c.status, c.code, c.field)
			}
		})
	}
	f.post("/v1/payment_links", `{"merchant_id":"`+id.New(id.Merchant)+`","subject":"s"`+fixed+`}`).
		refused(http.StatusUnprocessableEntity, "merchant_unknown", "merchant_id")

	made := f.link(fixed)
	_, stranger := f.newTenant()
	for _, target := range []string{"/v1/payment_links/" + made.field("id"), "/v1/payment_links/" + id.New(id.PaymentLink)} {
		f.get(target, "Authorization", "Bearer "+stranger).refused(http.StatusNotFound, "not_found", "")
		f.post(target+"/close", "", "Content-Type", "", "Authorization", "Bearer "+stranger).refused(http.StatusNotFound, "not_found", "")
	}
	require.Equal(t, "active", f.get("/v1/payment_links/" + made.field("id")).json()["status"])
}
