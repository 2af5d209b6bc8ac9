package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
)

// paymentFlow is one payment on its way: prepared at the provider, paid by the
// payer or closed after its time.
type paymentFlow struct {
	in                accept.Ref
	state             activities.PaymentState
	notified, expired workflow.ReceiveChannel
	patience          patience
}

// Payment drives the payment named by in from whatever state its row is in to
// succeeded, closed or failed. Signals only hurry it: it asks the provider
// itself, and a payment whose signals were all lost ends in the same state.
func Payment(ctx workflow.Context, in accept.Ref) (activities.PaymentState, error) {
	f := &paymentFlow{
		in:       in,
		notified: workflow.GetSignalChannel(ctx, SignalNotified),
		expired:  workflow.GetSignalChannel(ctx, SignalExpired),
		patience: payerPatience(),
	}
	err := workflow.SetUpdateHandler(ctx, UpdateFirstAnswer, f.firstAnswer)
	if err != nil {
		return f.state, err
	}
	if err := f.run(ctx); err != nil {
		return f.state, err
	}
	return f.state, workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
}

func (f *paymentFlow) run(ctx workflow.Context) error {
	if err := f.look(ctx); err != nil {
		return err
	}
	for f.state.Preparing() {
		if err := f.prepare(ctx); err != nil {
			return err
		}
	}
	for !f.state.Final {
		f.tellWaiting(ctx)
		f.waitForNews(ctx)
		if err := f.query(ctx); err != nil {
			return err
		}
		if f.state.Expired && !f.state.Final {
			if err := f.close(ctx); err != nil {
				return err
			}
		}
		if !f.state.Final && workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return goOnInNewRun(ctx, f.in)
		}
	}
	tell(ctx, "Done: the payment is %s.", f.state.Status)
	return nil
}

// firstAnswer returns once the payment can be shown to a payer, or is final.
func (f *paymentFlow) firstAnswer(ctx workflow.Context) (activities.PaymentState, error) {
	err := workflow.Await(ctx, func() bool { return f.state.Known() && !f.state.Preparing() })
	return f.state, err
}

// look reads the row, so that a flow started anew goes on where the last one ended.
func (f *paymentFlow) look(ctx workflow.Context) error {
	var a *activities.Payments
	return workflow.ExecuteActivity(bookwork(ctx), a.ReadPayment, f.in).Get(ctx, &f.state)
}

// prepare asks the provider for a QR code. The call may be resent identically,
// so an unknown outcome is answered by the same call after a pause, until the
// payer's time is over.
func (f *paymentFlow) prepare(ctx workflow.Context) error {
	tell(ctx, "Asking %s to prepare the trade.", f.state.Channel)
	var a *activities.Payments
	err := workflow.ExecuteActivity(channelCall(ctx, f.state.Channel), a.PreparePayment, f.in).Get(ctx, &f.state)
	if err != nil || !f.state.Preparing() {
		return err
	}
	tell(ctx, "%s gave no usable answer (%s); asking again.", f.state.Channel, f.state.ChannelCode)
	if f.state.Expired {
		if err := f.query(ctx); err != nil || f.state.Final {
			return err
		}
		return f.close(ctx)
	}
	f.waitForNews(ctx)
	return nil
}

// query asks the provider and books what it says.
func (f *paymentFlow) query(ctx workflow.Context) error {
	var a *activities.Payments
	return workflow.ExecuteActivity(channelCall(ctx, f.state.Channel), a.QueryPayment, f.in).Get(ctx, &f.state)
}

// close ends the payer's time at the provider. It follows a query that came
// after expiry and grace; a payer who was faster is found by the next query.
func (f *paymentFlow) close(ctx workflow.Context) error {
	tell(ctx, "The payer's time is over; closing at %s.", f.state.Channel)
	var a *activities.Payments
	return workflow.ExecuteActivity(channelCall(ctx, f.state.Channel), a.ClosePayment, f.in).Get(ctx, &f.state)
}

func (f *paymentFlow) tellWaiting(ctx workflow.Context) {
	if f.state.ChannelCode == channel.CodeMismatch {
		tell(ctx, "STOPPED: the answer of %s contradicts our order. Nothing is booked; look at it.", f.state.Channel)
		return
	}
	tell(ctx, "Waiting for the payer, who has the QR code until %s.", f.state.ExpiresAt.Format(time.RFC3339))
}

// waitForNews returns when a signal says that something happened, or when it is
// time to ask without being told.
func (f *paymentFlow) waitForNews(ctx workflow.Context) {
	wait(ctx, f.patience.next(), f.notified, f.expired)
}

// goOnInNewRun ends a run whose history has grown long and starts the same
// workflow anew on the same object: all that it knows is in the object's row.
func goOnInNewRun(ctx workflow.Context, in accept.Ref) error {
	err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
	if err != nil {
		return err
	}
	return workflow.NewContinueAsNewError(ctx, workflow.GetInfo(ctx).WorkflowType.Name, in)
}

// wait returns after pause, or as soon as one of the signals arrived; whatever
// has arrived by then is taken, because one look answers all of it.
func wait(ctx workflow.Context, pause time.Duration, signals ...workflow.ReceiveChannel) {
	timerCtx, stop := workflow.WithCancel(ctx)
	defer stop()
	selector := workflow.NewSelector(ctx).
		AddFuture(workflow.NewTimer(timerCtx, pause), func(workflow.Future) {})
	for _, signal := range signals {
		selector.AddReceive(signal, func(workflow.ReceiveChannel, bool) {})
	}
	selector.Select(ctx)
	for _, signal := range signals {
		for signal.ReceiveAsync(nil) {
		}
	}
}
