package workflows_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/workflows"
)

// moving is one answer of a step that moves money.
func moving(outcome activities.Outcome) activities.MovingState {
	return activities.MovingState{Status: "processing", Channel: "alipay", Outcome: outcome, ChannelCode: string(outcome) + "_CODE"}
}

func over(status string) activities.MovingState {
	return activities.MovingState{Status: status, Final: true, Channel: "alipay", Outcome: activities.Done}
}

func failed() reply[activities.MovingState] {
	return reply[activities.MovingState]{err: errors.New("the worker died")}
}

type answers = []reply[activities.MovingState]

// Refund and Withdrawal are the same flow over other steps; every branch is
// tried on both.
func TestMovingMoney(t *testing.T) {
	t.Parallel()
	fresh := activities.MovingState{Status: "processing", Channel: "alipay"}
	pending, unknown := say(moving(activities.Pending)), say(moving(activities.Unknown))
	notFound, refused := say(moving(activities.NotFound)), say(moving(activities.Refused))
	succeeded, lost := say(over("succeeded")), say(over("failed"))
	for name, c := range map[string]struct {
		look                activities.MovingState
		send, query, refuse answers
		end                 string
		calls               []string
	}{
		"done at once": {look: fresh, send: answers{succeeded}, end: "succeeded",
			calls: []string{"Read", "Send again=false"}},
		"final already": {look: over("failed"), end: "failed", calls: []string{"Read"}},
		"unknown, then done": {look: fresh, send: answers{unknown}, query: answers{unknown, succeeded}, end: "succeeded",
			calls: []string{"Read", "Send again=false", "Query", "Query"}},
		"pending, then done": {look: fresh, send: answers{pending}, query: answers{pending, pending, succeeded}, end: "succeeded",
			calls: []string{"Read", "Send again=false", "Query", "Query", "Query"}},
		"not found once is not sent again": {look: fresh, send: answers{unknown}, query: answers{notFound, succeeded}, end: "succeeded",
			calls: []string{"Read", "Send again=false", "Query", "Query"}},
		"not found twice is sent again": {look: fresh, send: answers{unknown, succeeded}, query: answers{notFound, notFound}, end: "succeeded",
			calls: []string{"Read", "Send again=false", "Query", "Query", "Send again=true"}},
		"not found, unknown, not found is not twice": {look: fresh, send: answers{unknown},
			query: answers{notFound, unknown, notFound, succeeded}, end: "succeeded",
			calls: []string{"Read", "Send again=false", "Query", "Query", "Query", "Query"}},
		"sent again and again": {look: fresh, send: answers{pending, pending, succeeded},
			query: answers{notFound, notFound, notFound, notFound}, end: "succeeded",
			calls: []string{"Read", "Send again=false", "Query", "Query", "Send again=true", "Query", "Query", "Send again=true"}},
		"refused, agreed": {look: fresh, send: answers{refused}, refuse: answers{lost}, end: "failed",
			calls: []string{"Read", "Send again=false", "Refuse refused_CODE"}},
		"refused, but the query says it works on it": {look: fresh, send: answers{refused}, refuse: answers{pending},
			query: answers{succeeded}, end: "succeeded",
			calls: []string{"Read", "Send again=false", "Refuse refused_CODE", "Query"}},
		"refused, but the query is unknown": {look: fresh, send: answers{refused}, refuse: answers{unknown},
			query: answers{refused}, end: "failed",
			calls: []string{"Read", "Send again=false", "Refuse refused_CODE", "Query", "Refuse refused_CODE"}},
		"refused later": {look: fresh, send: answers{pending}, query: answers{refused}, refuse: answers{lost}, end: "failed",
			calls: []string{"Read", "Send again=false", "Query", "Refuse refused_CODE"}},
		"the step that sends gave no result": {look: fresh, send: answers{failed()}, query: answers{succeeded}, end: "succeeded",
			calls: []string{"Read", "Send again=false", "Query"}},
		"no result, not found twice": {look: fresh, send: answers{failed(), failed(), succeeded},
			query: answers{notFound, notFound, notFound, notFound}, end: "succeeded",
			calls: []string{"Read", "Send again=false", "Query", "Query", "Send again=true", "Query", "Query", "Send again=true"}},
		"trouble of our own while asking": {look: fresh, send: answers{unknown}, query: answers{failed(), failed(), succeeded},
			end: "succeeded", calls: []string{"Read", "Send again=false", "Query", "Query", "Query"}},
	} {
		if c.refuse != nil && name == "refused, but the query is unknown" {
			c.refuse = append(c.refuse, lost)
		}
		for _, kind := range []struct{ workflow, noun string }{
			{refund.WorkflowType, "Refund"}, {payout.WorkflowType, "Withdrawal"},
		} {
			t.Run(kind.noun+" "+name, func(t *testing.T) {
				t.Parallel()
				s := newScript(t)
				plays(s, "Read"+kind.noun, say(c.look))
				playsSend(s, "Send"+kind.noun, c.send...)
				plays(s, "Query"+kind.noun, c.query...)
				playsRefuse(s, "Refuse"+kind.noun, c.refuse...)
				answer := s.asks(0)
				require.Equal(t, c.end, ends[activities.MovingState](s, kind.workflow).Status)
				var calls []string
				for _, call := range s.calls {
					calls = append(calls, dropNoun(call, kind.noun))
				}
				require.Equal(t, c.calls, calls)
				require.True(t, answer.done && answer.err == nil, "%v", answer.err)
			})
		}
	}
}

