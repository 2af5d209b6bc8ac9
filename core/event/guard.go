package event

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/suanpan/suanpan/core/fault"
)

// Resolver turns a host name into addresses; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Guard decides where webhooks may go. A tenant chooses the URL, so without it
// a webhook would be a way to make our process talk to our own network. It is
// asked twice: when a URL is saved, and again for the very address that is
// dialled, because a name may resolve differently later.
//
// A Guard is immutable and safe for concurrent use.
type Guard struct {
	allow    []netip.Prefix
	resolver Resolver
}

// NewGuard returns a Guard. Addresses in allow are permitted although they are
// private, over plain http and on any port: a development setting that production
// refuses. A nil resolver means the system's.
func NewGuard(allow []netip.Prefix, resolver Resolver) *Guard {
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	return &Guard{allow: allow, resolver: resolver}
}

// errForbiddenAddress is what a dial to a denied address ends with.
var errForbiddenAddress = errors.New("the host resolves to an address that webhooks may not reach")

// CheckURL returns a fault.Invalid naming "url" unless raw is an address we would
// post to: https on port 443 or 8443, a host name of public addresses only.
func (g *Guard) CheckURL(ctx context.Context, raw string) error {
	u, err := parseURL(raw)
	if err != nil {
		return refuseURL(err.Error())
	}
	addrs, err := g.resolve(ctx, u.Hostname())
	if err != nil {
		return refuseURL("the host name does not resolve")
	}
	developer := true
	for _, a := range addrs {
		if g.allowed(a) {
			continue
		}
		developer = false
		if !public(a) {
			return refuseURL(errForbiddenAddress.Error())
		}
	}
	if developer {
		return nil
	}
	if u.Scheme != "https" {
		return refuseURL("the scheme must be https")
	}
	if port := u.Port(); port != "" && port != "443" && port != "8443" {
		return refuseURL("the port must be 443 or 8443")
	}
	return nil
}

func refuseURL(why string) error {
	return fault.Invalid("url", "webhook_url_refused",
		"This URL cannot receive webhooks: "+why+". Give an https URL of a public host name.")
}

// parseURL accepts only spellings that every URL parser reads the same way.
func parseURL(raw string) (*url.URL, error) {
	for _, r := range raw {
		if r <= ' ' || r > '~' || r == '\\' {
			return nil, errors.New("it holds a character other than printable ASCII (write international host names in punycode)")
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("it is not a URL")
	}
	host := u.Hostname()
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("the scheme must be https")
	case u.Opaque != "" || host == "":
		return nil, errors.New("it has no host")
	case u.User != nil:
		return nil, errors.New("it carries a user name")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, errors.New("it carries a fragment")
	case strings.HasSuffix(u.Host, ":"):
		return nil, errors.New("it has an empty port")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
			return nil, errors.New("its port is not a number from 1 to 65535")
		}
	}
	if _, err := netip.ParseAddr(host); err == nil {
		if strings.Contains(host, "%") {
			return nil, errors.New("it names a network zone")
		}
		return u, nil
	}
	return u, checkName(host)
}

// checkName refuses what is not a plain multi-label DNS name: single labels,
// trailing dots, and names ending in a number, which old parsers read as an IPv4
// address in decimal, octal or hexadecimal.
func checkName(host string) error {
	if len(host) > 253 {
		return errors.New("the host name is too long")
	}
	labels := strings.Split(strings.ToLower(host), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("the host name is malformed")
		}
		for _, r := range label {
			if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
				return errors.New("the host name is malformed")
			}
		}
	}
	last := labels[len(labels)-1]
	switch {
	case len(labels) == 1:
		return errors.New("the host name has no dot")
	case last[0] >= '0' && last[0] <= '9':
		return errors.New("the host is a number, not a name")
	case last == "localhost" || last == "local" || last == "internal" || last == "localdomain" || last == "onion" || last == "arpa":
		return errors.New("the host name is not public")
	}
	return nil
}

func (g *Guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	addrs, err := g.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("resolve: %w", err)
	}
	if len(addrs) == 0 {
		return nil, errors.New("resolve: no addresses")
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}

func (g *Guard) allowed(a netip.Addr) bool {
	for _, p := range g.allow {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// permits reports whether a may be dialled at port.
func (g *Guard) permits(a netip.AddrPort) bool {
	ip := a.Addr().Unmap()
	if g.allowed(ip) {
		return true
	}
	return public(ip) && (a.Port() == 443 || a.Port() == 8443)
}

// DialContext resolves the host once, refuses it when any of its addresses is
// denied, and dials only addresses it has checked; the control hook looks at the
// address once more in the moment before the kernel connects.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, err
	}
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if !g.permits(netip.AddrPortFrom(a, uint16(port))) {
			return nil, errForbiddenAddress
		}
	}
	dialer := net.Dialer{Timeout: 5 * time.Second, Control: g.control}
	var last error
	for _, a := range addrs {
		conn, err := dialer.DialContext(ctx, network, netip.AddrPortFrom(a, uint16(port)).String())
		if err == nil {
			return conn, nil
		}
		last = err
	}
	return nil, last
}

func (g *Guard) control(network, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") || !g.permits(a) {
		return errForbiddenAddress
	}
	return nil
}

// public reports whether a is a global unicast address of the open internet. It
// knows the IANA special-purpose registries and denies what it does not know.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || a.Zone() != "" || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	if a.Is6() && !globalV6().Contains(a) {
		return false
	}
	for _, p := range reserved() {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// globalV6 is all of IPv6 that is allocated as global unicast; NAT64, unique
// local, site local and the rest lie outside it.
func globalV6() netip.Prefix { return netip.MustParsePrefix("2000::/3") }

// reserved lists the special-purpose blocks that net/netip does not name.
func reserved() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"),   // carrier-grade NAT
		netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
		netip.MustParsePrefix("192.0.2.0/24"),    // documentation
		netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
		netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
		netip.MustParsePrefix("198.51.100.0/24"), // documentation
		netip.MustParsePrefix("203.0.113.0/24"),  // documentation
		netip.MustParsePrefix("240.0.0.0/4"),     // future use and broadcast
		netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo
		netip.MustParsePrefix("2001:db8::/32"),   // documentation
		netip.MustParsePrefix("2002::/16"),       // 6to4, wraps IPv4
		netip.MustParsePrefix("3fff::/20"),       // documentation
	}
}
