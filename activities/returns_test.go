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
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/money"
)

func returnedState(fen int64) channel.TransferState {
	return channel.TransferState{Answer: answer(channel.Failed, channel.CodeReturned), Amount: money.Fen(fen), ChannelTransferNo: "W1"}
}

// paidOut is a withdrawal whose payee has the money.
func (s *scene) paidOut(fen int64) accept.Ref {
	s.Helper()
	in := s.newWithdrawal(fen)
	s.provider.paidOut = paidOutState(fen)
	require.Equal(s, "succeeded", twice(s, s.steps.Withdrawals.QueryWithdrawal, in).Status)
	return in
}

func (s *scene) withdrawalNow(in accept.Ref) (w payout.Withdrawal) {
	s.Helper()
	s.do(func(ctx context.Context, tx pgx.Tx) (err error) {
		w, err = payout.Get(ctx, tx, s.tenant, in.ID)
		return err
	})
	return w
}

// Days after it was paid a withdrawal comes back: once, however often it is told, by an
// entry of its own, and only if the provider says so of this amount.
func TestWithdrawalThatTheBankSendsBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer    channel.TransferState
		found     activities.ReturnStatus
		available int64
	}{
		"returned":       {returnedState(400), activities.Returned, 1000},
		"still there":    {paidOutState(400), activities.Standing, 600},
		"another amount": {returnedState(401), activities.Unclear, 600},
		"refused":        {channel.TransferState{Answer: answer(channel.Failed, "NO"), Amount: money.Fen(400)}, activities.Unclear, 600},
		"not there":      {channel.TransferState{Answer: answer(channel.Failed, channel.CodeNotFound)}, activities.Unclear, 600},
		"unknown":        {channel.TransferState{Answer: unknown()}, activities.Unclear, 600},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.paid()
			in := s.paidOut(400)
			before := s.count(`select count(*) from entries`)
			s.provider.paidOut = c.answer
			states := zombies(s, s.steps.Withdrawals.FindReturnedWithdrawal, in)
			require.Equal(t, c.found, states[0].Status)
			require.Equal(t, c.found, states[1].Status)
			again, err := s.steps.Withdrawals.FindReturnedWithdrawal(t.Context(), in)
			require.NoError(t, err)
			require.Equal(t, c.found, again.Status)

			require.Equal(t, c.available, s.balance("merchant_available"))
			w := s.withdrawalNow(in)
			if c.found != activities.Returned {
				require.Equal(t, payout.Succeeded, w.Status)
				require.Equal(t, before, s.count(`select count(*) from entries`))
				require.Equal(t, int64(1), s.events(in.ID))
				return
			}
			require.Equal(t, payout.Returned, w.Status)
			require.NotNil(t, w.PaidAt, "that it was paid stays true")
			require.NotNil(t, w.ReturnedAt)
			require.Equal(t, "bank_returned", w.Failure.Code)
			require.Equal(t, before+1, s.count(`select count(*) from entries`), "an entry more, and none changed")
			require.Equal(t, int64(2), s.events(in.ID))
			read, err := s.steps.Withdrawals.ReadPaidWithdrawal(t.Context(), in)
			require.NoError(t, err)
			require.Equal(t, activities.Returned, read.Status)
			s.paidOut(1000)
		})
	}
}

// A withdrawal that is not paid is none of the looks' business.
func TestLooksLeaveUnpaidWithdrawalsAlone(t *testing.T) {
	s := newScene(t)
	s.paid()
	in := s.newWithdrawal(400)
	s.provider.paidOut = returnedState(400)
	state, err := s.steps.Withdrawals.FindReturnedWithdrawal(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, activities.Unclear, state.Status)
	require.Zero(t, s.provider.asked["transfer query"])
	require.Equal(t, payout.Processing, s.withdrawalNow(in).Status)
}

// The looks become more seldom with the time since the payment and end with the watch,
// after a last one; each is a workflow of its own.
func TestLooksForReturnsBecomeSeldomAndEnd(t *testing.T) {
	s := newScene(t)
	s.paid()
	s.paidOut(400)
	const watch = 15 * 24 * time.Hour
	look := func() (n int) {
		require.NoError(t, s.db.DB.AsSystem(t.Context(), func(tx pgx.Tx) (err error) {
			n, err = payout.LookForReturns(t.Context(), tx, watch, 10)
			return err
		}))
		return n
	}
	var hours []int
	for hour := range 24 * 20 {
		_, err := s.db.Pool.Exec(t.Context(), `update business_clock set ahead = make_interval(hours => $1)`, hour)
		require.NoError(t, err)
		if n := look(); n > 0 {
			require.Equal(t, 1, n)
			require.Zero(t, look(), "once for each time")
			hours = append(hours, hour)
		}
	}
	require.Len(t, hours, 7, "%v", hours)
	require.Subset(t, []int{6, 7, 12, 13, 14, 24, 25, 26, 27, 28, 48, 49, 50, 51, 52, 53, 54, 55, 56}, hours[:4])
	require.InDelta(t, 360, hours[6], 1, "the last look is at the end of the watch")
	require.Equal(t, int64(7), s.count(`select count(distinct workflow_id) from workflow_starts where workflow_type = 'WithdrawalReturn'`))
	require.Zero(t, s.count(`select count(*) from withdrawals where return_look_at is not null`))
}

// refundedAt is a refund that the provider paid at that moment.
func refundedAt(fen int64, at time.Time) channel.RefundState {
	state := refundedState(fen)
	state.RefundedAt = at
	return state
}