// dropNoun turns "SendRefund again=true" into "Send again=true".
func dropNoun(call, noun string) string {
	for _, verb := range []string{"Read", "Send", "Query", "Refuse"} {
		if rest, ok := cut(call, verb+noun); ok {
			return verb + rest
		}
	}
	return call
}

func cut(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || s[:len(prefix)] != prefix {
		return s, false
	}
	return s[len(prefix):], true
}

// The first answer is what the provider said first, not the end.
func TestMovingMoneyAnswersWhatTheProviderSaidFirst(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	plays(s, "ReadRefund", say(activities.MovingState{Status: "processing", Channel: "wechatpay"}))
	playsSend(s, "SendRefund", say(moving(activities.Pending)))
	plays(s, "QueryRefund", say(over("succeeded")))
	answer := s.asks(0)
	ends[activities.MovingState](s, refund.WorkflowType)
	require.Equal(t, activities.Pending, answer.value.(activities.MovingState).Outcome)
	require.Less(t, answer.at.Sub(s.began), time.Second, "answered before the first pause")
}

// A destination is found in the row, whoever wakes the flow, and sent before
// anything else is asked; without a result of the step, only a query tells.
func TestAbnormalMoneyIsSentWhereTheTenantSays(t *testing.T) {
	t.Parallel()
	waiting := activities.MovingState{Status: "processing", Channel: "wechatpay", Outcome: activities.Pending, ChannelCode: "REFUND_ABNORMAL"}
	asked := waiting
	asked.Redirect = true
	for name, c := range map[string]struct {
		look            activities.MovingState
		query, redirect answers
		calls           []string
	}{
		"asked for while it waits": {waiting, answers{say(asked), say(over("succeeded"))}, answers{say(waiting)},
			[]string{"ReadRefund", "SendRefund again=false", "QueryRefund", "RedirectRefund", "QueryRefund"}},
		"no result of the step": {waiting, answers{say(asked), say(asked), say(over("succeeded"))}, answers{failed(), say(waiting)},
			[]string{"ReadRefund", "SendRefund again=false", "QueryRefund", "RedirectRefund", "QueryRefund", "RedirectRefund", "QueryRefund"}},
		"refused, and asked for again": {waiting, answers{say(waiting), say(asked), say(waiting), say(asked)},
			answers{say(waiting), say(over("succeeded"))},
			[]string{"ReadRefund", "SendRefund again=false", "QueryRefund", "QueryRefund", "RedirectRefund", "QueryRefund", "QueryRefund", "RedirectRefund"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t)
			plays(s, "ReadRefund", say(c.look))
			playsSend(s, "SendRefund", say(waiting))
			plays(s, "QueryRefund", c.query...)
			plays(s, "RedirectRefund", c.redirect...)
			answer := s.updates(workflows.UpdateRedirected, time.Second)
			require.Equal(t, "succeeded", ends[activities.MovingState](s, refund.WorkflowType).Status)
			require.Equal(t, c.calls, s.calls)
			require.True(t, answer.done && answer.err == nil, "%v", answer.err)
			require.Less(t, answer.at.Sub(s.began), 10*time.Second, "woken, not found by the way")
		})
	}
}

func TestMovingMoneyIsHurriedByANotification(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	plays(s, "ReadRefund", say(activities.MovingState{Status: "processing", Channel: "wechatpay"}))
	playsSend(s, "SendRefund", say(moving(activities.Pending)))
	plays(s, "QueryRefund", say(over("succeeded")))
	s.RegisterDelayedCallback(func() { s.SignalWorkflow(workflows.SignalNotified, nil) }, time.Second)
	ends[activities.MovingState](s, refund.WorkflowType)
	require.Less(t, s.at.Sub(s.began), 2*time.Second)
}
