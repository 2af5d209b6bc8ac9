package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/tenant"
)

func (s *scene) payment(in accept.Ref) (p payment.Payment) {
	s.Helper()
	s.do(func(ctx context.Context, tx pgx.Tx) (err error) {
		p, err = payment.Get(ctx, tx, s.tenant, in.ID)
		return err
	})
	return p
}

func (s *scene) secrets() int64 { s.Helper(); return s.count(`select count(*) from one_time_secrets`) }

func refused(code string) channel.Answer {
	return channel.Answer{Outcome: channel.Failed, Code: code, Message: "no"}
}

func pending() channel.Trade {
	return channel.Trade{Answer: channel.Answer{Outcome: channel.Pending, Code: "10003"}, State: channel.TradeAwaiting}
}

func TestPayByCode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  channel.Trade
		status  payment.Status
		attempt payment.AttemptStatus
		failure string
	}{
		"paid":          {paidTrade(1000), payment.Succeeded, payment.Paid, ""},
		"confirming":    {pending(), payment.AwaitingPayer, payment.Open, ""},
		"refused":       {channel.Trade{Answer: refused("AUTH_CODE_INVALID")}, payment.Failed, payment.Refused, "channel_refused"},
		"unknown":       {channel.Trade{Answer: unknown()}, payment.Processing, payment.Preparing, ""},
		"other amount":  {paidTrade(1), payment.Processing, payment.Preparing, ""},
		"never reached": {channel.Trade{Answer: notSent()}, payment.Failed, payment.Refused, "channel_unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			in := s.order(barcode(), time.Hour)
			require.Equal(t, int64(1), s.secrets())
			s.provider.byCode = c.answer
			state, err := s.steps.Payments.PayByCode(t.Context(), s.attempt(in))
			require.NoError(t, err)
			require.Equal(t, string(c.status), state.Status)
			p := s.payment(in)
			require.Equal(t, c.attempt, p.Attempt.Status)
			if c.failure != "" {
				require.Equal(t, c.failure, p.Failure.Code)
			}
			require.Len(t, s.provider.codes, 1)
			require.Equal(t, authCode, s.provider.codes[0].AuthCode)
			require.Zero(t, s.secrets(), "the code is gone")
		})
	}
}

func notSent() channel.Answer {
	return channel.Answer{Outcome: channel.Unknown, Code: channel.CodeNotSent}
}

// Whatever happens after the row says that money may have moved, the code is not
// sent again.
func TestPayByCodeIsMadeOnce(t *testing.T) {
	s := newScene(t)
	in := s.order(barcode(), time.Hour)
	attempt := s.attempt(in)
	s.provider.byCode = channel.Trade{Answer: unknown()}
	s.provider.before = func() {
		s.provider.before = nil
		again, err := s.steps.Payments.PayByCode(t.Context(), attempt) // as a worker that was given up for dead
		require.NoError(t, err)
		require.False(t, again.Live[0].SentAt.IsZero())
	}
	_ = twice(s, s.steps.Payments.PayByCode, attempt)
	require.Equal(t, 1, s.provider.asked["pay by code"])
}

func TestPayByCodeWithoutItsCode(t *testing.T) {
	s := newScene(t)
	in := s.order(barcode(), time.Hour)
	_, err := s.db.Pool.Exec(t.Context(), `update one_time_secrets set created_at = created_at - interval '3 minutes', expires_at = expires_at - interval '3 minutes'`)
	require.NoError(t, err)
	require.Equal(t, "failed", twice(s, s.steps.Payments.PayByCode, s.attempt(in)).Status)
	require.Equal(t, "auth_code_expired", s.payment(in).Failure.Code)
	require.Zero(t, s.provider.asked["pay by code"])
}

// The code is unused, so another account may take it.
func TestPayByCodeGoesToAnotherAccountWhenNobodyWasReached(t *testing.T) {
	s := newScene(t)
	s.openAnother()
	in := s.order(barcode(), time.Hour)
	first := s.attempt(in)
	s.provider.byCode = channel.Trade{Answer: notSent()}
	state, err := s.steps.Payments.PayByCode(t.Context(), first)
	require.NoError(t, err)
	require.Len(t, state.Live, 1)
	second := s.attempt(in)
	require.NotEqual(t, first, second)
	s.provider.byCode = paidTrade(1000)
	state, err = s.steps.Payments.PayByCode(t.Context(), second)
	require.NoError(t, err)
	require.Equal(t, "succeeded", state.Status)
	require.NotEqual(t, s.provider.codes[0].Number, s.provider.codes[1].Number)
	require.Equal(t, s.provider.codes[0].AuthCode, s.provider.codes[1].AuthCode)
}

// openAnother opens a second account at the same channel.
func (s *scene) openAnother() {
	s.Helper()
	require.NoError(s, s.db.DB.AsSystem(s.Context(), func(tx pgx.Tx) error {
		another, err := tenant.AddChannelAccount(s.Context(), tx, s.tenant, tenant.ChannelAccount{Channel: "alipay", Name: "Another"})
		if err != nil {
			return err
		}
		return tenant.SetProducts(s.Context(), tx, s.tenant, another.ID, []tenant.ProductChange{{Product: "barcode", Status: tenant.ProductOpened}})
	}))
}

