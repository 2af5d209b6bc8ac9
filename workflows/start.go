package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/refund"
)

// Starter starts workflows and tells them news. It is safe for concurrent use.
type Starter struct{ Client client.Client }

// FirstAnswerWait is how long an API call waits for the workflow's first answer.
const FirstAnswerWait = 3 * time.Second

func options(s accept.Start) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:        s.WorkflowID,
		TaskQueue: Queue,
		// A run that was terminated, cancelled or failed may be started again; one
		// that completed may not, and one that runs is used.
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		TypedSearchAttributes:    searchAttributes(s),
		StaticSummary:            s.Attributes.BusinessID,
	}
}

// Start makes s run. A workflow that runs already, or that has completed, is
// left alone and is no error.
func (w Starter) Start(ctx context.Context, s accept.Start) error {
	_, err := w.Client.ExecuteWorkflow(ctx, options(s), s.Type, s.Ref)
	return unlessStarted(s.WorkflowID, err)
}

// FirstAnswer starts s if need be and waits up to FirstAnswerWait until the
// workflow has something to tell; one that never tells anything is only started.
// about narrows it for a payment: the id of an attempt, or AboutEnd; for a refund:
// what asks for another destination; AboutDecision only wakes it.
// It reports false when there was no answer in time; the workflow runs or will
// be started by the sweeper.
func (w Starter) FirstAnswer(ctx context.Context, s accept.Start, about string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, FirstAnswerWait)
	defer cancel()
	if about == AboutDecision {
		err := w.Signal(ctx, s, SignalNotified, "")
		return err == nil, err
	}
	if !answersFirst(s.Type) {
		err := w.Start(ctx, s)
		return err == nil, err
	}
	update := client.UpdateWorkflowOptions{
		UpdateID:     "first-answer",
		UpdateName:   UpdateFirstAnswer,
		WaitForStage: client.WorkflowUpdateStageCompleted,
	}
	if s.Type == payment.WorkflowType {
		update.Args = []any{about}
	}
	if s.Type == refund.WorkflowType && about != "" {
		update.UpdateName = UpdateRedirected
	}
	if about != AboutPayment {
		update.UpdateID += "/" + about
	}
	handle, err := w.Client.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: w.Client.NewWithStartWorkflowOperation(options(s), s.Type, s.Ref),
		UpdateOptions:          update,
	})
	if err == nil {
		err = handle.Get(ctx, nil)
	}
	if ctx.Err() != nil {
		return false, nil
	}
	if err = unlessStarted(s.WorkflowID, err); err != nil {
		return false, err
	}
	return true, nil
}

// answersFirst reports whether a workflow of this type handles UpdateFirstAnswer.
func answersFirst(workflowType string) bool {
	switch workflowType {
	case payment.WorkflowType, refund.WorkflowType, payout.WorkflowType:
		return true
	}
	return false
}

// Signal tells the workflow of s that something happened, starting it if it does
// not run. about is the id of an attempt, or empty. A workflow that has completed
// needs no news.
func (w Starter) Signal(ctx context.Context, s accept.Start, signal, about string) error {
	_, err := w.Client.SignalWithStartWorkflow(ctx, s.WorkflowID, signal, about, options(s), s.Type, s.Ref)
	return unlessStarted(s.WorkflowID, err)
}

func unlessStarted(workflowID string, err error) error {
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if err == nil || errors.As(err, &started) || temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return nil
	}
	return fmt.Errorf("start workflow %s: %w", workflowID, err)
}
