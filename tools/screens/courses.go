package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// look is how a payer's browser is set.
type look struct {
	language, colours string
	noScript          bool
}

// course is one way of somebody through pages.
type course struct {
	name  string
	smoke bool
	// take walks it in windows of its own; shots begins the names of its pictures.
	take func(browser context.Context, m *mall, shots string) error
}

// courses are all that are tried.
func courses() []course {
	all := []course{{"operator-reads-payloads", true, readPayloads}}
	for _, c := range payers() {
		all = append(all, course{c.name, c.smoke, c.take})
	}
	return all
}

// payer is one payer's course through the cashier.
type payer struct {
	name   string
	device string
	look   look
	// walk goes from the open checkout to the end, and final is what the payment
	// must be then.
	walk  func(w *window, m *mall, p payment) error
	final string
	smoke bool
}

func payers() []payer {
	zh, en := look{language: "zh-CN", colours: "light"}, look{language: "en-GB", colours: "light"}
	dark, bare := look{language: "zh-CN", colours: "dark"}, look{language: "zh-CN", colours: "light", noScript: true}
	return []payer{
		{"pc-alipay-qr-pay", "pc", zh, scanned("alipay.qr", "pay"), "succeeded", true},
		{"pc-wechatpay-qr-pay", "pc", en, scanned("wechatpay.qr", "pay"), "succeeded", false},
		{"pc-alipay-page-pay", "pc", en, redirected("alipay.page", "paid", "#pay"), "succeeded", false},
		{"pc-alipay-page-back", "pc", zh, redirected("alipay.page", "go", "#back"), "awaiting_payer", false},
		{"pc-alipay-qr-decline", "pc", zh, scanned("alipay.qr", "decline"), "awaiting_payer", false},
		{"phone-alipay-wap-pay", "phone", zh, redirected("alipay.wap", "paid", "#pay"), "succeeded", true},
		{"phone-alipay-wap-decline", "phone", zh, redirected("alipay.wap", "go", "#decline", "#back"), "awaiting_payer", false},
		{"phone-wechatpay-wap-pay", "phone", en, redirected("wechatpay.wap", "paid", "#pay"), "succeeded", false},
		{"phone-wechatpay-wap-back", "phone", zh, redirected("wechatpay.wap", "go", "#back"), "awaiting_payer", false},
		{"wechat-jsapi-pay", "wechat", zh, insideWeChat, "succeeded", true},
		{"alipay-jsapi-pay", "alipay", zh, insideAlipay, "succeeded", false},
		{"phone-dark", "phone", dark, redirected("alipay.wap", "paid", "#pay"), "succeeded", false},
		{"pc-dark", "pc", dark, scanned("wechatpay.qr", "pay"), "succeeded", false},
		{"phone-noscript-pay", "phone", bare, withoutScript, "succeeded", false},
		{"pc-keyboard-pay", "pc", en, byKeyboard, "succeeded", false},
		{"pc-two-tabs", "pc", zh, twoTabs, "succeeded", false},
		{"pc-double-click", "pc", zh, doubleClick, "awaiting_payer", false},
		{"pc-returns-to-shop", "pc", zh, returns, "succeeded", false},
		{"phone-cancelled", "phone", zh, cancelled, "closed", false},
		{"phone-link-pay", "phone", zh, byLink, "", false},
		{"phone-expire", "phone", zh, expired, "closed", false}, // last: it moves the clock
	}
}

// take walks the course in a window of its own.
func (c payer) take(browser context.Context, m *mall, shots string) error {
	w, closeWindow, err := openWindow(browser, devices()[c.device], c.look, shots)
	if err != nil {
		return err
	}
	defer closeWindow()
	p, err := m.ask(w.ctx, 900)
	if err != nil {
		return err
	}
	if err := w.open(p.CheckoutURL); err != nil {
		return err
	}
	if err := w.screen("choose"); err != nil {
		return err
	}
	if err := c.walk(w, m, p); err != nil {
		return errors.Join(err, w.picture("lost"))
	}
	if c.final == "" {
		return nil
	}
	return m.becomes(w.ctx, p.ID, c.final)
}

