package app

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/suanpan/suanpan/internal/payload"
)

// HistoryRun is one run of a workflow, whose history can be read.
type HistoryRun struct{ Type, WorkflowID, RunID, Status string }

// Histories hands over the history of every run that the query finds in the
// namespace, decrypted by codec; the empty query finds all. It ends with the first
// error of each.
func Histories(
	ctx context.Context, c client.Client, codec converter.PayloadCodec, namespace, query string,
	each func(HistoryRun, *historypb.History) error,
) error {
	request := &workflowservice.ListWorkflowExecutionsRequest{Namespace: namespace, Query: query}
	for {
		page, err := c.ListWorkflow(ctx, request)
		if err != nil {
			return fmt.Errorf("list the workflows of %s: %w", namespace, err)
		}
		for _, e := range page.Executions {
			run := HistoryRun{e.Type.Name, e.Execution.WorkflowId, e.Execution.RunId, e.Status.String()}
			history, err := HistoryOf(ctx, c, codec, run)
			if err != nil {
				return err
			}
			if err := each(run, history); err != nil {
				return err
			}
		}
		if len(page.NextPageToken) == 0 {
			return nil
		}
		request.NextPageToken = page.NextPageToken
	}
}

// HistoryOf reads the whole history of a run, decrypted by codec.
func HistoryOf(
	ctx context.Context, c client.Client, codec converter.PayloadCodec, run HistoryRun,
) (*historypb.History, error) {
	var history historypb.History
	events := c.GetWorkflowHistory(ctx, run.WorkflowID, run.RunID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return nil, fmt.Errorf("history of %s: %w", run.WorkflowID, err)
		}
		history.Events = append(history.Events, event)
	}
	if err := payload.DecodeHistory(ctx, codec, &history); err != nil {
		return nil, fmt.Errorf("history of %s: %w", run.WorkflowID, err)
	}
	return &history, nil
}

// Noun is the workflow's type in lower case.
func (r HistoryRun) Noun() string { return strings.ToLower(r.Type) }

// End is the status in the workflow's result; without one, what became of late
// money, or how the run ended ("completed", "terminated", "running", …).
func (r HistoryRun) End(history *historypb.History) string {
	end := strings.ToLower(r.Status)
	last := history.Events[len(history.Events)-1].GetWorkflowExecutionCompletedEventAttributes()
	var result struct {
		Status   string
		Settled  bool
		RefundID string `json:"refund_id"`
	}
	for _, p := range last.GetResult().GetPayloads() {
		_ = json.Unmarshal(p.Data, &result) // a number has no status
	}
	switch {
	case result.Status != "":
		return result.Status
	case result.Settled && result.RefundID != "":
		return "refunded"
	case result.Settled:
		return "unpaid"
	}
	return end
}

// CorpusName is the name of a history's file in the replay corpus, of which one
// is kept: <workflow>-<end>-<steps>.json.
func (r HistoryRun) CorpusName(history *historypb.History) string {
	return strings.Join([]string{r.Noun(), r.End(history), steps(history)}, "-") + ".json"
}

// file is the name of a history's own file.
func (r HistoryRun) file(history *historypb.History) string {
	id := regexp.MustCompile(`[^0-9A-Za-z_-]+`).ReplaceAllString(r.WorkflowID, "-")
	return r.Noun() + "-" + r.End(history) + "-" + id + "-" + r.RunID + ".json"
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
	return strings.ToLower(strings.Join(list, "-"))
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

// lastStatus is how a run ended, by its last event.
func lastStatus(history *historypb.History) string {
	kind := history.Events[len(history.Events)-1].EventType.String()
	if rest, ok := strings.CutPrefix(kind, "WorkflowExecution"); ok {
		return rest
	}
	return enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING.String()
}

// anonymise takes the names of machines and processes out of a history.
func anonymise(history []byte) []byte {
	history = regexp.MustCompile(`"identity": "[^"]*"`).ReplaceAll(history, []byte(`"identity": "a process"`))
	return regexp.MustCompile(`"name": "[^"]*:[0-9a-f-]{36}"`).ReplaceAll(history, []byte(`"name": "a worker's own"`))
}
