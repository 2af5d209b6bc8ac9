package e2e_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// Browsers, by what they say they are.
const (
	onPC     = "Mozilla/5.0 (X11; Linux x64) AppleWebKit/537.36 Chrome/129.0.0.0 Safari/537.36"
	inWeChat = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.49"
	inAlipay = "Mozilla/5.0 (Linux; Android 14) Chrome/120 Mobile Safari/537.36 AliApp(AP/10.5.96) AlipayClient/10.5.96"
)

// browser is a payer's: it follows no redirect by itself, and finds the platform's
// public address at the first instance.
type browser struct {
	*world
	agent, from string
}

func (w *world) browser(agent string) *browser { return &browser{w, agent, "198.51.100.7"} }

// seen is a page as the browser got it.
type seen struct {
	status         int
	location, html string
}

func (b *browser) send(method, address string, form url.Values) seen {
	b.Helper()
	address = strings.Replace(address, b.channels.PublicURL, b.apis[0], 1)
	request, err := http.NewRequestWithContext(b.ctx, method, address, strings.NewReader(form.Encode()))
	require.NoError(b, err)
	request.Header.Set("User-Agent", b.agent)
	request.Header.Set("X-Forwarded-For", b.from)
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(request)
	require.NoError(b, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(b, err)
	location := response.Header.Get("Location")
	if strings.HasPrefix(location, "/") {
		location = b.apis[0] + location
	}
	return seen{response.StatusCode, location, string(text)}
}

func (b *browser) get(address string) seen { return b.send(http.MethodGet, address, nil) }

// choose clicks a way.
func (b *browser) choose(page, way string) seen {
	return b.send(http.MethodPost, page, url.Values{"m": {way}, "nonce": {rand.Text()}})
}

// shows waits until the page shows the screen.
func (b *browser) shows(page, screen string) string {
	b.Helper()
	var last seen
	b.await("the screen "+screen, func() (bool, any) {
		last = b.get(page)
		return strings.Contains(last.html, `data-screen="`+screen+`"`), last.html
	})
	return last.html
}

// unchosen is a payment whose payer chooses on its page.
func (w *world) unchosen(fen int64) client.Payment {
	order := w.order(alipay, fen)
	order.Method, order.ReturnURL = nil, ptr("https://shop.example.com/thanks")
	return w.post(order)
}

// From the page to the books: chosen, paid at the provider, shown as paid; chosen
// again by another way on the way, which is closed.
func TestAPayerChoosesAndPays(t *testing.T) {
	w := newWorld(t)
	p := w.unchosen(6800)
	b := w.browser(onPC)
	require.Contains(t, b.get(p.CheckoutURL).html, `value="wechatpay.qr"`)
	first := b.choose(p.CheckoutURL, "alipay.qr")
	require.Equal(t, http.StatusSeeOther, first.status)
	require.Contains(t, b.shows(first.location, "scan"), `class="qr"`)
	second := b.choose(p.CheckoutURL, "wechatpay.qr")
	b.shows(second.location, "scan")
	shown := w.payment(p.ID)
	require.Len(t, shown.Attempts, 2)

	var number string
	require.NoError(t, w.db.Pool.QueryRow(w.ctx, `select number from attempts where payment_id = $1 and channel = 'wechatpay'`, p.ID).Scan(&number))
	w.control("POST", "/control/pay", map[string]any{"provider": wechatpay, "number": number}, nil)
	w.paymentIs(p.ID, client.PaymentStatusSucceeded)
	require.Contains(t, b.shows(second.location, "paid"), `href="https://shop.example.com/thanks"`)
	b.shows(first.location, "elsewhere")
	require.Contains(t, b.choose(p.CheckoutURL, "alipay.qr").location, "why=refused", "what is paid takes no other payer")
	require.Len(t, w.payment(p.ID).Attempts, 2)
}

var authorizeLink = regexp.MustCompile(`<a class="button" href="([^"]+)"`)

// toOAuth chooses a way inside an app and goes as far as the provider's answer,
// which is the address that the browser is sent back to.
func (b *browser) toOAuth(p client.Payment, way string) (back string) {
	b.Helper()
	asked := b.choose(p.CheckoutURL, way)
	found := authorizeLink.FindStringSubmatch(asked.html)
	require.NotNil(b, found, asked.html)
	back = b.get(strings.ReplaceAll(found[1], "&amp;", "&")).location
	require.Contains(b, back, b.channels.PublicURL+"/oauth/")
	return back
}

// The payer inside an app is found by the provider's own OAuth, and paid for by the
// name that the provider gave; the name is forgotten once the payment is over.
func TestAPayerInsideAnAppIsFoundAndPays(t *testing.T) {
	for agent, channel := range map[string]string{inWeChat: wechatpay, inAlipay: alipay} {
		t.Run(channel, func(t *testing.T) {
			w := newWorld(t)
			p, b := w.unchosen(6800), w.browser(agent)
			back := b.toOAuth(p, channel+".jsapi")
			require.Empty(t, w.payment(p.ID).Attempts, "nothing is tried before the payer is known")
			came := b.get(back)
			require.Equal(t, http.StatusSeeOther, came.status)
			require.Contains(t, b.shows(came.location, "invoke"), "data-params=")
			kept := func() (payer []byte) {
				require.NoError(t, w.db.Pool.QueryRow(w.ctx, `select sealed_payer_id from attempts where payment_id = $1`, p.ID).Scan(&payer))
				return payer
			}
			require.NotEmpty(t, kept())

			again := b.get(back)
			require.Contains(t, again.location, "why=payer_unknown", "a state is good once")
			require.Len(t, w.payment(p.ID).Attempts, 1)
			w.control("POST", "/control/pay", map[string]any{"provider": channel, "number": w.numberOf(p.ID)}, nil)
			b.shows(came.location, "paid")
			require.Nil(t, kept(), "who paid is not kept")
		})
	}
}

// A state that is late, of another channel, or of nobody brings no attempt; and
// the provider's code that came with it stays unused.
func TestAStateOfAnotherTripBringsNothing(t *testing.T) {
	w := newWorld(t)
	p, b := w.unchosen(6800), w.browser(inWeChat)
	back := b.toOAuth(p, "wechatpay.jsapi")
	foreign := strings.Replace(back, "/oauth/wechatpay", "/oauth/alipay", 1)
	require.Equal(t, http.StatusNotFound, b.get(foreign).status)
	state := regexp.MustCompile(`state=[A-Z2-7]+`)
	require.Equal(t, http.StatusNotFound, b.get(state.ReplaceAllString(back, "state="+rand.Text())).status)
	refused := b.get(regexp.MustCompile(`code=[^&]+`).ReplaceAllString(b.toOAuth(p, "wechatpay.jsapi"), "code=forged"))
	require.Contains(t, refused.location, "why=payer_unknown")

	_, err := w.db.Pool.Exec(w.ctx, `update oauth_trips set expires_at = clock_timestamp() - interval '1 second'`)
	require.NoError(t, err)
	require.Contains(t, b.get(back).location, "why=payer_unknown")
	require.Empty(t, w.payment(p.ID).Attempts)
}

// 200 payers open a link of three uses at once, at two instances: three pay. Who is
// told that it did not work now sends the same form again.
func TestALinkIsUsedExactlyAsOftenAsItMay(t *testing.T) {
	w := newWorld(t)
	made, err := w.api.CreatePaymentLinkWithResponse(w.ctx, &client.CreatePaymentLinkParams{IdempotencyKey: w.ref("link")},
		client.CreatePaymentLink{MerchantID: w.shop.id, Subject: "龙井茶", MaxUses: ptr(3),
			Amount: &client.PositiveAmount{Amount: 1200, Currency: client.CurrencyCNY}})
	require.NoError(t, err)
	require.NotNil(t, made.JSON201, "%s", made.Body)
	address := strings.Replace(made.JSON201.URL, w.channels.PublicURL, "", 1)
	var opened, full atomic.Int32
	var checkouts sync.Map
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			b := w.browser(onPC)
			b.from = fmt.Sprintf("198.51.100.%d", i)
			form := url.Values{"nonce": {rand.Text()}}
			w.await("the link answers", func() (bool, any) {
				page := b.send(http.MethodPost, w.apis[i%2]+address, form)
				switch page.status {
				case http.StatusSeeOther:
					opened.Add(1)
					checkouts.Store(page.location, true)
				case http.StatusGone:
					full.Add(1)
				}
				return page.status < http.StatusInternalServerError, page
			})
		})
	}
	wg.Wait()
	require.Equal(t, []int32{3, 197}, []int32{opened.Load(), full.Load()})
	checkouts.Range(func(page, _ any) bool {
		b := w.browser(onPC)
		chosen := b.choose(page.(string), "wechatpay.qr")
		b.shows(chosen.location, "scan")
		return true
	})
	list, err := w.api.ListPaymentsWithResponse(w.ctx, &client.ListPaymentsParams{PaymentLinkID: &made.JSON201.ID})
	require.NoError(t, err)
	require.Len(t, list.JSON200.Data, 3)
	for _, p := range list.JSON200.Data {
		w.pay(p, false)
		w.paymentIs(p.ID, client.PaymentStatusSucceeded)
	}
	link, err := w.api.GetPaymentLinkWithResponse(w.ctx, made.JSON201.ID)
	require.NoError(t, err)
	require.Equal(t, []any{3, 3, false}, []any{link.JSON200.Used, link.JSON200.Paid, link.JSON200.Open})
}
