package cashier

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/suanpan/suanpan/api/peer"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
)

func checkoutPath(token string) string { return "/checkout/" + token }

// OAuthPath is where the provider's OAuth sends the payer back to.
func OAuthPath(channelName string) string { return "/oauth/" + channelName }

// CheckoutPath is the page of the payment that token stands for.
func CheckoutPath(token string) string { return checkoutPath(token) }

// LinkPath is the page of the payment link that token stands for.
func LinkPath(token string) string { return "/pay/" + token }

// readAsked reads the query; what it does not know it leaves out.
func readAsked(r *http.Request) asked {
	q := r.URL.Query()
	a := asked{way: readWay(q.Get("m")), change: q.Get("change") == "1", lang: q.Get("lang")}
	switch notice := q.Get("why"); notice {
	case "refused", "payer_unknown", "try_again":
		a.notice = notice
	}
	return a
}

// checkoutAt is the address of a checkout with what it was asked.
func checkoutAt(token string, a asked) string {
	q := url.Values{}
	for name, value := range map[string]string{"m": a.way.text(), "why": a.notice, "lang": a.lang} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if a.change {
		q.Set("change", "1")
	}
	if len(q) == 0 {
		return checkoutPath(token)
	}
	return checkoutPath(token) + "?" + q.Encode()
}

// checkout shows a payment. Looking changes nothing: previews and crawlers look too.
func (h *Handler) checkout(w http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("token")
	order, err := h.desk.Order(r.Context(), token)
	if err != nil {
		return err
	}
	s, err := h.screen(h.page(r), token, order, browserOf(r), readAsked(r))
	if err != nil {
		return err
	}
	h.show(w, http.StatusOK, "checkout.html", s)
	return nil
}

// stateAnswer is what a page asks for again and again.
type stateAnswer struct {
	Version string `json:"version"`
	Status  Status `json:"status"`
	// Left is in seconds.
	Left int `json:"left"`
}

// state tells a page whether it is out of date, as cheaply as can be.
func (h *Handler) state(w http.ResponseWriter, r *http.Request) error {
	order, err := h.desk.Order(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	tag := `"` + version(order) + `"`
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return writeJSON(w, stateAnswer{version(order), order.Status, int(max(order.Left, 0) / time.Second)})
}

func writeJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // who went away reads nothing
	return nil
}

// choose is a payer's click. With the page's script it is answered with where to
// go; without, by a redirect to the page, which then has a link to there: browsers
// hold redirects after a form to the pages that the form may post to.
func (h *Handler) choose(w http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("token")
	a := asked{way: readWay(r.PostFormValue("m")), lang: readLang(r)}
	order, err := h.desk.Order(r.Context(), token)
	if err != nil {
		return err
	}
	offer, offered := find(order.Offers, a.way)
	if !offered {
		a.way = Way{}
		a.notice, a.change = "refused", true
		return h.goOn(w, r, checkoutAt(token, a), "")
	}
	if offer.AsksPayer {
		return h.askPayer(w, r, token, a)
	}
	err = h.desk.Choose(r.Context(), token, Choice{Way: a.way, Nonce: readNonce(r), PayerIP: peer.Address(r, h.trusted).String(),
		ReturnPath: checkoutAt(token, a)})
	if a.notice, err = told(err); err != nil {
		return err
	}
	a.change = a.notice != ""
	outside := ""
	if wantsJSON(r) && a.notice == "" {
		if outside, err = h.outside(r, token, a.way); err != nil {
			return err
		}
	}
	return h.goOn(w, r, checkoutAt(token, a), outside)
}

// outside is the provider's page that the payer goes on to, if the way leads to one.
func (h *Handler) outside(r *http.Request, token string, way Way) (string, error) {
	order, err := h.desk.Order(r.Context(), token)
	if err != nil {
		return "", err
	}
	try, found := order.shown(way)
	if !found || try.State != TryOpen || try.Action.Type != channel.ActionRedirect || hostOf(try.Action.URL) == "" {
		return "", nil
	}
	return try.Action.URL, nil
}

// askPayer sends the payer to the provider's OAuth.
func (h *Handler) askPayer(w http.ResponseWriter, r *http.Request, token string, a asked) error {
	address, err := h.desk.AskPayer(r.Context(), token, a.way)
	if a.notice, err = told(err); err != nil {
		return err
	}
	if a.notice != "" {
		a.change = true
		return h.goOn(w, r, checkoutAt(token, a), "")
	}
	if wantsJSON(r) {
		return h.goOn(w, r, checkoutAt(token, a), address)
	}
	p := h.page(r)
	h.show(w, http.StatusOK, "ask.html", askPage{p, address})
	return nil
}

type askPage struct {
	page
	Address string
}

// payerCame takes a payer back from the provider's OAuth.
func (h *Handler) payerCame(w http.ResponseWriter, r *http.Request) error {
	name, q := r.PathValue("channel"), r.URL.Query()
	came := Came{State: q.Get("state"), Code: q.Get("code"), PayerIP: peer.Address(r, h.trusted).String()}
	if name == alipay {
		came.Code = q.Get("auth_code")
	}
	if !tokenForm.MatchString(came.State) || len(came.Code) > 512 {
		return fault.NotFound()
	}
	token, err := h.desk.PayerCame(r.Context(), name, came)
	if token == "" {
		return err
	}
	a := asked{way: Way{name, channel.ProductJSAPI}}
	if err != nil {
		h.log.Warn("the payer was not found out", "channel", name, "error", err.Error())
		a = asked{notice: "payer_unknown", change: true}
	}
	http.Redirect(w, r, checkoutAt(token, a), http.StatusSeeOther)
	return nil
}

// goOn answers a click: with JSON to the page's script, with a redirect otherwise.
func (h *Handler) goOn(w http.ResponseWriter, r *http.Request, page, outside string) error {
	if wantsJSON(r) {
		return writeJSON(w, struct {
			Page    string `json:"page"`
			Outside string `json:"outside,omitempty"`
		}{page, outside})
	}
	http.Redirect(w, r, page, http.StatusSeeOther)
	return nil
}

// told makes a notice of what a payer can do something about, and leaves the rest
// as it is.
func told(err error) (notice string, rest error) {
	f, ok := fault.As(err)
	if !ok {
		return "", err
	}
	switch f.Kind {
	case fault.KindRefused, fault.KindInvalid, fault.KindConflict:
		return "refused", nil
	case fault.KindUnavailable, fault.KindLimited:
		return "try_again", nil
	}
	return "", err
}

func find(offers []Offer, way Way) (Offer, bool) { return group{way}.best(offers) }

func wantsJSON(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Accept"), "application/json")
}

// readNonce takes the click's own number; a form without one is a click of its own.
func readNonce(r *http.Request) string {
	if nonce := r.PostFormValue("nonce"); tokenForm.MatchString(nonce) {
		return nonce
	}
	return newNonce()
}

func readLang(r *http.Request) string {
	switch lang := r.PostFormValue("lang"); tongue(lang) {
	case chinese, english:
		return lang
	}
	return ""
}
