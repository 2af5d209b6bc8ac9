package cashier

import (
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"github.com/suanpan/suanpan/api/peer"
	"github.com/suanpan/suanpan/core/fault"
)

// Options are what a cashier is made of. All are required, but TrustedProxies.
type Options struct {
	Desk Desk
	Log  *slog.Logger
	// TrustedProxies may tell, in X-Forwarded-For, for whom they call.
	TrustedProxies []netip.Prefix
}

// Handler serves the cashier's pages. It is safe for concurrent use.
type Handler struct {
	mux       *http.ServeMux
	desk      Desk
	log       *slog.Logger
	trusted   []netip.Prefix
	words     words
	templates *template.Template
	paths     map[string]string
	limits    limits
}

// Patterns are the addresses that a Handler answers, to be mounted where they stand.
func Patterns() []string {
	return []string{"/checkout/:token", "/checkout/:token/state", "/oauth/:channel", "/pay/:token", assetPath + ":file"}
}

// New makes a Handler.
func New(o Options) (*Handler, error) {
	assets, paths, err := loadAssets()
	if err != nil {
		return nil, err
	}
	h := &Handler{mux: http.NewServeMux(), desk: o.Desk, log: o.Log, trusted: o.TrustedProxies, words: texts(), paths: paths,
		limits: newLimits()}
	if err := h.parseTemplates(); err != nil {
		return nil, err
	}
	h.mux.HandleFunc("GET /checkout/{token}", h.guarded(h.checkout))
	h.mux.HandleFunc("POST /checkout/{token}", h.guarded(h.choose))
	h.mux.HandleFunc("GET /checkout/{token}/state", h.guarded(h.state))
	h.mux.HandleFunc("GET /oauth/{channel}", h.guarded(h.payerCame))
	h.mux.HandleFunc("GET /pay/{token}", h.guarded(h.link))
	h.mux.HandleFunc("POST /pay/{token}", h.guarded(h.openLink))
	for path, file := range assets {
		h.mux.HandleFunc("GET "+path, file.serve)
	}
	return h, nil
}

// ServeHTTP answers a request of a payer's browser.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// tokenForm is what every token looks like; anything else is not looked for.
var tokenForm = regexp.MustCompile(`^[0-9A-Za-z_-]{22,64}$`)

// guarded sets the headers, refuses those who guess, and words what act refuses.
func (h *Handler) guarded(act func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header(), browserOf(r))
		from := peer.Address(r, h.trusted)
		if pause := h.limits.wait(r, from); pause > 0 {
			w.Header().Set("Retry-After", retryAfter(pause))
			h.say(w, r, http.StatusTooManyRequests, "limited")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
		err := fault.NotFound()
		if token := r.PathValue("token"); token == "" || tokenForm.MatchString(token) {
			if err := act(w, r); err == nil {
				return
			} else if !isNotFound(err) {
				h.refuse(w, r, err)
				return
			}
		}
		h.limits.missed(from)
		h.refuse(w, r, err)
	}
}

// isCheckout: the address is of one payment, not of a link that many payers share.
func isCheckout(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, checkoutPath("")) }

func isNotFound(err error) bool {
	f, ok := fault.As(err)
	return ok && f.Kind == fault.KindNotFound
}

// refuse shows a page for err.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if isNotFound(err) {
		h.say(w, r, http.StatusNotFound, "not_found")
		return
	}
	h.log.Error("the cashier cannot answer", "page", r.Pattern, "error", err.Error())
	w.Header().Set("Retry-After", "5")
	h.say(w, r, http.StatusServiceUnavailable, "unavailable")
}

func (h *Handler) say(w http.ResponseWriter, r *http.Request, status int, key string) {
	p := h.page(r)
	h.show(w, status, "message.html", message{p, h.words.say(p.Tongue, key), h.words.say(p.Tongue, key+"_hint")})
}
