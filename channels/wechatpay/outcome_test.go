package wechatpay

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
)

func failureBody(code string) string { return `{"code":"` + code + `","message":"in words"}` }

// TestEveryRowOfTheOutcomeTable drives each row through the SDK and the wire.
func TestEveryRowOfTheOutcomeTable(t *testing.T) {
	t.Parallel()
	for _, row := range outcomes() {
		t.Run(string(row.Op)+" "+row.Code, func(t *testing.T) {
			t.Parallel()
			require.NotEmpty(t, row.Source)
			_, a := serve(t, refusing(row))
			got, err := perform(t.Context(), a, row.Op)
			require.NoError(t, err)
			require.Equal(t, row.Outcome, got.Outcome)
			if row.As != "" {
				require.Equal(t, row.As, got.Code)
				require.Contains(t, got.Message, row.Code)
				return
			}
			require.Equal(t, row.Code, got.Code)
		})
	}
}

// refusing answers the operation of a row with its code, and the query that
// confirms a refusal with "not there".
func refusing(row rule) func(http.ResponseWriter, request) {
	return func(w http.ResponseWriter, r request) {
		moving := row.Op == refund || row.Op == codePay || row.Op == redirect
		switch {
		case moving && r.Method == http.MethodGet && strings.Contains(r.URI, "/refund/"):
			respond(http.StatusNotFound, failureBody("RESOURCE_NOT_EXISTS"))(w, r)
		case moving && r.Method == http.MethodGet:
			respond(http.StatusNotFound, failureBody("ORDER_NOT_EXIST"))(w, r)
		default:
			respond(row.Status, failureBody(row.Code))(w, r)
		}
	}
}

// TestRefusalsOfMovingCallsAreConfirmed: they come without a signature, so one
// that a query does not bear out is no failure.
func TestRefusalsOfMovingCallsAreConfirmed(t *testing.T) {
	t.Parallel()
	trade := func(state string) string {
		return `{"appid":"` + testApp + `","mchid":"` + testMch + `","out_trade_no":"` + testTrade + `","trade_state":"` + state +
			`","transaction_id":"1","success_time":"2026-03-01T11:22:33+08:00","amount":{"total":8888}}`
	}
	back := func(status string) string {
		return `{"refund_id":"5","out_refund_no":"` + testRefund + `","out_trade_no":"` + testTrade + `","status":"` + status +
			`","success_time":"2026-03-01T11:22:33+08:00","amount":{"refund":100,"total":8888,"currency":"CNY"}}`
	}
	for name, c := range map[string]struct {
		op      operation
		status  int
		answer  string
		outcome channel.Outcome
		code    string
	}{
		"paid after all":             {codePay, 200, trade("SUCCESS"), channel.Succeeded, "SUCCESS"},
		"the payer confirms":         {codePay, 200, trade("USERPAYING"), channel.Pending, "USERPAYING"},
		"failed, and signed":         {codePay, 200, trade("PAYERROR"), channel.Failed, "PARAM_ERROR"},
		"not paid":                   {codePay, 200, trade("NOTPAY"), channel.Failed, "PARAM_ERROR"},
		"reversed":                   {codePay, 200, trade("REVOKED"), channel.Failed, "PARAM_ERROR"},
		"no word about the payment":  {codePay, 500, failureBody("SYSTEM_ERROR"), channel.Unknown, "PARAM_ERROR"},
		"refunded after all":         {refund, 200, back("SUCCESS"), channel.Succeeded, "SUCCESS"},
		"refund under way":           {refund, 200, back("PROCESSING"), channel.Pending, "PROCESSING"},
		"no word about the refund":   {refund, 500, failureBody("SYSTEM_ERROR"), channel.Unknown, "PARAM_ERROR"},
		"another refund":             {refund, 200, strings.Replace(back("SUCCESS"), `"refund":100`, `"refund":99`, 1), channel.Unknown, "PARAM_ERROR"},
		"still abnormal":             {redirect, 200, back("ABNORMAL"), channel.Failed, "PARAM_ERROR"},
		"sent on after all":          {redirect, 200, back("PROCESSING"), channel.Pending, "PROCESSING"},
		"no word about the redirect": {redirect, 500, failureBody("SYSTEM_ERROR"), channel.Unknown, "PARAM_ERROR"},
	} {
		_, a := serve(t, func(w http.ResponseWriter, r request) {
			if r.Method == http.MethodGet {
				respond(c.status, c.answer)(w, r)
				return
			}
			respond(http.StatusBadRequest, failureBody("PARAM_ERROR"))(w, r)
		})
		got, err := perform(t.Context(), a, c.op)
		require.NoError(t, err, name)
		require.Equal(t, c.outcome, got.Outcome, "%s: %s", name, got.Message)
		require.Equal(t, c.code, got.Code, name)
	}
}

