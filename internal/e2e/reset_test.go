package e2e_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/internal/id"
)

var (
	resets     = flag.Int("resets", 18, "how many workflows are reset to random events")
	endings    = flag.Int("endings", 12, "how many workflows are terminated or cancelled at random moments")
	randomSeed = flag.Uint64("random.seed", 1, "decides which workflows are hit, where and when")
)

// booked tells all that must not change when steps are taken again.
func (w *world) booked() string {
	w.Helper()
	var text string
	require.NoError(w, w.db.Pool.QueryRow(w.ctx, `select
		(select coalesce(string_agg(e.id || e.kind || e.phase || e.number, ',' order by e.seq), '') from entries e) ||
		(select coalesce(string_agg(p.account_id || p.amount, ',' order by p.entry_seq, p.account_id, p.amount), '') from postings p) ||
		(select coalesce(string_agg(h.id || h.status, ',' order by h.id), '') from holds h) ||
		(select coalesce(string_agg(v.id, ',' order by v.id), '') from events v)`).Scan(&text))
	return text
}

// Workflows are taken back to random points of their histories, as an operator
// does after a bad deployment: their steps are taken again, and the books, the
// events and the providers' books stay as they are. Those that were under way
// end right.
func TestResetToRandomEvents(t *testing.T) {
	w := newWorld(t)
	w.topUp(1000000)
	random := rand.New(rand.NewPCG(*randomSeed, 1))
	each := (*resets + 2) / 3
	var finished, running []string
	var waiting []client.Payment
	for i := range each {
		provider := []string{alipay, wechatpay}[i%2]
		p := w.paid(provider, 5000)
		finished = append(finished, paymentWorkflow(p.ID))
		if i%2 == 0 {
			finished = append(finished, refundWorkflow(w.refundIs(w.refund(p, 700).ID, client.RefundStatusSucceeded).ID))
		} else {
			finished = append(finished, withdrawalWorkflow(w.withdrawalIs(w.withdraw(w.shop.id, 300).ID, client.WithdrawalStatusSucceeded).ID))
		}
		unpaid := w.offered(provider, 4000)
		waiting, running = append(waiting, unpaid), append(running, paymentWorkflow(unpaid.ID))
	}
	before, theirs := w.booked(), w.theirMoney()
	for _, workflowID := range append(finished, running...) {
		w.reset(workflowID, random)
	}
	for _, workflowID := range finished {
		w.await("the second end of "+workflowID, func() (bool, any) {
			found, err := w.temporal.DescribeWorkflowExecution(w.ctx, workflowID, "")
			return err == nil && found.WorkflowExecutionInfo.Status == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, err
		})
	}
	require.Equal(t, before, w.booked(), "steps that were taken again booked something")
	require.Equal(t, theirs, w.theirMoney(), "steps that were taken again moved money")
	for _, p := range waiting {
		w.pay(p, false)
		w.paymentIs(p.ID, client.PaymentStatusSucceeded)
	}
	t.Logf("%d finished and %d running workflows reset, seed %d", len(finished), len(running), *randomSeed)
}

// reset takes the workflow back to one of its completed workflow tasks.
func (w *world) reset(workflowID string, random *rand.Rand) {
	w.Helper()
	var points []int64
	events := w.temporal.GetWorkflowHistory(w.ctx, workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(w, err)
		if event.EventType == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			points = append(points, event.EventId)
		}
	}
	_, err := w.temporal.ResetWorkflowExecution(w.ctx, &workflowservice.ResetWorkflowExecutionRequest{
		Namespace:                 w.core.TemporalNamespace,
		WorkflowExecution:         &commonpb.WorkflowExecution{WorkflowId: workflowID},
		Reason:                    "a test",
		WorkflowTaskFinishEventId: points[random.IntN(len(points))],
		RequestId:                 id.Number(),
	})
	require.NoError(w, err, workflowID)
}

// Workflows are terminated or cancelled at random moments, again and again, and
// redriven: nothing is lost, nothing is done twice. judge compares the books.
func TestEndedAtRandomMomentsAndRedriven(t *testing.T) {
	w := newWorld(t)
	w.topUp(1000000)
	random := rand.New(rand.NewPCG(*randomSeed, 2))
	source := w.paid(alipay, 900000)
	var payments []client.Payment
	var refunds, withdrawals []string
	var under []string
	for i := range (*endings + 2) / 3 {
		p := w.offered([]string{alipay, wechatpay}[i%2], 3000)
		w.pay(p, false)
		r, out := w.refund(source, 100), w.withdraw(w.shop.id, 100)
		payments, refunds, withdrawals = append(payments, p), append(refunds, r.ID), append(withdrawals, out.ID)
		for _, workflowID := range []string{paymentWorkflow(p.ID), refundWorkflow(r.ID), withdrawalWorkflow(out.ID)} {
			under = append(under, workflowID)
			w.endSoon(workflowID, random)
		}
		w.redrive()
	}
	hit := 0
	for range 2 { // what goes on from its row is hit once more
		for _, workflowID := range under {
			if w.endSoon(workflowID, random) {
				hit++
			}
		}
		w.redrive()
	}
	w.await("the end of everything", func() (bool, any) {
		left := w.redrive()
		for _, workflowID := range under {
			w.hurryIfRunning(workflowID)
		}
		return left == 0, left
	})
	for _, p := range payments {
		w.paymentIs(p.ID, client.PaymentStatusSucceeded)
	}
	for i := range refunds {
		w.refundIs(refunds[i], client.RefundStatusSucceeded)
		w.withdrawalIs(withdrawals[i], client.WithdrawalStatusSucceeded)
		require.Len(t, w.moved(w.refundNumber(refunds[i])), 1)
		require.Len(t, w.moved(w.withdrawalNumber(withdrawals[i])), 1)
	}
	t.Logf("%d workflows ended by hand, %d of them twice or more, seed %d", len(under), hit, *randomSeed)
}

// endSoon terminates or cancels the workflow within some tenths of a second. It
// reports whether the workflow was still there to be ended.
func (w *world) endSoon(workflowID string, random *rand.Rand) bool {
	w.Helper()
	<-time.After(time.Duration(random.IntN(150)) * time.Millisecond)
	if random.IntN(2) == 0 {
		return w.temporal.TerminateWorkflow(w.ctx, workflowID, "", "by hand") == nil
	}
	if w.temporal.CancelWorkflow(w.ctx, workflowID, "") != nil {
		return false
	}
	w.await("the end of "+workflowID, func() (bool, any) {
		found, err := w.temporal.DescribeWorkflowExecution(w.ctx, workflowID, "")
		return err == nil && found.WorkflowExecutionInfo.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, fmt.Sprint(found, err)
	})
	return true
}
