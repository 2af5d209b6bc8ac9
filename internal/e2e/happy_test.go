package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// legs are the split's amounts by receiver and level.
func legs(p client.Payment) map[string]int64 {
	found := map[string]int64{}
	for _, l := range p.Splits {
		name := string(l.Receiver)
		if l.MerchantID != nil {
			name = *l.MerchantID
		}
		found[name] += l.Amount.Amount
	}
	return found
}

// A payment is collected and divided on two levels; refunds in parts give every
// receiver's part back to the fen.
func TestCollectSplitRefund(t *testing.T) {
	for _, channel := range []string{alipay, wechatpay} {
		t.Run(channel, func(t *testing.T) {
			w := newWorld(t)
			w.topUp(1000) // Alipay keeps its fee when a payment is refunded
			p := w.offered(channel, 19999)
			require.NotNil(t, p.NextAction)
			require.Empty(t, p.Splits)
			w.pay(p, false)
			p = w.paymentIs(p.ID, client.PaymentStatusSucceeded)

			// 1 % for the platform, 10 % for the agent, of which 30 % for the head agent.
			require.Equal(t, map[string]int64{"platform": 199, w.shop.head: 599, w.shop.agent: 1999 - 599, w.shop.id: 19999 - 199 - 1999}, legs(p))
			available := func() []int64 {
				return []int64{w.posted(client.AccountTypeMerchantAvailable, w.shop.id),
					w.posted(client.AccountTypeMerchantAvailable, w.shop.agent), w.posted(client.AccountTypeMerchantAvailable, w.shop.head)}
			}
			require.Equal(t, []int64{17801, 1400, 599}, available())

			part := w.refundIs(w.refund(p, 6667).ID, client.RefundStatusSucceeded)
			require.NotNil(t, part.RefundedAt)
			require.Equal(t, int64(6667), w.payment(p.ID).Refunded.Amount)
			w.refundIs(w.refund(p, 19999-6667).ID, client.RefundStatusSucceeded)
			require.Equal(t, int64(19999), w.payment(p.ID).Refunded.Amount)
			require.Equal(t, []int64{0, 0, 0}, available(), "every leg is exactly back at zero")
			require.Zero(t, w.posted(client.AccountTypeFeeIncome, ""))
			require.Equal(t, []string{"payment.awaiting_payer", "payment.succeeded"}, w.eventsOf(p.ID))
			require.Equal(t, []string{"refund.succeeded"}, w.eventsOf(part.ID))
		})
	}
}

func TestWithdrawal(t *testing.T) {
	w := newWorld(t)
	w.paid(alipay, 50000)
	before := w.posted(client.AccountTypeMerchantAvailable, w.shop.id)
	done := w.withdrawalIs(w.withdraw(w.shop.id, 40000).ID, client.WithdrawalStatusSucceeded)
	require.NotNil(t, done.PaidAt)
	require.NotNil(t, done.ChannelTransferNo)
	require.Equal(t, before-40000, w.posted(client.AccountTypeMerchantAvailable, w.shop.id))
	require.Zero(t, w.held(w.shop.id))
	require.Equal(t, []movement{{"transfer", w.withdrawalNumber(done.ID), -40000}}, w.moved(w.withdrawalNumber(done.ID)))
}
