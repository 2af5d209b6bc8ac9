package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

func get(t *testing.T, o Options, handler http.HandlerFunc) (string, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/?token=secret", nil)
	require.NoError(t, err)
	response, err := Client(o).Do(request)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return body2(response, body), nil
}

func body2(response *http.Response, body []byte) string { return response.Status + " " + string(body) }

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	text, err := get(t, Options{MaxBody: 5}, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("12345")) })
	require.NoError(t, err)
	require.Equal(t, "200 OK 12345", text)

	_, err = get(t, Options{MaxBody: 5}, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("123456")) })
	require.Equal(t, channel.CodeBadBody, AsFailure(err).Code)

	// A compressed bomb is measured after the transport inflated it.
	_, err = get(t, Options{MaxBody: 1 << 16}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write(make([]byte, 2<<20))
		_ = z.Close()
	})
	require.Equal(t, channel.CodeBadBody, AsFailure(err).Code)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	text, err := get(t, Options{MaxBody: 1 << 10}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			_, _ = w.Write([]byte("followed"))
			return
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	require.NoError(t, err)
	require.Contains(t, text, "302")
	require.NotContains(t, text, "followed")
}

func TestTroubleIsNoAnswerAndNamesNoAddress(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		},
		"cut in the body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("half"))
		},
		"slow": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		_, err := get(t, Options{MaxBody: 1 << 10}, handler)
		failure := AsFailure(err)
		require.NotNil(t, failure, name)
		require.Equal(t, channel.CodeNoAnswer, failure.Code, name)
		require.NotContains(t, failure.Reason, "secret", name)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:1/?token=secret", nil)
	require.NoError(t, err)
	_, err = Client(Options{MaxBody: 10}).Do(request)
	require.Equal(t, channel.CodeNotSent, AsFailure(err).Code, "a closed port got nothing")
	require.NotContains(t, AsFailure(err).Error(), "secret")

	require.Nil(t, AsFailure(errors.New("something read wrongly")))
	require.Equal(t, channel.CodeNoAnswer, AsFailure(&url.Error{Err: io.EOF}).Code)
}

func TestAcceptAndRewrite(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.Host + r.URL.Path))
	}))
	t.Cleanup(server.Close)
	client := Client(Options{MaxBody: 1 << 10, Rewrite: func(u *url.URL) *url.URL {
		out := *u
		out.Scheme, out.Host, out.Path = "http", strings.TrimPrefix(server.URL, "http://"), "/prefix"+u.Path
		return &out
	}})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://provider.example/v3/x", nil)
	require.NoError(t, err)
	response, err := client.Do(request)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, strings.TrimPrefix(server.URL, "http://")+"/prefix/v3/x", string(body))
	require.Equal(t, "https://provider.example/v3/x", request.URL.String())

	_, err = get(t, Options{MaxBody: 10, Accept: func(int, []byte) *Failure { return &Failure{channel.CodeBadBody, "no"} }},
		func(http.ResponseWriter, *http.Request) {})
	require.Equal(t, "BAD_BODY: no", AsFailure(err).Error())
}

func TestPlainJSON(t *testing.T) {
	t.Parallel()
	for _, good := range []string{`{}`, ` {"a":[1,{"b":"c"}],"c":null} `, `{"a":{"a":1},"b":{"a":1}}`} {
		require.NoError(t, PlainJSON([]byte(good)), good)
	}
	for _, bad := range []string{
		``, `null`, `[]`, `"x"`, `{`, `{"a":1`, `{"a":1}x`, `{"a":1}{}`, `<html></html>`, `{"a":1,"a":2}`,
		`{"x":{"a":1,"a":2}}`, `{"x":[{"a":1,"\u0061":2}]}`, "{\"a\":\"\xce\xd2\"}", strings.Repeat(`{"a":`, 100),
		strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40),
	} {
		require.Error(t, PlainJSON([]byte(bad)), bad)
	}
}

