package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
)

// Withdrawal drives the withdrawal named by in from whatever state its row is in
// to succeeded or failed: the held money is in transit once the provider took
// the order, gone once the payee has it, and back with the merchant after a
// refusal that a query confirmed.
func Withdrawal(ctx workflow.Context, in accept.Ref) (activities.MovingState, error) {
	var a *activities.Withdrawals
	return runMoving(ctx, "withdrawal", in, movingSteps{
		look:   a.ReadWithdrawal,
		send:   a.SendWithdrawal,
		query:  a.QueryWithdrawal,
		refuse: a.RefuseWithdrawal,
	})
}
