package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/workflows"
)

func TestLatePaymentAsksUntilItIsDecided(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	open := activities.LateState{Channel: "alipay", ChannelCode: "NO_ANSWER"}
	plays(s, "ReadLatePayment", say(activities.LateState{Channel: "alipay"}))
	plays(s, "BookLatePayment", say(open), say(open),
		say(activities.LateState{Channel: "alipay", Settled: true, RefundID: "rfd_1"}))
	state := ends[activities.LateState](s, payment.LateWorkflowType)
	require.Equal(t, activities.LateState{Channel: "alipay", Settled: true, RefundID: "rfd_1"}, state)
	require.Len(t, s.calls, 4)
	require.InDelta(t, 7.5, s.at.Sub(s.began).Seconds(), 1)
}

// A query may lag behind the notification: "not paid" counts only when it stays so.
func TestLatePaymentBelievesThatNoMoneyArrivedAfterManyLooks(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	notPaid := activities.LateState{Channel: "alipay", ChannelCode: "10000", NotPaid: true}
	plays(s, "ReadLatePayment", say(activities.LateState{Channel: "alipay"}))
	looks := []reply[activities.LateState]{say(notPaid), say(activities.LateState{Channel: "alipay", ChannelCode: "NO_ANSWER"})}
	for range 8 {
		looks = append(looks, say(notPaid))
	}
	plays(s, "BookLatePayment", looks...)
	state := ends[activities.LateState](s, payment.LateWorkflowType)
	require.True(t, state.Settled)
	require.Empty(t, state.RefundID)
	require.Len(t, s.calls, 11)
	require.Greater(t, s.at.Sub(s.began), 2*time.Minute)
}

func TestLatePaymentThatIsDecidedDoesNothing(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	plays(s, "ReadLatePayment", say(activities.LateState{Channel: "alipay", Settled: true, RefundID: "rfd_1"}))
	ends[activities.LateState](s, payment.LateWorkflowType)
	require.Equal(t, []string{"ReadLatePayment"}, s.calls)
}

func TestLatePaymentIsHurriedByANotification(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	plays(s, "ReadLatePayment", say(activities.LateState{Channel: "alipay"}))
	plays(s, "BookLatePayment", say(activities.LateState{Channel: "alipay"}), say(activities.LateState{Settled: true}))
	s.RegisterDelayedCallback(func() { s.SignalWorkflow(workflows.SignalNotified, nil) }, time.Second)
	ends[activities.LateState](s, payment.LateWorkflowType)
	require.Less(t, s.at.Sub(s.began), 2*time.Second)
}

func bill(status recon.Status) activities.ReconciliationState {
	return activities.ReconciliationState{Status: string(status), Final: status != recon.Processing, Channel: "wechatpay"}
}

func TestReconciliationWaitsForItsBill(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	notReady, stored := bill(recon.Processing), bill(recon.Processing)
	notReady.ChannelCode = "NO_STATEMENT_EXIST"
	stored.Stored = true
	plays(s, "ReadReconciliation", say(bill(recon.Processing)))
	plays(s, "FetchBill", say(notReady), say(notReady), say(stored))
	plays(s, "MatchBill", say(bill(recon.Balanced)))
	state := ends[activities.ReconciliationState](s, recon.WorkflowType)
	require.Equal(t, "balanced", state.Status)
	require.Equal(t, []string{"ReadReconciliation", "FetchBill", "FetchBill", "FetchBill", "MatchBill"}, s.calls)
	require.InDelta(t, 150, s.at.Sub(s.began).Seconds(), 2)
}

func TestReconciliationGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	stored := bill(recon.Processing)
	stored.Stored = true
	for name, c := range map[string]struct {
		read  activities.ReconciliationState
		calls []string
	}{
		"stored": {stored, []string{"ReadReconciliation", "MatchBill"}},
		"ended":  {bill(recon.Discrepant), []string{"ReadReconciliation"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t)
			plays(s, "ReadReconciliation", say(c.read))
			plays(s, "MatchBill", say(bill(recon.Discrepant)))
			require.Equal(t, "discrepant", ends[activities.ReconciliationState](s, recon.WorkflowType).Status)
			require.Equal(t, c.calls, s.calls)
		})
	}
}

func TestReconciliationEndsWhenFetchFindsItEnded(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	plays(s, "ReadReconciliation", say(bill(recon.Processing)))
	plays(s, "FetchBill", say(bill(recon.Failed)))
	require.Equal(t, "failed", ends[activities.ReconciliationState](s, recon.WorkflowType).Status)
	require.Equal(t, []string{"ReadReconciliation", "FetchBill"}, s.calls)
}

