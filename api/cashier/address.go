package cashier

import (
	"net/http"
	"net/netip"
	"strings"
)

// addressOf is where a browser calls from. Only proxies that are trusted are
// believed about whom they call for, from the nearest on; an address that somebody
// merely claims would choose the payer's address at the provider and whose guesses
// are counted.
func addressOf(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv4Unspecified()
	}
	at := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && trusts(trusted, at); i-- {
		before, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		at = before.Unmap().WithZone("")
	}
	return at
}

func trusts(trusted []netip.Prefix, at netip.Addr) bool {
	for _, prefix := range trusted {
		if prefix.Contains(at) {
			return true
		}
	}
	return false
}
