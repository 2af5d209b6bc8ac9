package demo

import (
	"fmt"

	"github.com/suanpan/suanpan/client"
)

// What this run must have come to, computed from the program alone.

// expectedShares sums up what everybody keeps of a store's sales once the
// refunds are taken back.
func (r *run) expectedShares(s *store) (shares, error) {
	var kept shares
	for _, sale := range r.sales {
		if sale.store != s || sale.late {
			continue
		}
		whole := s.terms.divide(sale.fen)
		back, err := r.backFrom(sale, whole)
		if err != nil {
			return kept, err
		}
		left := whole.less(back)
		kept = shares{kept.store + left.store, kept.platform + left.platform, kept.agent + left.agent, kept.head + left.head}
	}
	return kept, nil
}

// backFrom is what everybody gave back of a sale. The program refunds either
// all of a sale or a part that divides without a rest, so that paper and pencil
// need no rule for roundings.
func (r *run) backFrom(s *sale, whole shares) (shares, error) {
	refunded := int64(0)
	for _, g := range r.refunds {
		if g.sale == s {
			refunded += g.fen
		}
	}
	part, exact := whole.part(refunded, s.fen)
	if !exact {
		return part, fmt.Errorf("the program refunds %s of %s yuan, which does not divide evenly", yuan(refunded), yuan(s.fen))
	}
	return part, nil
}

// balance is what a merchant must have, all of it available after the day's settlement.
type balance struct {
	id, name  string
	available int64
}

// expectedBalances lists the merchants' balances after settlement.
func (r *run) expectedBalances() ([]balance, error) {
	head, agent := balance{id: r.head.id, name: r.head.name}, balance{id: r.agent.id, name: r.agent.name}
	var stores []balance
	for _, s := range r.stores {
		kept, err := r.expectedShares(s)
		if err != nil {
			return nil, err
		}
		own := kept.store
		for _, w := range r.withdrawals {
			if w.MerchantID == s.id {
				own -= w.Amount.Amount
			}
		}
		head.available += kept.head
		agent.available += kept.agent
		stores = append(stores, balance{s.id, s.name, own})
	}
	return append([]balance{head, agent}, stores...), nil
}

// flows are a channel's movements of money.
type flows struct{ payments, refunds, transfers, feesTaken, feesReturned tally }

// expectedFlows is what this run must have moved at a channel.
func (r *run) expectedFlows(channel string) flows {
	var f flows
	for _, s := range r.sales {
		if s.channel == channel {
			f.payments.add(s.fen)
			addFee(&f.feesTaken, r.fee(s))
		}
	}
	for _, g := range r.refunds {
		if g.sale.channel == channel {
			f.refunds.add(g.fen)
			addFee(&f.feesReturned, g.fee)
		}
	}
	if channel == alipay {
		f.transfers.add(withdrawn)
	}
	return f
}

// addFee counts a fee that is at least one fen.
func addFee(t *tally, fen int64) {
	if fen > 0 {
		t.add(fen)
	}
}

// expectedEvents is what the tenant must have been told, by type.
func (r *run) expectedEvents() map[client.EventType]int {
	expected := map[client.EventType]int{
		client.EventTypeRefundSucceeded:          len(r.refunds),
		client.EventTypeWithdrawalSucceeded:      len(r.withdrawals),
		client.EventTypeReconciliationDiscrepant: len(r.reports),
	}
	for _, s := range r.sales {
		expected[client.EventTypePaymentAwaitingPayer]++
		if s.late {
			expected[client.EventTypePaymentClosed]++
			expected[client.EventTypePaymentPaidLate]++
		} else {
			expected[client.EventTypePaymentSucceeded]++
		}
	}
	return expected
}
