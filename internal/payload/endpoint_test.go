package payload_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/session"
	"github.com/suanpan/suanpan/internal/payload"
	"github.com/suanpan/suanpan/internal/pgtest"
)

const webUI = "https://temporal.example.com"

// desk is an endpoint with one operator, anna.
type desk struct {
	*testing.T
	url, token, file string
	sealed           string // a body for /decode
	log              *bytes.Buffer
}

func newDesk(t *testing.T) desk {
	t.Helper()
	t.Parallel()
	db := pgtest.New(t)
	codec := payload.NewCodec(newRing(t, db, secret.NewMasterKeyText()))
	sealed, err := codec.Encode([]*commonpb.Payload{{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(`"` + canary + `"`)}})
	require.NoError(t, err)
	body, err := protojson.Marshal(&commonpb.Payloads{Payloads: sealed})
	require.NoError(t, err)
	token, line, err := payload.NewToken("anna")
	require.NoError(t, err)
	require.NotContains(t, line, token)
	d := desk{T: t, token: token, file: filepath.Join(t.TempDir(), "operators"), sealed: string(body), log: &bytes.Buffer{}}
	require.NoError(t, os.WriteFile(d.file, []byte("# who may\n\n"+line), 0o600))
	server := httptest.NewServer(payload.Endpoint(payload.EndpointOptions{Codec: codec, Operators: d.file, Origins: []string{webUI},
		Sessions: session.Page{DB: db.DB, Name: "codec", Idle: payload.SessionIdle, Life: payload.SessionLife}, Secure: true, Log: slog.New(slog.NewJSONHandler(d.log, nil))}))
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

func (d desk) ask(method, path, body string, headers ...string) (*http.Response, string) {
	d.Helper()
	r, err := http.NewRequestWithContext(d.Context(), method, d.url+path, strings.NewReader(body))
	require.NoError(d, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(d, err)
	defer answer.Body.Close()
	var text bytes.Buffer
	_, err = text.ReadFrom(answer.Body)
	require.NoError(d, err)
	return answer, text.String()
}

func (d desk) open(text string) string {
	d.Helper()
	var out commonpb.Payloads
	require.NoError(d, protojson.Unmarshal([]byte(text), &out), text)
	return string(out.Payloads[0].Data)
}

func TestAnOperatorReadsPayloads(t *testing.T) {
	d := newDesk(t)
	answer, text := d.ask(http.MethodPost, "/decode", d.sealed, "Authorization", "Bearer "+d.token, "Origin", webUI, "X-Namespace", "suanpan")
	require.Equal(t, http.StatusOK, answer.StatusCode, text)
	require.Equal(t, `"`+canary+`"`, d.open(text))
	require.Equal(t, webUI, answer.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
	for _, word := range []string{`"operator":"anna"`, `"namespace":"suanpan"`, `"payloads":1`} {
		require.Contains(t, d.log.String(), word)
	}
	require.NotContains(t, d.log.String(), canary)
	require.NotContains(t, d.log.String(), d.token)

	// An operator whose line is taken out reads nothing from the next call on.
	require.NoError(t, os.WriteFile(d.file, nil, 0o600))
	answer, _ = d.ask(http.MethodPost, "/decode", d.sealed, "Authorization", "Bearer "+d.token)
	require.Equal(t, http.StatusUnauthorized, answer.StatusCode)
}

// signIn is what the page does with a token; the answer's cookie is the session.
func (d desk) signIn(token string, headers ...string) (*http.Response, string) {
	d.Helper()
	return d.ask(http.MethodPost, "/sign-in", url.Values{"token": {token}}.Encode(),
		append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

// session signs the operator in and returns the header that the browser sends from then on.
func (d desk) session(headers ...string) (cookie string) {
	d.Helper()
	answer, text := d.signIn(d.token, headers...)
	require.Equal(d, http.StatusSeeOther, answer.StatusCode, text)
	require.Equal(d, "/", answer.Header.Get("Location"))
	kept := answer.Cookies()
	require.Len(d, kept, 1)
	require.Equal(d, "__Host-suanpan_codec", kept[0].Name)
	require.True(d, kept[0].HttpOnly && kept[0].Secure && kept[0].SameSite == http.SameSiteStrictMode && kept[0].Path == "/" && kept[0].Domain == "")
	require.NotContains(d, kept[0].Value, d.token)
	return kept[0].Name + "=" + kept[0].Value
}

func (d desk) reads(cookie string) bool {
	d.Helper()
	answer, text := d.ask(http.MethodPost, "/decode", d.sealed, "Cookie", cookie, "Origin", webUI)
	if answer.StatusCode == http.StatusOK {
		require.Equal(d, `"`+canary+`"`, d.open(text))
		return true
	}
	require.Equal(d, http.StatusUnauthorized, answer.StatusCode)
	return false
}

func (d desk) operators(lines string) {
	d.Helper()
	require.NoError(d, os.WriteFile(d.file, []byte(lines), 0o600))
}

func TestSignedInAndOut(t *testing.T) {
	d := newDesk(t)
	one, two := d.session(), d.session()
	require.NotEqual(t, one, two)
	require.True(t, d.reads(one) && d.reads(two))
	require.False(t, d.reads("__Host-suanpan_codec="+d.token), "the token itself is no session")
	require.False(t, d.reads(strings.Replace(one, "__Host-", "", 1)), "another cookie")
	_, page := d.ask(http.MethodGet, "/", "", "Cookie", one)
	require.Contains(t, page, "Signed in as <b>anna</b>")
	require.Contains(t, page, `action="/sign-out"`)
	require.NotContains(t, page, `name="token"`)

	// Signing in again is another session, and ends the browser's one before.
	again := d.session("Cookie", one)
	require.False(t, d.reads(one))
	require.True(t, d.reads(again) && d.reads(two))

	// Signing out ends it everywhere, and clears the browser.
	answer, _ := d.ask(http.MethodPost, "/sign-out", "", "Content-Type", "application/x-www-form-urlencoded", "Cookie", again)
	require.Equal(t, http.StatusSeeOther, answer.StatusCode)
	require.Negative(t, answer.Cookies()[0].MaxAge)
	require.Contains(t, answer.Header.Get("Clear-Site-Data"), `"cookies"`)
	require.False(t, d.reads(again))
	require.False(t, d.reads(two))
	_, page = d.ask(http.MethodGet, "/", "", "Cookie", again)
	require.Contains(t, page, `name="token"`)

	// A session lives no longer than the line that let its operator in.
	kept, err := os.ReadFile(d.file)
	require.NoError(t, err)
	now := d.session()
	_, other, err := payload.NewToken("anna")
	require.NoError(t, err)
	for _, lines := range []string{"", other, strings.Replace(string(kept), "anna", "ben", 1)} {
		d.operators(lines)
		require.False(t, d.reads(now), lines)
		d.operators(string(kept))
		require.True(t, d.reads(now))
	}

	// Other sites' forms neither sign in nor out.
	for _, headers := range [][]string{{"Origin", "https://evil.example.com"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
		answer, _ := d.signIn(d.token, headers...)
		require.Equal(t, http.StatusForbidden, answer.StatusCode, headers)
		require.Empty(t, answer.Cookies())
		answer, _ = d.ask(http.MethodPost, "/sign-out", "", append([]string{"Content-Type", "application/x-www-form-urlencoded", "Cookie", now}, headers...)...)
		require.Equal(t, http.StatusForbidden, answer.StatusCode, headers)
	}
	require.True(t, d.reads(now))
	d.session("Origin", d.url, "Sec-Fetch-Site", "same-origin")

	for _, word := range []string{`"an operator signed in to read payloads","operator":"anna"`, `"an operator signed out","operator":"anna"`,
		`"event":"authentication_failed"`, "a form of another site was refused"} {
		require.Contains(t, d.log.String(), word)
	}
	for _, hidden := range []string{d.token, strings.SplitN(now, "=", 2)[1], canary} {
		require.NotContains(t, d.log.String(), hidden)
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	d := newDesk(t)
	for _, c := range []struct{ method, path string }{{"GET", "/"}, {"GET", "/healthz"}, {"GET", "/nowhere"}, {"GET", "/decode"},
		{"POST", "/decode"}, {"POST", "/sign-in"}, {"POST", "/sign-out"}, {"OPTIONS", "/decode"}} {
		answer, text := d.ask(c.method, c.path, "")
		for header, value := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Strict-Transport-Security": "max-age=63072000; includeSubDomains"} {
			require.Equal(t, value, answer.Header.Get(header), "%s %s", c.method, c.path)
		}
		for _, word := range []string{"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} {
			require.Contains(t, answer.Header.Get("Content-Security-Policy"), word)
		}
		require.NotContains(t, answer.Header.Get("Content-Security-Policy"), "unsafe")
		if text != "" {
			require.Contains(t, answer.Header.Get("Content-Type"), "charset=utf-8", "%s %s", c.method, c.path)
		}
		require.Empty(t, answer.Header.Get("Access-Control-Allow-Origin"))
	}
}

func TestNobodyElseReadsPayloads(t *testing.T) {
	d := newDesk(t)
	stranger, _, err := payload.NewToken("anna")
	require.NoError(t, err)
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
	}{
		"nobody":             {http.MethodPost, "/decode", d.sealed, nil, 401},
		"empty":              {http.MethodPost, "/decode", d.sealed, bearer(""), 401},
		"stranger":           {http.MethodPost, "/decode", d.sealed, bearer(stranger), 401},
		"cut":                {http.MethodPost, "/decode", d.sealed, bearer(d.token[:len(d.token)-1]), 401},
		"basic":              {http.MethodPost, "/decode", d.sealed, []string{"Authorization", "Basic " + d.token}, 401},
		"token in the query": {http.MethodPost, "/decode?token=" + d.token, d.sealed, nil, 401},
		"sign-in":            {http.MethodPost, "/sign-in", "token=" + stranger, []string{"Content-Type", "application/x-www-form-urlencoded"}, 401},
		"strange origin":     {http.MethodPost, "/decode", d.sealed, append(bearer(d.token), "Origin", "https://evil.example.com"), 403},
		"origin null":        {http.MethodPost, "/decode", d.sealed, append(bearer(d.token), "Origin", "null"), 403},
		"preflight":          {http.MethodOptions, "/decode", "", []string{"Origin", "https://evil.example.com"}, 403},
		"a form":             {http.MethodPost, "/decode", d.sealed, append(bearer(d.token), "Content-Type", "text/plain"), 415},
		"no payloads":        {http.MethodPost, "/decode", "[", bearer(d.token), 400},
		"forged":             {http.MethodPost, "/decode", strings.Replace(d.sealed, `"data":"AQ`, `"data":"Ag`, 1), bearer(d.token), 400},
		"too much":           {http.MethodPost, "/decode", strings.Repeat(" ", 9<<20), bearer(d.token), 413},
		"encode":             {http.MethodPost, "/encode", d.sealed, bearer(d.token), 404},
		"read by GET":        {http.MethodGet, "/decode", "", bearer(d.token), 405},
	} {
		answer, text := d.ask(c.method, c.path, c.body, c.headers...)
		require.Equal(t, c.status, answer.StatusCode, "%s: %s", name, text)
		require.NotContains(t, text, "13800138000", name)
		require.NotEqual(t, "https://evil.example.com", answer.Header.Get("Access-Control-Allow-Origin"), name)
	}
	answer, _ := d.ask(http.MethodOptions, "/decode", "", "Origin", webUI)
	require.Equal(t, http.StatusNoContent, answer.StatusCode)
	require.Equal(t, "true", answer.Header.Get("Access-Control-Allow-Credentials"))
	answer, text := d.ask(http.MethodGet, "/", "")
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Contains(t, text, `type="password"`)
	require.Contains(t, answer.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
}

func TestOperatorsNames(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "Anna", "a b", "a\nb", strings.Repeat("a", 65), "-a"} {
		_, _, err := payload.NewToken(bad)
		require.Error(t, err, "%q", bad)
	}
}
