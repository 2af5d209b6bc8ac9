package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
)

// billTries is how often a bill is asked for before a person must look: with
// the pauses of billPatience about two days.
const billTries = 100

// Reconciliation compares one provider day with our books: it waits for the
// bill, keeps it, matches it and books what may be booked without a person.
func Reconciliation(ctx workflow.Context, in accept.Ref) (activities.ReconciliationState, error) {
	var state activities.ReconciliationState
	var a *activities.Reconciliations
	if err := workflow.ExecuteActivity(bookwork(ctx), a.ReadReconciliation, in).Get(ctx, &state); err != nil {
		return state, err
	}
	patience := billPatience()
	for try := 1; !state.Final && !state.Stored; try++ {
		tell(ctx, "Asking %s for the bill.", state.Channel)
		err := workflow.ExecuteActivity(billCall(ctx, state.Channel), a.FetchBill, in).Get(ctx, &state)
		if err != nil {
			return state, err
		}
		if state.Final || state.Stored {
			break
		}
		if state.Refused || try == billTries {
			why := state.Channel + " does not give the bill (" + state.ChannelCode + ")"
			err := workflow.ExecuteActivity(bookwork(ctx), a.GiveUpReconciliation, in, why).Get(ctx, &state)
			return state, err
		}
		tell(ctx, "Waiting for the bill of %s (%s).", state.Channel, state.ChannelCode)
		wait(ctx, patience.next())
	}
	if !state.Final {
		tell(ctx, "Matching the bill of %s with our records.", state.Channel)
		if err := workflow.ExecuteActivity(bookwork(ctx), a.MatchBill, in).Get(ctx, &state); err != nil {
			return state, err
		}
	}
	tell(ctx, "Done: %s, %d differences for a person.", state.Status, state.Open)
	return state, nil
}
