package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// sleeper is a process that is up as long as it runs and open says so.
func sleeper(name string, open *atomic.Bool, needs ...*process) *process {
	return &process{name: name, kind: "worker", needs: needs,
		command: func() (*exec.Cmd, os.Signal) { return exec.Command("sleep", "1000"), syscall.SIGTERM },
		ready: func(context.Context) error {
			if open != nil && !open.Load() {
				return errors.New("not yet")
			}
			return nil
		}}
}

func supervised(t *testing.T) *stack {
	t.Helper()
	s := newStack(t.TempDir())
	require.NoError(t, os.MkdirAll(s.path("log"), 0o755))
	t.Cleanup(s.down)
	return s
}

func TestWhatIsKilledIsStartedAgainAtOnce(t *testing.T) {
	t.Parallel()
	s := supervised(t)
	p := sleeper("worker-1", nil)
	require.NoError(t, s.add(t.Context(), p))
	first := p.pid()
	require.NoError(t, p.kill())
	require.False(t, p.isUp(), "from the moment of the kill")
	require.NoError(t, s.awaitUp(t.Context()))
	require.NotEqual(t, first, p.pid())
	require.Len(t, p.recoveries, 1)
	require.ErrorIs(t, syscall.Kill(first, 0), syscall.ESRCH)

	last := p.pid()
	s.down()
	require.ErrorIs(t, syscall.Kill(last, 0), syscall.ESRCH)
	require.Error(t, p.kill(), "nothing runs that could be killed")
}

func TestAProcessStartsAfterWhatItNeeds(t *testing.T) {
	t.Parallel()
	s := supervised(t)
	var open atomic.Bool
	open.Store(true)
	base := sleeper("postgres", &open)
	require.NoError(t, s.add(t.Context(), base))
	above := sleeper("worker-1", nil, base)
	require.NoError(t, s.add(t.Context(), above))

	open.Store(false)
	require.NoError(t, base.kill())
	require.NoError(t, above.kill())
	require.Eventually(t, func() bool { return above.pid() == 0 }, wait, tick)
	require.Never(t, func() bool { return above.pid() != 0 }, 20*lookEvery, tick, "its database does not answer yet")
	open.Store(true)
	require.NoError(t, s.awaitUp(t.Context()))
	require.NotZero(t, above.pid())
}

// Only what is up and in the middle of something can be hit.
func TestAFaultWaitsForWorkInFlight(t *testing.T) {
	t.Parallel()
	l := newLink("worker-1→postgres", "worker-1", "postgres", postgres)
	f := &field{platform: &platform{stack: supervised(t), net: &proxies{ways: []*way{{link: l}}}}, load: &load{caller: &caller{
		inFlight: []map[string]int{{"createPayment": 1}, {}}}}}
	p := sleeper("worker-1", nil)
	require.Empty(t, f.inFlight(p), "it is not up")
	require.NoError(t, f.platform.add(t.Context(), p))
	require.Empty(t, f.inFlight(p), "it does nothing")
	c := l.enter(true)
	c.read(append(message('C', "INSERT 0 1\x00"), message('Z', "T")...))
	require.Equal(t, []string{"worker-1→postgres: a transaction that wrote"}, f.inFlight(p))

	for name, want := range map[string]int{"api-1": 1, "api-2": 0} {
		api := sleeper(name, nil)
		api.kind = "api"
		require.NoError(t, f.platform.add(t.Context(), api))
		require.Len(t, f.inFlight(api), want, name)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := awaitFlight(ended, func() []string { return nil })
	require.ErrorIs(t, err, errIdle)
}
