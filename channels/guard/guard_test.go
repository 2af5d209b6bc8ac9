package guard

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/internal/telemetry"
	"github.com/suanpan/suanpan/internal/telemetry/tracetest"
)

// TestAbilitiesAreTheAdaptersOwn: for each of the 32 sets, a type assertion finds on
// the guarded adapter what it finds inside, and every call arrives.
func TestAbilitiesAreTheAdaptersOwn(t *testing.T) {
	t.Parallel()
	g, _ := guards(Limits{})
	for set := range ability(1 << 5) {
		whole := &fake{}
		inner := shape(&guarded{Adapter: whole, account: g.Wrap(one(), whole).(interface{ guardOf() *account }).guardOf()}, set)
		require.Equal(t, set, abilitiesOf(inner))
		outer := g.Wrap(one(), inner)
		require.Equal(t, channel.Abilities(inner), channel.Abilities(outer))
		got := everyCall(t, outer)
		require.Len(t, whole.called(), len(got))
		for op := range got {
			require.Contains(t, whole.called(), op)
		}
	}
}

// guardOf lets the test build an adapter of any shape.
func (g *guarded) guardOf() *account { return g.account }

func TestEveryCallHasADeadlineOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := &fake{answer: func(ctx context.Context, _ channel.Operation) (channel.Answer, error) {
			<-ctx.Done()
			return channel.Answer{Outcome: channel.Unknown, Code: channel.CodeNoAnswer}, nil
		}}
		g, kept := guards(Limits{Timeout: 7 * time.Second, MinCalls: 1000, Timeouts: map[channel.Operation]time.Duration{
			channel.OpFetchTradeBill: time.Minute, channel.OpPayByCode: 20 * time.Second,
		}})
		everyCall(t, g.Wrap(one(), inner))
		for _, call := range kept.recorded() {
			want := 7 * time.Second
			switch call.Operation {
			case channel.OpFetchTradeBill:
				want = time.Minute
			case channel.OpPayByCode:
				want = 20 * time.Second
			}
			require.Equal(t, want, call.Took, call.Operation)
		}
		require.Len(t, kept.recorded(), len(channel.Operations()))
	})
}

func TestABulkheadPerAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		stuck := &fake{answer: func(context.Context, channel.Operation) (channel.Answer, error) {
			<-goOn
			return channel.Answer{Outcome: channel.Succeeded}, nil
		}}
		g, kept := guards(Limits{MaxInFlight: 2})
		slow, other := g.Wrap(one(), stuck), g.Wrap(Account{ID: "chn_B"}, &fake{})
		for range 2 {
			go func() { _, _ = slow.QueryTrade(t.Context(), number) }()
		}
		synctest.Wait()
		for op, answer := range everyCall(t, slow) {
			require.Equal(t, channel.Unknown, answer.Outcome, op)
			require.Equal(t, channel.CodeNotSent, answer.Code, op)
		}
		require.Len(t, stuck.called(), 2, "nothing was sent")
		for op, answer := range everyCall(t, other) {
			require.Equal(t, channel.Succeeded, answer.Outcome, op)
		}
		bill, err := slow.FetchTradeBill(t.Context(), "2026-11-24")
		require.NoError(t, err)
		require.Equal(t, channel.BillUnknown, bill.State)
		require.Contains(t, kept.shown(t), `suanpan_channel_calls_refused_total{by="bulkhead",channel="alipay",channel_account="chn_A"} 14`)
		require.Contains(t, kept.shown(t), `suanpan_channel_calls_in_flight{channel="alipay",channel_account="chn_A"} 2`)

		close(goOn)
		synctest.Wait()
		for op, answer := range everyCall(t, slow) {
			require.Equal(t, channel.Succeeded, answer.Outcome, op)
		}
	})
}

func TestAPanicLeavesItsPlace(t *testing.T) {
	t.Parallel()
	g, _ := guards(Limits{MaxInFlight: 1})
	a := g.Wrap(one(), &fake{answer: func(context.Context, channel.Operation) (channel.Answer, error) { panic("bug") }})
	for range 2 {
		require.PanicsWithValue(t, "bug", func() { _, _ = a.QueryTrade(t.Context(), number) })
	}
}

