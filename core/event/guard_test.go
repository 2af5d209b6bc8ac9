package event

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/fault"
)

// fakeDNS answers from a table; names not in it do not exist. A list of answers
// is given one per question, the last for ever: how a rebinding attack looks.
type fakeDNS struct {
	answers map[string][][]string
	asked   map[string]int
}

func (f *fakeDNS) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	list, ok := f.answers[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	n := min(f.asked[host], len(list)-1)
	f.asked[host]++
	var addrs []netip.Addr
	for _, text := range list[n] {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs, nil
}

func dns(answers map[string][][]string) *fakeDNS {
	return &fakeDNS{answers: answers, asked: map[string]int{}}
}

func TestURLsThatMayReceiveWebhooks(t *testing.T) {
	t.Parallel()
	guard := NewGuard(nil, dns(map[string][][]string{"hooks.example.com": {{"93.184.216.34", "2606:2800:220:1::1"}}, "xn--fiq228c.example.com": {{"8.8.8.8"}}}))
	for _, url := range []string{
		"https://hooks.example.com", "https://hooks.example.com/", "https://hooks.example.com:443/a?b=c%2F",
		"https://hooks.example.com:8443/a", "https://xn--fiq228c.example.com/a", "https://8.8.8.8/hook", "https://[2606:2800:220:1::1]/hook",
	} {
		require.NoError(t, guard.CheckURL(t.Context(), url), url)
	}
}

func TestURLsThatMayNotReceiveWebhooks(t *testing.T) {
	t.Parallel()
	denied := deniedAddresses()
	answers := map[string][][]string{
		"ok.example.com":    {{"93.184.216.34"}},
		"mixed.example.com": {{"93.184.216.34", "10.0.0.1"}},
		"empty.example.com": {{}},
	}
	var urls []string
	for i, address := range denied {
		name := "host" + strings.Repeat("x", i%60) + string(rune('a'+i/60)) + ".example.com"
		answers[name] = [][]string{{address}}
		literal := address
		if strings.Contains(address, ":") {
			literal = "[" + address + "]"
		}
		urls = append(urls, "https://"+name+"/", "https://"+literal+"/", "https://"+literal+":443/a")
	}
	urls = append(urls, deniedSpellings()...)
	require.GreaterOrEqual(t, len(urls), 300)
	guard := NewGuard(nil, dns(answers))
	for _, url := range urls {
		err := guard.CheckURL(t.Context(), url)
		refusal, ok := fault.As(err)
		require.True(t, ok, "%q was accepted: %v", url, err)
		require.Equal(t, "url", refusal.Field, url)
		require.Equal(t, fault.KindInvalid, refusal.Kind, url)
	}
}

// TestTheDialledAddressIsCheckedAgain dials what CheckURL would have accepted or
// never saw; a canary on this machine must not be touched.
func TestTheDialledAddressIsCheckedAgain(t *testing.T) {
	t.Parallel()
	canary, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	touched := make(chan struct{}, 100)
	go func() {
		for {
			conn, err := canary.Accept()
			if err != nil {
				return
			}
			touched <- struct{}{}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = canary.Close() })
	_, port, err := net.SplitHostPort(canary.Addr().String())
	require.NoError(t, err)

	resolver := dns(map[string][][]string{
		"rebind.example.com": {{"93.184.216.34"}, {"127.0.0.1"}},
		"two.example.com":    {{"93.184.216.34", "127.0.0.1"}},
		"mapped.example.com": {{"::ffff:127.0.0.1"}},
	})
	guard := NewGuard(nil, resolver)
	require.NoError(t, guard.CheckURL(t.Context(), "https://rebind.example.com/"), "the first answer is public")
	for _, host := range []string{"rebind.example.com", "two.example.com", "mapped.example.com", "127.0.0.1", "::1"} {
		for _, at := range []string{port, "443"} {
			_, err := guard.DialContext(t.Context(), "tcp", net.JoinHostPort(host, at))
			require.ErrorIs(t, err, errForbiddenAddress, "%s:%s", host, at)
		}
	}
	for _, address := range deniedAddresses() {
		require.Error(t, guard.control("tcp", net.JoinHostPort(address, "443"), nil), address)
	}
	require.Error(t, guard.control("udp", "8.8.8.8:443", nil))
	require.Error(t, guard.control("tcp", "8.8.8.8:5432", nil))
	require.NoError(t, guard.control("tcp4", "8.8.8.8:443", nil))
	require.Empty(t, touched, "the canary was touched")
}

func TestTheAllowListOpensOnlyWhatItNames(t *testing.T) {
	t.Parallel()
	guard := NewGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, dns(map[string][][]string{
		"mixed.example.com": {{"127.0.0.1", "10.0.0.1"}},
		"half.example.com":  {{"127.0.0.1", "93.184.216.34"}},
	}))
	require.NoError(t, guard.CheckURL(t.Context(), "http://127.0.0.1:9000/hook"))
	for _, url := range []string{
		"http://[::1]:9000/", "http://10.0.0.1/", "http://mixed.example.com/",
		"http://half.example.com/", "http://93.184.216.34/", "https://93.184.216.34:9000/", "ftp://127.0.0.1/",
	} {
		require.Error(t, guard.CheckURL(t.Context(), url), url)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, err := guard.DialContext(ctx, "tcp", listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

func TestARefusalDoesNotTellWhyTheDialFailed(t *testing.T) {
	t.Parallel()
	s := newSender(NewGuard(nil, nil), time.Second, nil)
	require.Equal(t, "the connection failed or broke off", s.explain(errors.New("dial tcp 10.1.2.3:5432: connection refused")))
}

func deniedAddresses() []string {
	return []string{
		"127.0.0.1", "127.0.0.2", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255",
		"172.16.0.1", "172.20.10.2", "172.31.255.255", "192.168.0.1", "192.168.1.254", "192.168.255.255",
		"169.254.0.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "100.127.255.255",
		"192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.7",
		"203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:192.168.0.1",
		"::ffff:0.0.0.0", "::127.0.0.1", "::10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1",
		"100::1", "2001::1", "2001:0:53aa:64c::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
		"2002:7f00:1::1", "2002:a00:1::1", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00::1", "fd00:ec2::254",
		"fdff:ffff::1", "fe80::1", "fe80::a9fe:a9fe", "febf::1", "fec0::1", "feff::1", "ff00::1", "ff02::1", "ff0e::1",
		"172.17.0.1", "172.18.0.1", "172.19.0.1", "172.24.0.1", "172.28.0.1", "10.0.0.53", "10.96.0.1", "10.244.0.1",
		"192.168.49.2", "192.168.65.1", "127.0.0.53", "127.1.1.1", "169.254.1.1", "100.64.0.2", "100.96.0.1",
	}
}

func deniedSpellings() []string {
	const ok = "ok.example.com"
	urls := []string{
		"", " ", "https://", "https:///", "https:ok.example.com", "//" + ok, ok, "/hook", "?", "#",
		"http://" + ok, "HTTP://" + ok, "ftp://" + ok, "file:///etc/passwd", "gopher://" + ok + ":70/_x", "dict://" + ok,
		"ws://" + ok, "wss://" + ok, "javascript:alert(1)", "data:text/plain,x", "unix:///var/run/docker.sock", "jar:https://" + ok + "!/",
		"https://user@" + ok, "https://user:password@" + ok, "https://@" + ok, "https://" + ok + "@127.0.0.1/", "https://127.0.0.1@" + ok,
		"https://" + ok + "#", "https://" + ok + "/#fragment", "https://" + ok + "\\@127.0.0.1", "https:\\\\" + ok,
		"https://localhost", "https://localhost.", "https://LOCALHOST", "https://a.localhost", "https://localhost.localdomain",
		"https://printer.local", "https://metadata.google.internal", "https://intranet", "https://ok.example.com.", "https://.example.com",
		"https://ok..example.com", "https://-ok.example.com", "https://ok-.example.com", "https://example.c0m.0x7f",
		"https://2130706433/", "https://017700000001/", "https://0x7f000001/", "https://0x7f.0x0.0x0.0x1/", "https://0177.0.0.1/",
		"https://127.1/", "https://127.0.1/", "https://127.0.0.1.", "https://0/", "https://00000.0.0.0/", "https://1.2.3.4.5/",
		"https://127.0.0.1.0/", "https://3232235521/", "https://0300.0250.0.1/", "https://[::1%25lo]/", "https://[fe80::1%25eth0]/", "https://[::1",
		"https://[127.0.0.1]/", "https://①②⑦.⓪.⓪.①/", "https://例え.jp/", "https://ok.example.com/\u202e", "https://ok.example.com/a b",
		"https://ok.example.com/\n", "https://ok.example.com\r\nHost: x", "https://ok.example.com\t", "https://ok%2eexample%2ecom/", "https://ok.example.com%00.evil.com/",
		"https://mixed.example.com/", "https://empty.example.com/", "https://unknown.example.com/", "https://" + strings.Repeat("a.", 140) + "com/",
		"https://" + strings.Repeat("a", 64) + ".com/",
	}
	for _, port := range []string{
		"", "0", "-1", "1", "22", "25", "53", "80", "0443", "+443", "1e3", "444", "3306",
		"5432", "6379", "7233", "8080", "8444", "8443x", "9091", "9200", "11211", "27017", "65535", "65536", "99999", "443 ",
	} {
		urls = append(urls, "https://"+ok+":"+port+"/")
	}
	return urls
}
