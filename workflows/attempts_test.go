package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/workflows"
)

func attempt(id, channel string) activities.AttemptState {
	return activities.AttemptState{ID: id, Channel: channel}
}

// byCode is an attempt by the payer's code; sent says that it may have been used.
func byCode(s *script, channel string, sent bool) activities.AttemptState {
	a := activities.AttemptState{ID: "att_1", Channel: channel, ByCode: true, Preparing: !sent}
	if sent {
		a.SentAt = s.Now()
	}
	return a
}

// playsBy registers a step of an attempt; the call's name tells whose.
func playsBy(s *script, name string, by map[string][]reply[activities.PaymentState]) {
	s.as(name, func(_ context.Context, in accept.Ref) (activities.PaymentState, error) {
		s.mu.Lock()
		answers := by[in.ID]
		by[in.ID] = answers[min(1, len(answers)):]
		s.mu.Unlock()
		return take(s, name+" "+in.ID, &answers)
	})
}

type replies = []reply[activities.PaymentState]

// The payer pays at one provider: the other is closed without waiting for the
// payer's time to be over.
func TestPaymentClosesTheAttemptsThatDidNotWin(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	one, two := attempt("att_1", "alipay"), attempt("att_2", "wechatpay")
	plays(s, "ReadPayment", say(paymentIs(payment.AwaitingPayer, one, two)))
	playsBy(s, "QueryAttempt", map[string]replies{"att_1": {say(paymentIs(payment.Succeeded, two))}})
	playsBy(s, "CloseAttempt", map[string]replies{"att_2": {say(paymentIs(payment.Succeeded))}})
	s.RegisterDelayedCallback(func() { s.SignalWorkflow(workflows.SignalNotified, "att_1") }, time.Second)
	require.Equal(t, "succeeded", ends[activities.PaymentState](s, payment.WorkflowType).Status)
	require.Equal(t, []string{"ReadPayment", "QueryAttempt att_1", "CloseAttempt att_2"}, s.calls)
	require.Less(t, s.at.Sub(s.began), 2*time.Second)
}

// A provider that has not seen the trade may still see it: the workflow stays
// until the payer's time is over, and finds a second success.
func TestPaymentStaysWithALoserThatMayStillBePaid(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	two := attempt("att_2", "alipay")
	unseen := two
	unseen.Unseen = true
	plays(s, "ReadPayment", say(paymentIs(payment.Succeeded, two)))
	playsBy(s, "CloseAttempt", map[string]replies{"att_2": {say(paymentIs(payment.Succeeded, unseen)), say(expired(paymentIs(payment.Succeeded)))}})
	playsBy(s, "QueryAttempt", map[string]replies{"att_2": {say(paymentIs(payment.Succeeded, unseen)), say(expired(paymentIs(payment.Succeeded, unseen)))}})
	ends[activities.PaymentState](s, payment.WorkflowType)
	require.Equal(t, []string{"ReadPayment", "CloseAttempt att_2", "QueryAttempt att_2", "QueryAttempt att_2", "CloseAttempt att_2"}, s.calls)
}

// A loser that was paid as well is found by the query after its closing failed.
func TestPaymentFindsASecondSuccess(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	two := attempt("att_2", "alipay")
	plays(s, "ReadPayment", say(paymentIs(payment.Succeeded, two)))
	playsBy(s, "CloseAttempt", map[string]replies{"att_2": {say(paymentIs(payment.Succeeded, two))}})
	playsBy(s, "QueryAttempt", map[string]replies{"att_2": {say(paymentIs(payment.Succeeded))}})
	ends[activities.PaymentState](s, payment.WorkflowType)
	require.Equal(t, []string{"ReadPayment", "CloseAttempt att_2", "QueryAttempt att_2"}, s.calls)
}

// One provider that does not answer holds up no other.
func TestPaymentDrivesItsAttemptsSideBySide(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	one, two := attempt("att_1", "alipay"), attempt("att_2", "wechatpay")
	plays(s, "ReadPayment", say(paymentIs(payment.AwaitingPayer, one, two)))
	var trouble replies
	for range 9 {
		trouble = append(trouble, reply[activities.PaymentState]{err: errors.New("away")})
	}
	playsBy(s, "QueryAttempt", map[string]replies{
		"att_1": append(trouble, say(paymentIs(payment.Succeeded))), "att_2": {say(paymentIs(payment.Succeeded, one))}})
	require.Equal(t, "succeeded", ends[activities.PaymentState](s, payment.WorkflowType).Status)
	require.Equal(t, "QueryAttempt att_2", s.calls[2], "it did not wait for the other's retries: %v", s.calls)
}

