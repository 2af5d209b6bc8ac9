package alipay

import (
	"fmt"

	"github.com/suanpan/suanpan/sandbox/books"
)

// Scan is a payer opening the code: only now does the trade exist.
func (g *Gateway) Scan(merchant, number string) (books.Order, error) {
	return g.update("order_scanned", merchant, number, func(tx *books.Tx, o *books.Order) error {
		if o.State == books.OrderPrepared && !o.Expired(tx.Now()) {
			o.State, o.ScannedAt = books.OrderWaiting, tx.Now()
			tx.PutOrder(*o)
		}
		return nil
	})
}

// Pay is a payer paying. late lets a closed or expired order be paid, as
// happens when the payment and the closing race. channel may be empty.
func (g *Gateway) Pay(merchant, number, channel string, late bool) (books.Order, error) {
	return g.update("order_paid", merchant, number, func(tx *books.Tx, o *books.Order) error {
		closed := o.State == books.OrderClosed || o.Expired(tx.Now())
		if o.State == books.OrderPaid || (closed && !late) {
			return fmt.Errorf("%w: it is %s", books.ErrNotPayable, describe(*o, closed))
		}
		if channel == "" {
			channel = "ALIPAYACCOUNT"
		}
		account, ok := tx.Merchant(books.Alipay, merchant)
		if !ok {
			return fmt.Errorf("no app %q", merchant)
		}
		if o.ScannedAt.IsZero() {
			o.ScannedAt = tx.Now()
		}
		o.Late = closed
		paid, err := tx.Pay(*o, account, channel)
		if err != nil {
			return err
		}
		*o = paid
		g.notifyPaid(tx, paid)
		return nil
	})
}

// Decline is a payer turning away. The trade stays open until it expires.
func (g *Gateway) Decline(merchant, number string) (books.Order, error) {
	return g.update("order_declined", merchant, number, func(tx *books.Tx, o *books.Order) error {
		if o.State == books.OrderPaid {
			return fmt.Errorf("%w: it is paid", books.ErrNotPayable)
		}
		o.DeclinedAt = tx.Now()
		tx.PutOrder(*o)
		return nil
	})
}

func (g *Gateway) update(kind, merchant, number string, change func(*books.Tx, *books.Order) error) (books.Order, error) {
	var order books.Order
	err := g.books.Update(kind, func(tx *books.Tx) error {
		found, ok := tx.Order(books.Alipay, merchant, number)
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

func describe(o books.Order, closed bool) string {
	if closed && o.State != books.OrderClosed {
		return "expired"
	}
	return string(o.State)
}
