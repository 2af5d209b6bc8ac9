package signature

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The vector of RFC 9421, B.2.6 with the key pair of B.1.4.
const (
	vectorPublic  = "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="
	vectorPrivate = "n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcU="
	vectorInput   = `sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`
	vectorSig     = `sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:`
	vectorBase    = `"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`
)

// vectorRequest is the request of B.2.
func vectorRequest() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/foo?param=Value&Pet=dog", strings.NewReader(`{"hello": "world"}`))
	r.Host = "example.com"
	r.Header.Set("Date", "Tue, 20 Apr 2021 02:07:55 GMT")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Content-Length", "18")
	return r
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	return raw
}

func TestTheVectorOfTheRFCVerifies(t *testing.T) {
	t.Parallel()
	c, err := Parse(vectorInput, vectorSig)
	require.NoError(t, err)
	require.Equal(t, "test-key-ed25519", c.KeyID)
	require.Equal(t, time.Unix(1618884473, 0), c.Created)
	r := vectorRequest()
	base, err := c.base(func(name string) (string, bool) { return component(r, name) })
	require.NoError(t, err)
	require.Equal(t, vectorBase, base)
	require.NoError(t, c.Verify(r, decode(t, vectorPublic)))
	require.Equal(t, c.value, ed25519.Sign(ed25519.NewKeyFromSeed(decode(t, vectorPrivate)), []byte(base)), "Ed25519 signs the same bytes")
	for i := range c.value {
		c.value[i] ^= 1
		require.ErrorIs(t, c.Verify(r, decode(t, vectorPublic)), ErrInvalid)
		c.value[i] ^= 1
	}
	r.Method = http.MethodPut
	require.ErrorIs(t, c.Verify(r, decode(t, vectorPublic)), ErrInvalid)
	require.ErrorIs(t, c.Verify(vectorRequest(), nil), ErrInvalid)
	r = vectorRequest()
	r.Header.Add("Date", "Tue, 20 Apr 2021 02:07:55 GMT")
	require.ErrorIs(t, c.Verify(r, decode(t, vectorPublic)), ErrMalformed, "a field that occurs twice")
}

// The digest of RFC 9530, D.1, and RFC 9421, B.2.
func TestTheDigestOfTheRFC(t *testing.T) {
	t.Parallel()
	require.Equal(t, "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:", Digest([]byte(`{"hello": "world"}`)))
}

