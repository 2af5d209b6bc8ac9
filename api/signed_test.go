package api

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/internal/id"
)

// signatory is an API key that demands signatures, and who signs for it.
type signatory struct {
	*fixture
	keyID, secret, signingKey string
	signer                    *client.Signer
	private                   ed25519.PrivateKey
}

func (f *fixture) newSignatory(demand string) *signatory {
	f.t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(f.t, err)
	made := f.post("/v1/api_keys", `{"name":"till","scopes":["*"],"signature":"`+demand+`","signing_key":{"name":"till","public_key":"`+
		base64.StdEncoding.EncodeToString(public)+`"}}`)
	require.Equal(f.t, http.StatusCreated, made.Code, made.Body)
	s := &signatory{fixture: f, keyID: made.field("id"), secret: made.field("secret"), private: private}
	list, _ := f.get("/v1/api_keys/" + s.keyID + "/signing_keys").json()["data"].([]any)
	require.Len(f.t, list, 1)
	first, _ := list[0].(map[string]any)
	s.signingKey, _ = first["id"].(string)
	s.signer, err = client.NewSigner(s.signingKey, private)
	require.NoError(f.t, err)
	return s
}

// request is a signed request that is good unless it is changed.
func (s *signatory) request(method, target, body string) *http.Request {
	r := s.unsigned(method, target, body)
	s.signer.Sign(r, []byte(body))
	return r
}

func (s *signatory) unsigned(method, target, body string) *http.Request {
	s.t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+s.secret)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", id.Number())
	}
	return r
}

func (s *signatory) serve(r *http.Request) response {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return response{w, s.t}
}

func (s *signatory) merchant() string {
	return `{"reference":"` + id.Number() + `","name":"n","settlement":"T0"}`
}

func TestAKeyDemandsSignatures(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for demand, want := range map[string][2]int{"never": {201, 200}, "money": {401, 200}, "always": {401, 401}} {
		s := f.newSignatory(demand)
		post, get := s.serve(s.unsigned("POST", "/v1/merchants", s.merchant())), s.serve(s.unsigned("GET", "/v1/merchants?limit=1", ""))
		require.Equal(t, want, [2]int{post.Code, get.Code}, demand)
		if post.Code == 401 {
			post.refused(401, "signature_missing", "")
		}
		require.Equal(t, 201, s.serve(s.request("POST", "/v1/merchants", s.merchant())).Code, demand)
		require.Equal(t, 200, s.serve(s.request("GET", "/v1/merchants?limit=1", "")).Code, demand)
		require.Equal(t, 200, s.serve(s.request("GET", "/v1/merchants", "")).Code, demand)
	}
	// A key that must sign makes none that need not.
	s := f.newSignatory("money")
	s.serve(s.request("POST", "/v1/api_keys", `{"name":"n","scopes":["*"]}`)).refused(403, "key_too_wide", "signature")
	s.serve(s.unsigned("POST", "/v1/api_keys/"+s.keyID+"/rotate", `{"overlap":0}`)).refused(401, "signature_missing", "")
}

func TestSigningKeysRotate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.newSignatory("always")
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	added := f.post("/v1/api_keys/"+s.keyID+"/signing_keys", `{"name":"next","public_key":"`+base64.StdEncoding.EncodeToString(public)+`"}`)
	require.Equal(t, http.StatusCreated, added.Code, added.Body)
	f.conforms(added, "SigningKey")
	f.conforms(f.get("/v1/api_keys/"+s.keyID+"/signing_keys"), "SigningKeyPage")
	next := *s
	next.signer, err = client.NewSigner(added.field("id"), private)
	require.NoError(t, err)
	for _, one := range []*signatory{s, &next} {
		require.Equal(t, 200, one.serve(one.request("GET", "/v1/merchants", "")).Code, "both are good")
	}
	retired := f.post("/v1/api_keys/"+s.keyID+"/signing_keys/"+s.signingKey+"/retire", `{"overlap":0}`)
	require.Equal(t, http.StatusOK, retired.Code, retired.Body)
	require.NotNil(t, retired.json()["retires_at"])
	require.Eventually(t, func() bool { return s.serve(s.request("GET", "/v1/merchants", "")).Code == 401 }, 5*time.Second, 50*time.Millisecond)
	require.Equal(t, 200, next.serve(next.request("GET", "/v1/merchants", "")).Code)
	f.post("/v1/api_keys/"+s.keyID+"/signing_keys", `{"name":"n","public_key":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`).
		refused(400, "public_key_weak", "public_key")
	f.post("/v1/api_keys/"+s.keyID+"/signing_keys", `{"name":"n","public_key":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB="}`).
		refused(400, "public_key_malformed", "public_key")
}

