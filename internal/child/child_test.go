package child_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/child"
)

func shell(script string) *exec.Cmd { return exec.Command("sh", "-c", script) }

func TestStopAsksFirstAndKillsAfterTheGrace(t *testing.T) {
	t.Parallel()
	polite, err := child.Start(child.Options{Cmd: exec.Command("sleep", "1000")})
	require.NoError(t, err)
	require.NoError(t, polite.Stop(10*time.Second))
	require.Error(t, polite.Err(), "ended by a signal")
	require.NoError(t, polite.Stop(time.Second), "a second stop does nothing")

	log := filepath.Join(t.TempDir(), "log")
	deaf, err := child.Start(child.Options{Log: log,
		Cmd: shell("trap '' TERM; echo deaf; while :; do sleep 1000; done")})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		content, _ := os.ReadFile(log)
		return strings.Contains(string(content), "deaf")
	}, 10*time.Second, 10*time.Millisecond)
	require.ErrorContains(t, deaf.Stop(100*time.Millisecond), "was killed")
	require.False(t, deaf.Identity().Alive())
}

func TestIdentityIsOfOneProcessOnly(t *testing.T) {
	t.Parallel()
	process, err := child.Start(child.Options{Cmd: exec.Command("sleep", "1000")})
	require.NoError(t, err)
	id := process.Identity()
	require.True(t, id.Alive())

	other := child.Identity{PID: id.PID, Started: id.Started + "1", Command: id.Command}
	require.False(t, other.Alive(), "the same pid at another time is another process")
	_, ok := child.Adopt(other, nil)
	require.False(t, ok)

	adopted, ok := child.Adopt(id, syscall.SIGTERM)
	require.True(t, ok)
	require.NoError(t, adopted.Stop(10*time.Second))
	<-process.Done()
	require.False(t, id.Alive())
}

func TestAnErrorToStartIsTold(t *testing.T) {
	t.Parallel()
	_, err := child.Start(child.Options{Cmd: exec.Command("/nowhere/program")})
	require.ErrorContains(t, err, "/nowhere/program")
	_, err = child.Start(child.Options{Cmd: exec.Command("true"), Log: "/nowhere/log"})
	require.ErrorContains(t, err, "cannot open the log")
}