func TestOneSpellingOnly(t *testing.T) {
	t.Parallel()
	input := `sig1=("@method" "@path");created=1;expires=2;nonce="0123456789abcdef";keyid="k";alg="ed25519"`
	sig := "sig1=:" + strings.Repeat("A", 86) + "==:"
	_, err := Parse(input, sig)
	require.NoError(t, err)
	with := func(old, replacement string) string {
		require.Contains(t, input, old)
		return strings.Replace(input, old, replacement, 1)
	}
	for name, bad := range map[string]string{
		"empty": "", "two members": input + ", " + strings.Replace(input, "sig1", "sig2", 1), "space before": " " + input, "space after": input + " ",
		"upper case label": with("sig1", "Sig1"), "other label": with("sig1", "sig2"), "repeated component": with(`"@path"`, `"@path" "@path"`),
		"parameter of a component": with(`"@path"`, `"@path";req`), "two spaces": with(`" "`, `"  "`), "tab": with(`" "`, "\"\t\""),
		"no components": with(`"@method" "@path"`, ``), "upper case component": with("@path", "@Path"),
		"created twice": with("created=1", "created=1;created=1"), "negative": with("created=1", "created=-1"),
		"a fraction": with("created=1", "created=1.0"), "quoted number": with("created=1", `created="1"`), "bare key": with(`keyid="k"`, `keyid=k`),
		"a number as key": with(`keyid="k"`, `keyid=7`), "escape": with(`keyid="k"`, `keyid="\k"`), "quote": with(`keyid="k"`, `keyid="k\""`),
		"unknown parameter": input + `;tag="x"`, "other algorithm": with("ed25519", "hmac-sha256"), "algorithm none": with("ed25519", "none"),
		"space around semicolon": with(";created", "; created"), "trailing semicolon": input + ";", "very long number": with("created=1", "created="+strings.Repeat("9", 16)),
		"long": with(`keyid="k"`, `keyid="`+strings.Repeat("k", 65)+`"`), "very long": strings.Repeat(input, 20), "not ASCII": with(`"k"`, `"ключ"`),
		"line feed": input + "\n", "NUL": with(`"k"`, "\"\x00\""),
	} {
		_, err := Parse(bad, sig)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
	for name, bad := range map[string]string{
		"empty": "", "no colons": strings.ReplaceAll(sig, ":", ""), "short": "sig1=:" + strings.Repeat("A", 84) + "==:", "no padding": strings.Replace(sig, "=:", ":", 1),
		"url alphabet": strings.Replace(sig, "AA", "-_", 1), "not canonical": strings.Replace(sig, "A==", "B==", 1), "two": sig + ", " + sig, "parameter": sig + ";a",
		"long": strings.Repeat(sig, 9),
	} {
		_, err := Parse(input, bad)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
}

func TestTimesOfASignature(t *testing.T) {
	t.Parallel()
	now := time.Unix(2_000_000_000, 500_000_000)
	at := func(created, expires int64) bool {
		return Claim{Created: time.Unix(now.Unix()+created, 0), Expires: time.Unix(now.Unix()+expires, 0)}.inTime(now)
	}
	for _, good := range [][2]int64{{0, 300}, {-299, 1}, {60, 360}, {-1, 1}, {0, 1}} {
		require.True(t, at(good[0], good[1]), good)
	}
	for _, bad := range [][2]int64{{0, 301}, {-301, -1}, {-300, 0}, {61, 300}, {301, 600}, {0, 0}, {1, 1}, {5, 4}, {-10, 0}, {-1_000_000, 1}, {0, 1_000_000_000}} {
		require.False(t, at(bad[0], bad[1]), bad)
	}
	far := Claim{Created: time.Unix(999999999999999, 0), Expires: time.Unix(999999999999999, 0)}
	require.False(t, far.inTime(now), "milliseconds, or anything else that is far away")
}

// FuzzSignatureFields: what is taken reads back as itself, and signs what it says.
func FuzzSignatureFields(f *testing.F) {
	f.Add(vectorInput, vectorSig)
	f.Add(`sig1=("@method");created=1;expires=2;nonce="n";keyid="k";alg="ed25519"`, "sig1=:"+strings.Repeat("A", 86)+"==:")
	f.Add(`a=("x");a=1`, "a=::")
	f.Fuzz(func(t *testing.T, input, sig string) {
		c, err := Parse(input, sig)
		if err != nil {
			return
		}
		require.Len(t, c.value, ed25519.SignatureSize)
		label, params, _ := strings.Cut(input, "=")
		require.Equal(t, params, c.params)
		require.Equal(t, label+"=:"+base64.StdEncoding.EncodeToString(c.value)+":", sig, "a second spelling")
		require.True(t, strings.HasPrefix(c.params, `("`+strings.Join(c.Components, `" "`)+`")`))
		base, err := c.base(func(string) (string, bool) { return "v", true })
		require.NoError(t, err)
		require.Equal(t, len(c.Components), strings.Count(base, "\n"), "a line of the base comes from nowhere")
	})
}

// FuzzContentDigest: only the digest of the body is the digest of the body.
func FuzzContentDigest(f *testing.F) {
	f.Add("sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:", []byte(`{"hello": "world"}`))
	f.Add("sha-512=::", []byte("{}"))
	f.Fuzz(func(t *testing.T, field string, body []byte) {
		h := http.Header{"Content-Digest": {field}}
		require.Equal(t, field == Digest(body), digestMatches(h, body))
		require.Equal(t, len(body) == 0, digestMatches(http.Header{}, body))
		require.False(t, digestMatches(http.Header{"Content-Digest": {field, field}}, body))
	})
}

// The worked example of docs/api.md.
func TestTheExampleOfTheDocumentation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/api.md")
	require.NoError(t, err)
	_, text, found := strings.Cut(string(page), "```\n\"@method\": POST\n")
	require.True(t, found)
	base, text, _ := strings.Cut("\"@method\": POST\n"+text, "\n```\n")
	_, text, _ = strings.Cut(text, "```\n")
	fields, _, _ := strings.Cut(text, "```\n")
	r := httptest.NewRequest(http.MethodPost, "/v1/merchants", strings.NewReader(`{"hello": "world"}`))
	r.Host = "pay.example.com"
	r.Header.Set("Authorization", "Bearer sk_test_"+strings.Repeat("0", 43))
	r.Header.Set("Idempotency-Key", "5d2f9c1e-0c8b-4b7e-9a51-6a6f7f1f8c11")
	for line := range strings.Lines(fields) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		r.Header.Set(name, value)
	}
	right := base64.StdEncoding.EncodeToString(ed25519.Sign(ed25519.NewKeyFromSeed(decode(t, vectorPrivate)), []byte(base)))
	require.Equal(t, "sig1=:"+right+":", r.Header.Get("Signature"), "the page's signature")
	c, err := Read(r, []byte(`{"hello": "world"}`), time.Unix(1_800_000_000, 0))
	require.NoError(t, err)
	require.NoError(t, c.Verify(r, decode(t, vectorPublic)))
	made, err := c.base(func(name string) (string, bool) { return component(r, name) })
	require.NoError(t, err)
	require.Equal(t, base, made)
}
