package api

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

const browserAgent = "Mozilla/5.0 (X11; Linux x64) AppleWebKit/537.36 Chrome/129.0.0.0 Safari/537.36"

// browse asks for a page, or posts a form to one, as a payer's browser on a PC.
func (f *fixture) browse(target string, form url.Values) *httptest.ResponseRecorder {
	f.t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	r := httptest.NewRequestWithContext(f.t.Context(), method, target, strings.NewReader(form.Encode()))
	r.Header.Set("User-Agent", browserAgent)
	r.Header.Set("Accept-Language", "en")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w
}

// sell opens or suspends a product of the fixture's account.
func (f *fixture) sell(product string, status tenant.ProductStatus) {
	f.t.Helper()
	require.NoError(f.t, f.db.DB.InTenant(f.t.Context(), f.tenant, func(tx pgx.Tx) error {
		return tenant.SetProducts(f.t.Context(), tx, f.tenant, f.channel.ID, []tenant.ProductChange{{Product: product, Status: status}})
	}))
}

// unchosen is a payment whose payer chooses, and the path of its page.
func (f *fixture) unchosen(more string) (payment response, page string) {
	f.t.Helper()
	payment = f.post("/v1/payments", `{"merchant_id":"`+f.merchant+`","reference":"`+id.Number()+
		`","amount":{"amount":6800,"currency":"CNY"},"subject":"Two coffees"`+more+`}`)
	require.Equal(f.t, http.StatusCreated, payment.Code, payment.Body.String())
	return payment, strings.TrimPrefix(payment.field("checkout_url"), "https://pay.example.com")
}

func offered(html string) []string {
	ways := []string{}
	for _, m := range regexp.MustCompile(`name="m" value="([^"]+)"`).FindAllStringSubmatch(html, -1) {
		ways = append(ways, m[1])
	}
	return ways
}

func (f *fixture) attempts(paymentID string) []any {
	f.t.Helper()
	all, ok := f.get("/v1/payments/" + paymentID).json()["attempts"].([]any)
	require.True(f.t, ok)
	return all
}

func TestThePageOffersWhatTheTenantHasOpened(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.handler = f.serve(Options{Dev: true, PublicURL: "https://pay.example.com"})
	f.sell("qr", tenant.ProductNotOpened)
	_, page := f.unchosen("")
	require.Empty(t, offered(f.browse(page, nil).Body.String()), "nothing is opened")
	for _, product := range []string{"qr", "page", "wap", "barcode"} {
		f.sell(product, tenant.ProductOpened)
	}
	shown := f.browse(page, nil)
	require.Equal(t, http.StatusOK, shown.Code)
	require.Equal(t, []string{"alipay.qr", "alipay.page"}, offered(shown.Body.String()))
	for _, word := range []string{"¥68.00", "A shop", "Two coffees"} {
		require.Contains(t, shown.Body.String(), word)
	}
	for _, secret := range []string{f.tenant, f.merchant, f.channel.ID, f.key, "9021000000000000"} {
		require.NotContains(t, shown.Body.String(), secret, "a page names nothing of the inside")
	}
	f.sell("qr", tenant.ProductSuspended)
	require.Equal(t, []string{"alipay.page"}, offered(f.browse(page, nil).Body.String()))
	w := f.browse(page, url.Values{"m": {"alipay.qr"}, "nonce": {rand.Text()}})
	require.Contains(t, w.Header().Get("Location"), "why=refused", "a page that was open before the suspension is refused")
}

