package e2e_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// page is the sandbox's cashier page, open in a payer's browser.
type page struct {
	*world
	at, html string
}

// follow does what the payer's side does with what is to be done next, and
// returns the page that the payer sees.
func (w *world) follow(provider string, next *client.NextAction) *page {
	w.Helper()
	require.NotNil(w, next, "there is something to do next")
	p := &page{world: w}
	p.visit(http.MethodGet, w.addressOf(provider, *next), nil)
	return p
}

// addressOf is where the payer's browser or app takes what it was given.
func (w *world) addressOf(provider string, next client.NextAction) string {
	w.Helper()
	params := url.Values{}
	if next.Params != nil {
		for name, value := range *next.Params {
			params.Set(name, value)
		}
	}
	switch next.Type {
	case client.NextActionTypeRedirect:
		return *next.URL
	case client.NextActionTypeQrCode:
		return *next.QrCode
	case client.NextActionTypeAppParams:
		if provider == alipay {
			return w.sandbox + "/alipay/client/app?" + params.Get("order_string")
		}
		return w.sandbox + "/wechatpay/client/app?" + params.Encode()
	case client.NextActionTypeJsapiParams:
		return w.sandbox + "/" + provider + "/client/jsapi?" + params.Encode()
	}
	require.Fail(w, "nothing to follow", "%+v", next)
	return ""
}

// askedOnPhone is the page on the phone of a payer whose code was scanned.
func (w *world) askedOnPhone(provider, number string) *page {
	w.Helper()
	var found struct{ Orders []struct{ Token string } }
	w.control("GET", "/control/orders?"+url.Values{"provider": {provider}, "number": {number}}.Encode(), nil, &found)
	require.Len(w, found.Orders, 1)
	p := &page{world: w}
	p.visit(http.MethodGet, w.sandbox+"/pay/"+found.Orders[0].Token, nil)
	return p
}

// codeOn is a new code on a payer's phone, with what comes of scanning it.
func (w *world) codeOn(provider, outcome string) string {
	w.Helper()
	var made struct {
		AuthCode string `json:"auth_code"`
	}
	w.control("POST", "/control/codes", map[string]any{"provider": provider, "outcome": outcome}, &made)
	return made.AuthCode
}

func (p *page) visit(method, address string, form url.Values) {
	p.Helper()
	request, err := http.NewRequestWithContext(p.ctx, method, address, strings.NewReader(form.Encode()))
	require.NoError(p, err)
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(p, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(p, err)
	require.Equal(p, http.StatusOK, response.StatusCode, "%s %s: %s", method, address, text)
	p.at, p.html = response.Request.URL.String(), string(text)
}

// press presses one of the page's buttons: pay, wait or decline.
func (p *page) press(button string) {
	p.Helper()
	require.True(p, p.has(button), "the page offers %s: %s", button, p.status())
	p.visit(http.MethodPost, p.at, url.Values{"action": {button}})
}

// has reports whether the page has the button.
func (p *page) has(button string) bool { return strings.Contains(p.html, `<button id="`+button+`"`) }

var statusOnPage = regexp.MustCompile(`id="status"[^>]*>([^<]*)<`)

// status is what the page tells the payer.
func (p *page) status() string {
	if found := statusOnPage.FindStringSubmatch(p.html); found != nil {
		return found[1]
	}
	return p.html
}
