package alipay

import (
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
)

// TestEveryListedCodeIsExplained: whatever the outcome table knows has words.
func TestEveryListedCodeIsExplained(t *testing.T) {
	t.Parallel()
	var _ channel.Explain = Explain
	for _, row := range outcomes() {
		zh, en := Explain(row.Code)
		require.NotEmpty(t, zh, row.Code)
		require.NotEmpty(t, en, row.Code)
	}
	for code, words := range explanations() {
		require.True(t, hasHan(words[0]), code)
		require.False(t, hasHan(words[1]), code)
		require.Equal(t, channel.PlainCode(code), code)
	}
	zh, en := Explain("ACQ.SOMETHING_NEW")
	require.Empty(t, zh+en)
}

func hasHan(text string) bool {
	for _, r := range text {
		if unicode.Is(unicode.Han, r) {
			return true
		}
	}
	return false
}
