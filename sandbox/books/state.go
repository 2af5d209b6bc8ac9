package books

import (
	"slices"
	"time"
)

type merchantKey struct {
	provider Provider
	id       string
}

type accountKey struct {
	provider Provider
	account  string
}

type orderKey struct {
	provider Provider
	merchant string
	number   string
}

type codeKey struct {
	provider Provider
	code     string
}

// refundKey holds the order's number only at Alipay, where the refund's number
// is unique inside one trade; at WeChat Pay it is unique inside the merchant.
type refundKey struct {
	provider Provider
	merchant string
	order    string
	number   string
}

// state is what the records add up to.
type state struct {
	seq            int64
	offset         time.Duration
	merchants      map[merchantKey]Merchant
	balances       map[accountKey]int64
	orders         map[orderKey]Order
	orderByToken   map[string]orderKey
	orderByNo      map[string]orderKey
	merchantsOf    map[string][]orderKey
	refunds        map[refundKey]Refund
	refundsOf      map[orderKey][]refundKey
	dueRefunds     map[refundKey]struct{}
	transfers      map[orderKey]Transfer
	dueTransfers   map[orderKey]struct{}
	transferByNo   map[string]orderKey
	movements      []Movement
	notifications  map[string]Notification
	openDeliveries map[string]struct{}
	deliveries     []Delivery
	billEdits      []BillEdit
	payees         map[string]Payee
	codes          map[codeKey]Code
}

func newState() state {
	return state{
		merchants:      map[merchantKey]Merchant{},
		balances:       map[accountKey]int64{},
		orders:         map[orderKey]Order{},
		orderByToken:   map[string]orderKey{},
		orderByNo:      map[string]orderKey{},
		merchantsOf:    map[string][]orderKey{},
		refunds:        map[refundKey]Refund{},
		refundsOf:      map[orderKey][]refundKey{},
		dueRefunds:     map[refundKey]struct{}{},
		transfers:      map[orderKey]Transfer{},
		dueTransfers:   map[orderKey]struct{}{},
		transferByNo:   map[string]orderKey{},
		notifications:  map[string]Notification{},
		openDeliveries: map[string]struct{}{},
		payees:         map[string]Payee{},
		codes:          map[codeKey]Code{},
	}
}

// apply makes the state what it is after the record. It cannot fail: records
// are checked before they are written.
func (s *state) apply(r Record) {
	s.seq = r.Seq
	for _, m := range r.Merchants {
		s.merchants[merchantKey{m.Provider, m.ID}] = m
	}
	for _, o := range r.Orders {
		s.applyOrder(o)
	}
	for _, refund := range r.Refunds {
		s.applyRefund(refund)
	}
	for _, t := range r.Transfers {
		s.applyTransfer(t)
	}
	for _, m := range r.Movements {
		s.movements = append(s.movements, m)
		s.balances[accountKey{m.Provider, m.Account}] = m.Balance
	}
	for _, n := range r.Notifications {
		s.notifications[n.ID] = n
		if n.State == NotificationPending {
			s.openDeliveries[n.ID] = struct{}{}
		}
	}
	for _, d := range r.Deliveries {
		s.applyDelivery(d)
	}
	for _, p := range r.Payees {
		s.payees[p.Identity] = p
	}
	for _, c := range r.Codes {
		s.codes[codeKey{c.Provider, c.Code}] = c
	}
	if len(r.ClearedEdits) > 0 {
		s.billEdits = slices.DeleteFunc(s.billEdits, func(e BillEdit) bool { return slices.Contains(r.ClearedEdits, e.ID) })
	}
	s.billEdits = append(s.billEdits, r.BillEdits...)
	if r.ClockOffset != nil {
		s.offset = *r.ClockOffset
	}
}

func (s *state) applyOrder(o Order) {
	key := orderKey{o.Provider, o.Merchant, o.Number}
	if _, known := s.orders[key]; !known {
		index := string(o.Provider) + "/" + o.Number
		s.merchantsOf[index] = append(s.merchantsOf[index], key)
		s.orderByToken[o.Token] = key
		s.orderByNo[o.ProviderNo] = key
	}
	s.orders[key] = o
}

func (s *state) applyRefund(r Refund) {
	key := keyOfRefund(r.Provider, r.Merchant, r.OrderNumber, r.Number)
	if _, known := s.refunds[key]; !known {
		order := orderKey{r.Provider, r.Merchant, r.OrderNumber}
		s.refundsOf[order] = append(s.refundsOf[order], key)
	}
	s.refunds[key] = r
	delete(s.dueRefunds, key)
	if r.State == RefundProcessing && !r.DueAt.IsZero() || r.State == RefundSuccess && !r.ReturnAt.IsZero() {
		s.dueRefunds[key] = struct{}{}
	}
}

func (s *state) applyTransfer(t Transfer) {
	key := orderKey{t.Provider, t.Merchant, t.Number}
	s.transfers[key] = t
	s.transferByNo[t.ProviderNo] = key
	s.transferByNo[t.FundNo] = key
	delete(s.dueTransfers, key)
	if t.State == TransferDealing && !t.DueAt.IsZero() || t.State == TransferSuccess && !t.ReturnAt.IsZero() {
		s.dueTransfers[key] = struct{}{}
	}
}

func (s *state) applyDelivery(d Delivery) {
	s.deliveries = append(s.deliveries, d)
	n := s.notifications[d.NotificationID]
	n.Attempts, n.State, n.NextAt = d.Attempt, d.State, d.NextAt
	s.notifications[d.NotificationID] = n
	if n.State != NotificationPending {
		delete(s.openDeliveries, n.ID)
	}
}

func keyOfRefund(provider Provider, merchant, order, number string) refundKey {
	if provider == WeChatPay {
		order = ""
	}
	return refundKey{provider, merchant, order, number}
}
