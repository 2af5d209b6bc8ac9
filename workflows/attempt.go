package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
)

// attemptFlow is one attempt of a payment on its way, in a coroutine of its own.
type attemptFlow struct {
	*paymentFlow
	ref accept.Ref
	// now is what is known of it; ended that its row is at its end.
	now   activities.AttemptState
	ended bool
	// code is its provider's last code, note what it does, in words.
	code, note string
	// told counts what only this attempt has to hear, heard all that it has.
	told, heard int
	// asked: its provider was asked to close it since no payer is wanted any more.
	asked    bool
	patience patience
}

// run drives the attempt to its end, or until the flow leaves.
func (f *attemptFlow) run(ctx workflow.Context) error {
	for !f.ended && !f.leaving {
		if err := f.advance(ctx); err != nil {
			return err
		}
	}
	return nil
}

// advance takes the next step, and waits where there is something to wait for.
func (f *attemptFlow) advance(ctx workflow.Context) error {
	switch {
	case f.now.ByCode && f.now.SentAt.IsZero():
		return f.payByCode(ctx)
	case f.now.ByCode:
		return f.askUntilUndone(ctx)
	case f.now.Preparing && !f.unwanted() && !f.state.Expired:
		return f.prepare(ctx)
	case f.now.Preparing && !f.unwanted():
		return f.queryAndClose(ctx)
	case f.unwanted() && !f.asked:
		return f.closeUnwanted(ctx)
	}
	return f.awaitPayer(ctx)
}

// unwanted: the payment wants no payer any more, because another attempt has won
// or because the tenant wants it ended.
func (f *attemptFlow) unwanted() bool { return f.state.Unwanted() }

// prepare asks the provider for what the payer needs. The call may be resent
// identically, so an unknown outcome is answered by the same call after a pause,
// until the payer's time is over.
func (f *attemptFlow) prepare(ctx workflow.Context) error {
	f.say(ctx, "Asking "+f.now.Channel+" to prepare the trade.")
	var a *activities.Payments
	if err := f.step(ctx, a.PrepareAttempt); err != nil || f.ended || !f.now.Preparing {
		return err
	}
	if f.state.Expired || f.unwanted() {
		return nil
	}
	f.say(ctx, f.now.Channel+" gave no usable answer ("+f.code+"); asking again.")
	f.wait(ctx, f.patience.next())
	return nil
}

// awaitPayer waits for the payer, asks the provider, and closes the attempt when
// the payer's time is over.
func (f *attemptFlow) awaitPayer(ctx workflow.Context) error {
	f.sayWaiting(ctx)
	f.wait(ctx, f.patience.next())
	if f.leaving || f.unwanted() && !f.asked {
		return nil
	}
	return f.queryAndClose(ctx)
}

// queryAndClose asks the provider and books what it says; after the payer's time
// it closes the attempt. A payer who was faster is found by the next query.
func (f *attemptFlow) queryAndClose(ctx workflow.Context) error {
	var a *activities.Payments
	if err := f.step(ctx, a.QueryAttempt); err != nil || f.ended || !f.state.Expired {
		return err
	}
	f.say(ctx, "The payer's time is over; closing at "+f.now.Channel+".")
	if err := f.step(ctx, a.CloseAttempt); err != nil || f.ended || !f.now.Preparing {
		return err
	}
	f.wait(ctx, f.patience.next())
	return nil
}

// closeUnwanted asks the provider to accept no payer, without waiting for the
// payer's time to be over. A payer who was faster is found by the query after it.
// A provider that has not seen the trade yet may still see it: the attempt then
// stays until its time is over, and whatever comes by it is given back.
func (f *attemptFlow) closeUnwanted(ctx workflow.Context) error {
	f.say(ctx, "No payer is wanted any more; closing at "+f.now.Channel+".")
	var a *activities.Payments
	if err := f.step(ctx, a.CloseAttempt); err != nil || f.ended {
		return err
	}
	if f.now.Unseen {
		f.asked, f.patience = true, payerPatience()
		return nil
	}
	if err := f.step(ctx, a.QueryAttempt); err != nil || f.ended {
		return err
	}
	f.wait(ctx, f.patience.next())
	return nil
}

