package alipay

import (
	"cmp"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/faults"
	"github.com/suanpan/suanpan/sandbox/keys"
	"github.com/suanpan/suanpan/sandbox/yuan"
)

// Paths on which the sandbox plays the payer's side of the products that do not
// begin with a QR code.
const (
	// AppPath takes an order string, as the provider's SDK in an app does.
	AppPath = "/alipay/client/app"
	// JSAPIPath takes trade_no, as my.tradePay does.
	JSAPIPath = "/alipay/client/jsapi"
)

// appPay is the method whose signed parameters an app hands over.
const appPay = "alipay.trade.app.pay"

// pages are the methods that a payer's side carries to the gateway, each with the
// product of its orders.
func (g *Gateway) pages() map[string]string {
	return map[string]string{"alipay.trade.page.pay": productPage, "alipay.trade.wap.pay": productWAP, appPay: productApp}
}

// OpenApp is what an app hands over: the signed order string as the query, or
// pasted into the form that is shown without one.
func (g *Gateway) OpenApp(w http.ResponseWriter, r *http.Request) {
	if pasted := r.PostFormValue("order_string"); pasted != "" {
		http.Redirect(w, r, AppPath+"?"+pasted, http.StatusSeeOther)
		return
	}
	if r.URL.RawQuery == "" {
		show(w, http.StatusOK, appForm, nil)
		return
	}
	params, err := readParams(r)
	if err == nil && params["method"] != appPay {
		err = invalid("isv.invalid-method", "不是App支付的订单串")
	}
	if err != nil {
		g.refusePage(err).Write(w)
		return
	}
	g.open(w, r, params)
}

// OpenJSAPI is what a page inside Alipay hands over.
func (g *Gateway) OpenJSAPI(w http.ResponseWriter, r *http.Request) {
	var order books.Order
	err := g.books.View(func(view books.Reader) error {
		found := view.Orders(func(o books.Order) bool {
			return o.Provider == books.Alipay && o.Product == productJSAPI && o.ProviderNo == r.URL.Query().Get("trade_no")
		})
		if len(found) != 1 {
			return failed("ACQ.TRADE_NOT_EXIST", "交易不存在")
		}
		order = found[0]
		return nil
	})
	if err != nil {
		g.refusePage(err).Write(w)
		return
	}
	http.Redirect(w, r, "/pay/"+order.Token, http.StatusFound)
}

// open verifies what the payer's side carried and leads to the cashier's page. On
// a PC or in a mobile browser the trade exists only once the payer has logged in
// there; in an app the payer is logged in.
func (g *Gateway) open(w http.ResponseWriter, r *http.Request, params map[string]string) {
	call, err := g.understand(params)
	if err != nil {
		g.refusePage(err).Write(w)
		return
	}
	same := func(reply faults.Reply) faults.Reply { return reply }
	g.Faults.Take(string(books.Alipay), call.method, numbersIn(call.bizContent)).Serve(w, r, faults.Answers{
		Work: func() faults.Reply {
			order, err := g.openOrder(call)
			if err != nil {
				return g.refusePage(err)
			}
			return faults.Reply{Status: http.StatusFound, Header: http.Header{"Location": {"/pay/" + order.Token}}}
		},
		SystemError: func(answer string) faults.Reply { return g.refusePage(systemError(call.method, answer)) },
		Refuse:      func(code string) faults.Reply { return g.refusePage(failed(code, "沙箱按要求拒绝")) },
		Forge:       same,
		Rewrite:     func(reply faults.Reply, _ func([]byte) []byte) faults.Reply { return reply },
	})
}

func (g *Gateway) openOrder(call request) (books.Order, error) {
	var in orderFields
	if err := decode(call, &in); err != nil {
		return books.Order{}, err
	}
	product, state := g.pages()[call.method], books.OrderPrepared
	amount, err := checkOrder(call, in, product)
	if err != nil {
		return books.Order{}, err
	}
	if product == productWAP && in.QuitURL == "" {
		return books.Order{}, invalidParameter("quit_url不能为空")
	}
	if product == productApp {
		state = books.OrderWaiting
	}
	order, err := g.announce(call, in, amount, product, state)
	// A payer who comes again sees what became of the order.
	var over *refusal
	if errors.As(err, &over) && (over.subCode == "ACQ.TRADE_HAS_SUCCESS" || over.subCode == "ACQ.TRADE_HAS_CLOSE") {
		err = nil
	}
	return order, err
}

