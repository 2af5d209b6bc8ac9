package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
)

// paymentFlow is one payment on its way: its attempts, each driven by a coroutine
// of its own so that one slow provider holds up no other, and what is to be done
// about the payment itself.
type paymentFlow struct {
	in accept.Ref
	// state is what was read last; final and cancelling are never taken back.
	state activities.PaymentState
	// driven are the attempts that a coroutine has taken on, by id.
	driven map[string]*attemptFlow
	// running counts those whose coroutine has not ended.
	running int
	// news counts what all attempts have to hear, asked what the payment has to.
	news, asked int
	patience    patience
	// leaving: the coroutines stop, because the flow goes on in a new run or failed.
	leaving bool
	err     error
}

// Payment drives the payment named by in, and every attempt of it, from whatever
// state their rows are in to their ends: the first attempt that is paid wins, the
// others are closed, and what they bring all the same is given back. Signals only
// hurry it: it asks the providers itself, and a payment whose signals were all
// lost ends in the same state.
func Payment(ctx workflow.Context, in accept.Ref) (activities.PaymentState, error) {
	f := &paymentFlow{in: in, driven: map[string]*attemptFlow{}, patience: payerPatience()}
	err := workflow.SetUpdateHandler(ctx, UpdateFirstAnswer, f.firstAnswer)
	if err != nil {
		return f.state, err
	}
	f.listen(ctx)
	if err := f.run(ctx); err != nil {
		return f.state, err
	}
	return f.state, workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
}

func (f *paymentFlow) run(ctx workflow.Context) error {
	var a *activities.Payments
	if err := f.do(ctx, a.ReadPayment); err != nil {
		return err
	}
	for !f.done() {
		f.driveNew(ctx)
		heard := f.asked
		f.tell(ctx)
		if f.ends() {
			if err := f.do(ctx, a.EndPayment); err != nil {
				return err
			}
			continue
		}
		told, err := f.await(ctx, func() bool {
			return f.done() || f.asked > heard || f.ends() || f.hasNew() || f.err != nil || f.isLong(ctx)
		})
		switch {
		case err != nil:
			return err
		case f.err != nil:
			return f.err
		case f.isLong(ctx):
			return f.leave(ctx)
		case f.asked > heard || !told:
			if err := f.do(ctx, a.ReadPayment); err != nil {
				return err
			}
		}
	}
	tell(ctx, "Done: the payment is %s.", f.state.Status)
	return nil
}

// await waits until something is so. With no attempt to hear from, it looks at the
// row now and then: it reports false when it is time to.
func (f *paymentFlow) await(ctx workflow.Context, something func() bool) (bool, error) {
	if f.live() > 0 || f.state.Final {
		return true, workflow.Await(ctx, something)
	}
	return workflow.AwaitWithTimeout(ctx, f.patience.next(), something)
}

// live counts the attempts that are not at their ends. A step that ended late may
// have listed one that another has ended.
func (f *paymentFlow) live() int {
	n := 0
	for _, attempt := range f.state.Live {
		if one := f.driven[attempt.ID]; one == nil || !one.ended {
			n++
		}
	}
	return n
}

// done: the payment and all of its attempts are at their ends.
func (f *paymentFlow) done() bool {
	return f.state.Final && f.running == 0 && !f.hasNew()
}

// ends: no attempt stands in the way of the payment's end, and it is time for it.
func (f *paymentFlow) ends() bool {
	return f.state.Known() && !f.state.Final && f.live() == 0 && (f.state.Expired || f.state.Cancelling)
}

// hasNew: there are live attempts that nobody drives yet.
func (f *paymentFlow) hasNew() bool {
	for _, attempt := range f.state.Live {
		if f.driven[attempt.ID] == nil {
			return true
		}
	}
	return false
}

func (f *paymentFlow) driveNew(ctx workflow.Context) {
	for _, attempt := range f.state.Live {
		if f.driven[attempt.ID] != nil {
			continue
		}
		one := &attemptFlow{paymentFlow: f, now: attempt, heard: f.news,
			ref: accept.Ref{Tenant: f.in.Tenant, ID: attempt.ID}, patience: payerPatience()}
		f.driven[attempt.ID] = one
		f.running++
		workflow.Go(ctx, func(ctx workflow.Context) {
			if err := one.run(ctx); err != nil {
				f.err = err
			}
			f.running--
		})
	}
}

