package alipay

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
)

// failureNode is a signed answer with code as sub_code, or as the gateway code
// when it is one of those.
func failureNode(code string) string {
	if len(code) == 5 && strings.Trim(code, "0123456789") == "" {
		return `{"code":"` + code + `","msg":"gateway","sub_code":"isv.some-detail","sub_msg":"detail"}`
	}
	return `{"code":"40004","msg":"Business Failed","sub_code":"` + code + `","sub_msg":"in words"}`
}

// TestEveryRowOfTheOutcomeTable drives each row through the SDK and the wire.
func TestEveryRowOfTheOutcomeTable(t *testing.T) {
	t.Parallel()
	for _, row := range outcomes() {
		t.Run(string(row.Op)+" "+row.Code, func(t *testing.T) {
			t.Parallel()
			require.NotEmpty(t, row.Source)
			_, a := serve(t, node(failureNode(row.Code)))
			got, err := perform(t.Context(), a, row.Op)
			require.NoError(t, err)
			require.Equal(t, row.Outcome, got.Outcome)
			want := row.Code
			if len(row.Code) == 5 {
				want = "isv.some-detail"
			}
			if row.As != "" {
				want = row.As
				require.Contains(t, got.Message, row.Code)
			}
			require.Equal(t, want, got.Code)
		})
	}
}

// TestCodesOutsideTheTable: only a prepay may fail on a code nobody listed.
func TestCodesOutsideTheTable(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		for _, code := range []string{"ACQ.SOMETHING_NEW", "40001", "40002", "40003", "40006", "20001", "10003"} {
			_, a := serve(t, node(failureNode(code)))
			got, err := perform(t.Context(), a, op)
			require.NoError(t, err)
			rules := op
			switch op {
			case jsapi:
				rules = prepay
			case fundBill:
				rules = billURL
			}
			_, listed := a.rules[ruleKey{rules, code}]
			switch {
			case listed:
			case rules == prepay:
				require.Equal(t, channel.Failed, got.Outcome, "%s %s", op, code)
			default:
				require.Equal(t, channel.Unknown, got.Outcome, "%s %s", op, code)
			}
		}
	}
}

// TestServiceTroubleIsNoRefusal: these codes say that the service had trouble or
// no time, not what became of the order, so every call is unknown by them. The
// list is apart from the table, which must agree with it.
func TestServiceTroubleIsNoRefusal(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		for _, code := range []string{"20000", "40005", "AQC.SYSTEM_ERROR", "ACQ.SYSTEM_ERROR", "SYSTEM_ERROR"} {
			_, a := serve(t, node(failureNode(code)))
			got, err := perform(t.Context(), a, op)
			require.NoError(t, err)
			require.Equal(t, channel.Unknown, got.Outcome, "%s %s", op, code)
		}
	}
}

// TestUnusableAnswersAreUnknown: each way an answer can be no answer, for each
// call.
func TestUnusableAnswersAreUnknown(t *testing.T) {
	t.Parallel()
	const ok = `{"code":"10000","msg":"Success"}`
	raw := func(text string) func(http.ResponseWriter, request) {
		return func(w http.ResponseWriter, r request) {
			name := strings.ReplaceAll(r.Params.Get("method"), ".", "_") + "_response"
			_, _ = w.Write([]byte(strings.ReplaceAll(text, "NODE", name)))
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
		"502 page": {channel.CodeNoAnswer, func(w http.ResponseWriter, _ request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write([]byte("<html>Bad Gateway</html>"))
		}},
		"500 with a signed success": {channel.CodeNoAnswer, func(w http.ResponseWriter, r request) {
			w.WriteHeader(http.StatusInternalServerError)
			node(ok)(w, r)
		}},
		"redirect": {channel.CodeNoAnswer, func(w http.ResponseWriter, _ request) {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(http.StatusFound)
		}},
		"slow":                    {channel.CodeNoAnswer, nil},
		"page with 200":           {channel.CodeBadBody, raw("<html>maintenance</html>")},
		"empty":                   {channel.CodeBadBody, raw("")},
		"cut off":                 {channel.CodeBadBody, raw(`{"NODE":{"code":"100`)},
		"GBK":                     {channel.CodeBadBody, raw("{\"NODE\":{\"code\":\"10000\",\"msg\":\"\xb3\xc9\xb9\xa6\"}}")},
		"repeated key":            {channel.CodeBadBody, raw(`{"NODE":{"code":"10000"},"NODE":{"code":"40004"},"sign":"x"}`)},
		"another node":            {channel.CodeBadBody, raw(`{"alipay_other_response":{"code":"10000"},"sign":"x"}`)},
		"oversized":               {channel.CodeBadBody, raw(`{"x":"` + strings.Repeat("a", 1<<20) + `"}`)},
		"node is no object":       {channel.CodeBadSignature, raw(`{"NODE":[],"sign":"AAAA"}`)},
		"unsigned success":        {channel.CodeBadSignature, raw(`{"NODE":` + ok + `}`)},
		"unsigned 20000":          {channel.CodeBadSignature, raw(`{"NODE":{"code":"20000","sub_code":"isp.unknow-error"}}`)},
		"null node":               {channel.CodeBadSignature, raw(`{"NODE":null}`)},
		"error_response":          {channel.CodeBadSignature, raw(`{"error_response":{"code":"40001","sub_code":"isv.missing-method"}}`)},
		"null error":              {channel.CodeBadSignature, raw(`{"error_response":null}`)},
		"signature is not base64": {channel.CodeBadSignature, raw(`{"NODE":` + ok + `,"sign":"***"}`)},
		"signature of another key": {channel.CodeBadSignature, func(w http.ResponseWriter, r request) {
			_, _ = w.Write([]byte(envelope(r.Params.Get("method"), ok, testKeys().stranger)))
		}},
		"signature of other content": {channel.CodeBadSignature, func(w http.ResponseWriter, r request) {
			_, _ = w.Write([]byte(strings.Replace(envelope(r.Params.Get("method"), ok, testKeys().alipay), "Success", "Succeeded", 1)))
		}},
		"signed null":         {channel.CodeBadBody, node(`null`)},
		"signed without code": {channel.CodeBadBody, node(`{"msg":"Success"}`)},
		"signed wrong types":  {channel.CodeBadBody, node(`{"code":10000,"msg":[]}`)},
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, op := range operations() {
				answer := kind.answer
				release := make(chan struct{})
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
				if name == "null error" {
					require.Contains(t, []string{channel.CodeBadSignature, channel.CodeBadBody}, got.Code, op)
				} else {
					require.Equal(t, kind.code, got.Code, "%s: %s", op, got.Message)
				}
				if op == billURL || op == fundBill {
					require.Equal(t, string(channel.BillUnknown), got.State)
				}
			}
		})
	}
}

// TestNothingIsSentAfterTheContextEnded, and that is an error: nothing happened.
func TestNothingIsSentAfterTheContextEnded(t *testing.T) {
	t.Parallel()
	g, a := serve(t, node(`{"code":"10000"}`))
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
	g, a := serve(t, node(`{}`))
	g.Close()
	for _, op := range operations() {
		got, err := perform(t.Context(), a, op)
		require.NoError(t, err)
		require.Equal(t, channel.Unknown, got.Outcome)
		require.Equal(t, channel.CodeNotSent, got.Code)
		require.NotContains(t, got.Message, "gateway.do")
	}
}
