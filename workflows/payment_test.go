package workflows_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/workflows"
)

// paymentIs is a payment with these live attempts; without any it has the one
// that goes with its status.
func paymentIs(status payment.Status, live ...activities.AttemptState) activities.PaymentState {
	if live == nil && !status.Final() {
		live = []activities.AttemptState{{ID: "att_1", Channel: "alipay", Preparing: status == payment.Processing}}
	}
	return activities.PaymentState{Status: string(status), Final: status.Final(), Live: live}
}

func expired(s activities.PaymentState) activities.PaymentState {
	s.Expired = true
	return s
}

func TestPaymentIsPreparedPaidAndDone(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	plays(s, "ReadPayment", say(paymentIs(payment.Processing)))
	plays(s, "PrepareAttempt", say(paymentIs(payment.AwaitingPayer)))
	plays(s, "QueryAttempt", say(paymentIs(payment.Succeeded)))
	answer := s.asks(0, workflows.AboutPayment)
	s.RegisterDelayedCallback(func() { s.SignalWorkflow(workflows.SignalNotified, "") }, time.Second)

	state := ends[activities.PaymentState](s, payment.WorkflowType)
	require.Equal(t, "succeeded", state.Status)
	require.Equal(t, []string{"ReadPayment", "PrepareAttempt", "QueryAttempt"}, s.calls)
	require.NoError(t, answer.err)
	require.Equal(t, "awaiting_payer", answer.value.(activities.PaymentState).Status)
	require.Less(t, s.at.Sub(s.began), 2*time.Second, "the notification hurries the query")
}

// A payment whose signals were all lost ends in the same state.
func TestPaymentIsFoundPaidWithoutAnySignal(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	plays(s, "ReadPayment", say(paymentIs(payment.AwaitingPayer)))
	waiting := say(paymentIs(payment.AwaitingPayer))
	plays(s, "QueryAttempt", waiting, waiting, waiting, say(paymentIs(payment.Succeeded)))

	state := ends[activities.PaymentState](s, payment.WorkflowType)
	require.Equal(t, "succeeded", state.Status)
	require.Len(t, s.calls, 5)
	// 5 + 7.5 + 11.25 + 16.875 seconds: each pause half as long again as the one before.
	require.InDelta(t, 40.6, s.at.Sub(s.began).Seconds(), 1)
}

func TestPaymentAsksAgainAfterAnUnknownPreparation(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	plays(s, "ReadPayment", say(paymentIs(payment.Processing)))
	unknown := paymentIs(payment.Processing)
	unknown.ChannelCode = "NO_ANSWER"
	plays(s, "PrepareAttempt", say(unknown), say(unknown), say(paymentIs(payment.AwaitingPayer)))
	plays(s, "QueryAttempt", say(paymentIs(payment.Succeeded)))
	answer := s.asks(0, workflows.AboutPayment)

	state := ends[activities.PaymentState](s, payment.WorkflowType)
	require.Equal(t, []string{"ReadPayment", "PrepareAttempt", "PrepareAttempt", "PrepareAttempt", "QueryAttempt"}, s.calls)
	require.Empty(t, state.ChannelCode, "a later state leaves nothing of an earlier one")
	require.True(t, answer.done)
	require.Equal(t, "awaiting_payer", answer.value.(activities.PaymentState).Status, "nothing to show is no answer")
}

func TestPaymentThatTheProviderRefusesFails(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	plays(s, "ReadPayment", say(paymentIs(payment.Processing)))
	plays(s, "PrepareAttempt", say(paymentIs(payment.Failed)))
	answer := s.asks(0, workflows.AboutPayment)

	require.Equal(t, "failed", ends[activities.PaymentState](s, payment.WorkflowType).Status)
	require.Equal(t, []string{"ReadPayment", "PrepareAttempt"}, s.calls)
	require.Equal(t, "failed", answer.value.(activities.PaymentState).Status)
}

