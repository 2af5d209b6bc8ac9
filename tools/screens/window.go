package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// device is what a payer holds in hands.
type device struct {
	name, agent   string
	width, height int64
	mobile        bool
	// bridge is the object that the app around the page puts into it.
	bridge string
}

func devices() map[string]device {
	list := []device{
		{name: "pc", width: 1280, height: 800,
			agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36"},
		{name: "phone", width: 390, height: 844, mobile: true,
			agent: "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Mobile Safari/537.36"},
		{name: "wechat", width: 390, height: 844, mobile: true, bridge: "WeixinJSBridge",
			agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.49 NetType/WIFI"},
		{name: "alipay", width: 390, height: 844, mobile: true, bridge: "AlipayJSBridge",
			agent: "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120 Mobile Safari/537.36 AliApp(AP/10.5.96) AlipayClient/10.5.96"},
	}
	all := map[string]device{}
	for _, d := range list {
		all[d.name] = d
	}
	return all
}

// openBrowser starts one browser for all courses; each gets a window of its own.
func openBrowser(ctx context.Context, path string) (context.Context, func(), error) {
	profile, err := os.MkdirTemp("", "screens")
	if err != nil {
		return nil, nil, err
	}
	// Without a sandbox of its own, because it runs as root in containers; it visits
	// nothing but this machine.
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(profile), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-dev-shm-usage", true))
	allocator, stop := chromedp.NewExecAllocator(ctx, flags...)
	browser, quit := chromedp.NewContext(allocator)
	closeAll := func() {
		quit()
		stop()
		_ = os.RemoveAll(profile)
	}
	if err := chromedp.Run(browser); err != nil {
		closeAll()
		return nil, nil, fmt.Errorf("start %s: %w", path, err)
	}
	return browser, closeAll, nil
}

// window is one payer's browser window during one course.
type window struct {
	ctx   context.Context
	shots string // beginning of the names of its pictures
	taken int
}

// patience bounds one course, far beyond what any takes on a machine with time to spare.
const patience = 5 * time.Minute

// newWindow opens an empty window of its own, so that no other hides it: pages that
// nobody looks at do not ask how the payment stands.
func newWindow(browser context.Context) (context.Context, func(), error) {
	opened := chromedp.FromContext(browser).Browser
	id, err := target.CreateTarget("about:blank").WithNewWindow(true).Do(cdp.WithExecutor(browser, opened))
	if err != nil {
		return nil, nil, fmt.Errorf("open a window: %w", err)
	}
	ctx, closeTab := chromedp.NewContext(browser, chromedp.WithTargetID(id))
	return ctx, closeTab, nil
}

func openWindow(browser context.Context, d device, look look, shots string) (*window, func(), error) {
	ctx, closeTab, err := newWindow(browser)
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	w := &window{ctx: ctx, shots: shots}
	setup := []chromedp.Action{
		emulation.SetUserAgentOverride(d.agent).WithAcceptLanguage(look.language),
		emulation.SetDeviceMetricsOverride(d.width, d.height, 1, d.mobile),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.colours}}),
		emulation.SetScriptExecutionDisabled(look.noScript),
	}
	if d.bridge != "" {
		setup = append(setup, chromedp.ActionFunc(func(ctx context.Context) error {
			_, err := page.AddScriptToEvaluateOnNewDocument(bridgeScript(d.bridge)).Do(ctx)
			return err
		}))
	}
	return w, func() { stop(); closeTab() }, chromedp.Run(ctx, setup...)
}

// bridgeScript stands for the app: it keeps what the page hands over, and the
// course goes on with it.
func bridgeScript(name string) string {
	return `window.` + name + ` = {
		invoke: (method, params, done) => { window.handedOver = {method, params}; window.comeBack = () => done({err_msg: method + ':ok'}); },
		call: (method, params, done) => { window.handedOver = {method, params}; window.comeBack = () => done({resultCode: '9000'}); } };`
}

func (w *window) do(actions ...chromedp.Action) error { return chromedp.Run(w.ctx, actions...) }

func (w *window) open(address string) error { return w.do(chromedp.Navigate(address)) }

// screen waits until the page shows one of the screens, and takes a picture of it.
func (w *window) screen(names ...string) error {
	if err := w.await("document.getElementById('main')?.dataset.screen", names...); err != nil {
		return err
	}
	return w.picture(names[0])
}

// await polls an expression until it has one of the values.
func (w *window) await(expression string, values ...string) error {
	var got string
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		// A page that is being left has no answer; the next one has.
		if err := w.do(chromedp.Evaluate("String("+expression+")", &got)); err != nil && w.ctx.Err() != nil {
			return w.lost(expression, got, values)
		}
		for _, value := range values {
			if got == value {
				return nil
			}
		}
		select {
		case <-w.ctx.Done():
			return w.lost(expression, got, values)
		case <-tick.C:
		}
	}
}

func (w *window) lost(expression, got string, values []string) error {
	return fmt.Errorf("waited for %s to be %s; it is %q", expression, strings.Join(values, " or "), got)
}

// sticksOut names the first thing that is wider than the screen, or a page that
// does not stand in the middle of it.
const sticksOut = `(() => {
	const wide = document.documentElement.clientWidth
	for (const e of document.querySelectorAll("body > *, main *")) {
		const box = e.getBoundingClientRect()
		if (!e.closest(".quiet") && box.width > 0 && (box.right > wide + 1 || box.left < -1)) return e.tagName + "." + e.className + " sticks out"
	}
	const main = document.querySelector("main")?.getBoundingClientRect()
	return main && Math.abs(main.left - (wide - main.right)) > 2 ? "the page is not in the middle" : ""
})()`

// keep keeps what the window shows as PNG.
func (w *window) keep(name string) error {
	var png []byte
	if err := w.do(chromedp.CaptureScreenshot(&png)); err != nil {
		return err
	}
	w.taken++
	return os.WriteFile(fmt.Sprintf("%s-%d-%s.png", w.shots, w.taken, name), png, 0o644)
}

// picture is keep for a page of ours: what does not fit the screen is an error.
func (w *window) picture(name string) error {
	if err := w.keep(name); err != nil {
		return err
	}
	var wrong string
	if err := w.do(chromedp.Evaluate(sticksOut, &wrong)); err != nil {
		return err
	}
	if wrong != "" {
		return fmt.Errorf("%s: %s", name, wrong)
	}
	return nil
}

// choose picks a way and confirms it, by the mouse.
func (w *window) choose(way string) error {
	return w.do(chromedp.Click(`input[name=m][value="`+way+`"]`, chromedp.ByQuery), chromedp.Click(`form button[type=submit]`, chromedp.ByQuery))
}

// atProvider waits for the sandbox's page and presses one of its buttons.
func (w *window) atProvider(button string) error {
	if err := w.do(chromedp.WaitVisible(button, chromedp.ByQuery)); err != nil {
		return err
	}
	if err := w.picture("provider"); err != nil {
		return err
	}
	return w.do(chromedp.Click(button, chromedp.ByQuery))
}

// handedOver waits for what the page gives to the app around it.
func (w *window) handedOver() (map[string]string, error) {
	if err := w.await("!!window.handedOver", "true"); err != nil {
		return nil, err
	}
	var text string
	if err := w.do(chromedp.Evaluate("JSON.stringify(window.handedOver.params)", &text)); err != nil {
		return nil, err
	}
	params := map[string]string{}
	if err := json.Unmarshal([]byte(text), &params); err != nil {
		return nil, errors.Join(errors.New("the app was given "+text), err)
	}
	return params, nil
}