// becomes waits until the API says that the payment has the status.
func (m *mall) becomes(ctx context.Context, id, status string) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		p, err := m.payment(ctx, id)
		if err == nil && p.Status == status {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("payment %s is %s, not %s (%w)", id, p.Status, status, ctx.Err())
		case <-tick.C:
		}
	}
}

// phoneAt opens, in another window, what the payer's phone scans, and presses a button.
func phoneAt(w *window, address, button string) error {
	ctx, closeTab, err := newWindow(w.ctx)
	if err != nil {
		return err
	}
	defer closeTab()
	return chromedp.Run(ctx, chromedp.Navigate(address), chromedp.WaitVisible("#"+button, chromedp.ByQuery),
		chromedp.Click("#"+button, chromedp.ByQuery), chromedp.WaitNotPresent("#"+button, chromedp.ByQuery))
}

func scanned(way, act string) func(*window, *mall, payment) error {
	return func(w *window, m *mall, p payment) error {
		if err := w.choose(way); err != nil {
			return err
		}
		if err := w.screen("scan"); err != nil {
			return err
		}
		address, err := m.payerPage(w.ctx, p.ID)
		if err != nil {
			return err
		}
		if act == "decline" {
			ctx, closeTab, err := newWindow(w.ctx)
			if err != nil {
				return err
			}
			defer closeTab()
			if err := chromedp.Run(ctx, chromedp.Navigate(address), chromedp.Click("#decline", chromedp.ByQuery)); err != nil {
				return err
			}
			return w.screen("scan") // who declined may still pay, here or another way
		}
		if err := phoneAt(w, address, act); err != nil {
			return err
		}
		return w.screen("paid")
	}
}

// payerPage is what the newest QR code of the payment leads to.
func (m *mall) payerPage(ctx context.Context, id string) (string, error) {
	p, err := m.payment(ctx, id)
	if err != nil {
		return "", err
	}
	if p.NextAction == nil || p.NextAction.QRCode == "" {
		return "", fmt.Errorf("payment %s has no QR code", id)
	}
	return p.NextAction.QRCode, nil
}

// redirected presses the buttons at the provider, one after the other, and ends on
// the screen end.
func redirected(way, end string, buttons ...string) func(*window, *mall, payment) error {
	return func(w *window, _ *mall, _ payment) error {
		if err := w.choose(way); err != nil {
			return err
		}
		for _, button := range buttons {
			if err := w.atProvider(button); err != nil {
				return err
			}
		}
		return w.screen(end)
	}
}

func insideWeChat(w *window, m *mall, _ payment) error {
	if err := w.choose("wechatpay.jsapi"); err != nil {
		return err
	}
	params, err := w.handedOver()
	if err != nil {
		return err
	}
	if err := w.screen("invoke"); err != nil {
		return err
	}
	q := url.Values{}
	for name, value := range params {
		q.Set(name, value)
	}
	return payInApp(w, m.stack.SandboxURL+"/wechatpay/client/jsapi?"+q.Encode())
}

func insideAlipay(w *window, m *mall, _ payment) error {
	if err := w.choose("alipay.jsapi"); err != nil {
		return err
	}
	params, err := w.handedOver()
	if err != nil {
		return err
	}
	if err := w.screen("invoke"); err != nil {
		return err
	}
	return payInApp(w, m.stack.SandboxURL+"/alipay/client/jsapi?trade_no="+url.QueryEscape(params["tradeNO"]))
}

// payInApp pays in the app's own window and lets the bridge tell the page.
func payInApp(w *window, address string) error {
	if err := phoneAt(w, address, "pay"); err != nil {
		return err
	}
	if err := w.do(chromedp.Evaluate("window.comeBack()", nil)); err != nil {
		return err
	}
	return w.screen("paid")
}

// withoutScript pays by forms, links and the refresh of the page.
func withoutScript(w *window, _ *mall, _ payment) error {
	if err := w.choose("alipay.wap"); err != nil {
		return err
	}
	if err := w.do(chromedp.WaitVisible(`a.button`, chromedp.ByQuery)); err != nil {
		return err
	}
	if err := w.screen("go"); err != nil {
		return err
	}
	if err := w.do(chromedp.Click(`a.button`, chromedp.ByQuery)); err != nil {
		return err
	}
	if err := w.atProvider("#pay"); err != nil {
		return err
	}
	return w.screen("paid")
}

