package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// Whatever a workflow was at when somebody terminated it, redrive finishes it
// from the state of its row, and nothing is done twice. judge compares the
// books after each.

func TestRedrivePayment(t *testing.T) {
	w := newWorld(t)
	// Processing: the provider has not answered yet.
	w.fault(trouble{Provider: alipay, Operation: prepayOf(alipay), Kind: "error_after_success", Count: 100})
	p := w.post(w.order(alipay, 3100))
	require.Equal(t, client.PaymentStatusProcessing, p.Status)
	w.hit(1)
	w.terminate(paymentWorkflow(p.ID))
	w.healed(1)
	require.Equal(t, int64(1), w.redrive())
	p = w.paymentIs(p.ID, client.PaymentStatusAwaitingPayer)
	// Awaiting the payer, who pays while nobody looks.
	w.terminate(paymentWorkflow(p.ID))
	w.notices.mute(true)
	w.pay(p, false)
	require.Equal(t, client.PaymentStatusAwaitingPayer, w.payment(p.ID).Status)
	w.redrive()
	w.hurry(paymentWorkflow(p.ID))
	w.paymentIs(p.ID, client.PaymentStatusSucceeded)
	require.Zero(t, w.redrive(), "nothing is left to drive")
}

func TestRedriveMoneyThatWasNotSentYet(t *testing.T) {
	w := newWorld(t)
	w.topUp(100000)
	p := w.paid(wechatpay, 9900)
	w.stopWorkers()
	r, out := w.refund(p, 1200), w.withdraw(w.shop.id, 1300)
	w.terminate(refundWorkflow(r.ID))
	w.terminate(withdrawalWorkflow(out.ID))
	w.startWorkers()
	require.Equal(t, int64(2), w.redrive())
	w.refundIs(r.ID, client.RefundStatusSucceeded)
	w.withdrawalIs(out.ID, client.WithdrawalStatusSucceeded)
	require.Len(t, w.moved(w.refundNumber(r.ID)), 1)
	require.Len(t, w.moved(w.withdrawalNumber(out.ID)), 1)
}

// Sent, and nothing is known: the reply was lost, or the order was.
func TestRedriveMoneyThatWasSent(t *testing.T) {
	for name, kind := range map[string]string{"done": "error_after_success", "not done": "error_before"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.topUp(100000)
			p := w.paid(alipay, 9900)
			for _, operation := range []string{refundOf(alipay), transferOp, refundQueryOf(alipay), transferQueryOp} {
				w.fault(trouble{Provider: alipay, Operation: operation, Kind: kind, Count: 100})
			}
			r, out := w.refund(p, 1400), w.withdraw(w.shop.id, 1500)
			w.await("both are sent", func() (bool, any) { return w.hits() >= 2, w.hits() })
			w.terminate(refundWorkflow(r.ID))
			w.terminate(withdrawalWorkflow(out.ID))
			w.healed(2)
			require.Equal(t, int64(2), w.redrive())
			for range 3 {
				w.hurry(refundWorkflow(r.ID))
				w.hurry(withdrawalWorkflow(out.ID))
			}
			w.refundIs(r.ID, client.RefundStatusSucceeded)
			w.withdrawalIs(out.ID, client.WithdrawalStatusSucceeded)
			require.Equal(t, []movement{{"refund", w.refundNumber(r.ID), -1400}}, w.moved(w.refundNumber(r.ID)))
			require.Equal(t, []movement{{"transfer", w.withdrawalNumber(out.ID), -1500}}, w.moved(w.withdrawalNumber(out.ID)))
		})
	}
}

// The provider has the order and works on it.
func TestRedriveMoneyThatIsPending(t *testing.T) {
	w := newWorld(t)
	p := w.paid(wechatpay, 9900)
	w.freeze()
	r := w.refund(p, 1600)
	w.await("the provider works on it", func() (bool, any) {
		answer, err := w.api.GetRefundWithResponse(w.ctx, r.ID)
		require.NoError(t, err)
		return answer.JSON200.WaitingFor != nil, string(answer.Body)
	})
	w.terminate(refundWorkflow(r.ID))
	w.thaw()
	require.Equal(t, int64(1), w.redrive())
	w.hurry(refundWorkflow(r.ID))
	w.refundIs(r.ID, client.RefundStatusSucceeded)
	require.Len(t, w.moved(w.refundNumber(r.ID)), 1)
}
