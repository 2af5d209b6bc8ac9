package cashier

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/money"
)

func offeredWays(html string) []string {
	var ways []string
	for _, m := range regexp.MustCompile(`name="m" value="([^"]+)"`).FindAllStringSubmatch(html, -1) {
		ways = append(ways, m[1])
	}
	return ways
}

func TestEveryBrowserIsOfferedWhatItCanDo(t *testing.T) {
	for name, c := range map[string]struct {
		agent  string
		opened []string
		want   []string
	}{
		"in WeChat":                       {agentWeChat, nil, []string{"wechatpay.jsapi"}},
		"in WeChat, jsapi not opened":     {agentWeChat, []string{"wechatpay.qr", "alipay.wap"}, nil},
		"in Alipay":                       {agentAlipay, nil, []string{"alipay.jsapi"}},
		"in Alipay, jsapi not opened":     {agentAlipay, []string{"alipay.wap", "wechatpay.wap"}, []string{"alipay.wap"}},
		"phone":                           {agentPhone, nil, []string{"alipay.wap", "wechatpay.wap"}},
		"phone, only codes":               {agentPhone, []string{"alipay.qr", "wechatpay.qr"}, []string{"alipay.qr", "wechatpay.qr"}},
		"PC":                              {agentPC, nil, []string{"alipay.qr", "wechatpay.qr", "alipay.page"}},
		"PC, one":                         {agentPC, []string{"wechatpay.qr"}, []string{"wechatpay.qr"}},
		"WeChat on a PC has no bridge":    {agentWeChatP, nil, []string{"alipay.qr", "wechatpay.qr", "alipay.page"}},
		"nothing opened":                  {agentPC, []string{}, nil},
		"only what cannot be paid online": {agentPC, []string{"alipay.barcode", "alipay.app"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			v := open(t)
			v.agent = c.agent
			if c.opened != nil {
				v.desk.order.Offers = nil
				for _, way := range c.opened {
					v.desk.order.Offers = append(v.desk.order.Offers, Offer{Way: readWay(way)})
				}
			}
			html := v.checkout("", screenChoose)
			require.Equal(t, c.want, offeredWays(html))
			if c.want == nil {
				require.Contains(t, html, "no way to pay in this browser")
			}
		})
	}
}

func TestAChoiceIsShownAsWhatThePayerDoesNext(t *testing.T) {
	for way, c := range map[string]struct {
		agent string
		want  screenName
		holds string
	}{
		"alipay.qr":     {agentPC, screenScan, `<svg class="qr"`},
		"wechatpay.qr":  {agentPC, screenScan, "Scan with WeChat to pay"},
		"alipay.page":   {agentPC, screenGo, `href="https://provider.example.com/pay?id=1&amp;x=2"`},
		"wechatpay.wap": {agentPhone, screenGo, "Finish your payment in WeChat"},
	} {
		t.Run(way, func(t *testing.T) {
			v := open(t)
			v.agent = c.agent
			w := v.click(way)
			require.Equal(t, http.StatusSeeOther, w.Code)
			require.Equal(t, "/checkout/"+goodToken+"?m="+way, w.Header().Get("Location"), "a form is answered with a page of ours")
			require.Len(t, v.desk.chosen, 1)
			require.Equal(t, "/checkout/"+goodToken+"?m="+way, v.desk.chosen[0].ReturnPath)
			require.Contains(t, v.checkout("?m="+way, c.want), c.holds)
			require.NotEmpty(t, offeredWays(v.checkout("?m="+way+"&change=1", screenChoose)), "and may be changed")
		})
	}
}

