package payload

import (
	_ "embed"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"
)

// signIn is the page at which an operator hands the browser the token once.
//
//go:embed signin.html
var signIn []byte

const (
	// maxDecode bounds what is decrypted in one call; the Web UI asks event by event.
	maxDecode = 8 << 20
	cookie    = "suanpan_codec"
	// signedInFor is how long a browser keeps the token.
	signedInFor = 8 * time.Hour
)

// EndpointOptions configure the endpoint.
type EndpointOptions struct {
	Codec converter.PayloadCodec
	// Operators is the file of who may have payloads decrypted.
	Operators string
	// Origins are the Web UIs that may ask, such as https://temporal.example.com.
	Origins []string
	// Secure: browsers keep the token for https only.
	Secure bool
	Log    *slog.Logger
}

// endpoint serves Temporal's protocol for remote codecs, decrypting only.
type endpoint struct{ EndpointOptions }

// Endpoint serves POST /decode of Temporal's remote codec protocol for operators
// with a token, given as "Authorization: Bearer" or, once, on the page at /. Each
// call is logged with the operator's name, the refused ones too. Nothing is
// encrypted for anybody.
func Endpoint(o EndpointOptions) http.Handler {
	e := &endpoint{o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /{$}", e.page)
	mux.HandleFunc("POST /sign-in", e.signIn)
	mux.HandleFunc("OPTIONS /decode", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("POST /decode", e.decode)
	return e.guard(mux)
}

// guard answers browsers about origins and refuses those of strangers.
func (e *endpoint) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		switch {
		case origin == "" || r.URL.Path == "/sign-in":
		case slices.Contains(e.Origins, origin):
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
			h.Set("Access-Control-Allow-Methods", "POST")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Namespace")
		default:
			http.Error(w, "this origin is not in SUANPAN_CODEC_ORIGINS", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (e *endpoint) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(signIn)
}

// signIn keeps the token in the browser. The cookie goes along only with what the
// same site asks for, which is the Web UI beside this endpoint.
func (e *endpoint) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	token := strings.TrimSpace(r.PostFormValue("token"))
	name, ok := e.operator(r, token)
	if !ok {
		http.Error(w, "no operator has this token", http.StatusUnauthorized)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: token, Path: "/", MaxAge: int(signedInFor.Seconds()),
		HttpOnly: true, Secure: e.Secure, SameSite: http.SameSiteStrictMode})
	e.Log.Info("an operator signed in to read payloads", "operator", name, "remote", r.RemoteAddr)
	_, _ = io.WriteString(w, "Signed in as "+name+". Payloads are shown by the Web UI once it sends credentials to this address.\n")
}

// operator returns who has the token, and logs when nobody has.
func (e *endpoint) operator(r *http.Request, token string) (string, bool) {
	known, err := readOperators(e.Operators)
	if err != nil {
		e.Log.Error("nobody can read payloads", "error", err)
		return "", false
	}
	name, ok := known.who(token)
	if !ok {
		e.Log.Warn("somebody without a valid token asked for payloads", "path", r.URL.Path, "remote", r.RemoteAddr)
	}
	return name, ok
}

func tokenOf(r *http.Request) string {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return token
	}
	if c, err := r.Cookie(cookie); err == nil {
		return c.Value
	}
	return ""
}

func (e *endpoint) decode(w http.ResponseWriter, r *http.Request) {
	name, ok := e.operator(r, tokenOf(r))
	if !ok {
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "sign in at the root of this address, or send a bearer token", http.StatusUnauthorized)
		return
	}
	// Only JSON: a form of a strange page cannot ask without the browser's consent.
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != "application/json" {
		http.Error(w, "the body must be application/json", http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDecode))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		http.Error(w, "too much at once", http.StatusRequestEntityTooLarge)
		return
	}
	var in commonpb.Payloads
	if err != nil || protojson.Unmarshal(body, &in) != nil {
		http.Error(w, "the body is no list of payloads", http.StatusBadRequest)
		return
	}
	out, err := e.Codec.Decode(in.Payloads)
	e.Log.Info("payloads were decrypted for an operator", "operator", name, "payloads", len(in.Payloads),
		"namespace", r.Header.Get("X-Namespace"), "remote", r.RemoteAddr, "ok", err == nil)
	if err != nil {
		http.Error(w, "a payload does not open: it was changed, or its key is not here", http.StatusBadRequest)
		return
	}
	answer, err := protojson.Marshal(&commonpb.Payloads{Payloads: out})
	if err != nil {
		http.Error(w, "cannot answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer)
}
