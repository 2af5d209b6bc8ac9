package devstack

import (
	"fmt"
	"net"
	"strconv"
)

// Ports of the stack, all on 127.0.0.1.
type Ports struct {
	Postgres, Temporal, TemporalUI, Sandbox, Codec int
	API, WorkerHealth                              [2]int
}

// DefaultPorts are the well-known ones of each part. None lies in the range of
// which Linux takes the near end of outgoing connections (32768 and up): a
// closed connection there keeps its port busy for a minute.
func DefaultPorts() Ports {
	return Ports{Postgres: 8432, Temporal: 7233, TemporalUI: 8233, Sandbox: 8900, Codec: 8082,
		API: [2]int{8080, 8081}, WorkerHealth: [2]int{9091, 9092}}
}

// PortsFrom are nine consecutive ports, for a second stack on one machine.
func PortsFrom(base int) Ports {
	return Ports{Postgres: base, Temporal: base + 1, TemporalUI: base + 2, Sandbox: base + 3,
		API: [2]int{base + 4, base + 5}, WorkerHealth: [2]int{base + 6, base + 7}, Codec: base + 8}
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func localURL(port int, path string) string { return "http://" + local(port) + path }

// need is a port a part will listen on.
type need struct {
	what string
	port int
}

// checkFree names the first port that somebody else holds.
func checkFree(needs []need) error {
	for _, n := range needs {
		listener, err := net.Listen("tcp", local(n.port))
		if err != nil {
			return fmt.Errorf("port %d, needed for %s, is not free (%w): stop what uses it, "+
				"or move the whole stack with --port-base 20000", n.port, n.what, err)
		}
		_ = listener.Close()
	}
	return nil
}
