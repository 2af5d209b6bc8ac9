package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/core/unresolved"
)

// dilemma is a refund or a withdrawal of 4.00 whose number may not be sent again.
type dilemma struct {
	*scene
	in accept.Ref
	// answers lets the provider answer whatever it is asked about it.
	answers func(channel.Answer)
	// paid lets it say that it was paid.
	paid   func()
	send   func(ctx context.Context, in accept.Ref, again bool) (activities.MovingState, error)
	query  func(context.Context, accept.Ref) (activities.MovingState, error)
	decide func(unresolved.Decision) error
	// sent are the numbers that were sent, in order.
	sent func() []string
}

func (d *dilemma) decideBy(decide func(context.Context, pgx.Tx, string, string, unresolved.Decision, string) error) {
	d.decide = func(decision unresolved.Decision) error {
		return d.db.DB.InTenant(d.Context(), d.tenant, func(tx pgx.Tx) error {
			return decide(d.Context(), tx, d.tenant, d.in.ID, decision, "asked the provider")
		})
	}
}

func refundDilemma(t *testing.T) *dilemma {
	t.Helper()
	s := newScene(t)
	d := &dilemma{scene: s, in: s.newRefund(s.paid().ID, 400), send: s.steps.Refunds.SendRefund, query: s.steps.Refunds.QueryRefund}
	d.answers = func(a channel.Answer) { s.provider.refunded = channel.RefundState{Answer: a} }
	d.paid = func() { s.provider.refunded = refundedState(400) }
	d.sent = func() (numbers []string) {
		for _, order := range s.provider.refunds {
			numbers = append(numbers, order.Number)
		}
		return numbers
	}
	d.decideBy(refund.Resolve)
	return d
}

func withdrawalDilemma(t *testing.T) *dilemma {
	t.Helper()
	s := newScene(t)
	s.paid()
	d := &dilemma{scene: s, in: s.newWithdrawal(400), send: s.steps.Withdrawals.SendWithdrawal, query: s.steps.Withdrawals.QueryWithdrawal}
	d.answers = func(a channel.Answer) { s.provider.paidOut = channel.TransferState{Answer: a} }
	d.paid = func() { s.provider.paidOut = paidOutState(400) }
	d.sent = func() (numbers []string) {
		for _, order := range s.provider.payouts {
			numbers = append(numbers, order.Number)
		}
		return numbers
	}
	d.decideBy(payout.Resolve)
	return d
}

// over is a dilemma: it was sent, and may not be sent again.
func (d *dilemma) over() {
	d.Helper()
	d.answers(unknown())
	_, err := d.send(d.Context(), d.in, false)
	require.NoError(d, err)
	d.answers(answer(channel.Unknown, channel.CodeRepeatOver))
	state, err := d.send(d.Context(), d.in, true)
	require.NoError(d, err)
	require.Equal(d, activities.Unknown, state.Outcome)
	require.Equal(d, int64(1), d.count(`select count(*) from unresolved where code = 'REPEAT_OVER' and decision is null`))
}

func (d *dilemma) asked(answered channel.Answer) activities.MovingState {
	d.Helper()
	d.answers(answered)
	state, err := d.query(d.Context(), d.in)
	require.NoError(d, err)
	return state
}

func both(t *testing.T, test func(t *testing.T, open func(*testing.T) *dilemma)) {
	t.Parallel()
	for noun, open := range map[string]func(*testing.T) *dilemma{"refund": refundDilemma, "withdrawal": withdrawalDilemma} {
		t.Run(noun, func(t *testing.T) { test(t, open) })
	}
}

// Nothing is sent again, however often the step is taken; it is asked, nothing is
// released, and a person is told why and what was answered last.
func TestWhatMayNotBeSentAgainIsAskedOnly(t *testing.T) {
	both(t, func(t *testing.T, open func(*testing.T) *dilemma) {
		d := open(t)
		require.True(t, fault.Is(d.decide(unresolved.Failed), "outcome_not_unresolved"))
		d.over()
		sent := d.sent()
		for range 3 {
			require.Equal(t, activities.NotFound, d.asked(notFound()).Outcome)
			state, err := d.send(t.Context(), d.in, true)
			require.NoError(t, err)
			require.Equal(t, activities.Unknown, state.Outcome)
			require.Equal(t, channel.CodeRepeatOver, state.ChannelCode)
		}
		require.Equal(t, sent, d.sent())
		require.Equal(t, int64(1), d.count(`select count(*) from holds where status = 'open'`))
		require.Equal(t, int64(1), d.count(`select count(*) from unresolved where answer_code = 'NOT_FOUND'`))
		require.Equal(t, int64(1), d.count(`select count(*) from events where type in ('refund.unresolved', 'withdrawal.unresolved')`), "told once")
		require.Equal(t, int64(1), d.count(`select (select count(*) from refunds where waiting_for like '%two persons decide%NOT_FOUND%') +
			(select count(*) from withdrawals where waiting_for like '%two persons decide%NOT_FOUND%')`))
		d.paid()
		state, err := d.query(t.Context(), d.in)
		require.NoError(t, err)
		require.Equal(t, "succeeded", state.Status, "what is known needs no decision")
		require.True(t, fault.Is(d.decide(unresolved.Failed), "outcome_not_unresolved"))
	})
}

