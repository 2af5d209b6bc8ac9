package temporaltest_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/internal/temporaltest"
)

func TestMain(m *testing.M) { os.Exit(temporaltest.With(m).Run()) }

// Both tests use one task queue and one workflow id; each must see only its own.
func TestNamespacesAreApart(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"one", "two"} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			ns := temporaltest.New(t)
			w := worker.New(ns.Client, "queue", worker.Options{})
			w.RegisterWorkflowWithOptions(func(workflow.Context) (string, error) { return answer, nil },
				workflow.RegisterOptions{Name: "Answer"})
			require.NoError(t, w.Start())
			t.Cleanup(w.Stop)

			run, err := ns.Client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
				ID: "same", TaskQueue: "queue", WorkflowExecutionTimeout: time.Minute}, "Answer")
			require.NoError(t, err)
			var got string
			require.NoError(t, run.Get(t.Context(), &got))
			require.Equal(t, answer, got)
		})
	}
}
