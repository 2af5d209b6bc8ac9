package demo

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOptionsComeFromTheDevFileUnlessGiven(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "dev.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"tenant_id":"ten_1","api_key":"sk_1","api_urls":["http://a","http://b"],
		"sandbox_url":"http://s","alipay":{"app_id":"2021"},"wechatpay":{"mch_id":"1900"}}`), 0o600))
	o := Options{APIURLs: []string{"http://mine"}}
	require.NoError(t, o.ReadDevFile(file))
	require.Equal(t, Options{APIURLs: []string{"http://mine"}, APIKey: "sk_1", SandboxURL: "http://s",
		Alipay: "2021", WeChatPay: "1900"}, o)
	full := o
	require.NoError(t, full.ReadDevFile(filepath.Join(t.TempDir(), "none.json")), "nothing is missing without it")
	require.ErrorContains(t, (&Options{}).ReadDevFile(filepath.Join(t.TempDir(), "none.json")), "make up")
	require.NoError(t, os.WriteFile(file, []byte(`{`), 0o600))
	require.ErrorContains(t, (&Options{}).ReadDevFile(file), "cannot be read")
}
