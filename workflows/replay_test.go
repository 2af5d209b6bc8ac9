package workflows_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/internal/telemetry"
	"github.com/suanpan/suanpan/internal/telemetry/temporaltrace"
	"github.com/suanpan/suanpan/internal/telemetry/tracetest"
	"github.com/suanpan/suanpan/workflows"
)

var histories = flag.String("histories", "", "replay the histories of this folder too, as `starter replay --save` writes them")

func newReplayer(t *testing.T, with ...interceptor.WorkerInterceptor) worker.WorkflowReplayer {
	t.Helper()
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{Interceptors: with})
	require.NoError(t, err)
	return replayer
}

// recorded lists the histories that the end-to-end tests wrote (go test
// ./internal/e2e -record), by file.
func recorded(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/histories/*.json")
	require.NoError(t, err)
	if *histories != "" {
		more, err := filepath.Glob(filepath.Join(*histories, "*.json"))
		require.NoError(t, err)
		require.NotEmpty(t, more, "no histories in %s", *histories)
		files = append(files, more...)
	}
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

// Traces change no history, and a replay is not told as if it were work.
func TestRecordedHistoriesReplayWithTraces(t *testing.T) {
	t.Parallel()
	collector := tracetest.New(t)
	traces, err := telemetry.NewTraces(telemetry.TraceOptions{Service: "test", Endpoint: collector.URL, Ratio: 1},
		telemetry.New().Spans, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	traced := temporaltrace.Interceptors(traces, func(error) string { return "" })[0].(interceptor.WorkerInterceptor)
	for _, file := range recorded(t) {
		replayer := newReplayer(t, traced)
		workflows.Register(replayer)
		require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(quiet{}, file), file)
	}
	_, control := traces.Tracer().Start(t.Context(), "control")
	control.End()
	traces.Close()
	require.Equal(t, []string{"control"}, tracetest.Paths(collector.Spans(), tracetest.None))
}

// The corpus has every workflow that is registered, in every end that its object
// can have, and terminated in the middle. A new workflow or a new final status
// needs a recorded history: make histories.
func TestEveryWorkflowAndEndIsRecorded(t *testing.T) {
	t.Parallel()
	have := map[string]int{}
	for _, file := range recorded(t) {
		parts := strings.Split(filepath.Base(file), "-")
		have[parts[0]+" "+parts[1]]++
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Less(t, len(text), 64<<10, file)
		for _, secret := range []string{"boss@example", "nobody@example", "PRIVATE KEY", "Bearer"} {
			require.NotContains(t, string(text), secret, file)
		}
	}
	ends := endsOfWorkflows(t)
	for name := range workflows.Types() {
		require.NotEmpty(t, ends[name], "say in endsOfWorkflows how %s can end", name)
		for _, end := range ends[name] {
			n := have[strings.ToLower(name)+" "+end]
			t.Logf("%-16s %-12s %d", name, end, n)
			require.NotZero(t, n, "no history of a %s that ended %s", name, end)
		}
	}
}

// endsOfWorkflows are the final statuses that core declares, and the ends of the
// workflows that have no status of their own.
func endsOfWorkflows(t *testing.T) map[string][]string {
	t.Helper()
	finals := func(dir, kind string, final func(string) bool) []string {
		all := statuses(t, filepath.Join("../core", dir), kind)
		require.NotEmpty(t, all, "core/%s has no constants of type %s", dir, kind)
		ends := slices.DeleteFunc(all, func(s string) bool { return !final(s) })
		return append(ends, "terminated")
	}
	return map[string][]string{
		payment.WorkflowType: finals("payment", "Status", func(s string) bool { return payment.Status(s).Final() }),
		refund.WorkflowType:  finals("refund", "Status", func(s string) bool { return !refund.Status(s).Open() }),
		// What comes back later is found by looks of their own.
		payout.WorkflowType: finals("payout", "Status", func(s string) bool {
			return payout.Status(s) != payout.Processing && payout.Status(s) != payout.Returned
		}),
		payout.ReturnWorkflowType: {"returned", "standing", "terminated"},
		refund.ReturnWorkflowType: {"returned", "standing", "terminated"},
		recon.WorkflowType:        finals("recon", "Status", func(s string) bool { return recon.Status(s) != recon.Processing }),
		// Late money is given back, or there was none; a day and a round have one end.
		payment.LateWorkflowType: {"refunded", "unpaid", "terminated"},
		recon.DailyWorkflowType:  {"completed", "terminated"},
		workflows.DailyRoundType: {"completed"},
	}
}

// statuses are the values of the constants of one type, read from the source.
func statuses(t *testing.T, dir, kind string) (values []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != kind {
				return true
			}
			for _, value := range spec.Values {
				if literal, ok := value.(*ast.BasicLit); ok {
					text, err := strconv.Unquote(literal.Value)
					require.NoError(t, err)
					values = append(values, text)
				}
			}
			return true
		})
	}
	return values
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
	err := workflow.SetUpdateHandler(ctx, workflows.UpdateFirstAnswer, func(ctx workflow.Context, _ string) (activities.PaymentState, error) {
		err := workflow.Await(ctx, func() bool { return state.Known() && !state.Preparing() })
		return state, err
	})
	if err != nil {
		return state, err
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 1})
	for _, step := range []any{a.PrepareAttempt, a.ReadPayment} {
		if err := workflow.ExecuteActivity(ctx, step, in).Get(ctx, &state); err != nil {
			return state, err
		}
	}
	return state, nil
}