// payByCode takes the money by the code on the payer's phone, or drops the code
// if no payer is wanted. An error says nothing about the money: the row tells
// whether the call may have been made.
func (f *attemptFlow) payByCode(ctx workflow.Context) error {
	var a *activities.Payments
	if f.unwanted() || f.state.Expired {
		return f.step(ctx, a.UndoAttempt)
	}
	f.say(ctx, "Taking the money by the payer's code at "+f.now.Channel+".")
	err := f.learn(ctx, workflow.ExecuteActivity(movingCall(ctx, f.now.Channel), a.PayByCode, f.ref))
	if err == nil {
		return nil
	}
	return f.look(ctx)
}

// askUntilUndone asks what became of the code for as long as the provider wants
// it, then has it undone until that is certain.
func (f *attemptFlow) askUntilUndone(ctx workflow.Context) error {
	var a *activities.Payments
	rhythm := rhythmOfCodes(f.now.Channel)
	left := f.now.SentAt.Add(rhythm.atMost).Sub(workflow.Now(ctx))
	if left > 0 && !f.unwanted() && !f.now.Undoing {
		f.say(ctx, "Waiting for the payer to confirm on the phone at "+f.now.Channel+" ("+f.code+").")
		f.wait(ctx, min(rhythm.every, left))
		if f.leaving {
			return nil
		}
		return f.step(ctx, a.QueryAttempt)
	}
	if !f.now.Undoing {
		if err := f.step(ctx, a.QueryAttempt); err != nil || f.ended {
			return err
		}
	}
	f.say(ctx, "The code was not confirmed in time; having it undone at "+f.now.Channel+" ("+f.code+").")
	if err := f.step(ctx, a.UndoAttempt); err != nil || f.ended {
		return err
	}
	f.wait(ctx, f.patience.next())
	return nil
}

// step takes a step of this attempt at its provider.
func (f *attemptFlow) step(ctx workflow.Context, step any) error {
	return f.learn(ctx, workflow.ExecuteActivity(channelCall(ctx, f.now.Channel), step, f.ref))
}

// look reads the row without asking the provider.
func (f *attemptFlow) look(ctx workflow.Context) error {
	var a *activities.Payments
	return f.learn(ctx, workflow.ExecuteActivity(bookwork(ctx), a.ReadPayment, f.in))
}

// learn waits for a step and takes over what it says of this attempt.
func (f *attemptFlow) learn(ctx workflow.Context, step workflow.Future) error {
	state, err := f.paymentFlow.learn(ctx, step)
	if err != nil {
		return err
	}
	now, live := state.Attempt(f.ref.ID)
	f.ended, f.code = !live, state.ChannelCode
	if live {
		f.now = now
	}
	return nil
}

// wait returns after pause, or as soon as there is something new for this attempt.
func (f *attemptFlow) wait(ctx workflow.Context, pause time.Duration) {
	unwanted, expired := f.unwanted(), f.state.Expired
	_, _ = workflow.AwaitWithTimeout(ctx, pause, func() bool {
		return f.leaving || f.news+f.told > f.heard || f.unwanted() != unwanted || f.state.Expired != expired
	})
	f.heard = f.news + f.told
}

func (f *attemptFlow) say(ctx workflow.Context, note string) {
	f.note = note
	f.tell(ctx)
}

func (f *attemptFlow) sayWaiting(ctx workflow.Context) {
	switch {
	case f.code == channel.CodeMismatch:
		f.say(ctx, "STOPPED: the answer of "+f.now.Channel+" contradicts our order. Nothing is booked; look at it.")
	case f.unwanted():
		f.say(ctx, "No payer is wanted any more; "+f.now.Channel+" has not seen one yet, who may come until "+
			f.state.ExpiresAt.Format(time.RFC3339)+".")
	default:
		f.say(ctx, "Waiting for the payer, who may pay at "+f.now.Channel+" until "+f.state.ExpiresAt.Format(time.RFC3339)+".")
	}
}