func TestPaymentIsClosedAfterItsTime(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	plays(s, "ReadPayment", say(paymentIs(payment.AwaitingPayer)))
	plays(s, "QueryAttempt", say(expired(paymentIs(payment.AwaitingPayer))))
	plays(s, "CloseAttempt", say(expired(paymentIs(payment.Closed))))
	s.RegisterDelayedCallback(func() { s.SignalWorkflow(workflows.SignalExpired, nil) }, time.Second)

	require.Equal(t, "closed", ends[activities.PaymentState](s, payment.WorkflowType).Status)
	require.Equal(t, []string{"ReadPayment", "QueryAttempt", "CloseAttempt"}, s.calls)
	require.Less(t, s.at.Sub(s.began), 2*time.Second)
}

// The payer was faster than the closing: the next query finds the money.
func TestPaymentThatIsPaidWhileItIsClosedSucceeds(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	plays(s, "ReadPayment", say(paymentIs(payment.AwaitingPayer)))
	plays(s, "QueryAttempt", say(expired(paymentIs(payment.AwaitingPayer))), say(expired(paymentIs(payment.Succeeded))))
	plays(s, "CloseAttempt", say(expired(paymentIs(payment.AwaitingPayer))))

	require.Equal(t, "succeeded", ends[activities.PaymentState](s, payment.WorkflowType).Status)
	require.Equal(t, []string{"ReadPayment", "QueryAttempt", "CloseAttempt", "QueryAttempt"}, s.calls)
}

func TestPaymentFoundPaidAfterItsTimeIsNotClosed(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	plays(s, "ReadPayment", say(paymentIs(payment.AwaitingPayer)))
	plays(s, "QueryAttempt", say(expired(paymentIs(payment.Succeeded))))
	plays[activities.PaymentState](s, "CloseAttempt")

	require.Equal(t, "succeeded", ends[activities.PaymentState](s, payment.WorkflowType).Status)
}

// The preparation never got an answer and the payer's time is over: one last
// query, then the closing; each of the two may be the end.
func TestPaymentThatWasNeverPreparedIsClosedAfterItsTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query, close []reply[activities.PaymentState]
		prepare      int
		end          payment.Status
		calls        []string
	}{
		"closed": {
			query:   []reply[activities.PaymentState]{say(expired(paymentIs(payment.Processing)))},
			close:   []reply[activities.PaymentState]{say(expired(paymentIs(payment.Closed)))},
			prepare: 1, end: payment.Closed, calls: []string{"ReadPayment", "PrepareAttempt", "QueryAttempt", "CloseAttempt"},
		},
		"paid": {
			query:   []reply[activities.PaymentState]{say(expired(paymentIs(payment.Succeeded)))},
			prepare: 1, end: payment.Succeeded, calls: []string{"ReadPayment", "PrepareAttempt", "QueryAttempt"},
		},
		"closing unknown": {
			query: []reply[activities.PaymentState]{say(expired(paymentIs(payment.Processing))), say(expired(paymentIs(payment.Closed)))},
			close: []reply[activities.PaymentState]{say(expired(paymentIs(payment.Processing)))}, prepare: 1, end: payment.Closed,
			calls: []string{"ReadPayment", "PrepareAttempt", "QueryAttempt", "CloseAttempt", "QueryAttempt"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t)
			plays(s, "ReadPayment", say(paymentIs(payment.Processing)))
			var prepared []reply[activities.PaymentState]
			for range c.prepare {
				prepared = append(prepared, say(expired(paymentIs(payment.Processing))))
			}
			plays(s, "PrepareAttempt", prepared...)
			plays(s, "QueryAttempt", c.query...)
			plays(s, "CloseAttempt", c.close...)
			require.Equal(t, string(c.end), ends[activities.PaymentState](s, payment.WorkflowType).Status)
			require.Equal(t, c.calls, s.calls)
		})
	}
}

