package cashier

import (
	"bytes"
	"crypto/rand"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/suanpan/suanpan/money"
)

//go:embed templates/*.html
var templateFiles embed.FS

// page is what every page shows around its content.
type page struct {
	Tongue tongue
	// Asked is the language of ?lang=, carried on in forms and links; "" if none.
	Asked string
	CSS   string
	JS    string
	// Self is the address of this page in the other language.
	Self string
}

// message is a page that only says something.
type message struct {
	page
	Title, Hint string
}

// linkPage is the page of a payment link.
type linkPage struct {
	page
	Link    Link
	Path    string
	Nonce   string
	Entered string
	Notice  string
}

func (h *Handler) parseTemplates() error {
	functions := template.FuncMap{
		"say":   h.words.say,
		"money": showMoney,
		"clock": showClock,
		"way":   Way.text,
	}
	parsed, err := template.New("").Funcs(functions).ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return fmt.Errorf("parse the cashier's pages: %w", err)
	}
	h.templates = parsed
	return nil
}

// showMoney writes an amount the way price tags do: ¥1,234.50.
func showMoney(a money.Amount) string {
	whole, decimals, _ := strings.Cut(a.Text(), ".")
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	symbol := string(a.Currency) + " "
	if a.Currency == money.CNY {
		symbol = "¥"
	}
	return strings.TrimSuffix(symbol+whole+"."+decimals, ".")
}

// showClock writes seconds as 14:59 or 1:59:59.
func showClock(seconds int) string {
	if seconds >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
	}
	return fmt.Sprintf("%02d:%02d", seconds/60, seconds%60)
}

func (h *Handler) page(r *http.Request) page {
	query := r.URL.Query()
	lang := query.Get("lang")
	t := tongueOf(r, lang)
	if lang != string(t) {
		lang = ""
	}
	query.Set("lang", string(t.other()))
	return page{Tongue: t, Asked: lang, CSS: h.paths["cashier.css"], JS: h.paths["cashier.js"], Self: r.URL.Path + "?" + query.Encode()}
}

// show renders a page whole before it sends the first byte, so that no payer
// sees half of one.
func (h *Handler) show(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := h.templates.ExecuteTemplate(&b, name, data); err != nil {
		h.log.Error("the cashier's page does not render", "page", name, "error", err.Error())
		http.Error(w, "系统繁忙 Please try again", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // who went away reads nothing
}

// policy lets a page load its own style and script and talk to its own origin,
// and nothing else. WeChat's and Alipay's bridges of older versions speak through
// frames with schemes of their own.
const (
	policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	policyInApps = policy + "; frame-src weixin: wvjbscheme: alipaybridge:"
)

// secure sets the headers of every page. The origin alone is told to where a
// payer goes on: WeChat's H5 page asks for it and refuses who hides it, and the
// token in the path is nobody else's.
func secure(header http.Header, b browser) {
	header.Set("Content-Security-Policy", policy)
	if b == inWeChat || b == inAlipay {
		header.Set("Content-Security-Policy", policyInApps)
	}
	header.Set("Referrer-Policy", "strict-origin")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Robots-Tag", "noindex, nofollow")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	header.Set("Vary", "Accept-Language, User-Agent")
}

// newNonce is a click's own number.
func newNonce() string { return rand.Text() }

// retryAfter writes a pause for the header of that name.
func retryAfter(pause time.Duration) string {
	return fmt.Sprint(int((pause + time.Second - 1) / time.Second))
}
