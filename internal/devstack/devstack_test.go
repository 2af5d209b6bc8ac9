package devstack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/child"
	"github.com/suanpan/suanpan/internal/devstack"
)

func TestADeadPartIsStartedAgainAndASignalStopsOnlyOurs(t *testing.T) {
	t.Parallel()
	bystander := exec.Command("sleep", "1000")
	require.NoError(t, bystander.Start())
	t.Cleanup(func() { _ = bystander.Process.Kill(); _ = bystander.Wait() })

	s := startSupervisor(t, role{checkout(t), t.TempDir(), freePorts(t), withServices()})
	s.waitFor("everything is up")
	before := s.parts()
	require.Len(t, before, 6, "sandbox, codec, two workers, two APIs")

	require.NoError(t, syscall.Kill(before["api-1"].PID, syscall.SIGKILL))
	s.waitFor("api-1 ended (signal: killed)")
	s.waitFor("api-1 is back")
	after := s.parts()
	require.NotEqual(t, before["api-1"], after["api-1"])
	require.Equal(t, before["worker-2"], after["worker-2"])

	require.Equal(t, 0, s.signal(syscall.SIGTERM))
	requireGone(t, after)
	_, alive := child.Identify(bystander.Process.Pid)
	require.True(t, alive, "a process that is not ours was stopped")
	require.NoFileExists(t, filepath.Join(s.role.Data, "stack.json"))
}

// With PostgreSQL and Temporal of its own: kill -9, then the next start.
func TestOrphansOfAKilledSupervisorAreStoppedByTheNext(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	t.Cleanup(func() { require.NoError(t, devstack.Clean(context.Background(), data, os.Stderr)) })
	r := role{checkout(t), data, freePorts(t), bare()}
	first := startSupervisor(t, r)
	first.waitFor("everything is up")
	orphans := first.parts()
	require.Len(t, orphans, 9, "PostgreSQL, Temporal, its Web UI and codec, sandbox, two workers, two APIs")
	first.signal(syscall.SIGKILL)
	for name, id := range orphans {
		require.True(t, id.Alive(), "%s did not survive its supervisor; the test shows nothing", name)
	}

	second := startSupervisor(t, r)
	second.waitFor("stopping api-2")
	second.waitFor("stopping postgres")
	second.waitFor("everything is up")
	requireGone(t, orphans)
	started := second.parts()
	require.Equal(t, 0, second.signal(syscall.SIGINT))
	requireGone(t, started)
}

func TestAPidThatBelongsToSomebodyElseByNowIsLeftAlone(t *testing.T) {
	t.Parallel()
	bystander := exec.Command("sleep", "1000")
	require.NoError(t, bystander.Start())
	t.Cleanup(func() { _ = bystander.Process.Kill(); _ = bystander.Wait() })
	id, ok := child.Identify(bystander.Process.Pid)
	require.True(t, ok)
	id.Started += "0" // the recorded process began at another moment

	data := t.TempDir()
	state, err := json.Marshal(devstack.State{Parts: []devstack.PartState{{Name: "api-1", Process: id, Signal: 15}}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(data, "stack.json"), state, 0o600))
	require.NoError(t, devstack.Stop(t.Context(), data, os.Stderr))
	_, alive := child.Identify(bystander.Process.Pid)
	require.True(t, alive)
	require.NoFileExists(t, filepath.Join(data, "stack.json"))
}

func TestOneSupervisorPerDataFolderAndStopWorksFromOutside(t *testing.T) {
	t.Parallel()
	r := role{checkout(t), t.TempDir(), freePorts(t), withServices()}
	first := startSupervisor(t, r)
	first.waitFor("everything is up")
	second := startSupervisor(t, r)
	second.waitFor("a stack is running already on " + r.Data)
	require.Equal(t, 1, second.wait())

	var out bytes.Buffer
	up, err := devstack.PrintStatus(r.Data, &out)
	require.NoError(t, err)
	require.True(t, up, out.String())
	parts := first.parts()
	require.NoError(t, devstack.Stop(t.Context(), r.Data, &out))
	require.Equal(t, 0, first.wait())
	requireGone(t, parts)
}

func TestAPartThatCannotStartEndsWithItsOwnWords(t *testing.T) {
	t.Parallel()
	r := role{checkout(t), t.TempDir(), freePorts(t), withServices()}
	require.NoError(t, os.WriteFile(filepath.Join(r.Root, "break-worker"), nil, 0o600))
	s := startSupervisor(t, r)
	s.waitFor("worker-1 ended before it answered: the worker is broken on purpose")
	require.Equal(t, 1, s.wait())
	require.NoFileExists(t, filepath.Join(r.Data, "stack.json"))
}

func TestDefaultPortsAreNeverTheNearEndOfAConnection(t *testing.T) {
	t.Parallel()
	const firstEphemeral = 32768 // net.ipv4.ip_local_port_range of Linux
	p := devstack.DefaultPorts()
	for _, port := range []int{p.Postgres, p.Temporal, p.TemporalUI, p.Sandbox,
		p.API[0], p.API[1], p.WorkerHealth[0], p.WorkerHealth[1]} {
		require.Less(t, port, firstEphemeral)
	}
}

func TestRefusalsSayTheWayOut(t *testing.T) {
	t.Parallel()
	root := checkout(t)
	run := func(data string, ports devstack.Ports, environ ...string) error {
		return devstack.Run(t.Context(), devstack.Options{Root: root, DataDir: data, Ports: ports, Environ: environ,
			Out: &bytes.Buffer{}})
	}
	t.Run("busy port", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = listener.Close() })
		ports := freePorts(t)
		ports.API[1] = listener.Addr().(*net.TCPAddr).Port
		err = run(t.TempDir(), ports, bare()...)
		require.ErrorContains(t, err, "port "+strconv.Itoa(ports.API[1])+", needed for API 2, is not free")
		require.ErrorContains(t, err, "--port-base")
	})
	t.Run("database", func(t *testing.T) {
		t.Parallel()
		err := run(t.TempDir(), freePorts(t), append(bare(), "SUANPAN_DATABASE_URL=postgres://me:hush@127.0.0.1:1/x")...)
		require.ErrorContains(t, err, "SUANPAN_DATABASE_URL: ")
		require.ErrorContains(t, err, "unset it")
		require.NotContains(t, err.Error(), "hush")
	})
	t.Run("temporal", func(t *testing.T) {
		t.Parallel()
		err := run(t.TempDir(), freePorts(t), append(withServices(), "SUANPAN_TEMPORAL_ADDRESS=127.0.0.1:1")...)
		require.ErrorContains(t, err, "SUANPAN_TEMPORAL_ADDRESS: no Temporal server answers at 127.0.0.1:1")
	})
	t.Run("no permission", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		require.ErrorContains(t, run(filepath.Join(file, "data"), freePorts(t), bare()...), "cannot write to")
	})
	t.Run("misspelt variable", func(t *testing.T) {
		t.Parallel()
		err := run(t.TempDir(), freePorts(t), "SUANPAN_TEMPORAL_ADRESS=x")
		require.ErrorContains(t, err, "did you mean SUANPAN_TEMPORAL_ADDRESS?")
	})
	t.Run("no checkout", func(t *testing.T) {
		t.Parallel()
		_, err := devstack.FindRoot(t.TempDir())
		require.ErrorContains(t, err, "not inside a checkout")
	})
	t.Run("clean elsewhere", func(t *testing.T) {
		t.Parallel()
		folder := t.TempDir()
		require.ErrorContains(t, devstack.Clean(t.Context(), folder, &bytes.Buffer{}), "nothing was removed")
		require.DirExists(t, folder)
	})
}
