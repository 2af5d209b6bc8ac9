package workflows

import (
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/recon"
)

// DailyRound starts the daily operations of every tenant. The Schedule runs it.
func DailyRound(ctx workflow.Context) (int, error) {
	var a *activities.Daily
	var started int
	err := workflow.ExecuteActivity(bookwork(ctx), a.OpenYesterday).Get(ctx, &started)
	tell(ctx, "Started the daily operations of %d tenants.", started)
	return started, err
}

// DailyOperations is a tenant's day after the day: every channel account is
// reconciled, then pending money becomes available. A bill that is late holds
// up its own reconciliation only: money is settled without waiting for it.
func DailyOperations(ctx workflow.Context, in accept.Ref) error {
	var a *activities.Daily
	var days []activities.ChannelDay
	if err := workflow.ExecuteActivity(bookwork(ctx), a.OpenReconciliations, in).Get(ctx, &days); err != nil {
		return err
	}
	var settled int
	if err := workflow.ExecuteActivity(bookwork(ctx), a.SettleDay, in).Get(ctx, &settled); err != nil {
		return err
	}
	children := startReconciliations(ctx, in.Tenant, days)
	for i, child := range children {
		tell(ctx, "Settled %d merchants; waiting for the reconciliation of %s.", settled, days[i].Channel)
		err := child.Get(ctx, nil)
		if startedElsewhere(err) {
			err = watchReconciliation(ctx, accept.Ref{Tenant: in.Tenant, ID: days[i].ReconciliationID})
		}
		if err != nil {
			return err
		}
	}
	tell(ctx, "Done: settled %d merchants, reconciled %d channel accounts.", settled, len(days))
	return workflow.ExecuteActivity(bookwork(ctx), a.FinishDaily, in).Get(ctx, nil)
}

func startReconciliations(ctx workflow.Context, tenantID string, days []activities.ChannelDay) []workflow.ChildWorkflowFuture {
	children := make([]workflow.ChildWorkflowFuture, len(days))
	for i, day := range days {
		start := accept.Start{
			Ref:        accept.Ref{Tenant: tenantID, ID: day.ReconciliationID},
			Attributes: accept.Attributes{BusinessID: day.ReconciliationID, Channel: day.Channel},
		}
		child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
			WorkflowID:            day.WorkflowID,
			WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
			// A reconciliation outlives an operation that is terminated by hand.
			ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
			TypedSearchAttributes: searchAttributes(start),
		})
		children[i] = workflow.ExecuteChildWorkflow(child, recon.WorkflowType, start.Ref)
	}
	return children
}

// watchReconciliation waits, by its row, for a reconciliation whose run is not a
// child of this operation.
func watchReconciliation(ctx workflow.Context, in accept.Ref) error {
	var a *activities.Reconciliations
	for patience := movingPatience(); ; wait(ctx, patience.next()) {
		var state activities.ReconciliationState
		err := workflow.ExecuteActivity(bookwork(ctx), a.ReadReconciliation, in).Get(ctx, &state)
		if err != nil || state.Final {
			return err
		}
	}
}

// startedElsewhere reports that the reconciliation has a run of its own already,
// because this operation was started anew or the sweeper was faster.
func startedElsewhere(err error) bool { return temporal.IsWorkflowExecutionAlreadyStartedError(err) }
