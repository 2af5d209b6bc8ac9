package activities_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/refund"
)

func abnormalState() channel.RefundState {
	return channel.RefundState{Answer: answer(channel.Pending, channel.CodeAbnormal), ChannelRefundNo: "R1"}
}

func payerCard() *refund.Card {
	return &refund.Card{Bank: "ICBC_DEBIT", Number: "6222020200112233445", Holder: "张小明"}
}

// abnormal is a refund that the provider cannot pay.
func (s *scene) abnormal() accept.Ref {
	s.Helper()
	in := s.newRefund(s.paid().ID, 400)
	s.provider.refunded = abnormalState()
	state := twice(s, s.steps.Refunds.QueryRefund, in)
	require.Equal(s, "processing", state.Status)
	require.False(s, state.Redirect)
	require.Equal(s, int64(1), s.events(in.ID), "told once")
	require.Equal(s, int64(1), s.count(`select count(*) from holds where status = 'open'`), "what was promised stays held")
	return in
}

func (s *scene) redirect(in accept.Ref, card *refund.Card) (err error) {
	s.Helper()
	return s.db.DB.InTenant(s.Context(), s.tenant, func(tx pgx.Tx) error {
		return refund.RequestRedirect(s.Context(), tx, s.tenant, in.ID, card, s.box)
	})
}

// sendRedirect takes the step, and takes it again as a worker that came back does.
func (s *scene) sendRedirect(in accept.Ref) {
	s.Helper()
	for range 2 {
		_, err := s.steps.Refunds.RedirectRefund(s.Context(), in)
		require.NoError(s, err)
	}
}

func (s *scene) refundNow(in accept.Ref) (r refund.Refund) {
	s.Helper()
	s.do(func(ctx context.Context, tx pgx.Tx) (err error) {
		r, err = refund.Get(ctx, tx, s.tenant, in.ID)
		return err
	})
	return r
}

func TestRedirectRefund(t *testing.T) {
	t.Parallel()
	processing := channel.RefundState{Answer: answer(channel.Pending, "PROCESSING"), ChannelRefundNo: "R1"}
	for name, c := range map[string]struct {
		answer channel.RefundState
		status refund.Status
		way    refund.RedirectStatus
		code   string
	}{
		"accepted":  {processing, refund.Processing, refund.RedirectAccepted, ""},
		"done":      {refundedState(400), refund.Succeeded, refund.RedirectAccepted, ""},
		"refused":   {channel.RefundState{Answer: answer(channel.Failed, "USER_ACCOUNT_ABNORMAL")}, refund.Processing, refund.RedirectRefused, "USER_ACCOUNT_ABNORMAL"},
		"not sent":  {channel.RefundState{Answer: answer(channel.Unknown, channel.CodeNotSent)}, refund.Processing, refund.RedirectRefused, channel.CodeNotSent},
		"no answer": {channel.RefundState{Answer: unknown()}, refund.Processing, refund.RedirectSent, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			in := s.abnormal()
			require.NoError(t, s.redirect(in, payerCard()))
			require.True(t, fault.Is(s.redirect(in, nil), "refund_redirecting"))
			state, err := s.steps.Refunds.QueryRefund(t.Context(), in)
			require.NoError(t, err)
			require.True(t, state.Redirect, "whoever looks finds it")
			s.provider.redirected = c.answer
			s.sendRedirect(in)
			require.Len(t, s.provider.redirects, 1, "sent once for each request")
			sent := s.provider.redirects[0]
			require.Equal(t, []string{"R1", "ICBC_DEBIT", "6222020200112233445", "张小明"}, []string{sent.ChannelRefundNo, sent.Bank, sent.Card, sent.Holder})
			require.Zero(t, s.secrets())
			r := s.refundNow(in)
			require.Equal(t, c.status, r.Status)
			require.Equal(t, c.way, r.Redirect.Status)
			if c.code != "" {
				require.Equal(t, c.code, r.Redirect.Failure.ChannelCode)
				require.NoError(t, s.redirect(in, nil), "it can be asked for again")
			}
		})
	}
}

// A request that was lost looks abnormal for good, one that is on its way for a
// moment; one that was accepted and came to nothing is news.
func TestRedirectsThatComeToNothing(t *testing.T) {
	t.Parallel()
	t.Run("lost", func(t *testing.T) {
		s := newScene(t)
		in := s.abnormal()
		require.NoError(t, s.redirect(in, nil))
		s.provider.redirected = channel.RefundState{Answer: unknown()}
		s.sendRedirect(in)
		require.Len(t, s.provider.redirects, 1, "sent once for each request")
		twice(s, s.steps.Refunds.QueryRefund, in)
		require.Equal(t, refund.RedirectSent, s.refundNow(in).Redirect.Status, "it may be on its way")
		_, err := s.db.Pool.Exec(t.Context(), `update refunds set redirect_sent_at = redirect_sent_at - interval '2 minutes'`)
		require.NoError(t, err)
		twice(s, s.steps.Refunds.QueryRefund, in)
		r := s.refundNow(in)
		require.Equal(t, refund.RedirectRefused, r.Redirect.Status)
		require.Equal(t, "redirect_unanswered", r.Redirect.Failure.Code)
		require.Equal(t, int64(2), s.events(in.ID))
		s.provider.refunded = refundedState(400)
		require.Equal(t, "succeeded", twice(s, s.steps.Refunds.QueryRefund, in).Status, "it was not lost after all")
		require.Equal(t, int64(1), s.entries("refund"))
	})
	t.Run("accepted and returned", func(t *testing.T) {
		s := newScene(t)
		in := s.abnormal()
		require.NoError(t, s.redirect(in, payerCard()))
		s.provider.redirected = channel.RefundState{Answer: answer(channel.Pending, "PROCESSING"), ChannelRefundNo: "R1"}
		s.sendRedirect(in)
		twice(s, s.steps.Refunds.QueryRefund, in)
		r := s.refundNow(in)
		require.Equal(t, refund.RedirectRefused, r.Redirect.Status)
		require.Equal(t, "channel_refused", r.Redirect.Failure.Code)
		require.Equal(t, int64(2), s.events(in.ID))
	})
	t.Run("too late for the card", func(t *testing.T) {
		s := newScene(t)
		in := s.abnormal()
		require.NoError(t, s.redirect(in, payerCard()))
		_, err := s.db.Pool.Exec(t.Context(),
			`update one_time_secrets set created_at = created_at - interval '11 minutes', expires_at = expires_at - interval '11 minutes'`)
		require.NoError(t, err)
		s.sendRedirect(in)
		require.Empty(t, s.provider.redirects)
		require.Equal(t, "card_expired", s.refundNow(in).Redirect.Failure.Code)
		require.Zero(t, s.secrets())
	})
}

func TestOnlyAbnormalRefundsGoElsewhere(t *testing.T) {
	s := newScene(t)
	in := s.newRefund(s.paid().ID, 400)
	require.True(t, fault.Is(s.redirect(in, nil), "refund_not_abnormal"))
	s.provider.refunded = refundedState(400)
	twice(s, s.steps.Refunds.QueryRefund, in)
	require.True(t, fault.Is(s.redirect(in, payerCard()), "refund_not_abnormal"))
	require.Zero(t, s.secrets())
}
