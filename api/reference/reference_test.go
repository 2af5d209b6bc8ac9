package reference

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

func contract(t *testing.T) *openapi3.T {
	t.Helper()
	text, err := os.ReadFile("../openapi.yaml")
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(text)
	require.NoError(t, err)
	return doc
}

func get(t *testing.T, h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestThePageShowsEveryOperationAndEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	doc := contract(t)
	h, err := New(doc)
	require.NoError(t, err)
	answer := get(t, h, PagePath)
	require.Equal(t, http.StatusOK, answer.Code)
	html := answer.Body.String()
	anchors := map[string]bool{}
	for _, found := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(html, -1) {
		require.False(t, anchors[found[1]], "%s stands for two places", found[1])
		anchors[found[1]] = true
	}
	operations := 0
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			operations++
			require.True(t, anchors[op.OperationID], "%s %s is not on the page: give it a tag", method, path)
			require.NotEmpty(t, op.Summary, op.OperationID)
		}
	}
	require.Greater(t, operations, 60)
	links := regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(html, -1)
	require.Greater(t, len(links), operations)
	for _, link := range links {
		require.True(t, anchors[link[1]], "the link to %s leads nowhere", link[1])
	}
	require.NotRegexp(t, `(?i)<script[^>]*>[^<]|style="| on[a-z]+="|<(link|script|img)[^>]+(href|src)="https?:`, html,
		"the page's policy allows nothing inline and nothing from elsewhere")
	require.NotContains(t, html, "ZgotmplZ")
}

func TestEveryCodeOfAnOperationHasWords(t *testing.T) {
	t.Parallel()
	doc := contract(t)
	codes, err := codesOf(doc)
	require.NoError(t, err)
	require.NotEmpty(t, codes)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			for _, name := range stringsOf(op.Extensions["x-codes"]) {
				at := slices.IndexFunc(codes, func(c code) bool { return c.Code == name })
				require.GreaterOrEqual(t, at, 0, "%s %s: %s is not in x-errors", method, path, name)
			}
		}
	}
}

func TestTheFilesAreSmallSafeAndCached(t *testing.T) {
	t.Parallel()
	h, err := New(contract(t))
	require.NoError(t, err)
	for path, most := range map[string]int{PagePath: 100_000, StylePath: 5_000, ScriptPath: 3_000} {
		packed := get(t, h, path, "Accept-Encoding", "gzip, br")
		require.Equal(t, "gzip", packed.Header().Get("Content-Encoding"))
		require.Less(t, packed.Body.Len(), most, path)
		t.Log(path, packed.Body.Len(), "bytes on the wire")
		reader, err := gzip.NewReader(packed.Body)
		require.NoError(t, err)
		unpacked, err := io.ReadAll(reader)
		require.NoError(t, err)
		plain := get(t, h, path)
		require.Equal(t, plain.Body.String(), string(unpacked))
		require.Contains(t, plain.Header().Get("Content-Security-Policy"), "default-src 'none'")
		require.NotContains(t, plain.Header().Get("Content-Security-Policy"), "unsafe")
		again := get(t, h, path, "If-None-Match", plain.Header().Get("ETag"))
		require.Equal(t, http.StatusNotModified, again.Code)
		require.Empty(t, again.Body.String())
	}
	require.Equal(t, http.StatusNotFound, get(t, h, "/docs/page.html").Code)
}

func TestProseEscapesWhatIsNotItsMarkdown(t *testing.T) {
	t.Parallel()
	require.Equal(t, `<p>a <strong>b</strong> <code>&lt;c&gt;</code> &lt;script&gt;</p><ul><li>one two</li><li>three</li></ul><p>end</p>`,
		string(prose("a **b** `<c>`\n<script>\n- one\n  two\n- three\n\nend\n")))
}

func TestExamplesCanBePasted(t *testing.T) {
	t.Parallel()
	p, err := pageOf(contract(t))
	require.NoError(t, err)
	found := map[string]operation{}
	for _, g := range p.Groups {
		for _, o := range g.Operations {
			found[o.ID] = o
		}
	}
	require.Equal(t, `curl -sS "$API/v1/payments/$PAYMENT_ID/refunds" \
  -H "Authorization: Bearer $KEY" \
  -H "Idempotency-Key: $(uuidgen)" \
  -H 'Content-Type: application/json' -d '{
  "reference": "order-20261123-000042",
  "amount": {
    "amount": 19900,
    "currency": "CNY"
  },
  "reason": "One coffee was cold"
}'`, found["createRefund"].Curl)
	require.Contains(t, found["createRefund"].TypeScript, "const answer = await api.createRefund(paymentId, {\n  reference: \"order-")
	require.Contains(t, found["listPayments"].TypeScript, "for await (const item of api.listPayments()) {")
	require.Contains(t, found["listVouchers"].Curl, "/v1/vouchers?date=2026-11-23")
	require.Contains(t, found["createPayment"].Example, `"status": "processing"`)
	require.Contains(t, found["deleteWebhookEndpoint"].Curl, "-X DELETE")
}