// TestTheBreakerOpensAndRecovers goes through its states, with another account of
// the same provider beside it that notices nothing.
func TestTheBreakerOpensAndRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ill := true
		inner := &fake{answer: func(context.Context, channel.Operation) (channel.Answer, error) {
			if ill {
				return channel.Answer{Outcome: channel.Unknown, Code: channel.CodeNoAnswer}, nil
			}
			return channel.Answer{Outcome: channel.Succeeded}, nil
		}}
		g, kept := guards(Limits{MinCalls: 6, Probes: 2, Pause: 15 * time.Second})
		a, other := g.Wrap(one(), inner), g.Wrap(Account{ID: "chn_B"}, &fake{})
		ask := func() channel.Answer {
			trade, err := a.QueryTrade(t.Context(), number)
			require.NoError(t, err)
			return trade.Answer
		}
		t.Log("well, then ill until half of the calls are bad")
		ill = false
		for range 3 {
			require.Equal(t, channel.Succeeded, ask().Outcome)
		}
		ill = true
		for range 3 {
			require.Equal(t, channel.CodeNoAnswer, ask().Code)
		}
		require.Equal(t, []channel.BreakerState{channel.BreakerOpen}, kept.states())

		t.Log("open: nothing is sent, also through an adapter made anew")
		sent := len(inner.called())
		require.Equal(t, channel.CodeNotSent, ask().Code)
		again, err := g.Wrap(one(), inner).CloseTrade(t.Context(), number)
		require.NoError(t, err)
		require.Equal(t, channel.CodeNotSent, again.Code)
		require.Len(t, inner.called(), sent)
		healthy, err := other.QueryTrade(t.Context(), number)
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, healthy.Outcome)

		t.Log("half open: one bad probe opens it again")
		<-time.After(15*time.Second + time.Millisecond)
		require.Equal(t, channel.CodeNoAnswer, ask().Code)
		require.Equal(t, channel.CodeNotSent, ask().Code)

		t.Log("half open: two good probes close it")
		<-time.After(15*time.Second + time.Millisecond)
		ill = false
		for range 4 {
			require.Equal(t, channel.Succeeded, ask().Outcome)
		}
		require.Equal(t, []channel.BreakerState{channel.BreakerOpen, channel.BreakerHalfOpen, channel.BreakerOpen,
			channel.BreakerHalfOpen, channel.BreakerClosed}, kept.states())
		require.Equal(t, 15*time.Second, kept.health[0].OpenFor)
		require.Equal(t, "ten_A", kept.health[0].Tenant)
		require.Contains(t, kept.shown(t), `suanpan_channel_breaker_state{channel="alipay",channel_account="chn_A"} 0`)
	})
}

func TestWhatSpeaksAgainstAProvider(t *testing.T) {
	t.Parallel()
	slow := func(answer channel.Answer) func(context.Context, channel.Operation) (channel.Answer, error) {
		return func(context.Context, channel.Operation) (channel.Answer, error) {
			<-time.After(9 * time.Second)
			return answer, nil
		}
	}
	says := func(answer channel.Answer, err error) func(context.Context, channel.Operation) (channel.Answer, error) {
		return func(context.Context, channel.Operation) (channel.Answer, error) { return answer, err }
	}
	for name, c := range map[string]struct {
		answer func(context.Context, channel.Operation) (channel.Answer, error)
		opens  bool
	}{
		"no answer":             {says(channel.Answer{Outcome: channel.Unknown, Code: channel.CodeNoAnswer}, nil), true},
		"its system error":      {says(channel.Answer{Outcome: channel.Unknown, Code: "SYSTEM_ERROR"}, nil), true},
		"slow":                  {slow(channel.Answer{Outcome: channel.Succeeded}), true},
		"a refusal":             {says(channel.Answer{Outcome: channel.Failed, Code: "NO"}, nil), false},
		"pending":               {says(channel.Answer{Outcome: channel.Pending}, nil), false},
		"about another order":   {says(channel.Answer{Outcome: channel.Unknown, Code: channel.CodeMismatch}, nil), false},
		"the caller's mistake":  {says(channel.Answer{}, errors.New("Amount: missing")), false},
		"a caller that gave up": {says(channel.Answer{Outcome: channel.Unknown, Code: channel.CodeNoAnswer}, nil), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g, kept := guards(Limits{MinCalls: 2, Window: time.Hour})
				a := g.Wrap(one(), &fake{answer: c.answer})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if name == "a caller that gave up" {
					cancel()
				}
				for range 20 {
					_, _ = a.QueryTrade(ctx, number)
				}
				require.Equal(t, c.opens, slices.Contains(kept.states(), channel.BreakerOpen))
			})
		})
	}
	t.Run("a bill may take its time, and an order signed here says nothing", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g, kept := guards(Limits{MinCalls: 2, Window: time.Hour})
			a := g.Wrap(one(), &fake{answer: slow(channel.Answer{Outcome: channel.Succeeded})})
			for range 20 {
				_, _ = a.FetchTradeBill(t.Context(), "2026-11-24")
				_, _ = a.Prepay(t.Context(), channel.PrepayOrder{})
			}
			require.Empty(t, kept.states())
		})
	})
}