func TestTheScriptIsToldWhereToGo(t *testing.T) {
	v := open(t)
	v.headers["Accept"] = "application/json"
	for way, outside := range map[string]string{"alipay.page": "https://provider.example.com/pay?id=1&x=2", "alipay.qr": ""} {
		var to struct{ Page, Outside string }
		require.NoError(t, json.Unmarshal(v.click(way).Body.Bytes(), &to))
		require.Equal(t, "/checkout/"+goodToken+"?m="+way, to.Page)
		require.Equal(t, outside, to.Outside)
	}
	v.desk.prepare = func(w Way) Try {
		return Try{Way: w, State: TryOpen, Action: channel.Action{Type: channel.ActionRedirect, URL: "javascript:alert(1)"}}
	}
	require.NotContains(t, v.click("alipay.page").Body.String(), "javascript")
}

func TestAPayerIsAskedForWhereItIsNeeded(t *testing.T) {
	v := open(t)
	v.agent = agentWeChat
	w := v.click("wechatpay.jsapi")
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), `href="https://open.example.com/authorize?state=`)
	require.Empty(t, v.desk.chosen, "nothing is tried before the payer is known")

	w = v.get("/oauth/wechatpay?code=abc&state=" + goodState)
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, "/checkout/"+goodToken+"?m=wechatpay.jsapi", w.Header().Get("Location"))
	html := v.checkout("?m=wechatpay.jsapi", screenInvoke)
	require.Contains(t, html, `data-params="{&#34;appId&#34;:&#34;wx1&#34;,&#34;package&#34;:&#34;prepay_id=1&#34;}"`)

	w = v.get("/oauth/wechatpay?state=" + goodState)
	require.Contains(t, w.Header().Get("Location"), "why=payer_unknown")
	v.get("/oauth/alipay?app_id=1&auth_code=xyz&state=" + goodState)
	require.Equal(t, "xyz", v.desk.came[2].Code, "Alipay calls it auth_code")
}

func TestAForgedStateLeadsNowhere(t *testing.T) {
	v := open(t)
	for _, query := range []string{"", "?state=short", "?code=x&state=" + strings.Repeat("z", 24), "?state=https://evil.example.com/&code=1",
		"?code=x&state=" + goodState + "%0d%0aLocation:evil"} {
		w := v.get("/oauth/wechatpay" + query)
		require.Equal(t, http.StatusNotFound, w.Code, query)
		require.Empty(t, w.Header().Get("Location"))
	}
	require.Empty(t, v.desk.chosen)
}

func TestEveryEndHasItsScreen(t *testing.T) {
	qr, wap := readWay("alipay.qr"), readWay("wechatpay.wap")
	for name, c := range map[string]struct {
		change func(*Order)
		query  string
		want   screenName
		holds  string
	}{
		"paid":              {func(o *Order) { o.Status, o.PaidBy = Paid, qr }, "?m=alipay.qr", screenPaid, "Paid with"},
		"paid, no way said": {func(o *Order) { o.Status, o.PaidBy = Paid, qr }, "", screenPaid, "Payment successful"},
		"paid elsewhere":    {func(o *Order) { o.Status, o.PaidBy = Paid, qr }, "?m=wechatpay.wap", screenElsewhere, "do not pay again"},
		"expired":           {func(o *Order) { o.Status = Expired }, "", screenExpired, "expired"},
		"cancelled":         {func(o *Order) { o.Status = Cancelled }, "?m=alipay.qr", screenCancelled, "cancelled"},
		"failed":            {func(o *Order) { o.Status = Failed }, "", screenFailed, "nothing was charged"},
		"time is up":        {func(o *Order) { o.Left = -time.Second }, "", screenEnding, "do not pay now"},
		"preparing":         {func(o *Order) { o.Tries = []Try{{Way: qr, State: TryPreparing}} }, "", screenPreparing, "Preparing"},
		"refused":           {func(o *Order) { o.Tries = []Try{{Way: qr, State: TryRefused, Code: "channel_refused"}} }, "", screenChoose, "choose another"},
		"over its limit":    {func(o *Order) { o.Tries = []Try{{Way: qr, State: TryRefused, Code: "limit_exceeded"}} }, "?m=alipay.qr", screenChoose, "beyond the limit"},
		"refused, other tab": {func(o *Order) {
			o.Tries = []Try{{Way: wap, State: TryPreparing}, {Way: qr, State: TryRefused}}
		}, "?m=wechatpay.wap", screenPreparing, "Preparing"},
		"closed try": {func(o *Order) { o.Tries = []Try{{Way: qr, State: TryOver}} }, "", screenChoose, "How would you like to pay?"},
	} {
		t.Run(name, func(t *testing.T) {
			v := open(t)
			v.desk.order.ReturnURL = "https://mall.example.com/back?order=1&x=2"
			c.change(&v.desk.order)
			html := v.checkout(c.query, c.want)
			require.Contains(t, html, c.holds)
			over := v.desk.order.Status != Waiting
			require.Equal(t, over, strings.Contains(html, `href="https://mall.example.com/back?order=1&amp;x=2"`))
			require.Equal(t, over, strings.Contains(html, "mall.example.com"), "the payer reads where the button leads")
			require.NotEqual(t, over, strings.Contains(html, "data-live"), "what is over is not asked for again; what is not, is")
		})
	}
}

