package activities_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/money"
)

// Of two attempts, each is paid before the other is closed, is closed, or is
// paid late, in every order and however often each step is repeated: at most one
// brings the payment's money, and what came is what is booked and given back.
// The invariants of the whole books are checked after each.
func TestEveryTruthOfTwoAttempts(t *testing.T) {
	s := newScene(t)
	truths := []string{"paid", "closed", "paid late"}
	steps := map[string][]string{"paid": {"pay"}, "closed": {"close"}, "paid late": {"close", "late"}}
	n := 0
	for _, one := range truths {
		for _, two := range truths {
			for _, order := range merges(steps[one], steps[two], nil) {
				for _, again := range []bool{false, true} {
					n++
					s.twoAttempts(fmt.Sprintf("%s and %s in the order %v, repeated: %t", one, two, order, again), order, again)
				}
			}
		}
	}
	t.Logf("%d courses", n)
}

// act is a step of the first or of the second attempt.
type act struct {
	of   int
	what string
}

// merges are the orders in which two lists of steps can follow each other.
func merges(one, two []string, before []act) (all [][]act) {
	if len(one)+len(two) == 0 {
		return [][]act{append([]act{}, before...)}
	}
	if len(one) > 0 {
		all = append(all, merges(one[1:], two, append(before[:len(before):len(before)], act{0, one[0]}))...)
	}
	if len(two) > 0 {
		all = append(all, merges(one, two[1:], append(before[:len(before):len(before)], act{1, two[0]}))...)
	}
	return all
}

func (s *scene) twoAttempts(name string, order []act, again bool) {
	s.Helper()
	in := s.order(nil, time.Hour)
	s.provider.prepaid = channel.Prepaid{Answer: succeeded(), Action: channel.Action{Type: channel.ActionQRCode, QRCode: "https://qr.example.com/1"}}
	var attempts []accept.Ref
	for range 2 {
		attempt := s.add(in, qr())
		_, err := s.steps.Payments.PrepareAttempt(s.Context(), attempt)
		require.NoError(s, err)
		attempts = append(attempts, attempt)
	}
	s.cancel(in) // so that attempts may be closed before their time
	paid := 0
	for _, a := range order {
		do := map[string]func() error{
			"pay": func() error {
				s.provider.trade = paidTrade(1000)
				_, err := s.steps.Payments.QueryAttempt(s.Context(), attempts[a.of])
				return err
			},
			"close": func() error {
				s.provider.closed = succeeded()
				_, err := s.steps.Payments.CloseAttempt(s.Context(), attempts[a.of])
				return err
			},
			"late": func() error {
				s.provider.trade = paidTrade(1000)
				_, err := s.steps.Payments.BookLatePayment(s.Context(), attempts[a.of])
				return err
			},
		}[a.what]
		require.NoError(s, do(), name)
		if again {
			require.NoError(s, do(), name)
		}
		if a.what != "close" {
			paid++
		}
	}
	booked := s.count(`select count(*) from attempts where payment_id = $1 and status = 'paid'`, in.ID)
	back := s.count(`select count(*) from refunds where payment_id = $1 and origin = 'late_payment'`, in.ID)
	require.LessOrEqual(s, booked, int64(1), name)
	require.Equal(s, int64(paid), booked+back, "what came is booked or given back: %s", name)
	p := s.payment(in)
	require.True(s, p.Status.Final(), name)
	require.Equal(s, booked == 1, p.Status == payment.Succeeded, name)
	collected := s.count(`select coalesce(sum(o.amount), 0)::bigint from postings o join entries e on e.tenant_id = o.tenant_id and e.seq = o.entry_seq
		join attempts a on a.tenant_id = e.tenant_id and a.id = e.number where e.kind = 'collect' and o.amount > 0 and a.payment_id = $1`, in.ID)
	require.Equal(s, int64(paid)*money.Fen(1000).Minor, collected, name)
	twiceEvents := s.count(`select count(*) from events where object_id = $1 and type in ('payment.paid_twice', 'payment.paid_late')`, in.ID)
	require.Equal(s, back, twiceEvents, name)
}
