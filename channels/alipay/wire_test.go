package alipay

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
)

// transcript is one exchange, committed with where its shape comes from.
type transcript struct {
	Source    string    `json:"source"`
	Operation operation `json:"operation"`
	Request   struct {
		Method    string         `json:"method"`
		NotifyURL string         `json:"notify_url"`
		Biz       map[string]any `json:"biz"`
	} `json:"request"`
	// Answer is the node, byte for byte: it is what Alipay signs.
	Answer string `json:"answer"`
	Want   struct {
		Outcome    channel.Outcome `json:"outcome"`
		Code       string          `json:"code"`
		QRCode     string          `json:"qr_code"`
		State      string          `json:"state"`
		ProviderNo string          `json:"provider_no"`
		Fen        int64           `json:"fen"`
		Fee        int64           `json:"fee"`
		At         time.Time       `json:"at"`
	} `json:"want"`
}

// billServer serves the golden bill; transcripts name its address {files}.
func billServer(t *testing.T) string {
	t.Helper()
	golden, err := os.ReadFile(goldenBill)
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(golden) }))
	t.Cleanup(server.Close)
	return server.URL
}

// TestTranscripts: what is sent is exactly the recorded request, and the
// recorded answer is understood as recorded.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/wire/*.json")
	require.NoError(t, err)
	require.Greater(t, len(files), 50)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			var script transcript
			require.NoError(t, json.Unmarshal(text, &script))
			require.NotEmpty(t, script.Source)
			g, a := serve(t, node(strings.ReplaceAll(script.Answer, "{files}", billServer(t))))
			got, err := perform(t.Context(), a, script.Operation)
			require.NoError(t, err)

			calls := g.requests()
			require.Len(t, calls, 1)
			sent := calls[0]
			require.Equal(t, script.Request.Method, sent.Params.Get("method"))
			require.Equal(t, script.Request.Biz, sent.Biz)
			require.Equal(t, script.Request.NotifyURL, sent.Params.Get("notify_url"))
			require.Equal(t, testApp, sent.Params.Get("app_id"))
			require.Equal(t, "RSA2", sent.Params.Get("sign_type"))
			_, err = parseTime(sent.Params.Get("timestamp"))
			require.NoError(t, err)

			want := script.Want
			require.Equal(t, want.Outcome, got.Outcome, got.Message)
			require.Equal(t, want.Code, got.Code)
			require.Equal(t, want.QRCode, got.QRCode)
			require.Equal(t, want.State, got.State)
			require.Equal(t, want.ProviderNo, got.ProviderNo)
			require.Equal(t, want.Fen, got.Amount.Minor)
			require.Equal(t, want.Fee, got.Fee.Minor)
			require.True(t, want.At.Equal(got.At), got.At)
		})
	}
}

// TestResendsAreIdentical: the same order gives the same business content,
// whatever the clock says.
func TestResendsAreIdentical(t *testing.T) {
	t.Parallel()
	g, a := serve(t, node(`{"code":"20000","msg":"Service unavailable"}`))
	for _, op := range []operation{prepay, refund, transfer} {
		for range 2 {
			_, err := perform(t.Context(), a, op)
			require.NoError(t, err)
		}
	}
	calls := g.requests()
	require.Len(t, calls, 6)
	for i := 0; i < len(calls); i += 2 {
		require.Equal(t, calls[i].Raw, calls[i+1].Raw)
	}
}

// TestCloseAsksWhyItWasRefused: Alipay has one code for paid and closed.
func TestCloseAsksWhyItWasRefused(t *testing.T) {
	t.Parallel()
	trade := func(status, paidAt string) string {
		return `{"code":"10000","msg":"Success","out_trade_no":"` + testTrade + `","total_amount":"88.88","trade_no":"1","trade_status":"` +
			status + `"` + paidAt + `}`
	}
	for name, c := range map[string]struct {
		query   string
		outcome channel.Outcome
		code    string
	}{
		"paid":    {trade("TRADE_SUCCESS", `,"send_pay_date":"2026-03-01 11:22:33"`), channel.Failed, channel.CodeTradePaid},
		"closed":  {trade("TRADE_CLOSED", ""), channel.Succeeded, "ACQ.TRADE_STATUS_ERROR"},
		"waiting": {trade("WAIT_BUYER_PAY", ""), channel.Unknown, "ACQ.TRADE_STATUS_ERROR"},
		"unknown": {failureNode("ACQ.SYSTEM_ERROR"), channel.Unknown, "ACQ.TRADE_STATUS_ERROR"},
	} {
		for _, code := range []string{"ACQ.TRADE_STATUS_ERROR", "ACQ.REASON_TRADE_STATUS_INVALID", "ACQ.REASON_ILLEGAL_STATUS"} {
			_, a := serve(t, func(w http.ResponseWriter, r request) {
				answer := failureNode(code)
				if r.Params.Get("method") == "alipay.trade.query" {
					answer = c.query
				}
				node(answer)(w, r)
			})
			got, err := a.CloseTrade(t.Context(), testTrade)
			require.NoError(t, err)
			require.Equal(t, c.outcome, got.Outcome, name)
			if got.Code != channel.CodeTradePaid {
				require.Equal(t, code, got.Code, name)
			} else {
				require.Equal(t, c.code, got.Code, name)
			}
		}
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	_, a := serve(t, node(failureNode("ACQ.TRADE_NOT_EXIST")))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			trade, err := a.QueryTrade(t.Context(), testTrade)
			if err != nil || trade.State != channel.TradeNotFound {
				t.Errorf("%v %v", trade, err)
			}
		})
	}
	all.Wait()
}