func TestARefusedClickIsSaidInWords(t *testing.T) {
	v := open(t)
	for why, refusal := range map[string]error{
		"refused":   fault.Refused("method.product", "product_not_open", "x"),
		"try_again": fault.Unavailable(errors.New("down"), time.Second),
	} {
		v.desk.refuse = refusal
		location := v.click("alipay.qr").Header().Get("Location")
		require.Equal(t, "/checkout/"+goodToken+"?change=1&m=alipay.qr&why="+why, location)
		require.Contains(t, v.checkout(strings.TrimPrefix(location, "/checkout/"+goodToken), screenChoose), `role="alert"`)
	}
}

func TestWhatIsNotOfferedIsNotTried(t *testing.T) {
	v := open(t)
	for _, way := range []string{"", "alipay", "alipay.barcode", "unionpay.qr", "alipay.qr ", "<script>"} {
		w := v.click(way)
		require.Equal(t, "/checkout/"+goodToken+"?change=1&why=refused", w.Header().Get("Location"), way)
	}
	require.Empty(t, v.desk.chosen)
}

func TestAClickCarriesItsNonce(t *testing.T) {
	v := open(t)
	nonce := regexp.MustCompile(`name="nonce" value="([A-Z2-7]{26})"`).FindStringSubmatch(v.checkout("", screenChoose))
	require.NotNil(t, nonce)
	for range 2 {
		v.send(http.MethodPost, "/checkout/"+goodToken, url.Values{"m": {"alipay.qr"}, "nonce": {nonce[1]}})
	}
	require.Equal(t, []string{nonce[1], nonce[1]}, []string{v.desk.chosen[0].Nonce, v.desk.chosen[1].Nonce})
	v.click("alipay.qr")
	require.NotEqual(t, nonce[1], v.desk.chosen[2].Nonce)
}

func TestNothingOfTheTenantBecomesMarkup(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>'`
	v := open(t)
	o := &v.desk.order
	o.Merchant, o.Subject, o.Reference, o.ReturnURL = evil, evil, evil, "javascript:alert(3)"
	v.desk.link.Merchant, v.desk.link.Subject = evil, evil
	var pages []string
	pages = append(pages, v.checkout("", screenChoose), v.get("/pay/"+linkToken).Body.String())
	v.click("alipay.qr")
	pages = append(pages, v.checkout("", screenScan), v.get("/checkout/"+goodToken+`?lang="><script>&m=<b>&why=<i>`).Body.String())
	o.Status = Paid
	pages = append(pages, v.checkout("", screenPaid))
	for _, html := range pages {
		require.NotContains(t, html, "<script>")
		require.NotContains(t, html, "<img")
		require.NotContains(t, html, "javascript:alert")
		require.Equal(t, 1, strings.Count(html, "<script "), "our own")
	}
}

