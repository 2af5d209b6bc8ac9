package wechatpay

import (
	"context"
	"fmt"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
)

// RunDue lets the refunds succeed whose delay is over, and those come back whose day
// has come, and returns the moment the next one is due: zero if none.
func (g *Gateway) RunDue(context.Context) (time.Time, error) {
	var next time.Time
	var due []books.Refund
	err := g.Books.View(func(r books.Reader) error {
		due = r.DueRefunds()
		return nil
	})
	if err != nil {
		return time.Time{}, err
	}
	for _, r := range due {
		at, to := r.DueAt, books.RefundSuccess
		if r.State == books.RefundSuccess { // its day is on the business clock
			at, to = g.Books.RealNow().Add(r.ReturnAt.Sub(g.Books.Now())), books.RefundAbnormal
		}
		if at.After(g.Books.RealNow()) {
			if next.IsZero() || at.Before(next) {
				next = at
			}
			continue
		}
		if err := g.finishRefund(r, to); err != nil {
			return time.Time{}, err
		}
	}
	return next, nil
}

// finishRefund brings a due refund to its next state, unless somebody settled it
// meanwhile.
func (g *Gateway) finishRefund(due books.Refund, to books.RefundState) error {
	return g.Books.Update("refund_settled", func(tx *books.Tx) error {
		refund, ok := tx.Refund(books.WeChatPay, due.Merchant, "", due.Number)
		if !ok || refund.State != due.State {
			return nil
		}
		_, err := g.settleRefund(tx, refund, to)
		return err
	})
}

// ReturnRefundLater lets the payer's bank send a refund back once the business clock
// is later by after.
func (g *Gateway) ReturnRefundLater(merchant, number string, after time.Duration) (books.Refund, error) {
	var sent books.Refund
	err := g.Books.Update("refund_to_return", func(tx *books.Tx) error {
		refund, ok := tx.Refund(books.WeChatPay, merchant, "", number)
		switch {
		case !ok:
			return fmt.Errorf("%w: refund %q of %q", books.ErrNotFound, number, merchant)
		case refund.State != books.RefundSuccess:
			return fmt.Errorf("a refund that is %s cannot come back", refund.State)
		}
		refund.ReturnAt = tx.Now().Add(after)
		tx.PutRefund(refund)
		sent = refund
		return nil
	})
	return sent, err
}

// SettleRefund brings a refund to a later state and notifies: PROCESSING to
// SUCCESS, ABNORMAL or CLOSED, and SUCCESS to ABNORMAL, which is a bank
// returning the money later. Repeating it changes nothing.
func (g *Gateway) SettleRefund(merchant, number string, to books.RefundState) (books.Refund, error) {
	var settled books.Refund
	err := g.Books.Update("refund_settled", func(tx *books.Tx) error {
		refund, ok := tx.Refund(books.WeChatPay, merchant, "", number)
		if !ok {
			return fmt.Errorf("%w: refund %q of %q", books.ErrNotFound, number, merchant)
		}
		var err error
		settled, err = g.settleRefund(tx, refund, to)
		return err
	})
	return settled, err
}

func (g *Gateway) settleRefund(tx *books.Tx, refund books.Refund, to books.RefundState) (books.Refund, error) {
	if refund.State == to {
		return refund, nil
	}
	order, _ := tx.Order(books.WeChatPay, refund.Merchant, refund.OrderNumber)
	settled := refund
	settled.State, settled.DueAt, settled.ReturnAt, settled.DoneAt = to, time.Time{}, time.Time{}, tx.Now()
	switch {
	case refund.State == books.RefundProcessing && (to == books.RefundSuccess || to == books.RefundAbnormal),
		refund.State == books.RefundSuccess && to == books.RefundAbnormal:
	case refund.State == books.RefundProcessing && to == books.RefundClosed:
		if err := g.undoRefund(tx, order, refund); err != nil {
			return books.Refund{}, err
		}
	default:
		return books.Refund{}, fmt.Errorf("a refund that is %s cannot become %s", refund.State, to)
	}
	tx.PutRefund(settled)
	return settled, g.notifyRefund(tx, order, settled)
}

// undoRefund gives the money of a closed refund back to the merchant's account.
func (g *Gateway) undoRefund(tx *books.Tx, o books.Order, r books.Refund) error {
	o.Refunded -= r.Amount
	o.FeeReturned -= r.FeeReturned
	tx.PutOrder(o)
	_, err := tx.Move(books.Movement{Provider: o.Provider, Merchant: o.Merchant, Account: o.Account,
		Kind: books.MovementRefundReturn, Number: r.Number, OrderNumber: o.Number, ProviderNo: r.ProviderNo,
		Amount: r.Amount - r.FeeReturned})
	return err
}