// TestNothingPersonalIsKept: what comes out beside the answer itself holds none of
// what the requests and answers held, and the answer itself is untouched.
func TestNothingPersonalIsKept(t *testing.T) {
	t.Parallel()
	g, kept := guards(Limits{})
	collector := tracetest.New(t)
	var err error
	g.ports.Traces, err = telemetry.NewTraces(telemetry.TraceOptions{Service: "test", Endpoint: collector.URL, Ratio: 1},
		kept.metrics.Spans, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	a := g.Wrap(one(), &fake{})
	for op, answer := range everyCall(t, a) {
		require.Equal(t, channel.Answer{Outcome: channel.Succeeded, Code: "OK", Message: canaryText}, answer, op)
	}
	payer, err := a.(channel.PayerFinder).FindPayer(t.Context(), canaryCode)
	require.NoError(t, err)
	require.Equal(t, canaryPayer, payer.ID)
	hostile := g.Wrap(one(), &fake{answer: func(context.Context, channel.Operation) (channel.Answer, error) {
		return channel.Answer{Outcome: channel.Failed, Code: "张三 " + canaryName, Message: canaryText}, nil
	}})
	everyCall(t, hostile)
	mistaken := g.Wrap(one(), &fake{answer: func(context.Context, channel.Operation) (channel.Answer, error) {
		return channel.Answer{}, errors.New(canaryText)
	}})
	_, err = mistaken.QueryTrade(t.Context(), number)
	require.Error(t, err)

	require.Len(t, kept.recorded(), 2*len(channel.Operations())+2)
	for _, call := range kept.recorded() {
		require.Equal(t, "ten_A", call.Tenant)
		require.Equal(t, "chn_A", call.ChannelAccountID)
	}
	at := strings.Index(kept.text(t), "CANARY")
	require.Equal(t, -1, at, "%.300s", kept.text(t)[max(at-100, 0):])
	require.Contains(t, kept.text(t), `"amount":"100 CNY"`)

	g.ports.Traces.Close()
	require.Len(t, collector.Spans(), 2*len(channel.Operations())+2)
	require.NotContains(t, string(collector.Bytes()), "CANARY")
	require.NotContains(t, string(collector.Bytes()), "张三")
	require.Contains(t, kept.shown(t), "suanpan_trace_withheld_total 0")
}

func TestTheProvidersOwnCodeIsKept(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ code, message, want string }{
		{channel.CodeNotFound, "ACQ.TRADE_NOT_EXIST: 交易不存在", "ACQ.TRADE_NOT_EXIST"},
		{channel.CodeTradePaid, "ORDERPAID", "ORDERPAID"},
		{channel.CodeChannelBalance, "余额不足: 张三", ""},
		{"ACQ.SYSTEM_ERROR", "Zhang: busy", ""},
	} {
		require.Equal(t, c.want, providerCode(channel.Answer{Code: c.code, Message: c.message}))
	}
}
