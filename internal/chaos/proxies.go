package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"

	"github.com/suanpan/suanpan/internal/freeport"
)

// proxies is the network between the processes: one Toxiproxy proxy per pair.
// It lives in this process, which nobody kills.
type proxies struct {
	server *toxiproxy.ApiServer
	ways   []*way
}

// way is a link with its proxy.
type way struct {
	*link
	proxy *toxiproxy.Proxy
	port  int
}

const (
	wireUp   = "suanpan_wire_up"
	wireDown = "suanpan_wire_down"
)

func newProxies() *proxies {
	toxics.Register(wireUp, new(wire))
	toxics.Register(wireDown, new(wire))
	return &proxies{server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())}
}

// open starts a proxy to target, a port of this machine, and returns its own port.
func (p *proxies) open(from, to string, speaks protocol, target int) (int, error) {
	port, err := freeport.Reserve()
	if err != nil {
		return 0, err
	}
	w := &way{link: newLink(from+"→"+to, from, to, speaks), port: port}
	w.proxy = toxiproxy.NewProxy(p.server, w.name, local(port), local(target))
	for kind, stream := range map[string]string{wireUp: "upstream", wireDown: "downstream"} {
		added, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(
			fmt.Sprintf(`{"type":%q,"stream":%q,"attributes":{}}`, kind, stream)))
		if err != nil {
			return 0, fmt.Errorf("proxy %s: %w", w.name, err)
		}
		toxic, ok := added.Toxic.(*wire)
		if !ok {
			return 0, fmt.Errorf("proxy %s: the toxic is %T", w.name, added.Toxic)
		}
		toxic.link, toxic.down = w.link, kind == wireDown
	}
	if err := w.proxy.Start(); err != nil {
		return 0, fmt.Errorf("proxy %s: %w", w.name, err)
	}
	p.ways = append(p.ways, w)
	return port, nil
}

// between finds the way from one process to a service.
func (p *proxies) between(from, to string) *way {
	for _, w := range p.ways {
		if w.from == from && w.to == to {
			return w
		}
	}
	panic("there is no way from " + from + " to " + to)
}

// of returns the ways whose ends are as named; an empty name is any.
func (p *proxies) of(from, to string) []*way {
	var found []*way
	for _, w := range p.ways {
		if (from == "" || w.from == from) && (to == "" || w.to == to) {
			found = append(found, w)
		}
	}
	return found
}

// refuse closes the way: no connection is left and none is accepted.
func (w *way) refuse() int {
	n := w.sever()
	w.proxy.Stop()
	return n
}

// open lets everything pass again.
func (w *way) heal() error {
	w.delay.Store(0)
	w.loseCommits.Store(0)
	if hole := w.hole.Swap(nil); hole != nil {
		close(*hole)
	}
	w.proxy.Lock()
	enabled := w.proxy.Enabled
	w.proxy.Unlock()
	if enabled {
		return nil
	}
	return w.proxy.Start()
}

func (p *proxies) close() {
	for _, w := range p.ways {
		w.sever()
		w.proxy.Stop()
	}
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func localURL(port int, path string) string { return "http://" + local(port) + path }

// resetPeerToxic is Toxiproxy's own: it answers new connections with a reset.
const resetPeerToxic = `{"name":"reset","type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`

// resets switches the resetting of new connections on or off.
func (w *way) resets(on bool) error {
	if on {
		_, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(resetPeerToxic))
		return err
	}
	return w.proxy.Toxics.RemoveToxic(context.Background(), "reset")
}
