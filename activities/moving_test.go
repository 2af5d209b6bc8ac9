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
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/money"
)

func refundedState(fen int64) channel.RefundState {
	return channel.RefundState{Answer: succeeded(), Amount: money.Fen(fen), ChannelRefundNo: "R1", RefundedAt: time.Now()}
}

func paidOutState(fen int64) channel.TransferState {
	return channel.TransferState{Answer: succeeded(), Amount: money.Fen(fen), ChannelTransferNo: "W1", PaidAt: time.Now()}
}

func answer(outcome channel.Outcome, code string) channel.Answer {
	return channel.Answer{Outcome: outcome, Code: code}
}

// first is sending for the first time.
func first(send func(context.Context, accept.Ref, bool) (activities.MovingState, error)) func(context.Context, accept.Ref) (activities.MovingState, error) {
	return func(ctx context.Context, in accept.Ref) (activities.MovingState, error) { return send(ctx, in, false) }
}

// What may have been sent is not sent again without leave, and then identically.
func TestMoneyIsSentOnceUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	t.Run("refund", func(t *testing.T) {
		s := newScene(t)
		in := s.newRefund(s.paid().ID, 400)
		s.provider.refunded = channel.RefundState{Answer: unknown()}
		for range 3 {
			state, err := s.steps.Refunds.SendRefund(t.Context(), in, false)
			require.NoError(t, err)
			require.Equal(t, activities.Unknown, state.Outcome)
		}
		require.Len(t, s.provider.refunds, 1)
		_, err := s.steps.Refunds.SendRefund(t.Context(), in, true)
		require.NoError(t, err)
		require.Len(t, s.provider.refunds, 2)
		require.Equal(t, s.provider.refunds[0], s.provider.refunds[1])
	})
	t.Run("withdrawal", func(t *testing.T) {
		s := newScene(t)
		s.paid()
		in := s.newWithdrawal(400)
		s.provider.paidOut = channel.TransferState{Answer: unknown()}
		for range 3 {
			state, err := s.steps.Withdrawals.SendWithdrawal(t.Context(), in, false)
			require.NoError(t, err)
			require.Equal(t, activities.Unknown, state.Outcome)
		}
		require.Len(t, s.provider.payouts, 1)
		_, err := s.steps.Withdrawals.SendWithdrawal(t.Context(), in, true)
		require.NoError(t, err)
		require.Equal(t, s.provider.payouts[0], s.provider.payouts[1])
	})
}

// What was recorded with the number is what is sent, or nothing is.
func TestMoneyWhoseRequestWasChangedIsNotSent(t *testing.T) {
	s := newScene(t)
	in := s.newRefund(s.paid().ID, 400)
	out := s.newWithdrawal(500)
	_, err := s.db.Pool.Exec(t.Context(), `update refunds set reason = 'other'`)
	require.NoError(t, err)
	_, err = s.db.Pool.Exec(t.Context(), `update merchant_payout_accounts set sealed_account = sealed_name`)
	require.NoError(t, err)
	_, err = s.steps.Refunds.SendRefund(t.Context(), in, true)
	require.ErrorIs(t, err, payment.ErrRequestChanged)
	_, err = s.steps.Withdrawals.SendWithdrawal(t.Context(), out, true)
	require.ErrorIs(t, err, payment.ErrRequestChanged)
	require.Empty(t, s.provider.refunds)
	require.Empty(t, s.provider.payouts)
}

func TestQueryRefund(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  channel.RefundState
		outcome activities.Outcome
		status  string
	}{
		"done":      {refundedState(400), activities.Done, "succeeded"},
		"pending":   {channel.RefundState{Answer: answer(channel.Pending, "PROCESSING")}, activities.Pending, "processing"},
		"balance":   {channel.RefundState{Answer: answer(channel.Pending, channel.CodeChannelBalance)}, activities.Pending, "processing"},
		"not there": {channel.RefundState{Answer: answer(channel.Failed, channel.CodeNotFound)}, activities.NotFound, "processing"},
		"refused":   {channel.RefundState{Answer: answer(channel.Failed, "NO")}, activities.Refused, "processing"},
		"unknown":   {channel.RefundState{Answer: unknown()}, activities.Unknown, "processing"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			in := s.newRefund(s.paid().ID, 400)
			s.provider.refunded = c.answer
			state := twice(s, s.steps.Refunds.QueryRefund, in)
			require.Equal(t, c.outcome, state.Outcome)
			require.Equal(t, c.status, state.Status)
			done := int64(0)
			if c.status == "succeeded" {
				done = 1
			}
			require.Equal(t, done, s.entries("refund"))
			require.Equal(t, done, s.events(in.ID))
			require.Equal(t, 1-done, s.count(`select count(*) from holds where status = 'open'`))
			require.Equal(t, 1-done, s.count(`select count(*) from refunds where waiting_for is not null`), "a person is told what it waits for")
		})
	}
}