func TestPaymentHearsOfANewAttempt(t *testing.T) {
	t.Parallel()
	for name, tell := range map[string]func(s *script) *answered{
		"by its caller": func(s *script) *answered { return s.asks(time.Minute, "att_1") },
		"by the sweep": func(s *script) *answered {
			s.RegisterDelayedCallback(func() { s.SignalWorkflow(workflows.SignalChanged, "") }, time.Minute)
			return nil
		},
		"by itself": func(*script) *answered { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t)
			none := say(paymentIs(payment.AwaitingPayer, []activities.AttemptState{}...))
			none.state.Live = nil
			reads := replies{none, none, none, none, none, none, none}
			added := attempt("att_1", "alipay")
			added.Preparing = true
			asked := 0
			s.as("ReadPayment", func(context.Context, accept.Ref) (activities.PaymentState, error) {
				asked++
				if s.Now().Sub(s.began) >= time.Minute && asked > 1 {
					return take(s, "ReadPayment", &replies{say(paymentIs(payment.AwaitingPayer, added))})
				}
				return take(s, "ReadPayment", &reads)
			})
			playsBy(s, "PrepareAttempt", map[string]replies{"att_1": {say(paymentIs(payment.AwaitingPayer, attempt("att_1", "alipay")))}})
			playsBy(s, "QueryAttempt", map[string]replies{"att_1": {say(paymentIs(payment.Succeeded))}})
			answer := tell(s)
			require.Equal(t, "succeeded", ends[activities.PaymentState](s, payment.WorkflowType).Status)
			require.Equal(t, []string{"PrepareAttempt att_1", "QueryAttempt att_1"}, s.calls[len(s.calls)-2:])
			if answer != nil {
				require.True(t, answer.done)
				require.NoError(t, answer.err)
			}
		})
	}
}

// A payment that nobody chose a way to pay for is ended by itself.
func TestPaymentWithoutAttemptsIsEnded(t *testing.T) {
	t.Parallel()
	for name, over := range map[string]func(*activities.PaymentState){
		"expired":   func(p *activities.PaymentState) { p.Expired = true },
		"cancelled": func(p *activities.PaymentState) { p.Cancelling = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t)
			none := paymentIs(payment.AwaitingPayer, []activities.AttemptState{}...)
			none.Live = nil
			ending := none
			over(&ending)
			plays(s, "ReadPayment", say(none), say(ending))
			plays(s, "EndPayment", say(paymentIs(payment.Closed)))
			answer := s.asks(time.Second, workflows.AboutEnd)
			require.Equal(t, "closed", ends[activities.PaymentState](s, payment.WorkflowType).Status)
			require.Equal(t, []string{"ReadPayment", "ReadPayment", "EndPayment"}, s.calls)
			require.True(t, answer.done)
		})
	}
}