func TestHeaders(t *testing.T) {
	v := open(t)
	for _, target := range []string{"/checkout/" + goodToken, "/checkout/" + goodToken + "/state", "/pay/" + linkToken, "/checkout/" + strings.Repeat("x", 24),
		"/oauth/alipay?state=x"} {
		header := v.get(target).Header()
		require.Equal(t, policy, header.Get("Content-Security-Policy"), target)
		require.Equal(t, "no-store", header.Get("Cache-Control"), target)
		require.Equal(t, "strict-origin", header.Get("Referrer-Policy"), target)
		require.Equal(t, "DENY", header.Get("X-Frame-Options"), target)
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), target)
		require.Empty(t, header.Get("Set-Cookie"), target)
	}
	for _, word := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
		require.Contains(t, policy, word)
	}
	require.NotContains(t, policyInApps, "unsafe")
}

func TestAssetsAreNamedByTheirContent(t *testing.T) {
	v := open(t)
	html := v.checkout("", screenChoose)
	size := len(html)
	for _, path := range regexp.MustCompile(`"(/checkout-assets/[^"]+)"`).FindAllStringSubmatch(html, -1) {
		w := v.get(path[1])
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "public, max-age=31536000, immutable", w.Header().Get("Cache-Control"))
		size += w.Body.Len()
	}
	require.Greater(t, size, len(html))
	require.Less(t, size, 40<<10, "page, style and script together")
	v.click("alipay.qr")
	require.Less(t, len(v.checkout("", screenScan)), 16<<10)
	require.Equal(t, http.StatusNotFound, v.get("/checkout-assets/cashier.0000000000000000.css").Code)
}

func TestStateIsCheapAndTellsWhatChanged(t *testing.T) {
	v := open(t)
	path := "/checkout/" + goodToken + "/state"
	first := v.get(path)
	require.Equal(t, http.StatusOK, first.Code)
	require.Contains(t, first.Body.String(), `"status":"waiting"`)
	for _, secret := range []string{"Camellia", "coffees", "A-1001"} {
		require.NotContains(t, first.Body.String(), secret)
	}
	v.headers["If-None-Match"] = first.Header().Get("ETag")
	require.Equal(t, http.StatusNotModified, v.get(path).Code)
	v.desk.order.Left -= time.Minute
	require.Equal(t, http.StatusNotModified, v.get(path).Code, "time that runs changes nothing")
	for _, change := range []func(*Order){
		func(o *Order) { o.Tries = []Try{{Way: readWay("alipay.qr"), State: TryPreparing}} },
		func(o *Order) { o.Tries[0].State = TryOpen },
		func(o *Order) { o.Left = -1 },
		func(o *Order) { o.Status = Paid },
	} {
		change(&v.desk.order)
		next := v.get(path)
		require.Equal(t, http.StatusOK, next.Code)
		require.NotEqual(t, v.headers["If-None-Match"], next.Header().Get("ETag"))
		v.headers["If-None-Match"] = next.Header().Get("ETag")
	}
}

func TestWithoutScriptAPageFollowsByItself(t *testing.T) {
	v := open(t)
	require.NotContains(t, v.checkout("", screenChoose), "http-equiv", "who chooses is not disturbed")
	v.click("wechatpay.qr")
	require.Contains(t, v.checkout("", screenScan), `<noscript><meta http-equiv="refresh" content="5"></noscript>`)
	v.desk.order.Status, v.desk.order.ReturnURL = Paid, "https://mall.example.com/done"
	html := v.checkout("", screenPaid)
	require.Contains(t, html, `<noscript><meta http-equiv="refresh" content="8;url=https://mall.example.com/done"></noscript>`)
	require.NotContains(t, html, `content="5"`)
}