// TestBillStates: what the outcome of asking for a bill means for the bill.
func TestBillStates(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]channel.BillState{
		"NO_STATEMENT_EXIST": channel.BillEmpty, "STATEMENT_CREATING": channel.BillNotReady, "INVALID_REQUEST": channel.BillRefused,
		"NO_AUTH": channel.BillRefused, "SOMETHING_NEW": channel.BillUnknown,
	} {
		_, a := serve(t, respond(http.StatusBadRequest, failureBody(code)))
		got, err := a.FetchTradeBill(t.Context(), testDay)
		require.NoError(t, err)
		require.Equal(t, want, got.State, code)
		require.Empty(t, got.Bill.Lines)
	}
}

// TestCodesOutsideTheTable: only a prepay may fail on a code nobody listed; and
// a status that speaks of the server, not of the order, is unknown to all, even
// with a code that is definite elsewhere.
func TestCodesOutsideTheTable(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		for _, status := range []int{400, 401, 403, 404, 409, 408, 429, 500, 502, 503, 202, 301, 302} {
			for _, code := range []string{"SOMETHING_NEW", "PARAM_ERROR", "RESOURCE_NOT_EXISTS", "ORDER_NOT_EXIST", "NO_STATEMENT_EXIST"} {
				_, a := serve(t, respond(status, failureBody(code)))
				got, err := perform(t.Context(), a, op)
				require.NoError(t, err)
				_, listed := a.rules[ruleKey{op, code}]
				definite := status >= 400 && status < 500 && status != 408 && status != 429
				switch {
				case definite && listed:
				case definite && op == prepay:
					require.Equal(t, channel.Failed, got.Outcome, "%s %d %s", op, status, code)
				default:
					require.Equal(t, channel.Unknown, got.Outcome, "%s %d %s", op, status, code)
				}
			}
		}
	}
}

