package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

func TestPrepareAttempt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer channel.Prepaid
		status string
		asked  int
		events int64
	}{
		"prepared": {channel.Prepaid{Answer: succeeded(), Action: channel.Action{Type: channel.ActionQRCode, QRCode: "qr"}}, "awaiting_payer", 1, 1},
		"refused":  {channel.Prepaid{Answer: channel.Answer{Outcome: channel.Failed, Code: "NO"}}, "failed", 1, 1},
		"unknown":  {channel.Prepaid{Answer: unknown()}, "processing", 2, 0},
		"pending":  {channel.Prepaid{Answer: channel.Answer{Outcome: channel.Pending}}, "processing", 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			in := s.newPayment()
			s.provider.prepaid = c.answer
			require.Equal(t, c.status, twice(s, s.steps.Payments.PrepareAttempt, s.attempt(in)).Status)
			require.Equal(t, c.asked, s.provider.asked["prepay"])
			require.Equal(t, c.events, s.events(in.ID))
		})
	}
}

func TestPrepareAttemptByTwoZombiesPreparesOnce(t *testing.T) {
	s := newScene(t)
	in := s.newPayment()
	s.provider.prepaid = channel.Prepaid{Answer: succeeded(), Action: channel.Action{Type: channel.ActionQRCode, QRCode: "qr"}}
	for _, state := range zombies(s, s.steps.Payments.PrepareAttempt, s.attempt(in)) {
		require.Equal(t, "awaiting_payer", state.Status)
	}
	require.Equal(t, int64(1), s.events(in.ID))
}

func TestQueryAttempt(t *testing.T) {
	t.Parallel()
	trade := func(state channel.TradeState) channel.Trade { return channel.Trade{Answer: succeeded(), State: state} }
	for name, c := range map[string]struct {
		trade    channel.Trade
		status   string
		collects int64
	}{
		"paid":         {paidTrade(1000), "succeeded", 1},
		"closed":       {trade(channel.TradeClosed), "closed", 0},
		"awaiting":     {trade(channel.TradeAwaiting), "awaiting_payer", 0},
		"not there":    {trade(channel.TradeNotFound), "awaiting_payer", 0},
		"unknown":      {channel.Trade{Answer: unknown(), State: channel.TradePaid, Amount: money.Fen(1000)}, "awaiting_payer", 0},
		"query failed": {channel.Trade{Answer: channel.Answer{Outcome: channel.Failed}, State: channel.TradePaid}, "awaiting_payer", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			in := s.offered()
			s.provider.trade = c.trade
			require.Equal(t, c.status, twice(s, s.steps.Payments.QueryAttempt, s.attempt(in)).Status)
			require.Equal(t, c.collects, s.entries("collect"))
			require.LessOrEqual(t, s.events(in.ID), int64(2))
		})
	}
}

// An answer that contradicts our order books nothing, whoever signed it.
func TestQueryAttemptWithAnotherAmountBooksNothing(t *testing.T) {
	s := newScene(t)
	in := s.offered()
	for _, trade := range []channel.Trade{paidTrade(1), paidTrade(1001), {Answer: succeeded(), State: channel.TradePaid,
		Amount: money.Of(1000, "HKD"), ChannelTradeNo: "T1"}} {
		s.provider.trade = trade
		state, err := s.steps.Payments.QueryAttempt(t.Context(), s.attempt(in))
		require.NoError(t, err)
		require.Equal(t, channel.CodeMismatch, state.ChannelCode)
	}
	require.Zero(t, s.entries("collect"))
	state, err := s.steps.Payments.ReadPayment(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, "awaiting_payer", state.Status)
}

func TestQueryAttemptByTwoZombiesBooksOnce(t *testing.T) {
	s := newScene(t)
	in := s.offered()
	s.provider.trade = paidTrade(1000)
	for _, state := range zombies(s, s.steps.Payments.QueryAttempt, s.attempt(in)) {
		require.Equal(t, "succeeded", state.Status)
	}
	require.Equal(t, int64(1), s.entries("collect"))
	require.Equal(t, int64(2), s.events(in.ID))
}

// Processing payments can be found paid: a payer scanned a code whose
// preparation we have no answer to.
func TestQueryAttemptThatWasNeverPrepared(t *testing.T) {
	s := newScene(t)
	in := s.newPayment()
	s.provider.trade = paidTrade(1000)
	require.Equal(t, "succeeded", twice(s, s.steps.Payments.QueryAttempt, s.attempt(in)).Status)
}