// refunded is a refund whose payer has the money.
func (s *scene) refunded(fen int64, at time.Time) accept.Ref {
	s.Helper()
	in := s.newRefund(s.paid().ID, fen)
	s.provider.refunded = refundedAt(fen, at)
	require.Equal(s, "succeeded", twice(s, s.steps.Refunds.QueryRefund, in).Status)
	return in
}

// Days after it was paid a refund comes back from the payer's bank: once, by an entry of
// its own, and only if the provider says so.
func TestRefundThatTheBankSendsBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer channel.RefundState
		found  activities.ReturnStatus
	}{
		"returned":       {abnormalState(), activities.Returned},
		"still there":    {refundedState(400), activities.Standing},
		"another amount": {refundedState(401), activities.Unclear},
		"closed":         {channel.RefundState{Answer: answer(channel.Failed, "CLOSED")}, activities.Unclear},
		"not there":      {channel.RefundState{Answer: answer(channel.Failed, channel.CodeNotFound)}, activities.Unclear},
		"on its way":     {channel.RefundState{Answer: answer(channel.Pending, "PROCESSING")}, activities.Unclear},
		"unknown":        {channel.RefundState{Answer: unknown()}, activities.Unclear},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			in := s.refunded(400, time.Now())
			before := s.count(`select count(*) from entries`)
			s.provider.refunded = c.answer
			states := zombies(s, s.steps.Refunds.FindReturnedRefund, in)
			require.Equal(t, c.found, states[0].Status)
			require.Equal(t, c.found, states[1].Status)
			r := s.refundNow(in)
			if c.found != activities.Returned {
				require.Equal(t, refund.Succeeded, r.Status)
				require.Equal(t, before, s.count(`select count(*) from entries`))
				require.Equal(t, int64(1), s.events(in.ID))
				return
			}
			require.Equal(t, refund.Returned, r.Status)
			require.NotNil(t, r.RefundedAt, "that it was paid stays true")
			require.Equal(t, 1, r.Returns)
			require.Equal(t, before+1, s.count(`select count(*) from entries`))
			require.Equal(t, int64(2), s.events(in.ID))
			require.Equal(t, int64(400), s.balance("unidentified_receipts"))
			require.Equal(t, int64(-400), s.balance("channel_suspense"))
			require.Equal(t, int64(600), s.balance("merchant_available"), "the merchant gave its part and has none of it")
			require.Equal(t, int64(1), s.count(`select count(*) from workflow_starts where workflow_id = $1`, r.Workflow()))
		})
	}
}

// What came back goes where the tenant says, under its number; an answer from before it
// came back says nothing, and it may come back once more.
func TestReturnedRefundGoesElsewhere(t *testing.T) {
	s := newScene(t)
	first, second, third := time.Now().Add(-time.Hour).Truncate(time.Second), time.Now().Truncate(time.Second), time.Now().Add(time.Hour).Truncate(time.Second)
	in := s.refunded(400, first)
	s.provider.refunded = abnormalState()
	look := func() activities.ReturnState {
		state, err := s.steps.Refunds.FindReturnedRefund(t.Context(), in)
		require.NoError(t, err)
		return state
	}
	require.Equal(t, activities.Returned, look().Status)
	sent, err := s.steps.Refunds.SendRefund(t.Context(), in, true)
	require.NoError(t, err)
	require.Equal(t, activities.Pending, sent.Outcome)
	require.Empty(t, s.provider.refunds, "it is not sent again under its number")

	s.provider.refunded = refundedAt(400, first)
	stale := twice(s, s.steps.Refunds.QueryRefund, in)
	require.Equal(t, activities.Unknown, stale.Outcome)
	require.Equal(t, "returned", stale.Status, "old news")
	s.provider.refunded = channel.RefundState{Answer: answer(channel.Failed, "CLOSED")}
	require.Equal(t, activities.Unknown, twice(s, s.steps.Refunds.QueryRefund, in).Outcome, "a refusal is left to a person")

	require.NoError(t, s.redirect(in, payerCard()))
	s.provider.redirected = channel.RefundState{Answer: answer(channel.Pending, "PROCESSING"), ChannelRefundNo: "R1"}
	s.sendRedirect(in)
	require.Len(t, s.provider.redirects, 1)
	require.Equal(t, refund.RedirectAccepted, s.refundNow(in).Redirect.Status)
	s.provider.refunded = refundedAt(400, second)
	for _, state := range zombies(s, s.steps.Refunds.QueryRefund, in) {
		require.Equal(t, "succeeded", state.Status)
	}
	r := s.refundNow(in)
	require.Equal(t, first, r.RefundedAt.Local(), "the day of the refund stays")
	require.Equal(t, int64(3), s.events(in.ID))
	require.Zero(t, s.balance("unidentified_receipts"))
	require.Zero(t, s.balance("channel_suspense"))

	s.provider.refunded = abnormalState()
	require.Equal(t, activities.Returned, look().Status, "from there, too")
	require.Equal(t, refund.RedirectRefused, s.refundNow(in).Redirect.Status)
	require.NoError(t, s.redirect(in, nil))
	s.sendRedirect(in)
	s.provider.refunded = refundedAt(400, third)
	require.Equal(t, "succeeded", twice(s, s.steps.Refunds.QueryRefund, in).Status)
	require.Equal(t, int64(5), s.events(in.ID))
	require.Equal(t, int64(5), s.entries("refund"))
}
