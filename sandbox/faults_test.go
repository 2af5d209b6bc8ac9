package sandbox_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/smartwalle/alipay/v3"
	"github.com/stretchr/testify/require"
)

func TestFaultsAtAlipay(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	client := b.alipay()
	precreate(t, client, "T1", "")
	b.pay("alipay", "T1")
	for number, c := range map[string]struct {
		kind, answer string
		done         bool
		check        func(*alipay.TradeRefundRsp, error)
	}{
		"R0": {"lose_reply", "", true, func(_ *alipay.TradeRefundRsp, err error) { require.ErrorContains(t, err, "reset") }},
		"R1": {"error_after_success", "", true, func(rsp *alipay.TradeRefundRsp, err error) {
			require.NoError(t, err)
			require.Equal(t, "ACQ.SYSTEM_ERROR", rsp.SubCode)
		}},
		"R2": {"error_after_success", "code_20000", true, func(rsp *alipay.TradeRefundRsp, err error) {
			require.NoError(t, err)
			require.Equal(t, alipay.Code("20000"), rsp.Code)
		}},
		"R3": {"error_before", "http_502", false, func(_ *alipay.TradeRefundRsp, err error) { require.Error(t, err) }},
		"R4": {"bad_signature", "", true, func(_ *alipay.TradeRefundRsp, err error) {
			require.ErrorContains(t, err, "verification error")
		}},
		"R5": {"garbage", "", true, func(_ *alipay.TradeRefundRsp, err error) { require.Error(t, err) }},
	} {
		b.fault(map[string]any{"provider": "alipay", "operation": "alipay.trade.refund", "kind": c.kind, "answer": c.answer, "number": number})
		c.check(client.TradeRefund(ctx, refundOf("T1", number, "1.00")))
		require.Equal(t, c.done, len(b.movements(number)) == 1, c.kind)
		rsp, err := client.TradeRefund(ctx, refundOf("T1", number, "1.00"))
		require.NoError(t, err)
		require.True(t, rsp.IsSuccess())
		require.Len(t, b.movements(number), 1, "one movement, however often it was asked for")
	}
}

func TestSlowAnswersComeAfterTheWorkIsDone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client := b.alipay()
	precreate(t, client, "T1", "")
	b.pay("alipay", "T1")
	b.fault(map[string]any{"provider": "alipay", "operation": "alipay.trade.refund", "kind": "slow", "delay_ms": 60_000})
	ctx, cancel := context.WithCancel(context.Background())
	answered := make(chan error, 1)
	go func() {
		_, err := client.TradeRefund(ctx, refundOf("T1", "R1", "1.00"))
		answered <- err
	}()
	require.Eventually(t, func() bool { return len(b.movements("R1")) == 1 }, 5*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-answered, context.Canceled)
}

func TestFaultRules(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, rule := range []map[string]any{
		{"provider": "alipay", "kind": "bogus"},
		{"provider": "bogus", "kind": "slow", "delay_ms": 1},
		{"provider": "alipay", "kind": "slow"},
		{"provider": "alipay", "kind": "garbage", "rate": 2},
		{"provider": "alipay", "kind": "garbage", "count": -1},
		{"provider": "alipay", "kind": "garbage", "bogus": 1},
	} {
		status, text := b.controlRaw("POST", "/control/faults", rule)
		require.Equal(t, http.StatusBadRequest, status, "%v %s", rule, text)
	}
	hits := func(seed int) []bool {
		b.control("DELETE", "/control/faults", nil, nil)
		b.fault(map[string]any{"provider": "alipay", "kind": "error_before", "answer": "code_20000", "rate": 0.5, "seed": seed})
		var pattern []bool
		for range 20 {
			rsp, err := b.alipay().TradeQuery(context.Background(), alipay.TradeQuery{OutTradeNo: "T1"})
			require.NoError(t, err)
			pattern = append(pattern, rsp.Code == "20000")
		}
		return pattern
	}
	first := hits(7)
	require.Equal(t, first, hits(7), "the same seed hits the same requests")
	require.Contains(t, first, true)
	require.Contains(t, first, false)
	var list struct {
		Faults []struct {
			ID   string
			Hits int
		}
	}
	b.control("GET", "/control/faults", nil, &list)
	require.Positive(t, list.Faults[0].Hits)
	b.control("DELETE", "/control/faults/"+list.Faults[0].ID, nil, nil)
	status, _ := b.controlRaw("DELETE", "/control/faults/"+list.Faults[0].ID, nil)
	require.Equal(t, http.StatusNotFound, status)
}