func FuzzPlainJSON(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,2,{"c":null}]}}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Add([]byte(`{"a":{"a":[{"b":1},{"b":1}]},"\u0062":"\ud800"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if PlainJSON(data) != nil {
			return
		}
		// What is let through is an object of which nothing is lost by decoding:
		// as many keys come out as stand in it.
		var object map[string]any
		require.NoError(t, json.Unmarshal(data, &object))
		require.Equal(t, keysIn(t, data), keysOf(object))
	})
}

// keysIn counts the keys of a text, each time one stands there.
func keysIn(t *testing.T, data []byte) (count int) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	// isKey is, for each open object or array, whether a key comes next.
	type level struct{ object, isKey bool }
	var open []level
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return count
		}
		require.NoError(t, err)
		top := len(open) - 1
		if top >= 0 && open[top].isKey && token != json.Delim('}') {
			count++
			open[top].isKey = false
			continue
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			open = append(open, level{object: token == json.Delim('{'), isKey: token == json.Delim('{')})
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:top]
			top--
		}
		if top >= 0 {
			open[top].isKey = open[top].object
		}
	}
}

func keysOf(value any) (count int) {
	switch v := value.(type) {
	case map[string]any:
		count = len(v)
		for _, inner := range v {
			count += keysOf(inner)
		}
	case []any:
		for _, inner := range v {
			count += keysOf(inner)
		}
	}
	return count
}

func TestChecks(t *testing.T) {
	t.Parallel()
	const number = "01J8ZQ4M6W3N5P7R9S1T2V4X6Y"
	require.NoError(t, CheckNumber("Number", number))
	for _, bad := range []string{
		"", number[:25], number + "0", strings.ToLower(number), "81J8ZQ4M6W3N5P7R9S1T2V4X6Y", "01J8ZQ4M6W3N5P7R9S1T2V4X6I",
		"01J8ZQ4M6W3N5P7R9S1T2V4X6/",
	} {
		require.ErrorContains(t, CheckNumber("Number", bad), "Number", bad)
	}
	for _, fen := range []int64{1, 100, MaxOrder} {
		require.NoError(t, CheckAmount("Amount", money.Fen(fen)))
	}
	for _, fen := range []int64{0, -1, MaxOrder + 1, 1 << 62} {
		require.Error(t, CheckAmount("Amount", money.Fen(fen)))
	}
	require.Error(t, CheckAmount("Amount", money.Of(1, "USD")))
	require.NoError(t, CheckText("Subject", strings.Repeat("商", 127), 127))
	for _, bad := range []string{"", strings.Repeat("商", 128), "a\nb", "\xff"} {
		require.Error(t, CheckText("Subject", bad, 127))
	}
	require.NoError(t, CheckNotifyURL("NotifyURL", "https://pay.example/notify/alipay/chn_1"))
	for _, bad := range []string{
		"", "pay.example/x", "ftp://x/", "https://x/?a=1", "https://x/?", "https://x/#f", "https://u@x/", "https:///x", "https://x/%zz",
	} {
		require.Error(t, CheckNotifyURL("NotifyURL", bad), bad)
	}
	require.NoError(t, CheckDate("date", "2028-02-29"))
	for _, bad := range []string{"", "2026-02-29", "20260228", "2026-2-28", "2026-02-28 "} {
		require.Error(t, CheckDate("date", bad), bad)
	}
	more := channel.RefundOrder{Number: number, TradeNumber: number, Amount: money.Fen(2), TradeAmount: money.Fen(1)}
	require.Error(t, CheckRefund(more))
	require.Equal(t, "退 款", Shorten("退\n款原因", 3))
	require.Equal(t, "", Shorten("", 3))
}

func TestMoment(t *testing.T) {
	t.Parallel()
	at, err := Moment(time.DateTime, "2026-03-01 00:00:00")
	require.NoError(t, err)
	require.Equal(t, "2026-02-28T16:00:00Z", at.UTC().Format(time.RFC3339))
	at, err = Moment(time.RFC3339, "2026-03-01T00:00:00+09:00")
	require.NoError(t, err)
	require.Equal(t, "2026-02-28T15:00:00Z", at.UTC().Format(time.RFC3339))
	for _, bad := range []string{"", "0000-01-01 00:00:00", "1999-12-31 23:59:59", "2026-02-29 00:00:00", "9999-01-01 00:00:00", "2026-03-01"} {
		_, err = Moment(time.DateTime, bad)
		require.Error(t, err, bad)
	}
}