func TestPaymentByCode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		channel string
		queries int
		seconds float64
	}{
		"alipay":    {"alipay", 16, 60},
		"wechatpay": {"wechatpay", 6, 45},
	} {
		t.Run("undone when nobody confirms, "+name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t)
			sent := say(paymentIs(payment.AwaitingPayer, byCode(s, c.channel, true)))
			plays(s, "ReadPayment", say(paymentIs(payment.Processing, byCode(s, c.channel, false))))
			plays(s, "PayByCode", sent)
			plays(s, "QueryAttempt", repeated(c.queries, sent)...)
			undoing := byCode(s, c.channel, true)
			undoing.Undoing = true
			plays(s, "UndoAttempt", say(paymentIs(payment.AwaitingPayer, undoing)), say(paymentIs(payment.Closed)))
			require.Equal(t, "closed", ends[activities.PaymentState](s, payment.WorkflowType).Status)
			var at []string
			for _, call := range s.calls {
				if call == "UndoAttempt" {
					at = append(at, call)
				}
			}
			require.Len(t, at, 2)
			require.GreaterOrEqual(t, s.at.Sub(s.began).Seconds(), c.seconds)
			require.Less(t, s.at.Sub(s.began).Seconds(), c.seconds+10)
		})
	}
	t.Run("paid at once", func(t *testing.T) {
		t.Parallel()
		s := newScript(t)
		plays(s, "ReadPayment", say(paymentIs(payment.Processing, byCode(s, "alipay", false))))
		plays(s, "PayByCode", say(paymentIs(payment.Succeeded)))
		answer := s.asks(0, workflows.AboutPayment)
		ends[activities.PaymentState](s, payment.WorkflowType)
		require.Equal(t, []string{"ReadPayment", "PayByCode"}, s.calls)
		require.True(t, answer.done)
	})
	t.Run("the step brought no result", func(t *testing.T) {
		t.Parallel()
		s := newScript(t)
		plays(s, "ReadPayment", say(paymentIs(payment.Processing, byCode(s, "alipay", false))), say(paymentIs(payment.Processing, byCode(s, "alipay", true))))
		plays(s, "PayByCode", reply[activities.PaymentState]{err: errors.New("the worker died")})
		plays(s, "QueryAttempt", say(paymentIs(payment.Succeeded)))
		ends[activities.PaymentState](s, payment.WorkflowType)
		require.Equal(t, []string{"ReadPayment", "PayByCode", "ReadPayment", "QueryAttempt"}, s.calls, "it is never made twice")
	})
	t.Run("started anew while it is undone", func(t *testing.T) {
		t.Parallel()
		s := newScript(t)
		undoing := byCode(s, "alipay", true)
		undoing.Undoing = true
		refused := byCode(s, "alipay", true)
		refused.SentAt = refused.SentAt.Add(-time.Hour)
		plays(s, "ReadPayment", say(paymentIs(payment.AwaitingPayer, undoing)))
		plays(s, "UndoAttempt", say(paymentIs(payment.AwaitingPayer, undoing)), say(paymentIs(payment.AwaitingPayer, refused)))
		plays(s, "QueryAttempt", say(paymentIs(payment.Succeeded)))
		ends[activities.PaymentState](s, payment.WorkflowType)
		require.Equal(t, []string{"ReadPayment", "UndoAttempt", "UndoAttempt", "QueryAttempt"}, s.calls,
			"no query is asked while the answer to the undoing is open")
	})
	t.Run("dropped before it was used", func(t *testing.T) {
		t.Parallel()
		s := newScript(t)
		cancelled := paymentIs(payment.Processing, byCode(s, "alipay", false))
		cancelled.Cancelling = true
		plays(s, "ReadPayment", say(cancelled))
		plays(s, "UndoAttempt", say(paymentIs(payment.Closed)))
		ends[activities.PaymentState](s, payment.WorkflowType)
		require.Equal(t, []string{"ReadPayment", "UndoAttempt"}, s.calls)
	})
}

// The tenant ends a payment: each open attempt is closed, and asked about when it
// does not close.
func TestPaymentIsCancelled(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	waiting, cancelling := paymentIs(payment.AwaitingPayer), paymentIs(payment.AwaitingPayer)
	cancelling.Cancelling = true
	plays(s, "ReadPayment", say(waiting), say(cancelling))
	plays(s, "CloseAttempt", say(cancelling), say(paymentIs(payment.Closed)))
	plays(s, "QueryAttempt", say(cancelling))
	s.RegisterDelayedCallback(func() { s.SignalWorkflow(workflows.SignalChanged, "") }, time.Second)
	require.Equal(t, "closed", ends[activities.PaymentState](s, payment.WorkflowType).Status)
	require.Equal(t, []string{"ReadPayment", "ReadPayment", "CloseAttempt", "QueryAttempt", "CloseAttempt"}, s.calls)
}

// Another account takes the place of one that nobody was reached at.
func TestPaymentGoesOnAtAnotherAccount(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	one, two := attempt("att_1", "alipay"), attempt("att_2", "alipay")
	one.Preparing, two.Preparing = true, true
	open := two
	open.Preparing = false
	plays(s, "ReadPayment", say(paymentIs(payment.Processing, one)))
	playsBy(s, "PrepareAttempt", map[string]replies{
		"att_1": {say(paymentIs(payment.Processing, two))}, "att_2": {say(paymentIs(payment.AwaitingPayer, open))}})
	playsBy(s, "QueryAttempt", map[string]replies{"att_2": {say(paymentIs(payment.Succeeded))}})
	answer := s.asks(0, workflows.AboutPayment)
	ends[activities.PaymentState](s, payment.WorkflowType)
	require.Equal(t, []string{"ReadPayment", "PrepareAttempt att_1", "PrepareAttempt att_2", "QueryAttempt att_2"}, s.calls)
	require.Equal(t, "awaiting_payer", answer.value.(activities.PaymentState).Status)
}