func TestPaymentThatIsFinalDoesNothing(t *testing.T) {
	t.Parallel()
	for _, status := range []payment.Status{payment.Succeeded, payment.Closed, payment.Failed} {
		s := newScript(t)
		plays(s, "ReadPayment", say(paymentIs(status)))
		require.Equal(t, string(status), ends[activities.PaymentState](s, payment.WorkflowType).Status)
		require.Equal(t, []string{"ReadPayment"}, s.calls)
	}
}

// Our own trouble is retried for as long as it takes; it never ends a payment.
func TestPaymentOutlastsTroubleOfOurOwn(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	plays(s, "ReadPayment", say(paymentIs(payment.AwaitingPayer)))
	var trouble []reply[activities.PaymentState]
	for range 9 { // the environment gives up after 10 attempts, the server never does
		trouble = append(trouble, reply[activities.PaymentState]{err: errors.New("the database is away")})
	}
	plays(s, "QueryAttempt", append(trouble, say(paymentIs(payment.Succeeded)))...)

	require.Equal(t, "succeeded", ends[activities.PaymentState](s, payment.WorkflowType).Status)
	require.Len(t, s.calls, 11)
}

// A wait may last for weeks (a payer's bank that takes no refund, our own balance
// at a provider); its history may not grow for ever.
func TestLongHistoriesGoOnInANewRun(t *testing.T) {
	t.Parallel()
	waiting := say(moving(activities.Pending))
	for workflowType, play := range map[string]func(s *script){
		payment.WorkflowType: func(s *script) {
			plays(s, "ReadPayment", say(paymentIs(payment.AwaitingPayer)))
			plays(s, "QueryAttempt", say(paymentIs(payment.AwaitingPayer)))
		},
		payment.LateWorkflowType: func(s *script) {
			plays(s, "ReadLatePayment", say(activities.LateState{Channel: "alipay"}))
			plays(s, "BookLatePayment", say(activities.LateState{Channel: "alipay"}))
		},
		refund.WorkflowType: func(s *script) {
			plays(s, "ReadRefund", waiting)
			playsSend(s, "SendRefund", waiting)
			plays(s, "QueryRefund", waiting)
		},
		payout.WorkflowType: func(s *script) {
			plays(s, "ReadWithdrawal", waiting)
			playsSend(s, "SendWithdrawal", waiting)
			plays(s, "QueryWithdrawal", waiting)
		},
	} {
		t.Run(workflowType, func(t *testing.T) {
			t.Parallel()
			s := newScript(t)
			play(s)
			s.SetContinueAsNewSuggested(true)
			s.ExecuteWorkflow(workflowType, object())
			require.True(t, s.IsWorkflowCompleted())
			var next *workflow.ContinueAsNewError
			require.ErrorAs(t, s.GetWorkflowError(), &next)
			require.Equal(t, workflowType, next.WorkflowType.Name)
			var in accept.Ref
			require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
			require.Equal(t, object(), in)
		})
	}
}

// However many notifications arrive, one look answers all that came before it.
func TestPaymentTakesAllSignalsThatWaitWithOneLook(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	plays(s, "ReadPayment", say(paymentIs(payment.AwaitingPayer)))
	plays(s, "QueryAttempt", say(paymentIs(payment.AwaitingPayer)), say(paymentIs(payment.Succeeded)))
	s.RegisterDelayedCallback(func() {
		for range 30 {
			s.SignalWorkflow(workflows.SignalNotified, "")
			s.SignalWorkflow(workflows.SignalExpired, nil)
		}
	}, 0)

	require.Equal(t, "succeeded", ends[activities.PaymentState](s, payment.WorkflowType).Status)
	require.Equal(t, []string{"ReadPayment", "QueryAttempt", "QueryAttempt"}, s.calls)
	require.Greater(t, s.at.Sub(s.began), 7*time.Second, "the second look waited its whole pause: no signal was left over")
}
