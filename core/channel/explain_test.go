package channel_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
)

func TestEveryAnswerIsExplained(t *testing.T) {
	t.Parallel()
	glossary := channel.Glossary{"alipay": func(code string) (zh, en string) {
		if code == "ACQ.TRADE_NOT_EXIST" || code == channel.CodeNotSent {
			return "交易不存在", "There is no such trade."
		}
		return "", ""
	}}
	require.Equal(t, channel.Words{ZH: "交易不存在", EN: "There is no such trade."}, glossary.Of("alipay", channel.Failed, "ACQ.TRADE_NOT_EXIST"))
	require.NotEqual(t, "交易不存在", glossary.Of("wechatpay", channel.Failed, "ACQ.TRADE_NOT_EXIST").ZH)
	require.NotEqual(t, "交易不存在", glossary.Of("alipay", channel.Unknown, channel.CodeNotSent).ZH, "our own codes are ours to explain")
	seen := map[channel.Words]bool{}
	for _, code := range []string{channel.CodeNoAnswer, channel.CodeBadSignature, channel.CodeBadBody, channel.CodeMismatch, channel.CodeNotSent,
		channel.CodeNotFound, channel.CodeTradePaid, channel.CodeChannelBalance, channel.CodeAbnormal, channel.CodeReturned,
		channel.CodeRepeatOver} {
		seen[glossary.Of("alipay", channel.Unknown, code)] = true
	}
	for _, outcome := range []channel.Outcome{channel.Succeeded, channel.Pending, channel.Failed, channel.Unknown, channel.CallError} {
		seen[glossary.Of("alipay", outcome, "NEVER_SEEN")] = true
	}
	require.Len(t, seen, 16, "each has words of its own")
	for words := range seen {
		require.NotEmpty(t, words.ZH)
		require.NotEmpty(t, words.EN)
	}
}
