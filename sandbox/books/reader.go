package books

import (
	"cmp"
	"slices"
	"time"
)

// Reader reads one consistent state inside View or Update and is worthless
// afterwards. Everything it returns is a copy.
type Reader struct {
	state *state
	now   time.Time
}

// Now is the business time of this view.
func (r Reader) Now() time.Time { return r.now }

// Offset is the business clock minus real time.
func (r Reader) Offset() time.Duration { return r.state.offset }

// Merchant finds a merchant by its id at the provider.
func (r Reader) Merchant(provider Provider, id string) (Merchant, bool) {
	m, ok := r.state.merchants[merchantKey{provider, id}]
	return m, ok
}

// Merchants lists all merchants, by provider and id.
func (r Reader) Merchants() []Merchant {
	var list []Merchant
	for _, m := range r.state.merchants {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Merchant) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// Balance is what an account holds, in fen.
func (r Reader) Balance(provider Provider, account string) int64 {
	return r.state.balances[accountKey{provider, account}]
}

// AccountKnown says whether money has ever moved on an account, its opening included.
func (r Reader) AccountKnown(provider Provider, account string) bool {
	_, ok := r.state.balances[accountKey{provider, account}]
	return ok
}

// Order finds an order by the merchant's number.
func (r Reader) Order(provider Provider, merchant, number string) (Order, bool) {
	o, ok := r.state.orders[orderKey{provider, merchant, number}]
	return o, ok
}

// OrderByProviderNo finds an order by the provider's number, if it is merchant's.
func (r Reader) OrderByProviderNo(provider Provider, merchant, providerNo string) (Order, bool) {
	key, ok := r.state.orderByNo[providerNo]
	if !ok || key.provider != provider || key.merchant != merchant {
		return Order{}, false
	}
	return r.state.orders[key], true
}

// OrderByToken finds an order by the token in its QR code.
func (r Reader) OrderByToken(token string) (Order, bool) {
	key, ok := r.state.orderByToken[token]
	return r.state.orders[key], ok
}

// OrdersByNumber finds the orders that any merchant of the provider has under number.
func (r Reader) OrdersByNumber(provider Provider, number string) []Order {
	var list []Order
	for _, key := range r.state.merchantsOf[string(provider)+"/"+number] {
		list = append(list, r.state.orders[key])
	}
	return list
}

// Orders lists the orders that pass keep, oldest first.
func (r Reader) Orders(keep func(Order) bool) []Order {
	var list []Order
	for _, o := range r.state.orders {
		if keep(o) {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b Order) int { return cmp.Compare(a.ProviderNo, b.ProviderNo) })
	return list
}

// Refund finds a refund by the merchant's refund number. At WeChat Pay the
// order number is not part of the key and may be empty.
func (r Reader) Refund(provider Provider, merchant, orderNumber, number string) (Refund, bool) {
	refund, ok := r.state.refunds[keyOfRefund(provider, merchant, orderNumber, number)]
	return refund, ok
}

// RefundsOf lists the refunds of an order in the order of their acceptance.
func (r Reader) RefundsOf(o Order) []Refund {
	var list []Refund
	for _, key := range r.state.refundsOf[orderKey{o.Provider, o.Merchant, o.Number}] {
		list = append(list, r.state.refunds[key])
	}
	return list
}

// Refunds lists the refunds that pass keep, oldest first.
func (r Reader) Refunds(keep func(Refund) bool) []Refund {
	var list []Refund
	for _, refund := range r.state.refunds {
		if keep(refund) {
			list = append(list, refund)
		}
	}
	slices.SortFunc(list, func(a, b Refund) int { return cmp.Compare(a.ProviderNo, b.ProviderNo) })
	return list
}

// DueRefunds lists the PROCESSING refunds that have a moment to succeed at.
func (r Reader) DueRefunds() []Refund {
	var list []Refund
	for key := range r.state.dueRefunds {
		list = append(list, r.state.refunds[key])
	}
	return list
}

// Transfer finds a transfer by the merchant's number.
func (r Reader) Transfer(provider Provider, merchant, number string) (Transfer, bool) {
	t, ok := r.state.transfers[orderKey{provider, merchant, number}]
	return t, ok
}

// TransferByProviderNo finds a transfer by either of the provider's numbers.
func (r Reader) TransferByProviderNo(provider Provider, merchant, providerNo string) (Transfer, bool) {
	key, ok := r.state.transferByNo[providerNo]
	if !ok || key.provider != provider || key.merchant != merchant {
		return Transfer{}, false
	}
	return r.state.transfers[key], true
}

// TransfersByNumber finds the transfers that any merchant has under number.
func (r Reader) TransfersByNumber(provider Provider, number string) []Transfer {
	var list []Transfer
	for key, t := range r.state.transfers {
		if key.provider == provider && key.number == number {
			list = append(list, t)
		}
	}
	return list
}

// DueTransfers lists the DEALING transfers that have a moment to succeed at.
func (r Reader) DueTransfers() []Transfer {
	var list []Transfer
	for key := range r.state.dueTransfers {
		list = append(list, r.state.transfers[key])
	}
	return list
}

// Movements lists the movements that pass keep, in the order they happened.
func (r Reader) Movements(keep func(Movement) bool) []Movement {
	var list []Movement
	for _, m := range r.state.movements {
		if keep(m) {
			list = append(list, m)
		}
	}
	return list
}

// OpenNotifications lists the notifications still to be delivered, the soonest first.
func (r Reader) OpenNotifications() []Notification {
	var list []Notification
	for id := range r.state.openDeliveries {
		list = append(list, r.state.notifications[id])
	}
	slices.SortFunc(list, func(a, b Notification) int { return cmp.Or(a.NextAt.Compare(b.NextAt), cmp.Compare(a.ID, b.ID)) })
	return list
}

// Notification finds a notification by its id.
func (r Reader) Notification(id string) (Notification, bool) {
	n, ok := r.state.notifications[id]
	return n, ok
}

// Notifications lists all notifications by creation.
func (r Reader) Notifications() []Notification {
	var list []Notification
	for _, n := range r.state.notifications {
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b Notification) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// Deliveries lists all attempts to deliver notifications, oldest first.
func (r Reader) Deliveries() []Delivery { return slices.Clone(r.state.deliveries) }

// BillEdits lists the edits in force for a provider's day, or all for "" and "".
func (r Reader) BillEdits(provider Provider, date string) []BillEdit {
	var list []BillEdit
	for _, e := range r.state.billEdits {
		if (provider == "" || e.Provider == provider) && (date == "" || e.Date == date) {
			list = append(list, e)
		}
	}
	return list
}

// Payee finds what was registered about a payee.
func (r Reader) Payee(identity string) (Payee, bool) {
	p, ok := r.state.payees[identity]
	return p, ok
}

// Code finds what is known about a payer's code.
func (r Reader) Code(provider Provider, code string) (Code, bool) {
	c, ok := r.state.codes[codeKey{provider, code}]
	return c, ok
}
