package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
)

// movingSteps are the activities of one kind of money movement at a provider.
// All take the object's accept.Ref and answer with an activities.MovingState.
type movingSteps struct {
	// look reads the row.
	look any
	// send moves the money; its second argument allows to send what was sent before.
	send any
	// query asks the provider by our number and books what it says.
	query any
	// refuse commits a refusal, after asking the provider once more.
	refuse any
	// redirect sends abnormal money where the tenant said; nil where there is none.
	redirect any
}

// movingFlow is money on its way through a provider: sent once, then asked about
// until known. It is sent again only when the provider twice did not know the
// number, and then identically. While the outcome is unknown nothing is
// released, undone or called failed.
type movingFlow struct {
	in       accept.Ref
	noun     string
	steps    movingSteps
	state    activities.MovingState
	notified workflow.ReceiveChannel
	patience patience
	unseen   int
	// asked wakes the flow when a destination was asked for; redirects counts those
	// that were sent.
	asked     workflow.Channel
	redirects int
}

// unseenBeforeResend is how many queries in a row must find nothing before the
// identical order is sent again: the first may have overtaken the order itself.
const unseenBeforeResend = 2

func runMoving(ctx workflow.Context, noun string, in accept.Ref, steps movingSteps) (activities.MovingState, error) {
	f := &movingFlow{
		in:       in,
		noun:     noun,
		steps:    steps,
		notified: workflow.GetSignalChannel(ctx, SignalNotified),
		patience: movingPatience(),
		asked:    workflow.NewBufferedChannel(ctx, 1),
	}
	err := workflow.SetUpdateHandler(ctx, UpdateFirstAnswer, f.firstAnswer)
	if err == nil && steps.redirect != nil {
		err = workflow.SetUpdateHandler(ctx, UpdateRedirected, f.redirected)
	}
	if err != nil {
		return f.state, err
	}
	if err := f.run(ctx); err != nil {
		return f.state, err
	}
	return f.state, workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
}

func (f *movingFlow) run(ctx workflow.Context) error {
	if err := workflow.ExecuteActivity(bookwork(ctx), f.steps.look, f.in).Get(ctx, &f.state); err != nil {
		return err
	}
	if !f.state.Final {
		f.send(ctx, false)
	}
	for !f.state.Final {
		if err := f.advance(ctx); err != nil {
			return err
		}
		if !f.state.Final && workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return goOnInNewRun(ctx, f.in)
		}
	}
	tell(ctx, "Done: the %s is %s.", f.noun, f.state.Status)
	return nil
}

// advance takes the one step that the last answer calls for.
func (f *movingFlow) advance(ctx workflow.Context) error {
	switch {
	case f.state.Redirect:
		f.redirect(ctx)
		return nil
	case f.state.Outcome == activities.Refused:
		tell(ctx, "%s refused (%s); asking once more before the %s fails.", f.state.Channel, f.state.ChannelCode, f.noun)
		return f.do(ctx, f.steps.refuse, f.in, f.state)
	case f.state.Outcome == activities.NotFound && f.unseen >= unseenBeforeResend:
		f.unseen = 0
		tell(ctx, "%s does not know the order; sending it again under the same number.", f.state.Channel)
		f.send(ctx, true)
		return nil
	default:
		tell(ctx, "Waiting for %s: %s (%s).", f.state.Channel, f.state.Outcome, f.state.ChannelCode)
		wait(ctx, f.patience.next(), f.notified, f.asked)
		return f.do(ctx, f.steps.query, f.in)
	}
}

// send moves the money. An error says nothing about the money, so it counts as
// an unknown outcome.
func (f *movingFlow) send(ctx workflow.Context, again bool) {
	tell(ctx, "Sending the %s to %s.", f.noun, f.state.Channel)
	before := f.state
	err := workflow.ExecuteActivity(movingCall(ctx, f.state.Channel), f.steps.send, f.in, again).Get(ctx, &f.state)
	if err != nil {
		f.state = before
		f.state.Outcome = activities.Unknown
		f.state.ChannelCode = "no result of the step"
	}
}

// redirect sends the money where the tenant said, under the same number. An error
// says nothing about the money.
func (f *movingFlow) redirect(ctx workflow.Context) {
	tell(ctx, "Telling %s where else the money goes.", f.state.Channel)
	before := f.state
	err := workflow.ExecuteActivity(movingCall(ctx, f.state.Channel), f.steps.redirect, f.in).Get(ctx, &f.state)
	if err != nil {
		f.state = before
		f.state.Outcome, f.state.ChannelCode, f.state.Redirect = activities.Unknown, "no result of the step", false
	}
	f.patience = movingPatience()
	f.redirects++
}

// redirected wakes the flow, which finds in the row what was asked for, and returns
// once that was sent.
func (f *movingFlow) redirected(ctx workflow.Context) (activities.MovingState, error) {
	before := f.redirects
	f.asked.SendAsync(true)
	err := workflow.Await(ctx, func() bool { return f.state.Final || f.redirects > before })
	return f.state, err
}

func (f *movingFlow) do(ctx workflow.Context, step any, args ...any) error {
	err := workflow.ExecuteActivity(channelCall(ctx, f.state.Channel), step, args...).Get(ctx, &f.state)
	if err != nil {
		return err
	}
	if f.state.Outcome == activities.NotFound {
		f.unseen++
	} else {
		f.unseen = 0
	}
	return nil
}

// firstAnswer returns once the provider has answered for the first time.
func (f *movingFlow) firstAnswer(ctx workflow.Context) (activities.MovingState, error) {
	err := workflow.Await(ctx, func() bool { return f.state.Final || f.state.Outcome != "" })
	return f.state, err
}