// Each limit lets a burst through, then one per pause, and holds up nobody else.
func TestWhoAsksTooMuchIsSlowedDown(t *testing.T) {
	for name, c := range map[string]struct {
		limit func(*Handler) *limit
		ask   func(*visit) int
		// same asks by another limit's key and is not held up.
		same func(*visit) int
	}{
		"guesses": {func(h *Handler) *limit { return h.limits.guesses },
			func(v *visit) int { return v.get("/checkout/" + newNonce()).Code }, nil},
		"clicks of one payment": {func(h *Handler) *limit { return h.limits.clicksOfOne },
			func(v *visit) int { return v.click("alipay.qr").Code },
			func(v *visit) int {
				return v.send(http.MethodPost, "/pay/"+linkToken, url.Values{"amount": {"5"}}).Code
			}},
		"clicks from one address": {func(h *Handler) *limit { return h.limits.clicks },
			func(v *visit) int {
				return v.send(http.MethodPost, "/pay/"+linkToken, url.Values{"amount": {"5"}}).Code
			},
			func(v *visit) int { return v.get("/pay/" + linkToken).Code }},
		"looks at one payment": {func(h *Handler) *limit { return h.limits.lookups },
			func(v *visit) int { return v.get("/checkout/" + goodToken + "/state").Code },
			func(v *visit) int { return v.get("/pay/" + linkToken).Code }},
		"looks from one address": {func(h *Handler) *limit { return h.limits.looks },
			func(v *visit) int { return v.get("/pay/" + linkToken).Code },
			func(v *visit) int { return v.click("alipay.qr").Code }},
	} {
		t.Run(name, func(t *testing.T) {
			v := open(t)
			clock := time.Now()
			l := c.limit(v.handler)
			l.now = func() time.Time { return clock }
			good := c.ask(v)
			for range l.burst {
				require.Equal(t, good, c.ask(v))
			}
			require.Equal(t, http.StatusTooManyRequests, c.ask(v))
			if c.same != nil {
				require.NotEqual(t, http.StatusTooManyRequests, c.same(v))
			}
			clock = clock.Add(l.pause)
			require.Equal(t, good, c.ask(v))
			require.Equal(t, http.StatusTooManyRequests, c.ask(v))
		})
	}
}

func TestTheLimitIsSaidWithItsPause(t *testing.T) {
	v := open(t)
	for range v.handler.limits.clicksOfOne.burst + 1 {
		v.click("alipay.qr")
	}
	w := v.click("alipay.qr")
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "3", w.Header().Get("Retry-After"))
	require.Contains(t, w.Body.String(), `data-screen="message"`)
}

func TestNeighboursOfOneSubscriberCountAsOne(t *testing.T) {
	t.Parallel()
	require.Equal(t, neighbours(netip.MustParseAddr("2001:db8::1")), neighbours(netip.MustParseAddr("2001:db8::ffff")))
	require.NotEqual(t, neighbours(netip.MustParseAddr("198.51.100.1")), neighbours(netip.MustParseAddr("198.51.100.2")))
}

func TestBothLanguagesSayEverything(t *testing.T) {
	v := open(t)
	used := map[string]bool{}
	files, err := filepath.Glob("templates/*.html")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, key := range regexp.MustCompile(`say \$?\.Tongue "([a-z_]+)"`).FindAllStringSubmatch(string(text), -1) {
			used[key[1]] = true
		}
	}
	require.Greater(t, len(used), 30)
	for key := range used {
		require.Contains(t, v.handler.words, key)
	}
	for key, s := range v.handler.words {
		require.NotEmpty(t, s.zh, key)
		require.NotEmpty(t, s.en, key)
	}
	for _, offer := range append(Options{}.everyGroup(), allOffers()...) {
		require.Contains(t, v.handler.words, "way_"+offer.text())
	}
	for _, c := range []struct{ accept, query, want string }{
		{"", "", "zh-CN"}, {"en-GB,en;q=0.9", "", "en"}, {"zh-TW,en;q=0.1", "", "zh-CN"}, {"fr-FR", "", "zh-CN"},
		{"en", "?lang=zh", "zh-CN"}, {"zh", "?lang=en", "en"}, {"zh", "?lang=xx", "zh-CN"}, {";;;", "", "zh-CN"},
	} {
		v.headers["Accept-Language"] = c.accept
		require.Contains(t, v.checkout(c.query, screenChoose), `<html lang="`+c.want+`">`, c)
	}
}

