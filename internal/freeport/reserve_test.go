package freeport_test

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/freeport"
)

// TestMain is also the other process: it reserves as many ports as it is told,
// says which, and keeps them until its input ends.
func TestMain(m *testing.M) {
	wanted, err := strconv.Atoi(os.Getenv("RESERVE_PORTS"))
	if err != nil {
		os.Exit(m.Run())
	}
	for range wanted {
		port, err := freeport.Reserve()
		if err != nil {
			os.Exit(1)
		}
		os.Stdout.WriteString(strconv.Itoa(port) + "\n")
	}
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
}

// TestNobodyGetsAPortTwice lets processes reserve a tenth of the range together:
// without the locks, some would get the same port (each port is drawn among 20,000).
func TestNobodyGetsAPortTwice(t *testing.T) {
	t.Parallel()
	const processes, each = 4, 500
	var mu sync.Mutex
	seen := map[string]bool{}
	var group sync.WaitGroup
	for range processes {
		other := exec.Command(os.Args[0])
		other.Env = append(os.Environ(), "RESERVE_PORTS="+strconv.Itoa(each))
		hold, err := other.StdinPipe()
		require.NoError(t, err)
		said, err := other.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, other.Start())
		t.Cleanup(func() {
			_ = hold.Close()
			require.NoError(t, other.Wait())
		})
		group.Go(func() {
			lines := bufio.NewScanner(said)
			for range each {
				if !lines.Scan() {
					return
				}
				mu.Lock()
				seen[strings.TrimSpace(lines.Text())] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
	require.Len(t, seen, processes*each, "a port was given twice, or a process failed")
}

func TestAPortInUseIsNotGiven(t *testing.T) {
	t.Parallel()
	port, err := freeport.Reserve()
	require.NoError(t, err)
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	require.NoError(t, err, "a reserved port can be listened on")
	require.NoError(t, listener.Close())
}
