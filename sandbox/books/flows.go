package books

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/bits"
	"strconv"
)

// ErrNotEnough says that the account's balance does not cover what would leave it.
var ErrNotEnough = errors.New("the account's balance is not enough")

// ErrNotPayable says that a payer cannot pay an order any more.
var ErrNotPayable = errors.New("the order cannot be paid")

// ErrNotFound says that the books do not know a number.
var ErrNotFound = errors.New("not in the books")

// Fee is the provider's fee on an amount in fen, rounded half up to the fen.
// Both arguments must not be negative.
func Fee(amount, basisPoints int64) int64 {
	return proportion(amount, basisPoints, 10_000)
}

// proportion is amount × part ÷ whole, rounded half up, without overflow.
func proportion(amount, part, whole int64) int64 {
	high, low := bits.Mul64(uint64(amount), uint64(part))
	low, carry := bits.Add64(low, uint64(whole/2), 0)
	quotient, _ := bits.Div64(high+carry, low, uint64(whole))
	return int64(quotient)
}

// Fingerprint condenses the parameters that must not change when a request is
// repeated under the same number.
func Fingerprint(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		_, _ = h.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Pay records that the payer's money for o arrived now: the order is paid, the
// merchant's account receives the amount and pays the fee.
func (tx *Tx) Pay(o Order, m Merchant, channel string) (Order, error) {
	o.State, o.PaidAt, o.Channel = OrderPaid, tx.Now(), channel
	o.FeeBasisPoints = m.FeeBasisPoints
	o.Fee = Fee(o.Amount, m.FeeBasisPoints)
	movement := Movement{Provider: o.Provider, Merchant: o.Merchant, Account: o.Account,
		Number: o.Number, OrderNumber: o.Number, ProviderNo: o.ProviderNo}
	movement.Kind, movement.Amount = MovementPayment, o.Amount
	if _, err := tx.Move(movement); err != nil {
		return Order{}, err
	}
	if o.Fee > 0 {
		movement.Kind, movement.Amount = MovementPaymentFee, -o.Fee
		if _, err := tx.Move(movement); err != nil {
			return Order{}, err
		}
	}
	tx.PutOrder(o)
	return o, nil
}

// GiveBack records that a refund was accepted: the merchant's account pays
// r.Amount and, where the merchant's contract says so, gets its part of the
// fee. It returns ErrNotEnough if the account cannot pay. The caller has
// checked the amount against the order.
func (tx *Tx) GiveBack(o Order, m Merchant, r Refund) (Order, Refund, error) {
	o.Refunded += r.Amount
	o.RefundCount++
	o.RefundedAt = tx.Now()
	if m.RefundFeeReturned {
		// The cumulative share is rounded, so that a full refund returns the whole fee.
		r.FeeReturned = proportion(o.Fee, o.Refunded, o.Amount) - o.FeeReturned
		o.FeeReturned += r.FeeReturned
	}
	r.Cumulative = o.Refunded
	if tx.Balance(o.Provider, o.Account)+r.FeeReturned < r.Amount {
		return Order{}, Refund{}, ErrNotEnough
	}
	movement := Movement{Provider: o.Provider, Merchant: o.Merchant, Account: o.Account,
		Number: r.Number, OrderNumber: o.Number, ProviderNo: r.ProviderNo}
	if r.FeeReturned > 0 {
		movement.Kind, movement.Amount = MovementRefundFee, r.FeeReturned
		if _, err := tx.Move(movement); err != nil {
			return Order{}, Refund{}, err
		}
	}
	movement.Kind, movement.Amount = MovementRefund, -r.Amount
	if _, err := tx.Move(movement); err != nil {
		return Order{}, Refund{}, err
	}
	tx.PutOrder(o)
	tx.PutRefund(r)
	return o, r, nil
}
