package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// listen serves handler on a real socket and returns its address and a function
// that ends serving and waits for it.
func listen(t *testing.T, handler http.Handler) (address string, stop func() error) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, listener, handler, slog.New(slog.DiscardHandler)) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	return listener.Addr().String(), stop
}

func TestRequestsUnderWayAreFinishedOnShutdown(t *testing.T) {
	t.Parallel()
	arrived, proceed := make(chan struct{}), make(chan struct{})
	address, stop := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-proceed
		_, _ = io.WriteString(w, "done")
	}))
	answer := make(chan string, 1)
	go func() {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+address, nil)
		if err != nil {
			answer <- err.Error()
			return
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-arrived
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, 10*time.Second, 10*time.Millisecond, "new connections are still taken")
	close(proceed)
	require.Equal(t, "done", <-answer)
	require.NoError(t, <-ended)
}

// TestBrokenSpeakersAreCutOff speaks raw TCP; whatever is sent, the answer is a
// 4xx or a closed connection, never a 5xx, and the server lives on.
func TestBrokenSpeakersAreCutOff(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	address, _ := listen(t, f.handler)
	head := "POST /v1/payments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + f.key +
		"\r\nIdempotency-Key: 12345678\r\nContent-Type: application/json\r\nConnection: close\r\n"
	for name, request := range map[string]string{
		"not http":               "\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
		"huge header":            "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"huge target":            "GET /" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"two lengths":            head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"length and chunks":      head + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"negative length":        head + "Content-Length: -1\r\n\r\n{}",
		"endless chunks":         head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1000\r\n"+strings.Repeat(" ", 4096)+"\r\n", 64),
		"bad chunk":              head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
		"a length that lies low": head + "Content-Length: 1\r\n\r\n{}",
		"no host":                "GET /v1/payments HTTP/1.1\r\n\r\n",
		"NUL in a header":        "GET /v1/payments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\x00b\r\n\r\n",
		"escaped NUL":            "GET /v1/payments/%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + f.key + "\r\n\r\n",
		"bad escape":             "GET /v1/payments/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		conn, err := net.DialTimeout("tcp", address, 5*time.Second)
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		go func() { _, _ = io.WriteString(conn, request) }()
		status, err := bufio.NewReader(conn).ReadString('\n')
		if err == nil {
			require.Regexp(t, `^HTTP/1\.[01] 4\d\d `, status, name)
		}
		require.NoError(t, conn.Close())
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/healthz", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

func TestASlowSpeakerIsCutOff(t *testing.T) {
	t.Parallel()
	address, _ := listen(t, http.NotFoundHandler())
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(readHeaderTimeout+10*time.Second)))
	_, err = io.ReadAll(conn)
	require.NoError(t, err, "the connection is still open")
}
