package e2e_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/workflows"
)

var (
	coursesTried = flag.Int("courses", 4, "how many payments with a refund get their messages in random order, per provider")
	courseSeed   = flag.Uint64("courses.seed", 1, "decides the orders")
)

// A sample of what activities.TestMessageOrders tries in all orders, on real
// parts: signed notifications, a real Temporal server, two APIs, two workers.
func TestMessagesInRandomOrder(t *testing.T) {
	for _, provider := range []string{alipay, wechatpay} {
		t.Run(provider, func(t *testing.T) {
			w := newWorld(t)
			w.topUp(100000)
			w.notices.mute(true)
			random := rand.New(rand.NewPCG(*courseSeed, uint64(len(provider))))
			for range *coursesTried {
				w.course(provider, random)
			}
			t.Logf("%d courses, seed %d", *coursesTried, *courseSeed)
		})
	}
}

// course is a payment and a refund of a part of it, each with its messages in
// some order, some of them lost.
func (w *world) course(provider string, random *rand.Rand) {
	w.Helper()
	troubles := []string{"lose_reply", "error_before", "garbage", "bad_signature"}
	anyTrouble := func(operation string) trouble {
		return trouble{Kind: troubles[random.IntN(len(troubles))]}.on(provider, operation)
	}
	p := w.offered(provider, 2500)
	before := len(w.notices.about("")) // what they are about may be encrypted
	w.pay(p, false)
	w.await("the notification", func() (bool, any) { return len(w.notices.about("")) > before, nil })
	notice := w.notices.about("")[before]
	messages := []func(){
		func() { notice.send(w.apis[0], notice.path) },
		func() { notice.send(w.apis[1], notice.path) },
		func() { w.forgedOnes(notice, provider) },
		func() { notice.send(w.apis[0], "/notify/"+provider+"/"+w.otherAccount(p)) },
		func() { w.fault(anyTrouble(queryOf(provider))) },
		func() { w.hurryIfRunning(paymentWorkflow(p.ID)) },
	}
	w.inRandomOrder(random, messages)
	w.control("DELETE", "/control/faults", nil, nil)
	notice.send(w.apis[0], notice.path) // the provider repeats it until it is taken
	w.hurryIfRunning(paymentWorkflow(p.ID))
	p = w.paymentIs(p.ID, client.PaymentStatusSucceeded)
	require.Equal(w, []string{"payment.awaiting_payer", "payment.succeeded"}, w.eventsOf(p.ID))
	require.Len(w, w.moved(w.numberOf(p.ID)), 1)

	if random.IntN(2) == 0 {
		w.fault(anyTrouble(refundOf(provider)))
	}
	r := w.refund(p, 1000)
	w.inRandomOrder(random, []func(){
		func() { w.fault(anyTrouble(refundQueryOf(provider))) },
		func() { w.hurryIfRunning(refundWorkflow(r.ID)) },
		func() { notice.send(w.apis[1], notice.path) },
		func() {
			for _, n := range w.notices.about("")[before:] {
				n.send(w.apis[0], n.path)
			}
		},
	})
	w.control("DELETE", "/control/faults", nil, nil)
	w.await("the refund", func() (bool, any) {
		w.hurryIfRunning(refundWorkflow(r.ID))
		answer, err := w.api.GetRefundWithResponse(w.ctx, r.ID)
		require.NoError(w, err)
		return answer.JSON200 != nil && answer.JSON200.Status == client.RefundStatusSucceeded, string(answer.Body)
	})
	require.Equal(w, []string{"refund.succeeded"}, w.eventsOf(r.ID))
	require.Len(w, w.moved(w.refundNumber(r.ID)), 1)
}

// inRandomOrder lets some or all of the messages happen.
func (w *world) inRandomOrder(random *rand.Rand, messages []func()) {
	w.Helper()
	random.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
	for _, happen := range messages[:1+random.IntN(len(messages))] {
		happen()
	}
}

func (w *world) forgedOnes(notice kept, provider string) {
	w.Helper()
	for name, forged := range forgeries(notice) {
		status, answer := forged.send(w.apis[0], notice.path)
		require.False(w, accepted(status, answer, provider), "%s: %d %s", name, status, answer)
	}
}

// hurryIfRunning is hurry for a workflow that may have ended meanwhile.
func (w *world) hurryIfRunning(workflowID string) {
	w.Helper()
	_ = w.temporal.SignalWorkflow(w.ctx, workflowID, "", workflows.SignalNotified, nil)
}

// Somebody looks into a closed payment that nobody paid: after many looks that is
// believed, and nothing is booked.
func TestLookingForLateMoneyThatNeverCame(t *testing.T) {
	w := newWorld(t)
	p := w.offered(alipay, 1500)
	w.scan(p)
	w.expire(p)
	require.NoError(t, w.db.DB.InTenant(w.ctx, w.seed.TenantID, func(tx pgx.Tx) error {
		found, err := payment.Get(w.ctx, tx, w.seed.TenantID, p.ID)
		if err != nil {
			return err
		}
		return payment.LookIntoLate(w.ctx, tx, w.seed.TenantID, found, "a-question")
	}))
	workflowID := "late-payment/" + p.Attempts[0].ID + "/a-question"
	polls := 0
	w.await("the answer", func() (bool, any) {
		if polls++; polls%10 == 0 {
			w.hurryIfRunning(workflowID)
		}
		found, err := w.temporal.DescribeWorkflowExecution(context.WithoutCancel(w.ctx), workflowID, "")
		return err == nil && found.WorkflowExecutionInfo.Status == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, err
	})
	require.Empty(t, w.payment(p.ID).LatePayments)
	require.Zero(t, w.count(`select count(*) from entries`))
}