// everyGroup lists every way that some browser is offered.
func (Options) everyGroup() []Offer {
	var all []Offer
	for _, b := range []browser{inWeChat, inAlipay, phone, pc} {
		for _, way := range slices.Concat(b.groups()...) {
			all = append(all, Offer{Way: way})
		}
	}
	return all
}

func TestMoneyAndClockAsPeopleReadThem(t *testing.T) {
	t.Parallel()
	for fen, want := range map[int64]string{1: "¥0.01", 19900: "¥199.00", 123450: "¥1,234.50", 100000000: "¥1,000,000.00", 99999: "¥999.99"} {
		require.Equal(t, want, showMoney(money.Fen(fen)))
	}
	require.Equal(t, "JPY 1,200", showMoney(money.Of(1200, "JPY")))
	require.Equal(t, "15:00", showClock(900))
	require.Equal(t, "1:00:05", showClock(3605))
}

func TestQRCodeIsWhole(t *testing.T) {
	t.Parallel()
	svg, err := qrSVG("https://qr.alipay.com/bax00000000000000001", `"<b>`)
	require.NoError(t, err)
	require.NotContains(t, string(svg), "<b>")
	finder := regexp.MustCompile(`M4 4h7v1h-7z`)
	require.True(t, finder.MatchString(string(svg)), "the finder pattern begins after the quiet zone")
	_, err = qrSVG(strings.Repeat("x", 5000), "")
	require.Error(t, err)
}

func TestLinks(t *testing.T) {
	v := open(t)
	html := v.get("/pay/" + linkToken).Body.String()
	require.Contains(t, html, "Between ¥1.00 – ¥1,000.00")
	require.Empty(t, v.desk.opened, "looking makes no payment")
	post := func(form url.Values) (int, string) {
		w := v.send(http.MethodPost, "/pay/"+linkToken, form)
		return w.Code, w.Header().Get("Location") + w.Body.String()
	}
	code, location := post(url.Values{"amount": {"12.50"}, "nonce": {goodState}, "lang": {"zh"}})
	require.Equal(t, http.StatusSeeOther, code)
	require.Equal(t, "/checkout/"+goodToken+"?lang=zh", location)
	require.Equal(t, []Opening{{Nonce: goodState, Amount: money.Fen(1250)}}, v.desk.opened)
	for _, wrong := range []string{"1.234", "-5", "1e3", "１２", "0x10", "999999999999999999999"} {
		code, html := post(url.Values{"amount": {wrong}})
		require.Equal(t, http.StatusUnprocessableEntity, code, wrong)
		require.Contains(t, html, `aria-invalid="true"`)
	}
	v.desk.refuse = fault.Invalid("amount", "amount_out_of_range", "x")
	code, _ = post(url.Values{"amount": {"5"}})
	require.Equal(t, http.StatusUnprocessableEntity, code)
	v.desk.refuse = fault.Refused("", "payment_link_closed", "x")
	code, _ = post(url.Values{"amount": {"5"}})
	require.Equal(t, http.StatusGone, code)
	v.desk.link.Closed = true
	require.Equal(t, http.StatusGone, v.get("/pay/"+linkToken).Code)
	require.Equal(t, http.StatusNotFound, v.get("/pay/"+goodToken).Code)
}

func TestTroubleIsSaidWithoutItsReason(t *testing.T) {
	v := open(t)
	v.desk.refuse = errors.New("secret dsn")
	w := v.click("alipay.qr")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotContains(t, w.Body.String(), "secret")
	require.True(t, bytes.Contains(w.Body.Bytes(), []byte("do not pay again")))
}
