package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
)

// looksForLateMoney is how often a provider must say that no money arrived before
// that is believed: with the pauses of movingPatience about two and a half
// minutes, because a provider's query may lag behind its notification.
const looksForLateMoney = 9

// LatePayment looks into a notification that says a closed payment was paid. If
// the provider confirms it, the money is booked and its refund accepted; the
// payment itself stays closed.
func LatePayment(ctx workflow.Context, in accept.Ref) (activities.LateState, error) {
	notified := workflow.GetSignalChannel(ctx, SignalNotified)
	patience := movingPatience()
	var state activities.LateState
	var a *activities.Payments
	if err := workflow.ExecuteActivity(bookwork(ctx), a.ReadLatePayment, in).Get(ctx, &state); err != nil {
		return state, err
	}
	for notPaid := 0; !state.Settled; {
		tell(ctx, "Asking %s whether the closed payment was paid.", state.Channel)
		err := workflow.ExecuteActivity(channelCall(ctx, state.Channel), a.BookLatePayment, in).Get(ctx, &state)
		if err != nil {
			return state, err
		}
		if state.NotPaid {
			notPaid++
		}
		if notPaid == looksForLateMoney {
			state.Settled = true
		}
		if !state.Settled {
			tell(ctx, "Waiting for %s: no money yet (%s).", state.Channel, state.ChannelCode)
			wait(ctx, patience.next(), notified)
		}
		if !state.Settled && workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return state, goOnInNewRun(ctx, in)
		}
	}
	if state.RefundID == "" {
		tell(ctx, "Done: %s says that the closed payment was not paid.", state.Channel)
		return state, nil
	}
	tell(ctx, "Done: refund %s gives the money back.", state.RefundID)
	return state, nil
}
