package workflows_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/workflows"
)

func newReplayer(t *testing.T) worker.WorkflowReplayer {
	t.Helper()
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{DataConverter: app.DataConverter()})
	require.NoError(t, err)
	return replayer
}

// recorded lists the histories that the end-to-end tests wrote (go test
// ./internal/e2e -record), by file.
func recorded(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/histories/*.json")
	require.NoError(t, err)
	return files
}

// Today's code goes on with every workflow that an earlier build began. When
// this fails, do not record anew: put the change behind a version gate.
func TestRecordedHistoriesReplay(t *testing.T) {
	t.Parallel()
	for _, file := range recorded(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			replayer := newReplayer(t)
			workflows.Register(replayer)
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(quiet{}, file))
		})
	}
}

func TestEveryWorkflowAndEndIsRecorded(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, file := range recorded(t) {
		parts := strings.Split(filepath.Base(file), "-")
		have[parts[0]+" "+parts[1]] = true
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Less(t, len(text), 64<<10, file)
		for _, secret := range []string{"boss@example", "nobody@example", "PRIVATE KEY", "Bearer"} {
			require.NotContains(t, string(text), secret, file)
		}
	}
	for name := range workflows.Types() {
		require.True(t, strings.Contains(keysOf(have), strings.ToLower(name)+" "), "no history of %s", name)
	}
	for _, end := range []string{"payment succeeded", "payment closed", "payment failed", "payment terminated",
		"refund succeeded", "refund failed", "refund terminated", "withdrawal succeeded", "withdrawal failed", "withdrawal terminated",
		"latepayment completed", "latepayment terminated", "reconciliation balanced", "reconciliation discrepant", "reconciliation failed",
		"reconciliation terminated", "dailyoperations completed", "dailyoperations terminated", "dailyround completed"} {
		require.True(t, have[end], "no history of %s", end)
	}
}

func keysOf(set map[string]bool) string {
	var all strings.Builder
	for key := range set {
		all.WriteString(key + "\n")
	}
	return all.String()
}

// The corpus is worth something: a workflow whose steps were reordered does not
// replay.
func TestReplayCatchesAReorderedStep(t *testing.T) {
	t.Parallel()
	replayer := newReplayer(t)
	replayer.RegisterWorkflowWithOptions(reordered, workflow.RegisterOptions{Name: payment.WorkflowType})
	err := replayer.ReplayWorkflowHistoryFromJSONFile(quiet{}, "testdata/histories/payment-failed-read-prepare.json")
	require.ErrorContains(t, err, "nondeterministic workflow")
	require.ErrorContains(t, err, "ReadPayment")
}

// reordered asks the provider before it has read the row.
func reordered(ctx workflow.Context, in accept.Ref) (activities.PaymentState, error) {
	var state activities.PaymentState
	var a *activities.Payments
	err := workflow.SetUpdateHandler(ctx, workflows.UpdateFirstAnswer, func(ctx workflow.Context) (activities.PaymentState, error) {
		err := workflow.Await(ctx, func() bool { return state.Known() && !state.Preparing() })
		return state, err
	})
	if err != nil {
		return state, err
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 1})
	for _, step := range []any{a.PreparePayment, a.ReadPayment} {
		if err := workflow.ExecuteActivity(ctx, step, in).Get(ctx, &state); err != nil {
			return state, err
		}
	}
	return state, nil
}