// Open is a payer's side that shows the page of an order: scanning a QR code makes
// the trade, and so does nothing else here.
func (g *Gateway) Open(o books.Order) (books.Order, error) {
	if o.Product != "" {
		return o, nil
	}
	return g.Scan(o.Merchant, o.Number)
}

// Back is where the page sends the payer's browser: to return_url with what the
// provider says and signs there, or to quit_url while nothing is paid.
func (g *Gateway) Back(o books.Order) string {
	target, err := url.Parse(o.ReturnURL)
	if o.State != books.OrderPaid {
		return cmp.Or(o.QuitURL, o.ReturnURL)
	}
	if err != nil || o.ReturnURL == "" {
		return ""
	}
	method := "alipay.trade.page.pay.return"
	if o.Product == productWAP {
		method = "alipay.trade.wap.pay.return"
	}
	params := map[string]string{
		"app_id": cmp.Or(o.Partner, o.Merchant), "auth_app_id": o.Merchant, "charset": "utf-8", "method": method,
		"out_trade_no": o.Number, "seller_id": o.Account, "sign_type": "RSA2", "timestamp": g.format(o.PaidAt),
		"total_amount": yuan.Format(o.Amount), "trade_no": o.ProviderNo, "version": "1.0",
	}
	signature, err := keys.Sign(g.Keys.Alipay().Key, signString(params, "sign", "sign_type"))
	if err != nil {
		slog.Error("return address cannot be signed", "error", err)
		return o.ReturnURL
	}
	values := target.Query()
	for name, value := range params {
		values.Set(name, value)
	}
	values.Set("sign", signature)
	target.RawQuery = values.Encode()
	return target.String()
}

const appForm = `<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>支付宝客户端 Alipay app</title><style>
body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:32rem;padding:0 1rem;color:#1f2329}
textarea,button{font:inherit;width:100%;box-sizing:border-box;padding:.7rem;border:1px solid #e5e6eb;border-radius:8px;margin:.3rem 0}
button{background:#1677ff;border-color:#1677ff;color:#fff}</style></head>
<body><h1>支付宝 Alipay</h1><form method="post"><label>App 交来的订单串 The order string an app hands over
<textarea id="order" name="order_string" rows="8" required></textarea></label><button id="open">打开 Open</button></form></body></html>`

const refusedPage = `<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>支付宝 Alipay</title><style>
body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:32rem;padding:0 1rem;color:#1f2329}</style></head>
<body><h1>抱歉，无法完成付款</h1><p>The payment cannot be made.</p>
<p>错误代码 Code: <code id="code">{{.Code}}</code></p><p>{{.Reason}}</p></body></html>`

// refusePage is how a payer's browser is told of a refusal.
func (g *Gateway) refusePage(err error) faults.Reply {
	var known *refusal
	if !errors.As(err, &known) {
		slog.Error("alipay page failed inside the sandbox", "error", err)
		known = unavailable()
	}
	parsed, err := template.New("refused").Parse(refusedPage)
	var text strings.Builder
	if err == nil {
		err = parsed.Execute(&text, map[string]string{"Code": known.subCode, "Reason": known.subMsg})
	}
	if err != nil {
		slog.Error("page does not render", "error", err)
	}
	header := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	return faults.Reply{Status: http.StatusBadRequest, Header: header, Body: []byte(text.String())}
}

// show writes a page made of a template.
func show(w http.ResponseWriter, status int, source string, data any) {
	parsed, err := template.New("page").Parse(source)
	if err != nil {
		http.Error(w, "系统繁忙 Please try again", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := parsed.Execute(w, data); err != nil {
		slog.Error("page does not render", "error", err)
	}
}
