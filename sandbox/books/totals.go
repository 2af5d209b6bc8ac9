package books

// Sum is a count and an amount in fen, positive.
type Sum struct {
	Count  int64 `json:"count"`
	Amount int64 `json:"amount"`
}

func (s *Sum) add(amount int64) {
	s.Count++
	s.Amount += amount
}

// Totals is what really happened to one merchant, in fen.
type Totals struct {
	Provider        Provider `json:"provider"`
	Merchant        string   `json:"merchant"`
	Account         string   `json:"account"`
	Payments        Sum      `json:"payments"`
	Refunds         Sum      `json:"refunds"`
	RefundReturns   Sum      `json:"refund_returns"`
	Transfers       Sum      `json:"transfers"`
	TransferReturns Sum      `json:"transfer_returns"`
	TopUps          Sum      `json:"top_ups"`
	FeesTaken       Sum      `json:"fees_taken"`
	FeesReturned    Sum      `json:"fees_returned"`
	// Balance is the account's, which several merchants may share.
	Balance int64 `json:"balance"`
}

// Totals adds the movements up per merchant.
func (r Reader) Totals() []Totals {
	merchants := r.Merchants()
	byMerchant := make(map[merchantKey]*Totals, len(merchants))
	list := make([]Totals, len(merchants))
	for i, m := range merchants {
		list[i] = Totals{Provider: m.Provider, Merchant: m.ID, Account: m.Account, Balance: r.Balance(m.Provider, m.Account)}
		byMerchant[merchantKey{m.Provider, m.ID}] = &list[i]
	}
	for _, m := range r.state.movements {
		byMerchant[merchantKey{m.Provider, m.Merchant}].count(m)
	}
	return list
}

func (t *Totals) count(m Movement) {
	switch m.Kind {
	case MovementPayment:
		t.Payments.add(m.Amount)
	case MovementPaymentFee:
		t.FeesTaken.add(-m.Amount)
	case MovementRefund:
		t.Refunds.add(-m.Amount)
	case MovementRefundFee:
		t.FeesReturned.add(m.Amount)
	case MovementRefundReturn:
		t.RefundReturns.add(m.Amount)
	case MovementTransfer:
		t.Transfers.add(-m.Amount)
	case MovementTransferReturn:
		t.TransferReturns.add(m.Amount)
	case MovementTopUp:
		t.TopUps.add(m.Amount)
	}
}
