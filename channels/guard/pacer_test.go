package guard

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
)

// row stands in for the shared row of an identity's calls per second.
type row struct {
	mu    sync.Mutex
	next  time.Time
	asked int
	err   error
}

func (r *row) take(_ context.Context, _ string, gap time.Duration, wanted int, maxWait time.Duration) (channel.Slots, error) {
	<-time.After(time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if r.err != nil {
		return channel.Slots{}, r.err
	}
	now := time.Now()
	first := now
	if r.next.After(now) {
		first = r.next
	}
	granted := max(0, min(wanted, 1+int((maxWait-first.Sub(now))/gap)))
	r.next = first.Add(time.Duration(granted) * gap)
	return channel.Slots{Granted: granted, First: first.Sub(now)}, nil
}

func TestCallsKeepTheRateAndAskTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := &row{}
		var begun []time.Time
		var mu sync.Mutex
		inner := &fake{answer: func(context.Context, channel.Operation) (channel.Answer, error) {
			mu.Lock()
			defer mu.Unlock()
			begun = append(begun, time.Now())
			return channel.Answer{Outcome: channel.Succeeded}, nil
		}}
		g, kept := guards(Limits{MaxInFlight: 100, Rates: map[string]int{"alipay": 10}, RateWait: 2 * time.Second})
		g.ports.TakeSlots = shared.take
		a := g.Wrap(one(), inner)
		start := time.Now()
		var calls sync.WaitGroup
		for range 50 {
			calls.Go(func() { _, _ = a.QueryTrade(t.Context(), number) })
		}
		calls.Wait()
		require.Len(t, begun, 21, "those of two seconds, and the first; the others were not sent")
		for i, at := range begun {
			require.GreaterOrEqual(t, at.Sub(start), time.Duration(i)*100*time.Millisecond)
		}
		require.LessOrEqual(t, shared.asked, 3)
		require.Contains(t, kept.shown(t), `suanpan_channel_calls_refused_total{by="rate",channel="alipay",channel_account="chn_A"} 29`)
	})
}

func TestRatesOfOperationsAreCountedApart(t *testing.T) {
	t.Parallel()
	g, _ := guards(Limits{Rates: map[string]int{"wechatpay": 100, "wechatpay/fetch_fund_bill": 3}})
	g.Wrap(Account{ID: "chn_A", Identity: "1900000109"}, &fake{name: "wechatpay"})
	g.Wrap(Account{ID: "chn_B", Identity: "1900000109"}, &fake{name: "wechatpay"})
	g.Wrap(Account{ID: "chn_C", Identity: "app"}, &fake{name: "alipay"})
	all, bills := g.made["chn_A"].pacerOf(channel.OpPrepay), g.made["chn_A"].pacerOf(channel.OpFetchFundBill)
	require.Equal(t, "wechatpay 1900000109", all.identity)
	require.Equal(t, 10*time.Millisecond, all.gap)
	require.Equal(t, "wechatpay/fetch_fund_bill 1900000109", bills.identity)
	require.Same(t, all, g.made["chn_B"].pacerOf(channel.OpQueryTrade), "two accounts of one merchant share its calls per second")
	require.Nil(t, g.made["chn_C"].pacerOf(channel.OpPrepay))
}

func TestNoTurnWithoutTheSharedRow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := &fake{}
		g, _ := guards(Limits{Rates: map[string]int{"alipay": 10}})
		g.ports.TakeSlots = (&row{err: errors.New("no database")}).take
		trade, err := g.Wrap(one(), inner).QueryTrade(t.Context(), number)
		require.NoError(t, err)
		require.Equal(t, channel.CodeNotSent, trade.Code)
		require.Empty(t, inner.called())
	})
}

func TestACallerThatLeavesTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := &fake{}
		g, _ := guards(Limits{MaxInFlight: 1, Rates: map[string]int{"alipay": 1}})
		g.ports.TakeSlots = (&row{next: time.Now().Add(time.Second)}).take
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		a := g.Wrap(one(), inner)
		_, err := a.QueryTrade(ctx, number)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Empty(t, inner.called())
		_, err = a.QueryTrade(t.Context(), number)
		require.NoError(t, err, "its place is free again")
	})
}