// isLong: the history has grown so long that the flow should go on in a new run.
func (f *paymentFlow) isLong(ctx workflow.Context) bool {
	return workflow.GetInfo(ctx).GetContinueAsNewSuggested()
}

// leave lets the coroutines come to rest and goes on in a new run.
func (f *paymentFlow) leave(ctx workflow.Context) error {
	f.leaving = true
	if err := workflow.Await(ctx, func() bool { return f.running == 0 }); err != nil {
		return err
	}
	if f.err != nil {
		return f.err
	}
	if f.done() {
		return nil
	}
	return goOnInNewRun(ctx, f.in)
}

// listen counts signals. One with the id of an attempt is for that attempt alone.
func (f *paymentFlow) listen(ctx workflow.Context) {
	notified := workflow.GetSignalChannel(ctx, SignalNotified)
	expired := workflow.GetSignalChannel(ctx, SignalExpired)
	changed := workflow.GetSignalChannel(ctx, SignalChanged)
	workflow.Go(ctx, func(ctx workflow.Context) {
		selector := workflow.NewSelector(ctx).
			AddReceive(notified, func(c workflow.ReceiveChannel, _ bool) {
				var attemptID string
				c.ReceiveAsync(&attemptID)
				if one := f.driven[attemptID]; one != nil {
					one.told++
				} else {
					f.news++
				}
			}).
			AddReceive(expired, func(c workflow.ReceiveChannel, _ bool) {
				c.ReceiveAsync(nil)
				f.news++
				if f.live() == 0 {
					f.asked++
				}
			}).
			AddReceive(changed, func(c workflow.ReceiveChannel, _ bool) {
				c.ReceiveAsync(nil)
				f.asked++
			})
		for {
			selector.Select(ctx)
		}
	})
}

// The questions that UpdateFirstAnswer answers, besides the id of an attempt.
const (
	// AboutPayment: whether there is something to show to a payer.
	AboutPayment = ""
	// AboutEnd: whether the payment has ended.
	AboutEnd = "end"
	// AboutDecision: nothing; the workflow is only told that something was decided about
	// what it drives.
	AboutDecision = "decision"
)

// firstAnswer returns once there is something to tell about the payment, about
// its end, or about one attempt of it.
func (f *paymentFlow) firstAnswer(ctx workflow.Context, about string) (activities.PaymentState, error) {
	if about != AboutPayment && f.driven[about] == nil {
		f.asked++
	}
	err := workflow.Await(ctx, func() bool {
		switch {
		case f.leaving || f.state.Final:
			return true
		case about == AboutPayment:
			return f.state.Known() && !f.state.Preparing()
		case about == AboutEnd:
			return false
		}
		one := f.driven[about]
		return one != nil && (one.ended || !one.now.Preparing)
	})
	return f.state, err
}

// do takes a step that is about the payment.
func (f *paymentFlow) do(ctx workflow.Context, step any) error {
	_, err := f.learn(ctx, workflow.ExecuteActivity(bookwork(ctx), step, f.in))
	return err
}

// learn waits for a step and takes over what it says of the payment. Steps of
// several attempts may end in another order than they committed: what cannot be
// undone stays.
func (f *paymentFlow) learn(ctx workflow.Context, step workflow.Future) (activities.PaymentState, error) {
	var state activities.PaymentState
	if err := step.Get(ctx, &state); err != nil {
		return state, err
	}
	if f.state.Final {
		state.Final, state.Status = true, f.state.Status
	}
	state.Cancelling = state.Cancelling || f.state.Cancelling
	f.state = state
	return state, nil
}

// tell says in words what the attempts wait for.
func (f *paymentFlow) tell(ctx workflow.Context) {
	var lines []string
	for _, attempt := range f.state.Live {
		if one := f.driven[attempt.ID]; one != nil && one.note != "" {
			lines = append(lines, one.note)
		}
	}
	if len(lines) == 0 {
		lines = append(lines, fmt.Sprintf("Waiting for the payer, who may pay until %s.", f.state.ExpiresAt.Format(time.RFC3339)))
	}
	tell(ctx, "%s", strings.Join(lines, "\n"))
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
