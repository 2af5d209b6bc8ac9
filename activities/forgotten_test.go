package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
)

func (s *scene) forgetPayee() (err error) {
	return s.db.DB.InTenant(s.Context(), s.tenant, func(tx pgx.Tx) error {
		return payout.ForgetPayee(s.Context(), tx, s.tenant, s.merchant, "asked")
	})
}

// A withdrawal whose payee is forgotten before it is sent fails, says why, and the
// merchant has the money back; one that was sent goes on to its end.
func TestWithdrawalsOfAForgottenPayee(t *testing.T) {
	s := newScene(t)
	s.paid()
	before := s.balance("merchant_available")
	in := s.newWithdrawal(400)
	require.NoError(t, s.forgetPayee())
	for range 2 {
		state, err := s.steps.Withdrawals.SendWithdrawal(t.Context(), in, false)
		require.NoError(t, err)
		require.Equal(t, "failed", state.Status)
		require.True(t, state.Final)
	}
	require.Empty(t, s.provider.payouts)
	require.Equal(t, before, s.balance("merchant_available"))
	var w payout.Withdrawal
	s.do(func(ctx context.Context, tx pgx.Tx) (err error) {
		w, err = payout.Get(ctx, tx, s.tenant, in.ID)
		return err
	})
	require.Equal(t, "payee_forgotten", w.Failure.Code)
	state, err := s.steps.Withdrawals.ReadWithdrawal(t.Context(), in)
	require.NoError(t, err)
	require.True(t, state.Final)
}

func TestNobodyIsForgottenWhileMoneyIsOnItsWay(t *testing.T) {
	s := newScene(t)
	s.paid()
	in := s.newWithdrawal(400)
	s.provider.paidOut = channel.TransferState{Answer: unknown()}
	_, err := s.steps.Withdrawals.SendWithdrawal(t.Context(), in, false)
	require.NoError(t, err)
	var refusal *fault.Error
	require.ErrorAs(t, s.forgetPayee(), &refusal)
	require.Equal(t, "withdrawal_under_way", refusal.Code)
	_, err = s.steps.Withdrawals.SendWithdrawal(t.Context(), in, true)
	require.NoError(t, err)
	require.Equal(t, "boss@example.com", s.provider.payouts[1].PayeeAccount)
}

// withPayer is a payment whose payer's address is known.
func (s *scene) withPayer() (in, attempt accept.Ref) {
	m := qr()
	m.PayerIP = "192.0.2.7"
	in = s.order(m, time.Hour)
	return in, s.attempt(in)
}

func (s *scene) forgetPayer(paymentID string) {
	s.do(func(ctx context.Context, tx pgx.Tx) error {
		return payment.ForgetPayer(ctx, tx, s.tenant, paymentID, "asked")
	})
}

// An attempt whose payer is forgotten before its provider was asked is not prepared; one
// that the provider may have heard of, or has prepared, is left to its course.
func TestAttemptsOfAForgottenPayer(t *testing.T) {
	t.Parallel()
	t.Run("not asked", func(t *testing.T) {
		s := newScene(t)
		in, attempt := s.withPayer()
		s.forgetPayer(in.ID)
		state := twice(s, s.steps.Payments.PrepareAttempt, attempt)
		require.Equal(t, "failed", state.Status)
		require.Zero(t, s.provider.asked["prepay"])
		require.Equal(t, "payer_forgotten", s.payment(in).Attempt.Failure.Code)
	})
	t.Run("may have heard", func(t *testing.T) {
		s := newScene(t)
		in, attempt := s.withPayer()
		s.provider.prepaid = channel.Prepaid{Answer: unknown()}
		_, err := s.steps.Payments.PrepareAttempt(t.Context(), attempt)
		require.NoError(t, err)
		s.forgetPayer(in.ID)
		state := twice(s, s.steps.Payments.PrepareAttempt, attempt)
		require.Equal(t, "processing", state.Status)
		require.Equal(t, 1, s.provider.asked["prepay"])
	})
	t.Run("prepared", func(t *testing.T) {
		s := newScene(t)
		in, attempt := s.withPayer()
		s.provider.prepaid = channel.Prepaid{Answer: succeeded(), Action: channel.Action{Type: channel.ActionQRCode, QRCode: "qr"}}
		_, err := s.steps.Payments.PrepareAttempt(t.Context(), attempt)
		require.NoError(t, err)
		s.forgetPayer(in.ID)
		s.provider.trade = paidTrade(1000)
		require.Equal(t, "succeeded", twice(s, s.steps.Payments.QueryAttempt, attempt).Status)
		require.Zero(t, s.count(`select count(*) from persons where merchant_id is null`))
	})
}
