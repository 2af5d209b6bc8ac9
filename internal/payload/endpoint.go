package payload

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"
)

// signInPage is where an operator hands the browser the token once, and ends that.
//
//go:embed signin.html
var signInPage string

const (
	// maxDecode bounds what is decrypted in one call; the Web UI asks event by event.
	maxDecode = 8 << 20
	// maxForm bounds the forms of the page.
	maxForm = 4096
	cookie  = "suanpan_codec"
	// policy is for answers that are no pages, pagePolicy for the one that is.
	policy     = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	pagePolicy = "default-src 'none'; style-src 'sha256-%s'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	// onlyTLS tells browsers to reach this host by https alone, for two years.
	onlyTLS = "max-age=63072000; includeSubDomains"
)

// Sessions keeps which operators signed in at the page. Its methods are safe for
// concurrent use; what has ended or is unknown is not found.
type Sessions interface {
	Begin(ctx context.Context, subject string) (token string, err error)
	Subject(ctx context.Context, token string) (subject string, found bool, err error)
	End(ctx context.Context, token string) error
	EndAll(ctx context.Context, subject string) error
}

// EndpointOptions configure the endpoint. All are required but Origins.
type EndpointOptions struct {
	Codec converter.PayloadCodec
	// Operators is the file of who may have payloads decrypted.
	Operators string
	Sessions  Sessions
	// Origins are the Web UIs that may ask, such as https://temporal.example.com.
	Origins []string
	// Secure: browsers reach this address, and keep their session, by https only.
	Secure bool
	Log    *slog.Logger
}

// endpoint serves Temporal's protocol for remote codecs, decrypting only.
type endpoint struct {
	EndpointOptions
	page       *template.Template
	pagePolicy string
	forms      *http.CrossOriginProtection
}

// Endpoint serves POST /decode of Temporal's remote codec protocol for operators who
// send their token as "Authorization: Bearer", or whose browser has the session that
// the page at / begins. Each call is logged with the operator's name, the refused
// ones too. Nothing is encrypted for anybody.
func Endpoint(o EndpointOptions) http.Handler {
	e := &endpoint{EndpointOptions: o, page: template.Must(template.New("").Parse(signInPage)),
		pagePolicy: fmt.Sprintf(pagePolicy, styleHash(signInPage)), forms: http.NewCrossOriginProtection()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /{$}", e.show)
	mux.HandleFunc("POST /sign-in", e.ownForm(e.signIn))
	mux.HandleFunc("POST /sign-out", e.ownForm(e.signOut))
	mux.HandleFunc("OPTIONS /decode", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("POST /decode", e.decode)
	return e.guard(mux)
}

// guard sets the headers, answers browsers about origins and refuses those of strangers.
func (e *endpoint) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", policy)
		if e.Secure {
			h.Set("Strict-Transport-Security", onlyTLS)
		}
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		switch {
		case origin == "" || r.URL.Path == "/sign-in" || r.URL.Path == "/sign-out": // ownForm judges these
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

// ownForm takes forms of this address's own page only.
func (e *endpoint) ownForm(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := e.forms.Check(r); err != nil {
			e.Log.Warn("a form of another site was refused", "path", r.URL.Path, "remote", r.RemoteAddr)
			http.Error(w, "this form is for the page at the root of this address", http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next(w, r)
	}
}

// show shows the page: for signing in or, with a session, for signing out.
func (e *endpoint) show(w http.ResponseWriter, r *http.Request) {
	name, _ := e.signedIn(r)
	var page bytes.Buffer
	if err := e.page.Execute(&page, name); err != nil {
		e.Log.Error("the page does not render", "error", err)
		http.Error(w, "cannot answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", e.pagePolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page.Bytes())
}

// styleHash is what the page's policy names its one style by.
func styleHash(page string) string {
	_, after, _ := strings.Cut(page, "<style>")
	style, _, _ := strings.Cut(after, "</style>")
	digest := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(digest[:])
}

func (e *endpoint) decode(w http.ResponseWriter, r *http.Request) {
	name, ok := e.caller(r)
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
