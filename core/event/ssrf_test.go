package event

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// canaries listen where an attack on this machine would arrive: on several ports of
// several loopback addresses, IPv6's too, and on all of them at once. Nothing may
// ever connect.
type canaries struct {
	connections atomic.Int64
	ports       []string
}

func newCanaries(t *testing.T) *canaries {
	t.Helper()
	c := &canaries{}
	listen := func(address string) net.Listener {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				c.connections.Add(1)
				_ = conn.Close()
			}
		}()
		return listener
	}
	for range 4 {
		_, port, err := net.SplitHostPort(listen("127.0.0.1:0").Addr().String())
		require.NoError(t, err)
		for _, host := range []string{"127.0.0.2", "127.255.255.254", "::1"} {
			listen(net.JoinHostPort(host, port))
		}
		c.ports = append(c.ports, port)
	}
	_, port, err := net.SplitHostPort(listen(":0").Addr().String()) // 0.0.0.0 and ::
	require.NoError(t, err)
	c.ports = append(c.ports, port)
	return c
}

// reaches says whether a dial of the address would reach a canary if nobody stopped it.
func (c *canaries) reaches(address string) bool {
	conn, err := net.DialTimeout("tcp", address, 2*time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// attack is a URL that a hostile tenant gives, and what its name resolves to, question
// by question.
type attack struct {
	url     string
	answers [][]string
}

// attacks lists them: every denied address as a literal and behind a name, alone and
// beside a public one, at once and after a change; every denied spelling; every port.
func attacks(ports []string) []attack {
	const public = "93.184.216.34"
	var list []attack
	for n, address := range deniedAddresses() {
		literal := address
		if strings.Contains(address, ":") {
			literal = "[" + address + "]"
		}
		port := ports[n%len(ports)]
		list = append(list,
			attack{"https://" + literal + "/", nil},
			attack{"https://" + literal + ":" + port + "/", nil},
			attack{"http://" + literal + ":" + port + "/", nil},
			attack{"https://name.example.com:" + port + "/", [][]string{{address}}},
			attack{"https://name.example.com/", [][]string{{address}}},
			attack{"https://name.example.com/", [][]string{{public, address}}},
			attack{"https://name.example.com/", [][]string{{address, public}}},
			attack{"https://name.example.com/", [][]string{{public}, {address}}}, // rebinding
			attack{"https://name.example.com:8443/", [][]string{{public}, {address, public}}},
		)
	}
	for _, spelling := range deniedSpellings() {
		if !strings.Contains(spelling, "ok.example.com") || strings.Contains(spelling, "127.0.0.1") {
			list = append(list, attack{spelling, [][]string{{"127.0.0.1"}}})
		}
	}
	for _, host := range []string{"127.0.0.1", "[::1]", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "127.0.0.2", "2130706433", "0x7f000001",
		"017700000001", "127.1", "0", "localhost", "localhost.", "LOCALHOST", "user@127.0.0.1", "ok.example.com@127.0.0.1", "①②⑦.⓪.⓪.①",
		"127.0.0.1%2f", "0177.0.0.1", "0x7f.1", "[::7f00:1]", "[0:0:0:0:0:ffff:7f00:1]", "[::ffff:7f00:1]"} {
		for _, port := range ports {
			for _, scheme := range []string{"https", "http"} {
				list = append(list, attack{scheme + "://" + host + ":" + port + "/", [][]string{{"127.0.0.1"}}})
			}
		}
	}
	return list
}

// TestNoAttackReachesACanary tries every attack twice over: as a URL that is saved,
// and, as if it had been saved, as a message that is sent. One of an address that
// this machine has would arrive at a canary.
func TestNoAttackReachesACanary(t *testing.T) {
	t.Parallel()
	c := newCanaries(t)
	list := attacks(c.ports)
	saved, refusedAtDial := 0, 0
	for _, a := range list {
		host := "name.example.com"
		if u, err := url.Parse(a.url); err == nil && u.Hostname() != "" {
			host = u.Hostname()
		}
		guard := NewGuard(nil, dns(map[string][][]string{host: a.answers, "name.example.com": a.answers}))
		if len(a.answers) == 0 {
			guard = NewGuard(nil, dns(nil))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := guard.CheckURL(ctx, a.url); err == nil {
			saved++
			require.Len(t, a.answers, 2, "%s: only a rebinding name may pass at save", a.url)
		}
		got := newSender(guard, 5*time.Second, nil).send(ctx, message{url: a.url, id: "evt_1", body: []byte("{}"), secrets: []string{"whsec_AAAA"}})
		cancel()
		require.Zero(t, got.status, a.url)
		if got.words == errForbiddenAddress.Error() {
			refusedAtDial++
		}
		require.Zero(t, c.connections.Load(), "%s %v reached a canary", a.url, a.answers)
	}
	t.Logf("%d attacks, %d of them pass at save and are stopped at dial, %d stopped at dial in all, 0 connections at %d listeners",
		len(list), saved, refusedAtDial, 4*4+1)
	require.GreaterOrEqual(t, len(list), 300)
	require.GreaterOrEqual(t, saved, 2*len(deniedAddresses())-20)

	// The canaries would have heard: without the guard each address arrives.
	for _, port := range c.ports[:4] {
		for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.255.255.254", "::1"} {
			require.True(t, c.reaches(net.JoinHostPort(host, port)), host)
		}
	}
	require.True(t, c.reaches(net.JoinHostPort("0.0.0.0", c.ports[4])))
	require.True(t, c.reaches(net.JoinHostPort("::ffff:127.0.0.1", c.ports[0])))
	require.NotZero(t, c.connections.Load())
}

// Each wall stands alone: with the others taken away, the one left stops what it is for.
func TestEachWallOfTheGuardStandsAlone(t *testing.T) {
	t.Parallel()
	c := newCanaries(t)
	port, err := strconv.ParseUint(c.ports[0], 10, 16)
	require.NoError(t, err)
	guard := NewGuard(nil, dns(map[string][][]string{"inside.example.com": {{"127.0.0.1"}}}))

	// The hook before the kernel connects, alone: a dialer that resolves by itself.
	dialer := net.Dialer{Control: guard.control, Timeout: time.Second}
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "::1", "0.0.0.0", "::ffff:127.0.0.1"} {
		_, err := dialer.DialContext(t.Context(), "tcp", net.JoinHostPort(host, fmt.Sprint(port)))
		require.ErrorIs(t, err, errForbiddenAddress, host)
	}
	// The check of what the name resolves to, alone.
	for _, address := range []string{"inside.example.com", "127.0.0.1", "::1"} {
		_, err := guard.DialContext(t.Context(), "tcp", net.JoinHostPort(address, "443"))
		require.ErrorIs(t, err, errForbiddenAddress)
	}
	// The policy of ports, alone.
	for _, port := range []uint16{22, 25, 80, 5432, 6379, 7233, 8080, 9200} {
		require.False(t, guard.permits(netip.AddrPortFrom(netip.MustParseAddr("8.8.8.8"), port)))
	}
	require.Zero(t, c.connections.Load())
}
