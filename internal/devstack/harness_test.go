package devstack_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/child"
	"github.com/suanpan/suanpan/internal/devstack"
	"github.com/suanpan/suanpan/internal/freeport"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/internal/temporaltest"
)

// patience bounds every wait of these tests; none is expected to need it.
const patience = 90 * time.Second

// checkout makes a tiny module with our module's name, whose three programs
// only answer /healthz, and lends it the real pinned Temporal CLI.
func checkout(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	require.NoError(t, os.CopyFS(root, os.DirFS("testdata/checkout")))
	require.NoError(t, os.WriteFile(filepath.Join(root, "go.mod"),
		[]byte("module github.com/suanpan/suanpan\n\ngo 1.26\n"), 0o600))
	for _, program := range []string{"starter", "worker", "sandbox/cmd/sandbox"} {
		source := filepath.Join(root, program, "main.go.txt")
		require.NoError(t, os.Rename(source, strings.TrimSuffix(source, ".txt")))
	}
	real, err := filepath.Abs("../../tools")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(real, filepath.Join(root, "tools")))
	return root
}

// withServices names the test servers, so that the stack starts only ours.
func withServices() []string {
	return append(os.Environ(),
		"SUANPAN_DATABASE_URL="+os.Getenv(pgtest.URLVariable),
		"SUANPAN_TEMPORAL_ADDRESS="+os.Getenv(temporaltest.AddressVariable))
}

// bare is an environment that names no service.
func bare() []string {
	var kept []string
	for _, line := range os.Environ() {
		if !strings.HasPrefix(line, "SUANPAN_") {
			kept = append(kept, line)
		}
	}
	return kept
}

// freePorts reserves the ports of a stack.
func freePorts(t *testing.T) devstack.Ports {
	t.Helper()
	var found [9]int
	for i := range found {
		port, err := freeport.Reserve()
		require.NoError(t, err)
		found[i] = port
	}
	return devstack.Ports{Postgres: found[0], Temporal: found[1], TemporalUI: found[2], Sandbox: found[3],
		API: [2]int{found[4], found[5]}, WorkerHealth: [2]int{found[6], found[7]}, Codec: found[8]}
}

// supervisor is a real supervisor process.
type supervisor struct {
	t     *testing.T
	role  role
	cmd   *exec.Cmd
	lines chan string
	told  []string
}

func startSupervisor(t *testing.T, r role) *supervisor {
	t.Helper()
	text, err := json.Marshal(r)
	require.NoError(t, err)
	s := &supervisor{t: t, role: r, lines: make(chan string, 1000)}
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(bare(), roleVariable+"="+string(text))
	output, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	s.cmd.Stderr = os.Stderr
	require.NoError(t, s.cmd.Start())
	go func() {
		defer close(s.lines)
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			s.lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() { _ = devstack.Stop(context.Background(), r.Data, os.Stderr) })
	t.Cleanup(func() { _ = s.cmd.Process.Signal(syscall.SIGTERM) })
	return s
}

// waitFor reads what the supervisor tells until a line contains text.
func (s *supervisor) waitFor(text string) {
	s.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line, more := <-s.lines:
			require.True(s.t, more, "ended without telling %q; it told:\n%s", text, strings.Join(s.told, "\n"))
			s.told = append(s.told, line)
			if strings.Contains(line, text) {
				return
			}
		case <-timeout:
			require.Fail(s.t, "not told: "+text, strings.Join(s.told, "\n"))
		}
	}
}

// signal sends sig and returns the exit code; the rest of the output is drained.
func (s *supervisor) signal(sig syscall.Signal) int {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(sig))
	return s.wait()
}

func (s *supervisor) wait() int {
	s.t.Helper()
	for line := range s.lines {
		s.told = append(s.told, line)
	}
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	require.NoError(s.t, err)
	return 0
}

// parts reads which processes the stack says are its own.
func (s *supervisor) parts() map[string]child.Identity {
	s.t.Helper()
	content, err := os.ReadFile(filepath.Join(s.role.Data, "stack.json"))
	require.NoError(s.t, err)
	var state devstack.State
	require.NoError(s.t, json.Unmarshal(content, &state))
	parts := map[string]child.Identity{}
	for _, p := range state.Parts {
		parts[p.Name] = p.Process
	}
	return parts
}

func requireGone(t *testing.T, parts map[string]child.Identity) {
	t.Helper()
	for name, id := range parts {
		require.Eventually(t, func() bool { return !id.Alive() }, 10*time.Second, 20*time.Millisecond,
			"%s (pid %d) still runs", name, id.PID)
	}
}
