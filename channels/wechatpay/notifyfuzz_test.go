package wechatpay

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// FuzzResource: a resource that is not the sealed one is refused and never makes
// the decryption panic, however well the message around it is signed.
func FuzzResource(f *testing.F) {
	var good struct {
		Resource struct {
			Ciphertext, Nonce, Algorithm string
			AssociatedData               string `json:"associated_data"`
		}
	}
	body := envelope(&testing.T{}, "TRANSACTION.SUCCESS", "transaction", tradeNotice, testAPIKey)
	if err := json.Unmarshal([]byte(body), &good); err != nil {
		f.Fatal(err)
	}
	sealed, err := base64.StdEncoding.DecodeString(good.Resource.Ciphertext)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed, gcmNonce, "transaction", "AEAD_AES_256_GCM")
	f.Add(sealed[:len(sealed)-1], gcmNonce, "transaction", "AEAD_AES_256_GCM")
	f.Add(sealed, "short", "transaction", "AEAD_AES_256_GCM")
	f.Add([]byte{}, strings.Repeat("\x00", 12), "", "")
	var a *Adapter // made once: keys take long
	f.Fuzz(func(t *testing.T, ciphertext []byte, nonce, about, algorithm string) {
		if a == nil {
			a = newAdapter(t, "https://api.mch.weixin.qq.com")
		}
		text, err := json.Marshal(map[string]any{"id": noticeID, "event_type": "TRANSACTION.SUCCESS", "resource": map[string]string{
			"original_type": "transaction", "algorithm": algorithm, "ciphertext": base64.StdEncoding.EncodeToString(ciphertext),
			"associated_data": about, "nonce": nonce,
		}})
		require.NoError(t, err)
		_, err = read(t, a, string(text), nil)
		if string(ciphertext) == string(sealed) && nonce == gcmNonce && about == "transaction" && algorithm == good.Resource.Algorithm {
			require.NoError(t, err)
			return
		}
		require.Error(t, err)
	})
}

// FuzzNoticeContent: whatever WeChat Pay seals for our merchant is read for what
// it is or refused.
func FuzzNoticeContent(f *testing.F) {
	f.Add(tradeNotice, false)
	f.Add(refundNotice, true)
	f.Add(`{"mchid":"`+testMch+`","appid":"`+testApp+`","out_trade_no":"x","trade_state":"SUCCESS","amount":{"total":1}}`, false)
	f.Add(`{"mchid":"`+testMch+`","MCHID":"1","out_trade_no":"x","out_refund_no":"y","refund_status":"z","amount":{"total":1e2,"refund":1}}`, true)
	var a *Adapter // made once: keys take long
	f.Fuzz(func(t *testing.T, content string, refund bool) {
		if a == nil {
			a = newAdapter(t, "https://api.mch.weixin.qq.com")
		}
		event, kind := "TRANSACTION.SUCCESS", "transaction"
		if refund {
			event, kind = "REFUND.SUCCESS", "refund"
		}
		n, err := read(t, a, envelope(t, event, kind, content, testAPIKey), nil)
		if err != nil {
			return
		}
		require.NoError(t, wire.PlainJSON([]byte(content)))
		require.Contains(t, content, testMch)
		require.Equal(t, refund, n.Kind == channel.NotifyRefund)
		require.NotEmpty(t, n.Number)
		require.NotEmpty(t, n.TradeNumber)
		require.NotEmpty(t, n.State)
		require.True(t, n.Amount.IsPositive())
		require.Equal(t, money.CNY, n.Amount.Currency)
		if refund {
			require.True(t, n.TradeAmount.IsPositive())
		}
	})
}