func TestRefundByTwoZombiesBooksOnce(t *testing.T) {
	s := newScene(t)
	in := s.newRefund(s.paid().ID, 400)
	s.provider.refunded = refundedState(400)
	for _, state := range zombies(s, s.steps.Refunds.QueryRefund, in) {
		require.Equal(t, "succeeded", state.Status)
	}
	require.Equal(t, int64(1), s.entries("refund"))
	require.Equal(t, "succeeded", twice(s, first(s.steps.Refunds.SendRefund), in).Status)
	require.Empty(t, s.provider.refunds, "what is done is not sent")
}

func TestRefundWithAnotherAmountBooksNothing(t *testing.T) {
	s := newScene(t)
	in := s.newRefund(s.paid().ID, 400)
	s.provider.refunded = refundedState(401)
	state, err := s.steps.Refunds.QueryRefund(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, activities.Unknown, state.Outcome)
	require.Equal(t, channel.CodeMismatch, state.ChannelCode)
	require.Zero(t, s.entries("refund"))
}

func TestRefuseRefund(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer channel.RefundState
		status string
		open   int64
	}{
		"agreed":    {channel.RefundState{Answer: answer(channel.Failed, "NO")}, "failed", 0},
		"not there": {channel.RefundState{Answer: answer(channel.Failed, channel.CodeNotFound)}, "failed", 0},
		"unknown":   {channel.RefundState{Answer: unknown()}, "processing", 1},
		"pending":   {channel.RefundState{Answer: answer(channel.Pending, "")}, "processing", 1},
		"done":      {refundedState(400), "succeeded", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			in := s.newRefund(s.paid().ID, 400)
			s.provider.refunded = c.answer
			state := twice(s, func(ctx context.Context, in accept.Ref) (activities.MovingState, error) {
				return s.steps.Refunds.RefuseRefund(ctx, in, activities.MovingState{ChannelCode: "NO"})
			}, in)
			require.Equal(t, c.status, state.Status)
			require.Equal(t, c.open, s.count(`select count(*) from holds where status = 'open'`), "holds live as long as nothing is known")
			if c.status == "failed" {
				require.Equal(t, int64(1), s.events(in.ID))
				s.newRefund(s.count1(`select payment_id from refunds`), 1000)
			}
		})
	}
}

func (s *scene) count1(sql string) (text string) {
	s.Helper()
	require.NoError(s, s.db.Pool.QueryRow(s.Context(), sql).Scan(&text))
	return text
}

func TestQueryWithdrawal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  channel.TransferState
		outcome activities.Outcome
		status  string
		transit int64
	}{
		"done":      {paidOutState(400), activities.Done, "succeeded", 0},
		"pending":   {channel.TransferState{Answer: answer(channel.Pending, "DEALING")}, activities.Pending, "processing", 400},
		"balance":   {channel.TransferState{Answer: answer(channel.Pending, channel.CodeChannelBalance)}, activities.Pending, "processing", 0},
		"not there": {channel.TransferState{Answer: answer(channel.Failed, channel.CodeNotFound)}, activities.NotFound, "processing", 0},
		"refused":   {channel.TransferState{Answer: answer(channel.Failed, "NO")}, activities.Refused, "processing", 0},
		"unknown":   {channel.TransferState{Answer: unknown()}, activities.Unknown, "processing", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.paid()
			in := s.newWithdrawal(400)
			s.provider.paidOut = c.answer
			state := twice(s, s.steps.Withdrawals.QueryWithdrawal, in)
			require.Equal(t, c.outcome, state.Outcome)
			require.Equal(t, c.status, state.Status)
			require.Equal(t, c.transit, s.balance("payout_in_transit"))
		})
	}
}

// balance is what an account type holds on its normal side.
func (s *scene) balance(kind string) int64 {
	s.Helper()
	return s.count(`select coalesce(-sum(p.amount), 0)::bigint from postings p join ledger_accounts a on a.id = p.account_id where a.type = $1`, kind)
}