func playsGiveUp(s *script) {
	s.as("GiveUpReconciliation", func(_ context.Context, _ accept.Ref, why string) (activities.ReconciliationState, error) {
		s.calls = append(s.calls, "GiveUpReconciliation: "+why)
		return bill(recon.Failed), nil
	})
}

func TestReconciliationGivesUpWhenTheProviderRefuses(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	refused := bill(recon.Processing)
	refused.Refused, refused.ChannelCode = true, "NO_AUTH"
	plays(s, "ReadReconciliation", say(bill(recon.Processing)))
	plays(s, "FetchBill", say(refused))
	playsGiveUp(s)
	require.Equal(t, "failed", ends[activities.ReconciliationState](s, recon.WorkflowType).Status)
	require.Equal(t, "GiveUpReconciliation: wechatpay does not give the bill (NO_AUTH)", s.calls[2])
}

func TestReconciliationGivesUpAfterTwoDays(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	plays(s, "ReadReconciliation", say(bill(recon.Processing)))
	plays(s, "FetchBill", repeated(100, say(bill(recon.Processing)))...)
	playsGiveUp(s)
	require.Equal(t, "failed", ends[activities.ReconciliationState](s, recon.WorkflowType).Status)
	require.Len(t, s.calls, 102)
	require.InDelta(t, 48, s.at.Sub(s.began).Hours(), 3)
}

func repeated[T any](n int, one T) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = one
	}
	return all
}

// dailySteps registers the activities of the daily operations.
func (s *script) dailySteps(days ...activities.ChannelDay) {
	plays(s, "OpenReconciliations", say(days))
	plays(s, "SettleDay", say(3))
	s.as("FinishDaily", func(context.Context, accept.Ref) error {
		_, err := take(s, "FinishDaily", &[]reply[bool]{say(true)})
		return err
	})
}

func twoDays() []activities.ChannelDay {
	return []activities.ChannelDay{
		{ReconciliationID: "rec_1", WorkflowID: "reconciliation/chn_1/2026-11-22/1", Channel: "alipay"},
		{ReconciliationID: "rec_2", WorkflowID: "reconciliation/chn_2/2026-11-22/1", Channel: "wechatpay"},
	}
}

// Pending money becomes available before any bill is waited for.
func TestDailyOperationsSettleThenWaitForEveryReconciliation(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.dailySteps(twoDays()...)
	plays(s, "ReadReconciliation", say(bill(recon.Balanced)), say(bill(recon.Discrepant)))
	s.ExecuteWorkflow(recon.DailyWorkflowType, object())
	require.NoError(t, s.GetWorkflowError())
	require.Equal(t, []string{"OpenReconciliations", "SettleDay", "ReadReconciliation", "ReadReconciliation", "FinishDaily"}, s.calls)
}

func TestDailyOperationsOfATenantWithoutAccountsEnd(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.dailySteps()
	s.ExecuteWorkflow(recon.DailyWorkflowType, object())
	require.NoError(t, s.GetWorkflowError())
	require.Equal(t, []string{"OpenReconciliations", "SettleDay", "FinishDaily"}, s.calls)
}

// The sweeper, or an operation before this one, has started the reconciliations:
// they are watched until they have ended, because done means that all has.
func TestDailyOperationsWatchAReconciliationThatRunsElsewhere(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.dailySteps(twoDays()...)
	s.OnWorkflow(recon.WorkflowType, mock.Anything, mock.Anything).
		Return(activities.ReconciliationState{}, serviceerror.NewWorkflowExecutionAlreadyStarted("runs", "", ""))
	plays(s, "ReadReconciliation", say(bill(recon.Processing)), say(bill(recon.Processing)), say(bill(recon.Balanced)),
		say(bill(recon.Discrepant)))
	s.ExecuteWorkflow(recon.DailyWorkflowType, object())
	require.NoError(t, s.GetWorkflowError())
	require.Equal(t, []string{"OpenReconciliations", "SettleDay", "ReadReconciliation", "ReadReconciliation", "ReadReconciliation",
		"ReadReconciliation", "FinishDaily"}, s.calls)
}

func TestDailyRoundStartsEveryTenant(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.as("OpenYesterday", func(context.Context) (int, error) { return take(s, "OpenYesterday", &[]reply[int]{say(7)}) })
	s.ExecuteWorkflow(workflows.DailyRoundType)
	require.NoError(t, s.GetWorkflowError())
	var started int
	require.NoError(t, s.GetWorkflowResult(&started))
	require.Equal(t, 7, started)
}
