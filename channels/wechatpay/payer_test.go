package wechatpay

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
)

func TestAuthorizeURL(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, "https://api.mch.weixin.qq.com")
	cfg.AppSecret = "secret" // any: without one no payer can be found, so none is sent away
	a, err := New(cfg)
	require.NoError(t, err)
	got, err := a.AuthorizeURL("https://cashier.example/c/1?x=1&y=2", "s-1")
	require.NoError(t, err)
	require.Equal(t, "https://open.weixin.qq.com/connect/oauth2/authorize?appid="+testApp+
		"&redirect_uri=https%3A%2F%2Fcashier.example%2Fc%2F1%3Fx%3D1%26y%3D2&response_type=code&scope=snsapi_base&state=s-1#wechat_redirect", got)
	for _, back := range []string{"", "/c/1", "javascript:alert(1)", "https://u:p@cashier.example/"} {
		_, err = a.AuthorizeURL(back, "s")
		require.Error(t, err, back)
	}
	_, err = a.AuthorizeURL("https://cashier.example/", strings.Repeat("s", 129))
	require.ErrorContains(t, err, "state")

	cfg.SubMchID, cfg.SubAppID = testSub, testSubApp
	a, err = New(cfg)
	require.NoError(t, err)
	got, err = a.AuthorizeURL("https://cashier.example/", "s")
	require.NoError(t, err)
	require.Contains(t, got, "appid="+testSubApp, "payers are the sub-merchant's application's")
	cfg.BaseURL = "http://127.0.0.1:8900/wechatpay"
	a, err = New(cfg)
	require.NoError(t, err)
	got, err = a.AuthorizeURL("https://cashier.example/", "s")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(got, "http://127.0.0.1:8900/wechatpay/connect/oauth2/authorize?"), got)
	require.Equal(t, "http://127.0.0.1:8900/wechatpay", a.api.String())
}

func TestFindPayer(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdee"
	for name, c := range map[string]struct {
		status  int
		body    string
		outcome channel.Outcome
		code    string
	}{
		"found":            {200, `{"access_token":"A","expires_in":7200,"openid":"` + testPayer + `","scope":"snsapi_base"}`, channel.Succeeded, "OK"},
		"no such code":     {200, `{"errcode":40029,"errmsg":"invalid code, rid: x"}`, channel.Failed, "40029"},
		"used":             {200, `{"errcode":40163,"errmsg":"code been used"}`, channel.Failed, "40163"},
		"wrong secret":     {200, `{"errcode":40125,"errmsg":"invalid appsecret"}`, channel.Failed, "40125"},
		"busy":             {200, `{"errcode":-1,"errmsg":"system error"}`, channel.Unknown, "-1"},
		"too often":        {200, `{"errcode":45011,"errmsg":"api minute-quota reach limit"}`, channel.Unknown, "45011"},
		"nobody":           {200, `{"access_token":"A"}`, channel.Unknown, channel.CodeBadBody},
		"two people":       {200, `{"openid":"a","openid":"b"}`, channel.Unknown, channel.CodeBadBody},
		"a page":           {200, `<html>`, channel.Unknown, channel.CodeBadBody},
		"trouble":          {502, `{"openid":"a"}`, channel.Unknown, channel.CodeNoAnswer},
		"too much":         {200, `{"openid":"` + strings.Repeat("a", 1<<20) + `"}`, channel.Unknown, channel.CodeBadBody},
		"an endless id":    {200, `{"openid":"` + strings.Repeat("a", 129) + `"}`, channel.Unknown, channel.CodeBadBody},
		"an id in symbols": {200, `{"openid":"a\u0000b"}`, channel.Unknown, channel.CodeBadBody},
	} {
		var mu sync.Mutex
		var asked url.Values
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked = r.URL.Query()
			mu.Unlock()
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}))
		t.Cleanup(server.Close)
		cfg := testConfig(t, "https://api.mch.weixin.qq.com")
		cfg.APIURL, cfg.AppSecret = server.URL, secret
		a, err := New(cfg)
		require.NoError(t, err)
		got, err := a.FindPayer(t.Context(), "071i4k0w3b4OAW2")
		require.NoError(t, err)
		require.Equal(t, c.outcome, got.Outcome, name)
		require.Equal(t, c.code, got.Code, name)
		require.NotContains(t, got.Message, secret)
		mu.Lock()
		require.Equal(t, url.Values{"appid": {testApp}, "secret": {secret}, "code": {"071i4k0w3b4OAW2"}, "grant_type": {"authorization_code"}}, asked)
		mu.Unlock()
		if c.outcome == channel.Succeeded {
			require.Equal(t, testPayer, got.ID)
		} else {
			require.Empty(t, got.ID)
		}
		server.Close()
		got, err = a.FindPayer(t.Context(), "x")
		require.NoError(t, err)
		require.Equal(t, channel.CodeNotSent, got.Code)
		require.NotContains(t, got.Message, secret, "an address holds the secret")
		_, err = a.FindPayer(t.Context(), "")
		require.Error(t, err)
	}
	a := newAdapter(t, "https://api.mch.weixin.qq.com")
	_, err := a.FindPayer(t.Context(), "x")
	require.ErrorContains(t, err, "AppSecret")
}

// FuzzReadPayer: somebody is found only where one id stands.
func FuzzReadPayer(f *testing.F) {
	f.Add(`{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}`)
	f.Add(`{"errcode":40029,"errmsg":"invalid code","openid":"x"}`)
	f.Add(`{"errcode":"0"}`)
	f.Fuzz(func(t *testing.T, body string) {
		got := readPayer([]byte(body))
		require.Equal(t, got.Outcome == channel.Succeeded, got.ID != "")
		require.LessOrEqual(t, len([]rune(got.ID)), maxPayerID)
	})
}
