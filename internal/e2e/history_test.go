package e2e_test

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/worker"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/workflows"
)

// record keeps histories for the replay corpus: of every workflow, every end and
// every order of its steps that these tests bring about, the first is written.
//
//	rm -r workflows/testdata/histories && go test ./internal/e2e -record
var record = flag.Bool("record", false, "write the histories of this run into workflows/testdata/histories")

const corpus = "../../workflows/testdata/histories"

// replayAll replays the history of every workflow that ran, as a worker would
// that takes it over.
func (w *world) replayAll() {
	w.Helper()
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{DataConverter: app.DataConverter()})
	require.NoError(w, err)
	workflows.Register(replayer)
	for _, run := range w.runs() {
		history := w.history(run.workflowID, run.runID)
		require.NoError(w, replayer.ReplayWorkflowHistory(nil, history), "%s, which is %s", run.workflowID, run.status)
		if *record && run.status != "Running" {
			w.keep(run, history)
		}
	}
}

// workflowRun is one run of a workflow.
type workflowRun struct{ workflowType, workflowID, runID, status string }

func (w *world) runs() []workflowRun {
	w.Helper()
	var list []workflowRun
	request := &workflowservice.ListWorkflowExecutionsRequest{Namespace: w.core.TemporalNamespace}
	for {
		page, err := w.temporal.ListWorkflow(w.ctx, request)
		require.NoError(w, err)
		for _, e := range page.Executions {
			list = append(list, workflowRun{e.Type.Name, e.Execution.WorkflowId, e.Execution.RunId, e.Status.String()})
		}
		if len(page.NextPageToken) == 0 {
			return list
		}
		request.NextPageToken = page.NextPageToken
	}
}

func (w *world) history(workflowID, runID string) *historypb.History {
	w.Helper()
	var history historypb.History
	events := w.temporal.GetWorkflowHistory(w.ctx, workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(w, err)
		history.Events = append(history.Events, event)
	}
	return &history
}

// keep writes a history as <workflow>-<end>-<steps>.json unless it is there.
func (w *world) keep(run workflowRun, history *historypb.History) {
	w.Helper()
	name := strings.ToLower(strings.Join([]string{run.workflowType, end(run, history), steps(history)}, "-"))
	require.NoError(w, os.MkdirAll(corpus, 0o755))
	file, err := os.OpenFile(filepath.Join(corpus, name+".json"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return
	}
	require.NoError(w, err)
	text, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(history)
	require.NoError(w, err)
	_, err = file.Write(append(anonymise(text), '\n'))
	require.NoError(w, errors.Join(err, file.Close()))
}

// end is the status in the workflow's result, or how the run ended.
func end(run workflowRun, history *historypb.History) string {
	last := history.Events[len(history.Events)-1].GetWorkflowExecutionCompletedEventAttributes()
	var result struct {
		Status  string
		Settled bool
	}
	if last == nil {
		return run.status
	}
	for _, payload := range last.GetResult().GetPayloads() {
		_ = json.Unmarshal(payload.Data, &result) // a number has no status
	}
	if result.Status != "" {
		return result.Status
	}
	return run.status
}

// steps names the activities in their order, repetitions left out.
func steps(history *historypb.History) string {
	var list []string
	for _, event := range history.Events {
		if scheduled := event.GetActivityTaskScheduledEventAttributes(); scheduled != nil {
			list = append(list, verb(scheduled.ActivityType.Name))
		}
	}
	list = slices.Compact(list)
	if len(list) == 0 {
		return "nothing"
	}
	if len(list) > 8 {
		list = append(list[:8], "and-so-on")
	}
	return strings.Join(list, "-")
}

// verb is the first word of an activity's name.
func verb(activity string) string {
	for i, letter := range activity {
		if i > 0 && letter >= 'A' && letter <= 'Z' {
			return activity[:i]
		}
	}
	return activity
}

// anonymise takes the names of machines and processes out of a history.
func anonymise(history []byte) []byte {
	history = regexp.MustCompile(`"identity": "[^"]*"`).ReplaceAll(history, []byte(`"identity": "a process"`))
	return regexp.MustCompile(`"name": "[^"]*:[0-9a-f-]{36}"`).ReplaceAll(history, []byte(`"name": "a worker's own"`))
}