// sign makes a signature by hand, of other things than the client would sign.
func (s *signatory) sign(r *http.Request, body string, params func(components, nonce string, now int64) string, names ...string) {
	sum := sha256.Sum256([]byte(body))
	if body != "" && r.Header.Get("Content-Digest") == "" {
		r.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	}
	var quoted []string
	base := ""
	for _, name := range names {
		quoted = append(quoted, `"`+name+`"`)
		value := map[string]string{"@method": r.Method, "@authority": r.Host, "@path": r.URL.EscapedPath(), "@query": "?" + r.URL.RawQuery}[name]
		if value == "" {
			value = r.Header.Get(name)
		}
		base += `"` + name + `": ` + value + "\n"
	}
	all := params("("+strings.Join(quoted, " ")+")", id.Number(), time.Now().Unix())
	base += `"@signature-params": ` + all
	r.Header.Set("Signature-Input", "sig1="+all)
	r.Header.Set("Signature", "sig1=:"+base64.StdEncoding.EncodeToString(ed25519.Sign(s.private, []byte(base)))+":")
}

// usual are the parameters of a good signature, created at an offset in seconds and
// good for a while.
func (s *signatory) usual(offset, life int64) func(string, string, int64) string {
	return func(components, nonce string, now int64) string {
		return fmt.Sprintf(`%s;created=%d;expires=%d;nonce="%s";keyid="%s";alg="ed25519"`, components, now+offset, now+offset+life, nonce, s.signingKey)
	}
}

// covered is what a POST must cover.
func covered() []string {
	return []string{"@method", "@authority", "@path", "@query", "authorization", "content-digest", "idempotency-key"}
}

// TestSignatureGuards holds one case against each guard of the profile.
func TestSignatureGuards(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.newSignatory("money")
	body := s.merchant()
	byHand := func(params func(string, string, int64) string, names ...string) *http.Request {
		r := s.unsigned("POST", "/v1/merchants", body)
		s.sign(r, body, params, names...)
		return r
	}
	require.Equal(t, 201, s.serve(byHand(s.usual(0, 300), covered()...)).Code, "by hand")
	require.Equal(t, 409, s.serve(byHand(s.usual(-290, 300), "idempotency-key", "content-digest", "authorization", "@query", "@path", "@authority", "@method")).
		Code, "in any order; the reference is used")

	cases := map[string]struct {
		request *http.Request
		code    string
	}{
		"too old":       {byHand(s.usual(-301, 300), covered()...), "signature_time"},
		"from the past": {byHand(s.usual(-3600, 4000), covered()...), "signature_time"},
		"from a future": {byHand(s.usual(90, 200), covered()...), "signature_time"},
		"too long":      {byHand(s.usual(0, 301), covered()...), "signature_time"},
		"no nonce": {byHand(func(c, _ string, now int64) string {
			return fmt.Sprintf(`%s;created=%d;expires=%d;keyid="%s"`, c, now, now+60, s.signingKey)
		}, covered()...), "signature_malformed"},
		"short nonce": {byHand(func(c, _ string, now int64) string {
			return fmt.Sprintf(`%s;created=%d;expires=%d;nonce="1";keyid="%s"`, c, now, now+60, s.signingKey)
		}, covered()...), "signature_malformed"},
		"no expiry": {byHand(func(c, n string, now int64) string {
			return fmt.Sprintf(`%s;created=%d;nonce="%s";keyid="%s"`, c, now, n, s.signingKey)
		}, covered()...), "signature_malformed"},
	}
	for i, left := range covered() {
		names := append(append([]string{}, covered()[:i]...), covered()[i+1:]...)
		cases["without "+left] = struct {
			request *http.Request
			code    string
		}{byHand(s.usual(0, 300), names...), "signature_coverage"}
	}
	change := func(name, code string, edit func(r *http.Request)) {
		r := s.request("POST", "/v1/merchants", body)
		edit(r)
		cases[name] = struct {
			request *http.Request
			code    string
		}{r, code}
	}
	change("another method", "", func(r *http.Request) { r.Method = http.MethodPatch })
	change("another path", "signature_invalid", func(r *http.Request) {
		r.RequestURI, r.URL = "/v1/split_rules", &url.URL{Path: "/v1/split_rules"}
	})
	change("a query", "signature_invalid", func(r *http.Request) { r.RequestURI += "?x=1"; r.URL.RawQuery = "x=1" })
	change("another host", "signature_invalid", func(r *http.Request) { r.Host = "other.example.com" })
	change("another body", "signature_invalid", func(r *http.Request) {
		r.Body = http.NoBody
		*r = *withBody(r, strings.Replace(body, `"n"`, `"m"`, 1))
	})
	change("another body and digest", "signature_invalid", func(r *http.Request) {
		changed := strings.Replace(body, `"n"`, `"m"`, 1)
		*r = *withBody(r, changed)
		sum := sha256.Sum256([]byte(changed))
		r.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	})
	change("another idempotency key", "signature_invalid", func(r *http.Request) { r.Header.Set("Idempotency-Key", id.Number()) })
	change("another API key", "signature_invalid", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+f.newKey(f.tenant, "*")) })
	change("signature removed", "signature_missing", func(r *http.Request) { r.Header.Del("Signature"); r.Header.Del("Signature-Input") })
	change("half of it removed", "signature_malformed", func(r *http.Request) { r.Header.Del("Signature") })
	change("twice", "signature_malformed", func(r *http.Request) { r.Header.Add("Signature", r.Header.Get("Signature")) })
	change("a stranger's key", "signature_invalid", func(r *http.Request) {
		*r = *f.newSignatory("money").request("POST", "/v1/merchants", body)
		r.Header.Set("Authorization", "Bearer "+s.secret)
	})
	for name, c := range cases {
		resp := s.serve(c.request)
		if c.code == "" {
			require.GreaterOrEqual(t, resp.Code, 400, name)
			continue
		}
		t.Log(name)
		resp.refused(http.StatusUnauthorized, c.code, "")
	}
}

