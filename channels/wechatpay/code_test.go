package wechatpay

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
)

// till is a provider with one order by code.
type till struct {
	mu       sync.Mutex
	state    string
	paid     bool
	reversal func(*till) (int, string)
}

func (p *till) answer(w http.ResponseWriter, r request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.HasSuffix(r.URI, "/reverse") {
		status, body := p.reversal(p)
		respond(status, body)(w, r)
		return
	}
	body := `{"appid":"` + testApp + `","mchid":"` + testMch + `","out_trade_no":"` + testTrade + `","trade_state":"` + p.state + `"`
	if p.paid {
		body += `,"transaction_id":"4200000000000000000000000001","success_time":"2026-03-01T11:22:33+08:00"`
	}
	respond(200, body+`,"amount":{"total":8888,"currency":"CNY"}}`)(w, r)
}

func TestCancelling(t *testing.T) {
	t.Parallel()
	done := `{"appid":"` + testApp + `","mchid":"` + testMch + `","out_trade_no":"` + testTrade + `"}`
	revoke := func(p *till) (int, string) { p.state = "REVOKED"; return 200, done }
	for name, c := range map[string]struct {
		till    *till
		outcome channel.Outcome
		code    string
		back    bool
	}{
		"the payer was confirming": {&till{state: "USERPAYING", reversal: revoke}, channel.Succeeded, "REVOKED", false},
		"the payer had paid":       {&till{state: "SUCCESS", paid: true, reversal: revoke}, channel.Succeeded, "REVOKED", true},
		"and it no longer shows": {&till{state: "SUCCESS", paid: true, reversal: func(p *till) (int, string) {
			p.state, p.paid = "REVOKED", false
			return 200, done
		}}, channel.Succeeded, "REVOKED", true},
		"paid in between": {&till{state: "USERPAYING", reversal: func(p *till) (int, string) {
			p.state, p.paid = "REVOKED", true
			return 200, done
		}}, channel.Succeeded, "REVOKED", true},
		"said and not done":   {&till{state: "SUCCESS", paid: true, reversal: func(*till) (int, string) { return 200, done }}, channel.Pending, "SUCCESS", false},
		"no answer":           {&till{state: "SUCCESS", paid: true, reversal: func(*till) (int, string) { return 500, failureBody("SYSTEM_ERROR") }}, channel.Unknown, "SYSTEM_ERROR", false},
		"too soon":            {&till{state: "SUCCESS", paid: true, reversal: func(*till) (int, string) { return 400, failureBody("INVALID_REQUEST") }}, channel.Unknown, "INVALID_REQUEST", false},
		"no balance":          {&till{state: "SUCCESS", paid: true, reversal: func(*till) (int, string) { return 403, failureBody("NOT_ENOUGH") }}, channel.Pending, channel.CodeChannelBalance, false},
		"nobody knows it":     {&till{state: "x", reversal: func(*till) (int, string) { return 404, failureBody("ORDER_NOT_EXIST") }}, channel.Failed, channel.CodeNotFound, false},
		"about another order": {&till{state: "USERPAYING", reversal: func(*till) (int, string) { return 200, `{"out_trade_no":"x"}` }}, channel.Unknown, channel.CodeMismatch, false},
	} {
		_, a := serve(t, c.till.answer)
		got, err := a.CancelTrade(t.Context(), testTrade)
		require.NoError(t, err)
		require.Equal(t, c.outcome, got.Outcome, "%s: %s", name, got.Message)
		require.Equal(t, c.code, got.Code, name)
		require.Equal(t, c.back, got.Refunded, name)
	}
}

// TestCodesAreNotRepeated in what is kept of an answer.
func TestCodesAreNotRepeated(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 400, 403, 500} {
		_, a := serve(t, respond(status, failureBody("TRADE_ERROR")))
		got, err := a.PayByCode(t.Context(), codeOrder())
		require.NoError(t, err)
		require.NotContains(t, got.Code+got.Message, testCode)
	}
}