// Declared failed, it fails once the provider says again that it does not know it, and
// not before.
func TestWhatWasDeclaredFailed(t *testing.T) {
	both(t, func(t *testing.T, open func(*testing.T) *dilemma) {
		d := open(t)
		d.over()
		require.NoError(t, d.decide(unresolved.Failed))
		require.True(t, fault.Is(d.decide(unresolved.NewNumber), "outcome_decided"))
		require.Equal(t, "processing", d.asked(unknown()).Status)
		require.Equal(t, int64(1), d.count(`select count(*) from holds where status = 'open'`), "unknown is not failed, whoever decides")
		d.answers(notFound())
		for _, state := range zombies(d.scene, d.query, d.in) {
			require.Equal(t, "failed", state.Status)
			require.True(t, state.Final)
		}
		require.Zero(t, d.count(`select count(*) from holds where status = 'open'`))
		require.Equal(t, int64(1000), d.balance("merchant_available"))
		require.Equal(t, int64(2), d.events(d.in.ID), "unresolved, and failed")
	})
}

// A decision does not stand against what the provider says.
func TestWhatWasDeclaredFailedAndWasPaid(t *testing.T) {
	both(t, func(t *testing.T, open func(*testing.T) *dilemma) {
		d := open(t)
		d.over()
		require.NoError(t, d.decide(unresolved.Failed))
		d.paid()
		state, err := d.query(t.Context(), d.in)
		require.NoError(t, err)
		require.Equal(t, "succeeded", state.Status)
		require.Equal(t, int64(600), d.balance("merchant_available"))
	})
}

// Under a new number it is sent as if for the first time, once.
func TestWhatIsSentUnderANewNumber(t *testing.T) {
	both(t, func(t *testing.T, open func(*testing.T) *dilemma) {
		d := open(t)
		d.over()
		before := d.sent()
		require.NoError(t, d.decide(unresolved.NewNumber))
		d.answers(notFound())
		for _, state := range zombies(d.scene, d.query, d.in) {
			require.Equal(t, activities.NotFound, state.Outcome)
		}
		require.Equal(t, before, d.sent(), "the step that sends sends it")
		d.paid()
		state, err := d.send(t.Context(), d.in, true)
		require.NoError(t, err)
		require.Equal(t, "succeeded", state.Status)
		after := d.sent()
		require.Len(t, after, len(before)+1)
		require.NotEqual(t, before[0], after[len(before)])
		require.Equal(t, int64(1), d.count(`select count(*) from unresolved where number = $1 and decision = 'new_number'`, before[0]))
		require.Equal(t, int64(600), d.balance("merchant_available"))
	})
}

// Our own bound stands where the provider says nothing.
func TestOurOwnBoundOfRepeating(t *testing.T) {
	both(t, func(t *testing.T, open func(*testing.T) *dilemma) {
		d := open(t)
		d.steps.RepeatingFor(time.Hour)
		d.answers(unknown())
		for range 2 {
			_, err := d.send(t.Context(), d.in, true)
			require.NoError(t, err)
		}
		require.Len(t, d.sent(), 2)
		_, err := d.db.Pool.Exec(t.Context(), `update refunds set sent_at = sent_at - interval '61 minutes'`)
		require.NoError(t, err)
		_, err = d.db.Pool.Exec(t.Context(), `update withdrawals set sent_at = sent_at - interval '61 minutes'`)
		require.NoError(t, err)
		state, err := d.send(t.Context(), d.in, true)
		require.NoError(t, err)
		require.Equal(t, channel.CodeRepeatOver, state.ChannelCode)
		require.Len(t, d.sent(), 2)
		require.Equal(t, int64(1), d.count(`select count(*) from unresolved`))
	})
}