func withBody(r *http.Request, body string) *http.Request {
	changed := httptest.NewRequest(r.Method, r.RequestURI, strings.NewReader(body))
	changed.Header, changed.Host = r.Header, r.Host
	return changed
}

// TestASignatureIsGoodOnce, on whichever instance, however many try at once, and
// after a restart.
func TestASignatureIsGoodOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.newSignatory("money")
	second := *s
	second.fixture = f.instances(1, Rates{})[0]
	body := s.merchant()
	signed := s.request("POST", "/v1/merchants", body)
	var created, replayed atomic.Int64
	var calls sync.WaitGroup
	for i := range 20 {
		calls.Go(func() {
			resp := []*signatory{s, &second}[i%2].serve(withBody(signed, body))
			switch {
			case resp.Code == 201:
				created.Add(1)
			case resp.Code == 401 && strings.Contains(resp.Body.String(), "signature_replayed"):
				replayed.Add(1)
			default:
				t.Errorf("%d %s", resp.Code, resp.Body)
			}
		})
	}
	calls.Wait()
	require.Equal(t, int64(1), created.Load())
	require.Equal(t, int64(19), replayed.Load())
	third := *s
	third.fixture = f.instances(1, Rates{})[0]
	third.serve(withBody(signed, body)).refused(401, "signature_replayed", "")
	// A repetition that is signed anew is answered like any repetition.
	again := s.unsigned("POST", "/v1/merchants", body)
	again.Header.Set("Idempotency-Key", signed.Header.Get("Idempotency-Key"))
	s.signer.Sign(again, []byte(body))
	resp := s.serve(again)
	require.Equal(t, 201, resp.Code, resp.Body)
	require.Equal(t, "true", resp.Header().Get("Idempotency-Replayed"))
}

// TestTheClientSignsEveryTry drives the client against an instance that is away for
// the first try.
func TestTheClientSignsEveryTry(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.newSignatory("always")
	var tries atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) == 2 { // carried out, but the answer is lost
			f.handler.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		f.handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	api, err := client.New(client.Config{BaseURLs: []string{server.URL}, Key: s.secret, Signer: s.signer})
	require.NoError(t, err)
	_, err = api.ListMerchantsWithResponse(t.Context(), &client.ListMerchantsParams{})
	require.NoError(t, err)
	answer, err := api.CreateMerchantWithResponse(t.Context(), &client.CreateMerchantParams{IdempotencyKey: client.NewIdempotencyKey()},
		client.CreateMerchant{Reference: "signed", Name: "n", Settlement: client.SettlementT0})
	require.NoError(t, err)
	require.NotEmpty(t, answer.JSON201.ID)
	require.GreaterOrEqual(t, tries.Load(), int64(3))
}