func TestCloseAttempt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer channel.Answer
		over   bool
		status string
	}{
		"closed":             {succeeded(), true, "closed"},
		"not there, over":    {channel.Answer{Outcome: channel.Failed, Code: channel.CodeNotFound}, true, "closed"},
		"not there, in time": {channel.Answer{Outcome: channel.Failed, Code: channel.CodeNotFound}, false, "awaiting_payer"},
		"closed in time":     {succeeded(), false, "awaiting_payer"},
		"paid meanwhile":     {channel.Answer{Outcome: channel.Failed, Code: channel.CodeTradePaid}, true, "awaiting_payer"},
		"unknown":            {unknown(), true, "awaiting_payer"},
		"refused":            {channel.Answer{Outcome: channel.Failed, Code: "NO"}, true, "awaiting_payer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			in := s.offered()
			if c.over {
				s.later()
			}
			s.provider.closed = c.answer
			state := twice(s, s.steps.Payments.CloseAttempt, s.attempt(in))
			require.Equal(t, c.status, state.Status)
			require.Equal(t, c.over, state.Expired)
		})
	}
}

// A payment that the tenant cancels does not wait for an attempt that its provider has
// not seen, but the attempt does: a payer who has its code may still come.
func TestCloseAttemptThatIsNotSeenYet(t *testing.T) {
	s := newScene(t)
	in := s.offered()
	s.cancel(in)
	s.provider.closed = channel.Answer{Outcome: channel.Failed, Code: channel.CodeNotFound}
	state := twice(s, s.steps.Payments.CloseAttempt, s.attempt(in))
	require.Equal(t, "closed", state.Status)
	live := `select count(*) from attempts where status = 'awaiting_payer'`
	require.Equal(t, int64(1), s.count(live+` and unseen_at is not null`))
	s.later()
	twice(s, s.steps.Payments.CloseAttempt, s.attempt(in))
	require.Zero(t, s.count(live))
}

// The payer pays between the answer of the closing and its booking.
func TestCloseAttemptThatIsPaidMeanwhile(t *testing.T) {
	s := newScene(t)
	in := s.offered()
	s.later()
	s.provider.closed, s.provider.trade = succeeded(), paidTrade(1000)
	s.provider.before = func() {
		s.provider.before = nil
		_, err := s.steps.Payments.QueryAttempt(t.Context(), s.attempt(in))
		require.NoError(t, err)
	}
	state, err := s.steps.Payments.CloseAttempt(t.Context(), s.attempt(in))
	require.NoError(t, err)
	require.Equal(t, "succeeded", state.Status, "final is final")
}

func TestLatePayment(t *testing.T) {
	s := newScene(t)
	in := s.offered()
	s.later()
	s.provider.closed = succeeded()
	_, err := s.steps.Payments.CloseAttempt(t.Context(), s.attempt(in))
	require.NoError(t, err)

	s.provider.trade = channel.Trade{Answer: unknown()}
	require.False(t, twice(s, s.steps.Payments.BookLatePayment, s.attempt(in)).Settled, "unknown decides nothing")
	s.provider.trade = paidTrade(999)
	late, err := s.steps.Payments.BookLatePayment(t.Context(), s.attempt(in))
	require.NoError(t, err)
	require.Equal(t, channel.CodeMismatch, late.ChannelCode)
	require.False(t, late.Settled, "a contradiction decides nothing")

	s.provider.trade = paidTrade(1000)
	both := zombies(s, s.steps.Payments.BookLatePayment, s.attempt(in))
	require.Equal(t, both[0].RefundID, both[1].RefundID)
	again := twice(s, s.steps.Payments.BookLatePayment, s.attempt(in))
	require.True(t, again.Settled)
	require.Equal(t, both[0].RefundID, again.RefundID)
	require.Equal(t, again.RefundID, twice(s, s.steps.Payments.ReadLatePayment, s.attempt(in)).RefundID)
	require.Equal(t, int64(1), s.count(`select count(*) from refunds`))
	require.Equal(t, int64(1), s.count(`select count(*) from late_receipts`))
	require.Equal(t, int64(3), s.events(in.ID))

	// Its refund is like any other, with the provider's fee back.
	s.provider.refunded = channel.RefundState{Answer: succeeded(), Amount: money.Fen(1000), ChannelRefundNo: "R1"}
	s.provider.refunded.RefundedAt = s.provider.trade.PaidAt
	state, err := s.steps.Refunds.SendRefund(t.Context(), s.ref(again.RefundID), false)
	require.NoError(t, err)
	require.Equal(t, "succeeded", state.Status)
}

func TestLatePaymentThatWasNotPaid(t *testing.T) {
	s := newScene(t)
	in := s.offered()
	s.later()
	s.provider.closed = succeeded()
	_, err := s.steps.Payments.CloseAttempt(t.Context(), s.attempt(in))
	require.NoError(t, err)
	s.provider.trade = channel.Trade{Answer: succeeded(), State: channel.TradeClosed}
	state := twice(s, s.steps.Payments.BookLatePayment, s.attempt(in))
	require.True(t, state.NotPaid)
	require.False(t, state.Settled, "a query may lag behind the notification")
	require.Empty(t, state.RefundID)
}