// TestUnusableAnswersAreUnknown: each way an answer can be no answer, for each
// call.
func TestUnusableAnswersAreUnknown(t *testing.T) {
	t.Parallel()
	const ok = `{"code_url":"weixin://wxpay/bizpayurl?pr=1","trade_state":"SUCCESS"}`
	page := func(status int) func(http.ResponseWriter, request) {
		return func(w http.ResponseWriter, _ request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte("<html>page</html>"))
		}
	}
	changed := func(change func(http.Header)) func(http.ResponseWriter, request) {
		return func(w http.ResponseWriter, _ request) {
			seal(w.Header(), ok, testKeys().wechat, testKeyID, time.Now())
			change(w.Header())
			_, _ = w.Write([]byte(ok))
		}
	}
	kinds := map[string]struct {
		code   string
		answer func(http.ResponseWriter, request)
	}{
		"lost": {channel.CodeNoAnswer, func(w http.ResponseWriter, _ request) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = conn.Close()
			}
		}},
		"502 page":      {channel.CodeNoAnswer, page(502)},
		"403 page":      {channel.CodeBadBody, page(403)},
		"404 page":      {channel.CodeBadBody, page(404)},
		"200 page":      {channel.CodeBadBody, page(200)},
		"404 empty":     {channel.CodeBadBody, respond(404, "")},
		"404 no code":   {channel.CodeBadBody, respond(404, `{"message":"x"}`)},
		"404 two codes": {channel.CodeBadBody, respond(404, `{"code":"ORDER_NOT_EXIST","code":"x"}`)},
		"redirect": {channel.CodeBadBody, func(w http.ResponseWriter, _ request) {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(http.StatusFound)
		}},
		"slow":         {channel.CodeNoAnswer, nil},
		"cut off":      {channel.CodeBadBody, respond(200, `{"code_url":"wei`)},
		"GBK":          {channel.CodeBadBody, respond(200, "{\"x\":\"\xb3\xc9\xb9\xa6\"}")},
		"repeated key": {channel.CodeBadBody, respond(200, `{"code_url":"a","code_url":"b"}`)},
		"an array":     {channel.CodeBadBody, respond(200, `[]`)},
		"oversized":    {channel.CodeBadBody, respond(200, `{"x":"`+strings.Repeat("a", 1<<20)+`"}`)},
		"unsigned":     {channel.CodeBadSignature, changed(func(h http.Header) { h.Del("Wechatpay-Signature") })},
		"probe": {channel.CodeBadSignature, changed(func(h http.Header) {
			h.Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+h.Get("Wechatpay-Signature"))
		})},
		"another serial": {channel.CodeBadSignature, changed(func(h http.Header) { h.Set("Wechatpay-Serial", "PUB_KEY_ID_1") })},
		"no serial":      {channel.CodeBadSignature, changed(func(h http.Header) { h.Del("Wechatpay-Serial") })},
		"no timestamp":   {channel.CodeBadSignature, changed(func(h http.Header) { h.Del("Wechatpay-Timestamp") })},
		"no nonce":       {channel.CodeBadSignature, changed(func(h http.Header) { h.Del("Wechatpay-Nonce") })},
		"another nonce":  {channel.CodeBadSignature, changed(func(h http.Header) { h.Set("Wechatpay-Nonce", "x") })},
		"too old": {channel.CodeBadSignature, changed(func(h http.Header) {
			seal(h, ok, testKeys().wechat, testKeyID, time.Now().Add(-301*time.Second))
		})},
		"from the future": {channel.CodeBadSignature, changed(func(h http.Header) {
			seal(h, ok, testKeys().wechat, testKeyID, time.Now().Add(301*time.Second))
		})},
		"another key": {channel.CodeBadSignature, changed(func(h http.Header) {
			seal(h, ok, testKeys().stranger, testKeyID, time.Now())
		})},
		"our own key": {channel.CodeBadSignature, changed(func(h http.Header) {
			seal(h, ok, testKeys().merchant, testKeyID, time.Now())
		})},
		"other content": {channel.CodeBadSignature, changed(func(h http.Header) {
			seal(h, ok+" ", testKeys().wechat, testKeyID, time.Now())
		})},
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, op := range operations() {
				answer, release := kind.answer, make(chan struct{})
				if name == "slow" {
					answer = func(http.ResponseWriter, request) { <-release }
				}
				_, a := serve(t, answer)
				t.Cleanup(func() { close(release) })
				if name == "slow" {
					a.timeout = 50 * time.Millisecond
				}
				got, err := perform(t.Context(), a, op)
				require.NoError(t, err, op)
				require.Equal(t, channel.Unknown, got.Outcome, op)
				require.Equal(t, kind.code, got.Code, "%s: %s", op, got.Message)
				if op == billURL {
					require.Equal(t, string(channel.BillUnknown), got.State)
				}
			}
		})
	}
}

// TestNothingIsSentAfterTheContextEnded, and that is an error: nothing happened.
func TestNothingIsSentAfterTheContextEnded(t *testing.T) {
	t.Parallel()
	g, a := serve(t, respond(http.StatusNoContent, ""))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, op := range operations() {
		_, err := perform(ctx, a, op)
		require.ErrorIs(t, err, context.Canceled, op)
	}
	require.Empty(t, g.requests())
}

// TestUnreachable: a closed port is unknown too, and got nothing.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	g, a := serve(t, respond(http.StatusNoContent, ""))
	g.Close()
	for _, op := range operations() {
		got, err := perform(t.Context(), a, op)
		require.NoError(t, err)
		require.Equal(t, channel.Unknown, got.Outcome)
		require.Equal(t, channel.CodeNotSent, got.Code)
		require.NotContains(t, got.Message, testMch)
	}
}

// TestTheTimeForRepeatingIsOver: the words of WeChat Pay's community become our code, for
// a refund alone, and nothing else of that code does.
func TestTheTimeForRepeatingIsOver(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"对应单号已超出重试期，请查单确认后决定是否换单": channel.CodeRepeatOver,
		"对应单号已超出重试期,请查单确认后决定是否换单": channel.CodeRepeatOver,
		"订单金额与支付时不一致":             "INVALID_REQUEST",
	} {
		_, a := serve(t, respond(http.StatusBadRequest, `{"code":"INVALID_REQUEST","message":"`+message+`"}`))
		answer := a.judge(refund, &refusal{status: http.StatusBadRequest, code: "INVALID_REQUEST", message: message})
		require.Equal(t, channel.Unknown, answer.Outcome, message)
		require.Equal(t, want, answer.Code, message)
		require.Equal(t, "INVALID_REQUEST", a.judge(reversal, &refusal{status: http.StatusBadRequest, code: "INVALID_REQUEST", message: message}).Code)
	}
}
