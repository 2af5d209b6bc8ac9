package alipay

import (
	"net/url"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// FuzzReadForm: the text that is signed can be cut into parameters in one way
// only, the one that was read. It is cut here by other means.
func FuzzReadForm(f *testing.F) {
	for _, seed := range []string{
		"a=1&b=2", "a=1%26b%3D2", "a=1&a=2", "b=%26&c=%26%26", "a%3D1=2", "subject=%E8%8C%B6+%26+x&total_amount=1.00", "a=%26b&c=d", "a=&b=",
		"body=x%26app_id%3D1%26zzz%3D&zzz=1", signed(noticeParams(), testKeys().stranger),
	} {
		f.Add(seed)
	}
	next := regexp.MustCompile(`&[a-z][a-z0-9_]{0,63}=`)
	f.Fuzz(func(t *testing.T, body string) {
		values, err := readForm([]byte(body))
		if err != nil || len(values) == 0 {
			return
		}
		var pairs []string
		for name, value := range values {
			require.Len(t, value, 1)
			pairs = append(pairs, name+"="+value[0])
		}
		sort.Strings(pairs)
		text := strings.Join(pairs, "&")
		cut := url.Values{}
		starts := []int{0}
		for at := 0; ; {
			found := next.FindStringIndex(text[at:])
			if found == nil {
				break
			}
			starts = append(starts, at+found[0]+1)
			at += found[1] - 1
		}
		for i, start := range starts {
			end := len(text)
			if i+1 < len(starts) {
				end = starts[i+1] - 1
			}
			name, value, ok := strings.Cut(text[start:end], "=")
			require.True(t, ok, "%q", text)
			cut.Add(name, value)
		}
		require.Equal(t, values, cut, "%q", text)
	})
}

// FuzzSignedNotification: whatever Alipay signs for our application is read for
// what it is or refused, and a refund is never a payment.
func FuzzSignedNotification(f *testing.F) {
	f.Add("TRADE_SUCCESS", "88.88", "", "", "", "")
	f.Add("TRADE_SUCCESS", "88.88", "1.00", "2026-03-01 12:00:01.000", testRefund, "")
	f.Add("TRADE_CLOSED", "88.88", "0.00", "", "", "CNY")
	f.Add("WAIT_BUYER_PAY", "0.01", "x", "", "", "USD")
	f.Add("TRADE_SUCCESS&trans_currency=USD", "1e2", "-1", " ", "\x00", "")
	var a *Adapter // made once: keys take long
	f.Fuzz(func(t *testing.T, status, total, fee, refundedAt, refund, currency string) {
		if a == nil {
			a = newAdapter(t, "https://openapi.alipay.com/gateway.do")
		}
		params := with("trade_status", status, "total_amount", total)
		for name, value := range map[string]string{"refund_fee": fee, "gmt_refund": refundedAt, "out_biz_no": refund, "trans_currency": currency} {
			if value != "" {
				params[name] = value
			}
		}
		n, err := read(t, a, signed(params, testKeys().alipay))
		if err != nil {
			return
		}
		amount, err := channel.ParseYuan(total)
		require.NoError(t, err)
		require.True(t, amount.IsPositive())
		require.Contains(t, []string{"", "CNY"}, currency)
		require.Equal(t, testTrade, n.TradeNumber)
		require.Equal(t, status, n.State)
		if n.Kind == channel.NotifyTrade {
			require.Equal(t, amount, n.Amount)
			require.Equal(t, testTrade, n.Number)
			require.Empty(t, refundedAt+refund, "it tells of a refund")
			return
		}
		require.Equal(t, channel.NotifyRefund, n.Kind)
		require.Equal(t, amount, n.TradeAmount)
		require.Equal(t, refund, n.Number)
		require.NotEqual(t, "", fee+refundedAt+refund)
		require.False(t, n.Amount.IsNegative())
		require.Equal(t, money.CNY, n.Amount.Currency)
	})
}
