package cashier

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/money"
)

const (
	goodToken = "Abcdefghij0123456789_-XY"
	linkToken = "Linkefghij0123456789_-XY"
	goodState = "stateabcdefghij012345678"
)

// User-Agents as browsers send them.
const (
	agentWeChat  = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.40 NetType/WIFI"
	agentAlipay  = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120 Mobile Safari/537.36 AliApp(AP/10.5.60) AlipayClient/10.5.60"
	agentPhone   = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/129.0.0.0 Mobile Safari/537.36"
	agentPC      = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/129.0.0.0 Safari/537.36"
	agentWeChatP = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/107 Safari/537.36 MicroMessenger/7.0.20 WindowsWechat(0x63090a13)"
)

// fakeDesk is one order and one link; it keeps what the pages asked it for.
type fakeDesk struct {
	mu      sync.Mutex
	order   Order
	link    Link
	chosen  []Choice
	asked   []Way
	opened  []Opening
	came    []Came
	refuse  error
	prepare func(Way) Try
}

func newDesk() *fakeDesk {
	return &fakeDesk{
		order: Order{Merchant: "山茶咖啡 Camellia", Subject: "Two coffees", Reference: "A-1001", Amount: money.Fen(123450),
			Status: Waiting, Left: 15 * time.Minute, Offers: allOffers()},
		link: Link{Merchant: "Camellia", Subject: "Donation", Min: money.Fen(100), Max: money.Fen(100000)},
		prepare: func(w Way) Try {
			switch w.Product {
			case channel.ProductQR:
				return Try{Way: w, State: TryOpen, Action: channel.Action{Type: channel.ActionQRCode, QRCode: "https://qr.example.com/bax0123456789"}}
			case channel.ProductJSAPI:
				return Try{Way: w, State: TryOpen, Action: channel.Action{Type: channel.ActionJSAPI, Params: map[string]string{"appId": "wx1", "package": "prepay_id=1"}}}
			}
			return Try{Way: w, State: TryOpen, Action: channel.Action{Type: channel.ActionRedirect, URL: "https://provider.example.com/pay?id=1&x=2"}}
		},
	}
}

func allOffers() []Offer {
	var all []Offer
	for _, text := range []string{"alipay.qr", "alipay.page", "alipay.wap", "alipay.jsapi", "wechatpay.qr", "wechatpay.wap", "wechatpay.jsapi"} {
		all = append(all, Offer{Way: readWay(text), AsksPayer: strings.HasSuffix(text, "jsapi")})
	}
	return all
}

func (d *fakeDesk) Order(_ context.Context, token string) (Order, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if token != goodToken {
		return Order{}, fault.NotFound()
	}
	return d.order, nil
}

func (d *fakeDesk) Choose(_ context.Context, _ string, c Choice) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.chosen = append(d.chosen, c)
	if d.refuse != nil {
		return d.refuse
	}
	d.order.Tries = append(d.order.Tries, d.prepare(c.Way))
	return nil
}

func (d *fakeDesk) AskPayer(_ context.Context, _ string, w Way) (string, error) {
	d.asked = append(d.asked, w)
	return "https://open.example.com/authorize?state=" + goodState, d.refuse
}

func (d *fakeDesk) PayerCame(ctx context.Context, channelName string, came Came) (string, error) {
	d.came = append(d.came, came)
	if came.State != goodState {
		return "", fault.NotFound()
	}
	if came.Code == "" {
		return goodToken, fault.Refused("", "payer_unknown", "no code")
	}
	return goodToken, d.Choose(ctx, goodToken, Choice{Way: Way{channelName, channel.ProductJSAPI}})
}

func (d *fakeDesk) Link(_ context.Context, token string) (Link, error) {
	if token != linkToken {
		return Link{}, fault.NotFound()
	}
	return d.link, nil
}

func (d *fakeDesk) OpenLink(_ context.Context, _ string, o Opening) (string, error) {
	d.opened = append(d.opened, o)
	return goodToken, d.refuse
}

// visit is one browser in front of the pages.
type visit struct {
	*testing.T
	desk    *fakeDesk
	handler *Handler
	agent   string
	headers map[string]string
}

func open(t *testing.T) *visit {
	t.Helper()
	t.Parallel()
	desk := newDesk()
	h, err := New(Options{Desk: desk, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return &visit{T: t, desk: desk, handler: h, agent: agentPC, headers: map[string]string{"Accept-Language": "en"}}
}

func (v *visit) send(method, target string, form url.Values) *httptest.ResponseRecorder {
	v.Helper()
	r := httptest.NewRequestWithContext(v.Context(), method, target, strings.NewReader(form.Encode()))
	r.Header.Set("User-Agent", v.agent)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range v.headers {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	v.handler.ServeHTTP(w, r)
	return w
}

func (v *visit) get(target string) *httptest.ResponseRecorder {
	v.Helper()
	return v.send(http.MethodGet, target, nil)
}

// checkout gets the page and checks which screen it is.
func (v *visit) checkout(query string, want screenName) string {
	v.Helper()
	w := v.get("/checkout/" + goodToken + query)
	require.Equal(v, http.StatusOK, w.Code, w.Body.String())
	require.Contains(v, w.Body.String(), fmt.Sprintf(`data-screen="%s"`, want))
	return w.Body.String()
}

func (v *visit) click(way string) *httptest.ResponseRecorder {
	v.Helper()
	return v.send(http.MethodPost, "/checkout/"+goodToken, url.Values{"m": {way}, "nonce": {newNonce()}})
}
