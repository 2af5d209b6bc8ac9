package control

import (
	"fmt"
	"net/http"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
)

// orderView is an order with what the books say about its refunds.
type orderView struct {
	books.Order
	Expired bool           `json:"expired"`
	Refunds []books.Refund `json:"refunds"`
}

// listOrders finds the orders under a number, or all of a provider.
func (a *api) listOrders(r *http.Request) (any, error) {
	query := r.URL.Query()
	p, err := provider(query.Get("provider"))
	if err != nil {
		return nil, err
	}
	orders := []orderView{}
	err = a.Books.View(func(view books.Reader) error {
		found := view.OrdersByNumber(p, query.Get("number"))
		if query.Get("number") == "" {
			found = view.Orders(func(o books.Order) bool { return o.Provider == p })
		}
		for _, o := range found {
			orders = append(orders, orderView{o, o.Expired(view.Now()), view.RefundsOf(o)})
		}
		return nil
	})
	return map[string]any{"orders": orders}, err
}

type act struct {
	Provider string `json:"provider"`
	Number   string `json:"number"`
	// Merchant is needed only if several merchants have the number.
	Merchant string `json:"merchant"`
	Late     bool   `json:"late"`
	Channel  string `json:"channel"`
}

func (a *api) scan(r *http.Request) (any, error) {
	return a.play(r, func(p Payer, o books.Order, _ act) (books.Order, error) { return p.Scan(o.Merchant, o.Number) })
}

func (a *api) pay(r *http.Request) (any, error) {
	return a.play(r, func(p Payer, o books.Order, in act) (books.Order, error) {
		return p.Pay(o.Merchant, o.Number, in.Channel, in.Late)
	})
}

func (a *api) decline(r *http.Request) (any, error) {
	return a.play(r, func(p Payer, o books.Order, _ act) (books.Order, error) { return p.Decline(o.Merchant, o.Number) })
}

func (a *api) play(r *http.Request, do func(Payer, books.Order, act) (books.Order, error)) (any, error) {
	in, err := read[act](r)
	if err != nil {
		return nil, err
	}
	p, err := provider(in.Provider)
	if err != nil {
		return nil, err
	}
	var found []books.Order
	err = a.Books.View(func(view books.Reader) error {
		found = view.OrdersByNumber(p, in.Number)
		return nil
	})
	if err != nil {
		return nil, err
	}
	order, err := only(found, in.Merchant, in.Number, func(o books.Order) string { return o.Merchant })
	if err != nil {
		return nil, err
	}
	return do(a.Payers[p], order, in)
}

// only picks the one item that a number, and perhaps a merchant, names.
func only[T any](found []T, merchant, number string, owner func(T) string) (T, error) {
	var picked []T
	for _, item := range found {
		if merchant == "" || owner(item) == merchant {
			picked = append(picked, item)
		}
	}
	var none T
	switch len(picked) {
	case 0:
		return none, fmt.Errorf("%w: number %q", books.ErrNotFound, number)
	case 1:
		return picked[0], nil
	default:
		return none, bad("several merchants have this number: say which with merchant")
	}
}

type settle struct {
	Provider string `json:"provider"`
	Number   string `json:"number"`
	Merchant string `json:"merchant"`
	Status   string `json:"status"`
	// AfterSeconds lets it happen later, by the business clock.
	AfterSeconds int64 `json:"after_seconds"`
}

// later is when it is to happen, from now on; an error says that it cannot be later.
func (s settle) later(only string) (time.Duration, error) {
	const year = 366 * 24 * 3600
	switch {
	case s.AfterSeconds < 0 || s.AfterSeconds > year:
		return 0, bad("after_seconds must be between 0 and a year")
	case s.AfterSeconds > 0 && s.Status != only:
		return 0, bad("only " + only + " can come later (after_seconds)")
	}
	return time.Duration(s.AfterSeconds) * time.Second, nil
}

// settleRefund brings a WeChat Pay refund to SUCCESS, ABNORMAL or CLOSED.
func (a *api) settleRefund(r *http.Request) (any, error) {
	in, err := read[settle](r)
	if err != nil {
		return nil, err
	}
	if in.Provider != string(books.WeChatPay) {
		return nil, bad("only wechatpay refunds have later states")
	}
	var found []books.Refund
	err = a.Books.View(func(view books.Reader) error {
		found = view.Refunds(func(refund books.Refund) bool {
			return refund.Provider == books.WeChatPay && refund.Number == in.Number
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	refund, err := only(found, in.Merchant, in.Number, func(r books.Refund) string { return r.Merchant })
	if err != nil {
		return nil, err
	}
	after, err := in.later(string(books.RefundAbnormal))
	if err != nil {
		return nil, err
	}
	if after > 0 {
		return conflict(a.Refunds.ReturnRefundLater(refund.Merchant, refund.Number, after))
	}
	return conflict(a.Refunds.SettleRefund(refund.Merchant, refund.Number, books.RefundState(in.Status)))
}

// settleTransfer brings an Alipay transfer to SUCCESS, FAIL or REFUND.
func (a *api) settleTransfer(r *http.Request) (any, error) {
	in, err := read[settle](r)
	if err != nil {
		return nil, err
	}
	if in.Provider != string(books.Alipay) {
		return nil, bad("only alipay has transfers")
	}
	var found []books.Transfer
	err = a.Books.View(func(view books.Reader) error {
		found = view.TransfersByNumber(books.Alipay, in.Number)
		return nil
	})
	if err != nil {
		return nil, err
	}
	transfer, err := only(found, in.Merchant, in.Number, func(t books.Transfer) string { return t.Merchant })
	if err != nil {
		return nil, err
	}
	after, err := in.later(string(books.TransferReturned))
	if err != nil {
		return nil, err
	}
	if after > 0 {
		return conflict(a.Transfers.ReturnTransferLater(transfer.Merchant, transfer.Number, after))
	}
	return conflict(a.Transfers.SettleTransfer(transfer.Merchant, transfer.Number, books.TransferState(in.Status)))
}

// conflict reports a refused change of state as 409.
func conflict[T any](settled T, err error) (any, error) {
	if err != nil {
		return nil, &failure{http.StatusConflict, err}
	}
	return settled, nil
}