// Accepted, then done; accepted, then refused: the money is in transit, and then
// away or back, once each.
func TestWithdrawalThatWasAccepted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		then      channel.TransferState
		status    string
		available int64
	}{
		"done":     {paidOutState(400), "succeeded", 600},
		"refused":  {channel.TransferState{Answer: answer(channel.Failed, "NO")}, "failed", 1000},
		"returned": {channel.TransferState{Answer: answer(channel.Failed, channel.CodeReturned)}, "failed", 1000},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.paid()
			in := s.newWithdrawal(400)
			s.provider.paidOut = channel.TransferState{Answer: answer(channel.Pending, "DEALING")}
			zombies(s, s.steps.Withdrawals.QueryWithdrawal, in)
			require.Equal(t, int64(400), s.balance("payout_in_transit"))
			require.Equal(t, int64(600), s.balance("merchant_available"))

			s.provider.paidOut = c.then
			state := twoAtOnce(s, in)
			require.Equal(t, c.status, state.Status)
			require.Zero(t, s.balance("payout_in_transit"))
			require.Equal(t, c.available, s.balance("merchant_available"))
			require.Equal(t, int64(1), s.events(in.ID))
		})
	}
}

// twoAtOnce lets two zombies learn the end of a withdrawal, refusals confirmed.
func twoAtOnce(s *scene, in accept.Ref) activities.MovingState {
	s.Helper()
	step := s.steps.Withdrawals.QueryWithdrawal
	if s.provider.paidOut.Outcome == channel.Failed {
		step = func(ctx context.Context, in accept.Ref) (activities.MovingState, error) {
			return s.steps.Withdrawals.RefuseWithdrawal(ctx, in, activities.MovingState{ChannelCode: "NO"})
		}
	}
	states := zombies(s, step, in)
	return sameState(s, states[0], states[1])
}

func TestRefuseWithdrawal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer channel.TransferState
		status string
		open   int64
	}{
		"agreed":    {channel.TransferState{Answer: answer(channel.Failed, "NO")}, "failed", 0},
		"not there": {channel.TransferState{Answer: answer(channel.Failed, channel.CodeNotFound)}, "failed", 0},
		"unknown":   {channel.TransferState{Answer: unknown()}, "processing", 1},
		"balance":   {channel.TransferState{Answer: answer(channel.Pending, channel.CodeChannelBalance)}, "processing", 1},
		"pending":   {channel.TransferState{Answer: answer(channel.Pending, "")}, "processing", 0},
		"done":      {paidOutState(400), "succeeded", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.paid()
			in := s.newWithdrawal(400)
			s.provider.paidOut = c.answer
			state := twice(s, func(ctx context.Context, in accept.Ref) (activities.MovingState, error) {
				return s.steps.Withdrawals.RefuseWithdrawal(ctx, in, activities.MovingState{ChannelCode: "NO"})
			}, in)
			require.Equal(t, c.status, state.Status)
			require.Equal(t, c.open, s.count(`select count(*) from holds where status = 'open'`))
		})
	}
}

func TestWithdrawalWithAnotherAmountBooksNothing(t *testing.T) {
	s := newScene(t)
	s.paid()
	in := s.newWithdrawal(400)
	s.provider.paidOut = paidOutState(4000)
	state, err := s.steps.Withdrawals.QueryWithdrawal(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, activities.Unknown, state.Outcome)
	require.Equal(t, channel.CodeMismatch, state.ChannelCode)
	require.Zero(t, s.entries("payout"))
}

// Whatever the parts, what the provider gives back of its fee adds up to it.
func TestRefundsInPartsGiveTheWholeFeeBack(t *testing.T) {
	s := newScene(t)
	paymentID := s.paid().ID
	// Rounded by themselves, the fees of these parts would be a fen too little.
	for _, fen := range []int64{400, 1, 399, 199, 1} {
		in := s.newRefund(paymentID, fen)
		s.provider.refunded = refundedState(fen)
		require.Equal(t, "succeeded", twice(s, s.steps.Refunds.QueryRefund, in).Status)
	}
	require.Zero(t, s.balance("merchant_available"))
	require.Zero(t, s.balance("channel_fee_expense"))
	require.Zero(t, s.balance("channel_unsettled"))
	s.do(func(ctx context.Context, tx pgx.Tx) error {
		p, err := payment.Get(ctx, tx, s.tenant, paymentID)
		require.Equal(t, p.Amount, p.Refunded)
		return err
	})
}
