package wechatpay

import (
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// TestEveryCodeIsExplained, in both languages and each in its own.
func TestEveryCodeIsExplained(t *testing.T) {
	t.Parallel()
	for _, row := range outcomes() {
		zh, en := Explain(row.Code)
		require.NotEmpty(t, zh, row.Code)
		require.NotEmpty(t, en, row.Code)
	}
	for code, words := range explanations() {
		hanZH, hanEN := 0, 0
		for _, r := range words.zh {
			if unicode.Is(unicode.Han, r) {
				hanZH++
			}
		}
		for _, r := range words.en {
			if unicode.Is(unicode.Han, r) {
				hanEN++
			}
		}
		require.Greater(t, hanZH, 5, code)
		require.Zero(t, hanEN, code)
		require.Less(t, len(words.en), 120, code)
	}
	zh, en := Explain("SOMETHING_NEW")
	require.Empty(t, zh+en)
}
