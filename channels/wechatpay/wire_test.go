package wechatpay

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"github.com/suanpan/suanpan/core/channel"
)

// transcript is one exchange, committed with where its shape comes from.
type transcript struct {
	Source    string    `json:"source"`
	Operation operation `json:"operation"`
	// Partner makes the account one of a service provider.
	Partner bool `json:"partner"`
	exchange
	// Then are the exchanges that follow in the same operation.
	Then []exchange `json:"then"`
	Want struct {
		Outcome    channel.Outcome `json:"outcome"`
		Code       string          `json:"code"`
		QRCode     string          `json:"qr_code"`
		State      string          `json:"state"`
		ProviderNo string          `json:"provider_no"`
		Fen        int64           `json:"fen"`
		At         time.Time       `json:"at"`
		// Action is what the payer's side gets; what is signed anew each time is
		// looked at elsewhere.
		Action channel.Action `json:"action"`
	} `json:"want"`
}

// exchange is one request with its answer.
type exchange struct {
	Request struct {
		Method string         `json:"method"`
		URI    string         `json:"uri"`
		Body   map[string]any `json:"body"`
	} `json:"request"`
	Status int `json:"status"`
	// Answer is the body, byte for byte: it is what WeChat signs.
	Answer string `json:"answer"`
	// AnswerFile holds the body instead.
	AnswerFile string `json:"answer_file"`
}

func (e exchange) respond(t *testing.T, w http.ResponseWriter, r request) {
	t.Helper()
	body := e.Answer
	if e.AnswerFile != "" {
		text, err := os.ReadFile(e.AnswerFile)
		require.NoError(t, err)
		body = string(text)
	}
	respond(e.Status, body)(w, r)
}

// TestTranscripts: what is sent is exactly the recorded request, and the
// recorded answer is understood as recorded.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/wire/*.json")
	require.NoError(t, err)
	require.Greater(t, len(files), 45)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			var script transcript
			require.NoError(t, json.Unmarshal(text, &script))
			require.NotEmpty(t, script.Source)
			all := append([]exchange{script.exchange}, script.Then...)
			var answered atomic.Int32
			g, a := serve(t, func(w http.ResponseWriter, r request) {
				all[min(int(answered.Add(1)), len(all))-1].respond(t, w, r)
			})
			if script.Partner {
				a.subMchID, a.subAppID, a.storeID = testSub, testSubApp, testSub
			}
			got, err := perform(t.Context(), a, script.Operation)
			require.NoError(t, err)

			calls := g.requests()
			require.Len(t, calls, len(all))
			for i, call := range calls {
				require.Equal(t, all[i].Request.Method, call.Method)
				require.Equal(t, all[i].Request.URI, call.URI)
				var sent map[string]any
				if call.Body != "" {
					require.NoError(t, json.Unmarshal([]byte(call.Body), &sent))
				}
				require.Equal(t, all[i].Request.Body, opened(t, sent))
			}

			want := script.Want
			require.Equal(t, want.Outcome, got.Outcome, got.Message)
			require.Equal(t, want.Code, got.Code)
			require.Equal(t, want.QRCode, got.QRCode)
			for _, anew := range []string{"sign", "paySign", "nonceStr", "noncestr", "timeStamp", "timestamp"} {
				if got.Action.Params[anew] != "" {
					got.Action.Params[anew] = ""
				}
			}
			require.Equal(t, want.Action, got.Action)
			require.Equal(t, want.State, got.State)
			require.Equal(t, want.ProviderNo, got.ProviderNo)
			require.Equal(t, want.Fen, got.Amount.Minor)
			require.True(t, want.At.Equal(got.At), got.At)
		})
	}
}

// opened puts the plain text in the place of what was encrypted for WeChat Pay.
func opened(t *testing.T, sent map[string]any) map[string]any {
	t.Helper()
	for _, field := range []string{"bank_account", "real_name"} {
		if text, ok := sent[field].(string); ok {
			plain, err := utils.DecryptOAEP(text, testKeys().wechat)
			require.NoError(t, err)
			sent[field] = "sealed " + plain
		}
	}
	return sent
}