// confirming is a payment by code whose payer has not confirmed.
func (s *scene) confirming() accept.Ref {
	s.Helper()
	in := s.order(barcode(), time.Hour)
	s.provider.byCode = pending()
	_, err := s.steps.Payments.PayByCode(s.Context(), s.attempt(in))
	require.NoError(s, err)
	return in
}

func TestUndoAttempt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer channel.Cancelled
		status payment.Status
		asked  int
	}{
		"undone":      {channel.Cancelled{Answer: succeeded()}, payment.Closed, 1},
		"given back":  {channel.Cancelled{Answer: succeeded(), Refunded: true}, payment.Closed, 1},
		"never seen":  {channel.Cancelled{Answer: refused(channel.CodeNotFound)}, payment.Closed, 1},
		"unknown":     {channel.Cancelled{Answer: unknown()}, payment.AwaitingPayer, 2},
		"again":       {channel.Cancelled{Answer: channel.Answer{Outcome: channel.Pending, Code: "RETRY"}}, payment.AwaitingPayer, 2},
		"not allowed": {channel.Cancelled{Answer: refused("ACQ.CANCEL_NOT_ALLOWED")}, payment.AwaitingPayer, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			in := s.confirming()
			s.provider.cancelled = c.answer
			require.Equal(t, string(c.status), twice(s, s.steps.Payments.UndoAttempt, s.attempt(in)).Status)
			require.Equal(t, c.asked, s.provider.asked["cancel"])
			require.Zero(t, s.entries("collect"))
		})
	}
}

func TestUndoAttemptThatWasNeverSent(t *testing.T) {
	s := newScene(t)
	in := s.order(barcode(), time.Hour)
	s.cancel(in)
	require.Equal(t, "closed", twice(s, s.steps.Payments.UndoAttempt, s.attempt(in)).Status)
	require.Equal(t, payment.Cancelled, s.payment(in).CloseReason)
	require.Zero(t, s.provider.asked["cancel"])
	_, err := s.steps.Payments.PayByCode(t.Context(), s.attempt(in))
	require.NoError(t, err)
	require.Zero(t, s.provider.asked["pay by code"])
}

// A query from before the undoing is answered "paid" after it: the money may have
// gone back since, and is booked only when the provider refuses to undo it.
func TestPaidAnswersDoNotCountWhileTheCodeIsUndone(t *testing.T) {
	s := newScene(t)
	in := s.confirming()
	attempt := s.attempt(in)
	s.provider.trade = paidTrade(1000)
	s.provider.cancelled = channel.Cancelled{Answer: unknown()}
	state, err := s.steps.Payments.UndoAttempt(t.Context(), attempt)
	require.NoError(t, err)
	require.True(t, state.Live[0].Undoing)
	require.Equal(t, "awaiting_payer", twice(s, s.steps.Payments.QueryAttempt, attempt).Status)
	require.Zero(t, s.entries("collect"))
	s.provider.cancelled = channel.Cancelled{Answer: refused("ACQ.TRADE_CANCEL_TIME_OUT")}
	state, err = s.steps.Payments.UndoAttempt(t.Context(), attempt)
	require.NoError(t, err)
	require.False(t, state.Live[0].Undoing)
	require.Equal(t, "succeeded", twice(s, s.steps.Payments.QueryAttempt, attempt).Status)
}

// Somebody books the payment between the decision to undo it and the call: it is
// not made.
func TestUndoAttemptThatWasPaidMeanwhile(t *testing.T) {
	s := newScene(t)
	in := s.confirming()
	s.provider.trade = paidTrade(1000)
	_, err := s.steps.Payments.QueryAttempt(t.Context(), s.attempt(in))
	require.NoError(t, err)
	require.Equal(t, "succeeded", twice(s, s.steps.Payments.UndoAttempt, s.attempt(in)).Status)
	require.Zero(t, s.provider.asked["cancel"])
}

// An account that nobody was reached at gives its place to another, but only if
// no earlier call can have been heard.
func TestPrepareAttemptGoesToAnotherAccount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first channel.Answer
		moved bool
	}{"never reached": {notSent(), true}, "unknown before": {unknown(), false}} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.openAnother()
			in := s.newPayment()
			first := s.attempt(in)
			s.provider.prepaid = channel.Prepaid{Answer: c.first}
			_, err := s.steps.Payments.PrepareAttempt(t.Context(), first)
			require.NoError(t, err)
			s.provider.prepaid = channel.Prepaid{Answer: notSent()}
			if !c.moved {
				_ = twice(s, s.steps.Payments.PrepareAttempt, first)
			}
			require.Equal(t, c.moved, first != s.attempt(in))
			require.Equal(t, payment.Processing, s.payment(in).Status)
		})
	}
}