func TestADoubleClickMakesOneAttempt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.handler = f.serve(Options{Dev: true, PublicURL: "https://pay.example.com"})
	f.sell("qr", tenant.ProductOpened)
	f.sell("page", tenant.ProductOpened)
	p, page := f.unchosen("")
	nonce := rand.Text()
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { f.browse(page, url.Values{"m": {"alipay.qr"}, "nonce": {nonce}}) })
	}
	wg.Wait()
	require.Len(t, f.attempts(p.field("id")), 1)
	w := f.browse(page, url.Values{"m": {"alipay.qr"}, "nonce": {rand.Text()}})
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Len(t, f.attempts(p.field("id")), 1, "another tab finds the open one")
	w = f.browse(page, url.Values{"m": {"alipay.page"}, "nonce": {rand.Text()}})
	require.Equal(t, page+"?m=alipay.page", w.Header().Get("Location"))
	require.Len(t, f.attempts(p.field("id")), 2)
	var back string
	require.NoError(t, f.db.Pool.QueryRow(t.Context(), `select return_url from attempts where product = 'page'`).Scan(&back))
	require.Equal(t, "https://pay.example.com"+page+"?m=alipay.page", back, "the provider sends the payer back to the page")
}

func TestThePayerGoesBackOnlyWhereTheTenantSaid(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.handler = f.serve(Options{Dev: true, PublicURL: "https://pay.example.com"})
	p, page := f.unchosen(`,"return_url":"https://shop.example.com/thanks?o=1"`)
	require.Equal(t, "https://shop.example.com/thanks?o=1", p.field("return_url"))
	for _, query := range []string{"?return_url=https://evil.example.com", "?m=https://evil.example.com", "?lang=//evil.example.com"} {
		w := f.browse(page+query, nil)
		require.Equal(t, http.StatusOK, w.Code)
		require.Empty(t, w.Header().Get("Location"))
		require.NotContains(t, w.Body.String(), `href="https://evil`)
	}
	cancelled := f.post("/v1/payments/"+p.field("id")+"/cancel", "", "Content-Type", "")
	require.Equal(t, http.StatusOK, cancelled.Code, cancelled.Body.String())
	_, err := f.db.Pool.Exec(t.Context(), `update payments set status = 'closed', close_reason = 'cancelled', closed_at = now(), driven = false`)
	require.NoError(t, err)
	shown := f.browse(page, nil).Body.String()
	require.Contains(t, shown, `data-screen="cancelled"`)
	require.Contains(t, shown, `href="https://shop.example.com/thanks?o=1"`)

	for _, wrong := range []string{"https://shop.example.com@evil.example.com/", "http:///path"} {
		body := `{"merchant_id":"` + f.merchant + `","reference":"` + id.Number() + `","amount":{"amount":1,"currency":"CNY"},"subject":"s","return_url":"` + wrong + `"}`
		f.post("/v1/payments", body).refused(http.StatusBadRequest, "return_url_malformed", "return_url")
	}
	body := `{"merchant_id":"` + f.merchant + `","reference":"x","amount":{"amount":1,"currency":"CNY"},"subject":"s","return_url":"javascript:alert(1)"}`
	require.Equal(t, http.StatusBadRequest, f.post("/v1/payments", body).Code)
}

func TestTokensThatDoNotExistAreAlike(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.handler = f.serve(Options{Dev: true, PublicURL: "https://pay.example.com"})
	_, page := f.unchosen("")
	link := f.post("/v1/payment_links", `{"merchant_id":"`+f.merchant+`","subject":"s","amount":{"amount":1,"currency":"CNY"}}`)
	linkToken := strings.TrimPrefix(link.field("url"), "https://pay.example.com/pay/")
	known := strings.TrimPrefix(page, "/checkout/")
	var first string
	for _, token := range []string{rand.Text(), "x", strings.ToLower(known), known[1:] + "A", linkToken, id.New(id.Payment), strings.Repeat("A", 300)} {
		w := f.browse("/checkout/"+token, nil)
		require.Equal(t, http.StatusNotFound, w.Code, token)
		body := strings.ReplaceAll(w.Body.String(), "/checkout/"+token+"?", "/checkout/TOKEN?")
		if first == "" {
			first = body
		}
		require.Equal(t, first, body, token)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'")
	}
	require.Equal(t, http.StatusNotFound, f.browse("/pay/"+known, nil).Code, "a payment's token is no link's")
	require.Equal(t, http.StatusMethodNotAllowed, f.send(http.MethodDelete, page, nil).Code)
	require.NotContains(t, f.log.String(), known, "tokens are not in the log")
}