// TestResendsAreIdentical: the same order gives the same body.
func TestResendsAreIdentical(t *testing.T) {
	t.Parallel()
	g, a := serve(t, respond(500, failureBody("SYSTEM_ERROR")))
	for _, op := range []operation{prepay, refund} {
		for range 2 {
			_, err := perform(t.Context(), a, op)
			require.NoError(t, err)
		}
	}
	calls := g.requests()
	require.Len(t, calls, 4)
	require.Equal(t, calls[0].Body, calls[1].Body)
	require.Equal(t, calls[2].Body, calls[3].Body)
}

// TestCloseAsksWhyItWasRefused, where the code does not say.
func TestCloseAsksWhyItWasRefused(t *testing.T) {
	t.Parallel()
	trade := func(state, more string) string {
		return `{"appid":"` + testApp + `","mchid":"` + testMch + `","out_trade_no":"` + testTrade + `","trade_state":"` + state + `"` + more + `}`
	}
	for name, c := range map[string]struct {
		status  int
		query   string
		outcome channel.Outcome
		code    string
	}{
		"paid": {200, trade("SUCCESS", `,"transaction_id":"1","success_time":"2026-03-01T11:22:33+08:00","amount":{"total":1}`),
			channel.Failed, channel.CodeTradePaid},
		"closed":  {200, trade("CLOSED", ""), channel.Succeeded, ""},
		"waiting": {200, trade("NOTPAY", ""), channel.Unknown, ""},
		"unknown": {500, failureBody("SYSTEM_ERROR"), channel.Unknown, ""},
	} {
		for _, code := range []string{"INVALID_REQUEST", "TRADE_ERROR"} {
			_, a := serve(t, func(w http.ResponseWriter, r request) {
				if strings.HasSuffix(r.URI, "/close") {
					respond(http.StatusBadRequest, failureBody(code))(w, r)
					return
				}
				respond(c.status, c.query)(w, r)
			})
			got, err := a.CloseTrade(t.Context(), testTrade)
			require.NoError(t, err)
			require.Equal(t, c.outcome, got.Outcome, name)
			if c.code == "" {
				c.code = code
			}
			if got.Code != channel.CodeTradePaid {
				require.Equal(t, code, got.Code, name)
			}
		}
	}
}

func TestNewNamesTheFieldToCorrect(t *testing.T) {
	t.Parallel()
	for field, spoil := range map[string]func(*Config){
		"BaseURL":       func(c *Config) { c.BaseURL = "api.mch.weixin.qq.com" },
		"MchID":         func(c *Config) { c.MchID = "" },
		"AppID":         func(c *Config) { c.AppID = "" },
		"MchCertSerial": func(c *Config) { c.MchCertSerial = "" },
		"SubMchID":      func(c *Config) { c.SubAppID = "wx1" },
		"OpenURL":       func(c *Config) { c.OpenURL = "x" },
		"APIURL":        func(c *Config) { c.APIURL = "ftp://x" },
		"PublicKeyID":   func(c *Config) { c.PublicKeyID = "" },
		"MchPrivateKey": func(c *Config) { c.MchPrivateKey = "x" },
		"PublicKey":     func(c *Config) { c.PublicKey = c.MchPrivateKey },
		"APIv3Key":      func(c *Config) { c.APIv3Key = []byte("short") },
	} {
		cfg := testConfig(t, "https://api.mch.weixin.qq.com")
		spoil(&cfg)
		_, err := New(cfg)
		require.ErrorContains(t, err, field)
	}
	cfg := testConfig(t, "https://api.mch.weixin.qq.com")
	cfg.Timeout = 0
	a, err := New(cfg)
	require.NoError(t, err)
	require.Equal(t, 15*time.Second, a.timeout)
	require.Equal(t, "wechatpay", a.Name())
}
