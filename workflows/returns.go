package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
)

// looksForReturns is how often a provider is asked in one look before it is left to
// the next one, should none of its answers be usable: about five minutes.
const looksForReturns = 11

// WithdrawalReturn finds out whether a withdrawal that was paid has come back from the
// payee's bank; if so, it is booked. One look of several over weeks, each a workflow of
// its own: the row says when the next one is due, so that no timer runs for days.
func WithdrawalReturn(ctx workflow.Context, in accept.Ref) (activities.ReturnState, error) {
	var a *activities.Withdrawals
	return lookForReturn(ctx, "withdrawal", in, a.ReadPaidWithdrawal, a.FindReturnedWithdrawal)
}

// RefundReturn is WithdrawalReturn for a refund, which the payer's bank sends back. What
// came back is driven on by a Refund of its own.
func RefundReturn(ctx workflow.Context, in accept.Ref) (activities.ReturnState, error) {
	var a *activities.Refunds
	return lookForReturn(ctx, "refund", in, a.ReadPaidRefund, a.FindReturnedRefund)
}

func lookForReturn(ctx workflow.Context, noun string, in accept.Ref, read, find any) (activities.ReturnState, error) {
	var state activities.ReturnState
	if err := workflow.ExecuteActivity(bookwork(ctx), read, in).Get(ctx, &state); err != nil {
		return state, err
	}
	patience := movingPatience()
	for look := 1; state.Status == activities.Unclear && look <= looksForReturns; look++ {
		if look > 1 {
			tell(ctx, "Waiting for %s: %s.", state.Channel, state.ChannelCode)
			wait(ctx, patience.next())
		}
		tell(ctx, "Asking %s whether the %s came back.", state.Channel, noun)
		if err := workflow.ExecuteActivity(channelCall(ctx, state.Channel), find, in).Get(ctx, &state); err != nil {
			return state, err
		}
	}
	tell(ctx, "Done: the %s is %s.", noun, state.Status)
	return state, nil
}
