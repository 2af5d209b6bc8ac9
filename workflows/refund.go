package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
)

// Refund drives the refund named by in from whatever state its row is in to
// succeeded or failed. Its money was held when the refund was accepted. When the
// provider took it on and cannot pay it, it waits until the tenant says where the
// money is to go; so it does when the money came back after it was paid.
func Refund(ctx workflow.Context, in accept.Ref) (activities.MovingState, error) {
	var a *activities.Refunds
	return runMoving(ctx, "refund", in, movingSteps{
		look:   a.ReadRefund,
		send:   a.SendRefund,
		query:  a.QueryRefund,
		refuse: a.RefuseRefund,

		redirect: a.RedirectRefund,
	})
}
