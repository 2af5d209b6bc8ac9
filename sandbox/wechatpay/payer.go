package wechatpay

import (
	"fmt"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
)

// Scan is a payer opening the code. WeChat Pay's order exists from its
// announcement on, so nothing changes but the moment that is kept.
func (g *Gateway) Scan(merchant, number string) (books.Order, error) {
	return g.update("order_scanned", merchant, number, func(tx *books.Tx, o *books.Order) error {
		if o.State == books.OrderPrepared && o.ScannedAt.IsZero() && !o.Expired(tx.Now()) {
			o.ScannedAt = tx.Now()
			tx.PutOrder(*o)
		}
		return nil
	})
}

// Pay is a payer paying. late lets a closed or expired order be paid, as
// happens when the payment and the closing race. channel is the bank_type; it
// may be empty.
func (g *Gateway) Pay(merchant, number, channel string, late bool) (books.Order, error) {
	return g.update("order_paid", merchant, number, func(tx *books.Tx, o *books.Order) error {
		state := tradeState(*o, tx.Now())
		over := state == "CLOSED" || state == "REVOKED" || state == "PAYERROR"
		if o.State == books.OrderPaid || (over && !late) {
			return fmt.Errorf("%w: its trade_state is %s", books.ErrNotPayable, state)
		}
		if channel == "" {
			channel = "OTHERS"
		}
		account, ok := tx.Merchant(books.WeChatPay, o.Merchant)
		if !ok {
			return fmt.Errorf("no merchant %q", merchant)
		}
		o.Late, o.ReversedAt = over, time.Time{}
		paid, err := tx.Pay(*o, account, channel)
		if err != nil {
			return err
		}
		*o = paid
		return g.notifyPaid(tx, paid)
	})
}

// Decline is a payer turning away. The order stays open until it expires.
func (g *Gateway) Decline(merchant, number string) (books.Order, error) {
	return g.update("order_declined", merchant, number, func(tx *books.Tx, o *books.Order) error {
		if o.State == books.OrderPaid {
			return fmt.Errorf("%w: it is paid", books.ErrNotPayable)
		}
		if o.Product == tradeCode && o.State == books.OrderWaiting {
			o.State = books.OrderPrepared // a code is good once: PAYERROR from now on
		}
		o.DeclinedAt = tx.Now()
		tx.PutOrder(*o)
		return nil
	})
}

func (g *Gateway) update(kind, merchant, number string, change func(*books.Tx, *books.Order) error) (books.Order, error) {
	var order books.Order
	err := g.Books.Update(kind, func(tx *books.Tx) error {
		found, ok := tx.Order(books.WeChatPay, merchant, number)
		if !ok {
			return fmt.Errorf("%w: order %q of %q", books.ErrNotFound, number, merchant)
		}
		if err := change(tx, &found); err != nil {
			return err
		}
		order = found
		return nil
	})
	return order, err
}
