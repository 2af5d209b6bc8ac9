//go:build chaos

package failpoint_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/failpoint"
)

// TestMain is also the process that is to die: two attempts that commit twice.
func TestMain(m *testing.M) {
	if os.Getenv(failpoint.VariableMarker) == "" {
		os.Exit(m.Run())
	}
	ctx := failpoint.Load(context.Background(), os.Environ())
	failpoint.At(ctx, failpoint.Begin) // outside any scope, hence nowhere
	for range 2 {
		attempt := failpoint.Scope(ctx, "QueryAttempt")
		failpoint.Pass(attempt, failpoint.Command)
		failpoint.At(attempt, failpoint.BeforeCommit)
		failpoint.At(attempt, failpoint.BeforeCommit)
		failpoint.At(attempt, failpoint.Command)
	}
}

func TestAProcessDiesAtTheNamedVisitAndOnlyOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	record, marker := filepath.Join(dir, "record"), filepath.Join(dir, "marker")
	run := func() error {
		self := exec.CommandContext(t.Context(), os.Args[0])
		self.Env = append(os.Environ(), failpoint.VariableRecord+"="+record, failpoint.VariableMarker+"="+marker,
			failpoint.VariableKill+"=QueryAttempt/commit.before#2")
		return self.Run()
	}
	recorded := func() []string {
		text, err := os.ReadFile(record)
		require.NoError(t, err)
		return strings.Fields(string(text))
	}
	var died *exec.ExitError
	require.True(t, errors.As(run(), &died))
	status, ok := died.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGKILL, status.Signal())
	require.Equal(t, []string{"QueryAttempt/commit.before#1", "QueryPayment/commit.before#2"}, recorded())
	require.FileExists(t, marker)

	require.NoError(t, os.Remove(record))
	require.NoError(t, run(), "the kill has happened")
	attempt := []string{"QueryAttempt/commit.before#1", "QueryPayment/commit.before#2", "QueryPayment/command#2"}
	require.Equal(t, append(attempt, attempt...), recorded(), "every attempt counts anew, what was replayed included")
}

func TestWithoutVariablesNothingIsVisited(t *testing.T) {
	t.Parallel()
	ctx := failpoint.Load(t.Context(), []string{"PATH=/bin"})
	require.Equal(t, t.Context(), ctx)
	require.Equal(t, ctx, failpoint.Scope(ctx, "QueryAttempt"))
	failpoint.At(ctx, failpoint.Begin)
}
