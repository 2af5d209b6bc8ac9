package api

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"regexp"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

var tenantPredicate = regexp.MustCompile(`\b(?:[a-z_]+\.)?tenant_id = (\$[0-9]+)\b`)

// blindProxy passes connections on to the server and takes the tenant predicates out
// of the statements that go through.
func blindProxy(t *testing.T, target string) (proxied string, blanked func() int) {
	t.Helper()
	to, err := pgconn.ParseConfig(target)
	require.NoError(t, err)
	network, address := pgconn.NetworkAddress(to.Host, to.Port)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	count := make(chan int, 1)
	count <- 0
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial(network, address)
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
			go func() { forwardBlind(client, server, count); _ = server.Close() }()
		}
	}()
	through := url.URL{Scheme: "postgres", User: url.UserPassword(to.User, to.Password), Host: listener.Addr().String(),
		Path: to.Database, RawQuery: "sslmode=disable"}
	return through.String(), func() int { n := <-count; count <- n; return n }
}

// forwardBlind forwards the frontend's messages: the first has no type.
func forwardBlind(client io.Reader, server io.Writer, count chan int) {
	in := bufio.NewReader(client)
	for first := true; ; first = false {
		var kind []byte
		if !first {
			b, err := in.ReadByte()
			if err != nil {
				return
			}
			kind = []byte{b}
		}
		var length [4]byte
		if _, err := io.ReadFull(in, length[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(length[:])-4)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		if len(kind) == 1 && kind[0] == 'P' && tenantPredicate.Match(body) {
			body = tenantPredicate.ReplaceAll(body, []byte("(${1}::text is not null)"))
			n := <-count
			count <- n + 1
		}
		out := bytes.Join([][]byte{kind, binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body}, nil)
		if _, err := server.Write(out); err != nil {
			return
		}
	}
}
