package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/proto"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/internal/payload"
)

// Everything that workflows are given and answer, and why they failed, is encrypted;
// search attributes hold ids only.
func TestTemporalKeepsNothingPlain(t *testing.T) {
	w := newWorldWithoutWorkers(t)
	w.startWorkers()
	p := w.paid(alipay, 50000)
	w.refundIs(w.refund(p, 1000).ID, client.RefundStatusSucceeded)
	w.stopWorkers()
	// A step that fails until the row is as it was, with an error that names it.
	out := w.withdraw(w.shop.id, 20000)
	var frozen []byte
	require.NoError(t, w.db.Pool.QueryRow(w.ctx, `select request_hash from withdrawals where id = $1`, out.ID).Scan(&frozen))
	_, err := w.db.Pool.Exec(w.ctx, `update withdrawals set request_hash = sha256('another') where id = $1`, out.ID)
	require.NoError(t, err)
	w.startWorkers()
	require.Eventually(t, func() bool {
		found, err := w.temporal.DescribeWorkflowExecution(w.ctx, "withdrawal/"+out.ID, "")
		require.NoError(t, err)
		for _, step := range found.PendingActivities {
			if step.LastFailure != nil {
				require.Equal(t, "Encoded failure", step.LastFailure.Message)
				return true
			}
		}
		return false
	}, time.Minute, 100*time.Millisecond)
	_, err = w.db.Pool.Exec(w.ctx, `update withdrawals set request_hash = $2 where id = $1`, out.ID, frozen)
	require.NoError(t, err)
	w.withdrawalIs(out.ID, client.WithdrawalStatusSucceeded)
	page, err := w.temporal.ListWorkflow(w.ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: w.core.TemporalNamespace})
	require.NoError(t, err)
	require.NotEmpty(t, page.Executions)
	payloads, failures := 0, 0
	for _, e := range page.Executions {
		for _, field := range e.SearchAttributes.GetIndexedFields() {
			require.Regexp(t, `^"(ten|mch|pay|rfd|wdr|rec|dly)_[0-9A-Z]{26}"$|^"(alipay|wechatpay)"$|^\[|^"temporal-`, string(field.Data))
		}
		events := w.temporal.GetWorkflowHistory(w.ctx, e.Execution.WorkflowId, e.Execution.RunId, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			event, err := events.Next()
			require.NoError(t, err)
			require.NoError(t, proxy.VisitPayloads(t.Context(), event, proxy.VisitPayloadsOptions{SkipSearchAttributes: true,
				Visitor: func(_ *proxy.VisitPayloadsContext, all []*commonpb.Payload) ([]*commonpb.Payload, error) {
					for _, p := range all {
						payloads++
						require.True(t, payload.Encrypted(p), "%s of %s: %s", event.EventType, e.Execution.WorkflowId, p)
					}
					return all, nil
				}}))
			require.NoError(t, proxy.VisitFailures(t.Context(), event, proxy.VisitFailuresOptions{
				Visitor: func(_ *proxy.VisitFailuresContext, f *failurepb.Failure) error {
					if f.GetTimeoutFailureInfo() != nil && f.Source == "Server" {
						// Temporal's own words, such as those for a worker that was too slow. What it
						// timed out on is a failure or payloads of ours, and is looked at.
						require.Regexp(t, `^activity (StartToClose|ScheduleToStart|ScheduleToClose|Heartbeat) timeout$`, f.Message)
						return nil
					}
					failures++
					require.Equal(t, "Encoded failure", f.Message)
					require.Empty(t, f.StackTrace)
					return nil
				}}))
			text, err := proto.Marshal(event)
			require.NoError(t, err)
			require.NotContains(t, string(text), `"tenant":`)
		}
	}
	require.Greater(t, payloads, 20)
	require.NotZero(t, failures)
	t.Logf("%d workflows: %d payloads, %d failures, all encrypted", len(page.Executions), payloads, failures)
}
