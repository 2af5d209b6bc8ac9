// Package page owns the cashier's page on which a person, or a test in a browser,
// plays the payer: it shows what is to be paid and lets the payer pay, decline,
// wait, or go back to the merchant. Opening it is scanning the code. It works
// without JavaScript.
//
// It may not know the providers' protocols: it asks a Payer.
package page

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/yuan"
)

//go:embed page.html
var source string

// Payer acts as the payer of one provider.
type Payer interface {
	Scan(merchant, number string) (books.Order, error)
	Pay(merchant, number, channel string, late bool) (books.Order, error)
	Decline(merchant, number string) (books.Order, error)
}

// cashier is a Payer with pages of its own kind.
type cashier interface {
	// Open is the payer's side showing the page of an order, in place of Scan.
	Open(order books.Order) (books.Order, error)
	// Back is where the page sends the payer's browser; empty for nowhere.
	Back(order books.Order) string
}

// Handler serves /pay/{token}, and the list of orders that can be paid.
type Handler struct {
	books          *books.Books
	payers         map[books.Provider]Payer
	zone           *time.Location
	template, list *template.Template
}

// New makes a Handler.
func New(b *books.Books, payers map[books.Provider]Payer, zone *time.Location) (*Handler, error) {
	parsed, err := template.New("page").Parse(source)
	if err != nil {
		return nil, fmt.Errorf("parse the payer's page: %w", err)
	}
	list, err := parseList()
	if err != nil {
		return nil, fmt.Errorf("parse the list of orders: %w", err)
	}
	return &Handler{books: b, payers: payers, zone: zone, template: parsed, list: list}, nil
}

type view struct {
	Brand, Amount, Status, Merchant, Subject, Number, Expires string
	Colour                                                    template.CSS
	Payable, Paid                                             bool
	// Back is where the merchant wants the payer back.
	Back string
}

// ServeHTTP shows the order on GET and acts on POST.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	var order books.Order
	known := false
	err := h.books.View(func(v books.Reader) error {
		order, known = v.OrderByToken(r.PathValue("token"))
		return nil
	})
	if err == nil && !known {
		http.Error(w, "二维码无效 This code is not known", http.StatusNotFound)
		return
	}
	if err == nil {
		order, err = h.act(w, r, order)
	}
	if err != nil && !errors.Is(err, books.ErrNotPayable) {
		slog.Error("payer's page failed", "error", err)
		http.Error(w, "系统繁忙 Please try again", http.StatusInternalServerError)
		return
	}
	if r.Method == http.MethodPost {
		http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if err := h.template.Execute(w, h.show(order)); err != nil {
		slog.Error("payer's page does not render", "error", err)
	}
}

func (h *Handler) act(w http.ResponseWriter, r *http.Request, order books.Order) (books.Order, error) {
	payer := h.payers[order.Provider]
	own, opens := payer.(cashier)
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	switch action := r.PostFormValue("action"); {
	case r.Method == http.MethodGet && opens:
		return own.Open(order)
	case r.Method == http.MethodGet, action == "wait": // the payer has come, and pays later
		return payer.Scan(order.Merchant, order.Number)
	case action == "pay":
		return payer.Pay(order.Merchant, order.Number, "", false)
	}
	return payer.Decline(order.Merchant, order.Number)
}

func (h *Handler) show(o books.Order) view {
	v := view{
		Brand: "支付宝 Alipay", Colour: "#1677ff", Amount: yuan.Format(o.Amount), Merchant: o.Merchant,
		Subject: o.Subject, Number: o.Number, Expires: o.ExpiresAt.In(h.zone).Format("2006-01-02 15:04:05"),
		Back: o.ReturnURL, Paid: o.State == books.OrderPaid,
	}
	if own, ok := h.payers[o.Provider].(cashier); ok {
		v.Back = own.Back(o)
	}
	if o.Provider == books.WeChatPay {
		v.Brand, v.Colour = "微信支付 WeChat Pay", "#07a35a"
	}
	switch {
	case o.State == books.OrderPaid && o.Refunded > 0:
		v.Status = "已支付，已退款 ¥" + yuan.Format(o.Refunded) + " · Paid, refunded"
	case o.State == books.OrderPaid:
		v.Status = "支付成功 Paid"
	case o.State == books.OrderClosed:
		v.Status = "订单已关闭 Closed"
	case o.Expired(h.books.Now()):
		v.Status = "订单已过期 Expired"
	case !o.DeclinedAt.IsZero():
		v.Status, v.Payable = "已放弃，仍可支付 Declined, can still be paid", true
	case o.State == books.OrderWaiting:
		v.Status, v.Payable = "等待确认支付 Waiting for the payer to confirm", true
	default:
		v.Status, v.Payable = "待支付 Waiting for payment", true
	}
	return v
}
