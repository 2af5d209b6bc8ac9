package peer

import (
	"net/http"
	"net/netip"
	"strings"
)

// Address is where a request comes from. Only proxies that are trusted are believed
// about whom they call for, in X-Forwarded-For and from the nearest on; an address
// that somebody merely claims would choose the payer's address at the provider, whose
// guesses are counted, and who a line of the log speaks of. It is the unspecified
// address when the connection has none.
func Address(r *http.Request, trusted []netip.Prefix) netip.Addr {
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