func byKeyboard(w *window, m *mall, p payment) error {
	// Tab to the choice, down to the second, and Enter.
	err := w.do(chromedp.Focus(`.bar a`, chromedp.ByQuery), chromedp.KeyEvent("\t"), chromedp.KeyEvent(kb.ArrowDown))
	if err != nil {
		return err
	}
	if err := w.await(`document.querySelector('input[name=m]:checked').value`, "wechatpay.qr"); err != nil {
		return err
	}
	if err := w.picture("focus"); err != nil {
		return err
	}
	if err := w.do(chromedp.KeyEvent("\r")); err != nil {
		return err
	}
	if err := w.screen("scan"); err != nil {
		return err
	}
	address, err := m.payerPage(w.ctx, p.ID)
	if err != nil {
		return err
	}
	if err := phoneAt(w, address, "pay"); err != nil {
		return err
	}
	return w.screen("paid")
}

// twoTabs chooses Alipay in one tab and WeChat Pay in another, and pays the second:
// the first says so and asks not to pay again.
func twoTabs(w *window, m *mall, p payment) error {
	if err := w.choose("alipay.qr"); err != nil {
		return err
	}
	if err := w.screen("scan"); err != nil {
		return err
	}
	ctx, closeTab, err := newWindow(w.ctx)
	if err != nil {
		return err
	}
	defer closeTab()
	second := &window{ctx: ctx, shots: w.shots + "-second"}
	if err := second.open(p.CheckoutURL + "?change=1"); err != nil {
		return err
	}
	if err := scanned("wechatpay.qr", "pay")(second, m, p); err != nil {
		return err
	}
	return w.screen("elsewhere")
}

// doubleClick clicks twice as fast as can be: one attempt.
func doubleClick(w *window, m *mall, p payment) error {
	twice := `(() => { const b = document.querySelector('form button'); b.click(); b.click(); b.form.requestSubmit(); })()`
	if err := w.do(chromedp.Evaluate(twice, nil)); err != nil {
		return err
	}
	if err := w.screen("scan"); err != nil {
		return err
	}
	var shown struct {
		Attempts []struct {
			ID string `json:"id"`
		} `json:"attempts"`
	}
	if err := m.call(w.ctx, http.MethodGet, "/v1/payments/"+p.ID, nil, &shown); err != nil {
		return err
	}
	if len(shown.Attempts) != 1 {
		return fmt.Errorf("two clicks made %d attempts", len(shown.Attempts))
	}
	return nil
}

func returns(w *window, m *mall, p payment) error {
	if err := scanned("alipay.qr", "pay")(w, m, p); err != nil {
		return err
	}
	return w.screen("shop")
}

func cancelled(w *window, m *mall, p payment) error {
	if err := m.cancel(w.ctx, p.ID); err != nil {
		return err
	}
	if err := w.do(chromedp.Reload()); err != nil {
		return err
	}
	return w.screen("cancelled")
}

func byLink(w *window, m *mall, _ payment) error {
	address, err := m.link(w.ctx)
	if err != nil {
		return err
	}
	if err := w.open(address); err != nil {
		return err
	}
	if err := w.screen("link"); err != nil {
		return err
	}
	if err := w.do(chromedp.SendKeys("#amount", "12.50", chromedp.ByQuery), chromedp.Click(`form button`, chromedp.ByQuery)); err != nil {
		return err
	}
	if err := w.screen("choose"); err != nil {
		return err
	}
	var due string
	if err := w.do(chromedp.Text(".due strong", &due, chromedp.ByQuery)); err != nil {
		return err
	}
	if strings.TrimSpace(due) != "¥12.50" {
		return fmt.Errorf("the payer entered 12.50 and is asked for %s", due)
	}
	return redirected("alipay.wap", "paid", "#pay")(w, m, payment{})
}

func expired(w *window, m *mall, p payment) error {
	if err := w.choose("alipay.wap"); err != nil {
		return err
	}
	if err := w.atProvider("#back"); err != nil {
		return err
	}
	if err := w.screen("go"); err != nil {
		return err
	}
	if err := m.moveClock(w.ctx, 16*time.Minute); err != nil {
		return err
	}
	return w.screen("expired")
}
