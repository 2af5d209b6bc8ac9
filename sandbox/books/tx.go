package books

import (
	"fmt"
	"math"
	"time"
)

// Tx collects what one Update records. Its Reader shows the state before the
// Update; what was put is not visible until it commits.
type Tx struct {
	Reader
	record  Record
	pending map[accountKey]int64
	numbers int64
}

// RealNow is protocol time.
func (tx *Tx) RealNow() time.Time { return tx.record.RealTime }

// NextNumber returns a number that no other call has returned or will return.
func (tx *Tx) NextNumber() int64 {
	tx.numbers++
	return tx.record.Seq*100 + tx.numbers
}

// PutMerchant registers or replaces a merchant.
func (tx *Tx) PutMerchant(m Merchant) { tx.record.Merchants = append(tx.record.Merchants, m) }

// PutOrder records an order as it is from now on.
func (tx *Tx) PutOrder(o Order) { tx.record.Orders = append(tx.record.Orders, o) }

// PutRefund records a refund as it is from now on.
func (tx *Tx) PutRefund(r Refund) { tx.record.Refunds = append(tx.record.Refunds, r) }

// PutTransfer records a transfer as it is from now on.
func (tx *Tx) PutTransfer(t Transfer) { tx.record.Transfers = append(tx.record.Transfers, t) }

// PutNotification queues a notification for delivery.
func (tx *Tx) PutNotification(n Notification) {
	tx.record.Notifications = append(tx.record.Notifications, n)
}

// PutDelivery records one attempt and moves its notification to the attempt's state.
func (tx *Tx) PutDelivery(d Delivery) { tx.record.Deliveries = append(tx.record.Deliveries, d) }

// PutBillEdit adds an edit.
func (tx *Tx) PutBillEdit(e BillEdit) { tx.record.BillEdits = append(tx.record.BillEdits, e) }

// ClearBillEdit takes an edit out of force.
func (tx *Tx) ClearBillEdit(id string) { tx.record.ClearedEdits = append(tx.record.ClearedEdits, id) }

// PutPayee registers or replaces what is known about a payee.
func (tx *Tx) PutPayee(p Payee) { tx.record.Payees = append(tx.record.Payees, p) }

// PutCode registers a payer's code, or records its use.
func (tx *Tx) PutCode(c Code) { tx.record.Codes = append(tx.record.Codes, c) }

// SetClockOffset moves the business clock.
func (tx *Tx) SetClockOffset(offset time.Duration) { tx.record.ClockOffset = &offset }

// Move changes an account's balance by m.Amount and returns the balance after.
// It fills ID, Balance and At. It does not check for sufficient funds, because
// a provider refuses with its own code; it refuses only an overflow.
func (tx *Tx) Move(m Movement) (int64, error) {
	key := accountKey{m.Provider, m.Account}
	balance, ok := tx.pending[key]
	if !ok {
		balance = tx.state.balances[key]
	}
	if (m.Amount > 0 && balance > math.MaxInt64-m.Amount) || (m.Amount < 0 && balance < math.MinInt64-m.Amount) {
		return 0, fmt.Errorf("account %s/%s: balance would overflow", m.Provider, m.Account)
	}
	m.Balance = balance + m.Amount
	m.At = tx.now
	m.ID = int64(len(tx.state.movements)+len(tx.record.Movements)) + 1
	tx.pending[key] = m.Balance
	tx.record.Movements = append(tx.record.Movements, m)
	return m.Balance, nil
}
