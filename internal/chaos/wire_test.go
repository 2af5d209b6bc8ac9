package main

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const wait, tick = 10 * time.Second, 5 * time.Millisecond

func message(kind byte, body string) []byte {
	m := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))
	return append(m, body...)
}

func TestCommitsAreSeenHoweverTheBytesAreCut(t *testing.T) {
	t.Parallel()
	var stream []byte
	for _, m := range [][]byte{message('C', "BEGIN\x00"), message('Z', "T"), message('T', "a row's shape C Z COMMIT"),
		message('C', "INSERT 0 1\x00"), message('Z', "T"), message('C', "COMMIT\x00"), message('Z', "I"),
		message('C', "BEGIN\x00"), message('Z', "T"), message('C', "UPDATE 0\x00"), message('C', "COMMIT\x00"), message('Z', "I")} {
		stream = append(stream, m...)
	}
	for size := 1; size <= len(stream); size++ {
		l := newLink("a→b", "a", "b", postgres)
		c := l.enter(true)
		commits, most := 0, int64(0)
		for at := 0; at < len(stream); at += size {
			if c.read(stream[at:min(at+size, len(stream))]) {
				commits++
			}
			most = max(most, l.writing.Load())
		}
		require.Equal(t, 1, commits, "a commit that wrote, in pieces of %d", size)
		require.Zero(t, l.writing.Load())
		if size == 1 {
			require.Equal(t, int64(1), most)
		}
	}
}

func TestAConnectionThatEndsTakesItsWorkWithIt(t *testing.T) {
	t.Parallel()
	l := newLink("a→b", "a", "b", postgres)
	c := l.enter(true)
	c.read(append(message('C', "DELETE 3\x00"), message('Z', "T")...))
	require.Equal(t, "a transaction that wrote", l.busy())
	l.leave(c)
	l.leave(c)
	require.Empty(t, l.busy())

	l = newLink("a→b", "a", "b", web)
	up, down := l.enter(false), l.enter(true)
	up.read([]byte("POST /alipay/gateway.do HTTP/1.1\r\nHost: x\r\n\r\nbiz=1&method=alipay.trade.refund&sign=x"))
	require.Equal(t, "alipay.trade.refund", l.busy())
	down.read([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	require.Empty(t, l.busy())
	up.read([]byte("GET /wechatpay/v3/pay/transactions/out-trade-no/01JNV5ABCDEFGHJKMNPQRSTVWX?mchid=1 HTTP/1.1\r\n"))
	require.Equal(t, "GET /wechatpay/v3/pay/transactions/out-trade-no/…", l.busy())
	l.leave(up)
	l.leave(down)
	require.Empty(t, l.busy())
}

// open makes a way to a server that answers when told.
func open(t *testing.T, network *proxies, hold chan struct{}) *way {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if hold != nil {
			<-hold
		}
		_, _ = io.WriteString(w, "here")
	}))
	t.Cleanup(server.Close)
	target, err := strconv.Atoi(server.URL[len("http://127.0.0.1:"):])
	require.NoError(t, err)
	_, err = network.open("client", t.Name(), web, target)
	require.NoError(t, err)
	w := network.between("client", t.Name())
	t.Cleanup(w.proxy.Stop)
	return w
}

func get(t *testing.T, w *way) error {
	t.Helper()
	c := &http.Client{Timeout: wait, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := c.Get(localURL(w.port, "/thing"))
	if err == nil {
		err = answer.Body.Close()
	}
	return err
}

func TestALinkKnowsWhatIsInFlightAndCanBeSevered(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	w := open(t, newProxies(), hold)
	ended := make(chan error, 1)
	go func() { ended <- get(t, w) }()
	require.Eventually(t, func() bool { return w.busy() == "GET /thing" }, wait, tick)
	require.Equal(t, 1, w.sever())
	require.Error(t, <-ended)
	require.Eventually(t, func() bool { return w.busy() == "" && w.live() == 0 }, wait, tick)
	close(hold)
	require.NoError(t, get(t, w), "new connections are welcome")
	require.Eventually(t, func() bool { return w.busy() == "" }, wait, tick)
}

func TestALinkCanBeRefusedHeldDelayedAndResetAndHeals(t *testing.T) {
	t.Parallel()
	w := open(t, newProxies(), nil)
	require.NoError(t, get(t, w))

	w.refuse()
	_, err := net.Dial("tcp", local(w.port))
	require.Error(t, err)
	require.NoError(t, w.heal())
	require.NoError(t, get(t, w))

	hole := make(chan struct{})
	w.hole.Store(&hole)
	ended := make(chan error, 1)
	go func() { ended <- get(t, w) }()
	require.Eventually(t, func() bool { return w.held.Load() > 0 }, wait, tick)
	require.Empty(t, ended)
	require.NoError(t, w.heal())
	require.NoError(t, <-ended)

	w.delay.Store(int64(50 * time.Millisecond))
	began := time.Now()
	require.NoError(t, get(t, w))
	require.GreaterOrEqual(t, time.Since(began), 100*time.Millisecond, "once for each direction")
	require.NoError(t, w.heal())

	require.NoError(t, w.resets(true))
	require.Error(t, get(t, w))
	require.NoError(t, w.resets(false))
	w.sever()
	require.NoError(t, get(t, w))
}

// A commit whose answer is lost has reached the server; its client sees the
// connection end, and nobody else does.
func TestTheAnswerToACommitGetsLost(t *testing.T) {
	t.Parallel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write(append(message('C', "INSERT 0 1\x00"), message('Z', "T")...))
			_, _ = conn.Write(append(message('C', "COMMIT\x00"), message('Z', "I")...))
		}
	}()
	network := newProxies()
	_, err = network.open("client", "pg", postgres, server.Addr().(*net.TCPAddr).Port)
	require.NoError(t, err)
	w := network.between("client", "pg")
	t.Cleanup(w.proxy.Stop)
	w.loseCommits.Store(1)
	read := func() string {
		conn, err := net.Dial("tcp", local(w.port))
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(wait)))
		var got []byte
		buffer := make([]byte, 256)
		for {
			n, err := conn.Read(buffer)
			got = append(got, buffer[:n]...)
			if err != nil || string(got[max(0, len(got)-6):]) == string(message('Z', "I")) {
				return string(got)
			}
		}
	}
	require.NotContains(t, read(), "COMMIT")
	require.Equal(t, int64(1), w.lostCommits.Load())
	require.Contains(t, read(), "COMMIT")
	require.Eventually(t, func() bool { return w.writing.Load() == 0 }, wait, tick)
}
