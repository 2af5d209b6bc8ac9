package activities

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/pg"
)

// Refunds are the steps of giving a payer's money back.
type Refunds struct {
	DB       *pg.DB
	Channels Channels
	// Box keeps the payers' cards to which abnormal refunds go.
	Box *secret.Box
	// RepeatWindow is how long after it was first sent an order may be sent again under its
	// number; 0 for ever.
	RepeatWindow time.Duration
	// NotifyURL returns where a provider sends notifications for a channel account.
	NotifyURL func(channelName, channelAccountID string) string
}

// refunding is a refund with what is needed to talk about it to its provider.
type refunding struct {
	refund.Refund
	payment payment.Payment
	account tenant.ChannelAccount
	adapter channel.Adapter
}

func (a *Refunds) load(ctx context.Context, in accept.Ref) (refunding, error) {
	var r refunding
	err := a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		var err error
		if r.Refund, err = refund.Get(ctx, tx, in.Tenant, in.ID); err != nil {
			return err
		}
		if r.payment, err = payment.GetAttempt(ctx, tx, in.Tenant, r.AttemptID); err != nil {
			return err
		}
		r.account, err = tenant.GetChannelAccount(ctx, tx, in.Tenant, r.payment.Attempt.ChannelAccountID)
		return err
	})
	if err != nil {
		return r, err
	}
	if err := r.CheckFrozen(r.payment); err != nil {
		return r, fmt.Errorf("refund %s: %w", r.ID, err)
	}
	r.adapter, err = a.Channels.Adapter(ctx, r.account)
	return r, err
}

func (r refunding) order(notifyURL string) channel.RefundOrder {
	return channel.RefundOrder{
		Number:      r.Number,
		TradeNumber: r.payment.Attempt.Number,
		Amount:      r.Amount,
		TradeAmount: r.payment.Amount,
		Reason:      r.Reason,
		NotifyURL:   notifyURL,
	}
}

func (r refunding) state(o Outcome, code string) MovingState {
	return MovingState{
		Status:      string(r.Status),
		Final:       !r.Status.Open(),
		Channel:     r.payment.Attempt.Channel,
		Outcome:     o,
		ChannelCode: code,
		Redirect:    r.Status.Open() && r.Redirect.Status == refund.RedirectRequested,
	}
}

// ReadRefund reads the state of a refund.
func (a *Refunds) ReadRefund(ctx context.Context, in accept.Ref) (MovingState, error) {
	r, err := a.load(ctx, in)
	return r.state("", ""), err
}

// SendRefund asks the provider to give the money back and books what it
// answers. A refund that may have been sent before is sent only if again is
// true, and then identically: else the answer is Unknown and a query must tell.
func (a *Refunds) SendRefund(ctx context.Context, in accept.Ref, again bool) (MovingState, error) {
	r, err := a.load(ctx, in)
	switch {
	case err == nil && r.Status == refund.Returned: // it was paid under this number
		return r.waiting(), nil
	case err != nil || r.Status != refund.Processing:
		return r.state(Done, ""), err
	case r.Sent && !again:
		return r.state(Unknown, "SENT_BEFORE"), nil
	case r.Unresolved != nil || repeatOver(r.SentAt, a.RepeatWindow):
		return a.learn(ctx, in, r, channel.RefundState{Answer: notSentAgain()})
	}
	err = a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error { return refund.Sending(ctx, tx, in.Tenant, in.ID) })
	if err != nil {
		return MovingState{}, err
	}
	answer, err := r.adapter.Refund(ctx, r.order(a.NotifyURL(r.payment.Attempt.Channel, r.account.ID)))
	if err != nil {
		return MovingState{}, fmt.Errorf("send refund %s: %w", r.ID, err)
	}
	return a.learn(ctx, in, r, answer)
}

// QueryRefund asks the provider about the refund by our number and books what
// it answers. Idempotent.
func (a *Refunds) QueryRefund(ctx context.Context, in accept.Ref) (MovingState, error) {
	r, err := a.load(ctx, in)
	if err != nil || !r.Status.Open() {
		return r.state(Done, ""), err
	}
	answer, err := r.adapter.QueryRefund(ctx, r.order(""))
	if err != nil {
		return MovingState{}, fmt.Errorf("query refund %s: %w", r.ID, err)
	}
	return a.learn(ctx, in, r, answer)
}

// learn books a success, and otherwise notes what the refund waits for.
func (a *Refunds) learn(ctx context.Context, in accept.Ref, r refunding, answer channel.RefundState) (MovingState, error) {
	if answer.Outcome == channel.Succeeded && answer.Amount != r.Amount {
		answer.Answer = contradiction(ctx, answer.Answer, r.ID, r.Amount, answer.Amount)
	}
	if r.Status == refund.Returned {
		answer.Answer = r.afterItCameBack(ctx, answer)
	}
	switch {
	case r.decided(answer.Answer) != "":
		return a.carryOut(ctx, in, r, answer.Answer)
	case answer.Outcome == channel.Succeeded && r.Status == refund.Returned:
		return a.sentOn(ctx, in, r, answer)
	case answer.Outcome == channel.Succeeded:
		return a.change(ctx, in, r, func(tx pgx.Tx, now *refund.Refund, p payment.Payment) error {
			return bookRefunded(ctx, tx, in.Tenant, now, p, r.account, answer, r.mayReturn())
		})
	}
	state := r.state(outcome(answer.Answer), answer.Code)
	return state, a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		if err := noteWay(ctx, tx, in, r.Status, answer); err != nil {
			return err
		}
		why, err := noteUnresolved(ctx, tx, in, r.undecided(ctx, in), answer.Answer)
		if err != nil {
			return err
		}
		return refund.Waiting(ctx, tx, in.Tenant, in.ID, why)
	})
}

// RefuseRefund asks the provider once more after a refusal. If it still knows
// of no refund under our number, the refund fails and everything promised to it
// is free again; if it says otherwise, that is believed instead. Idempotent.
func (a *Refunds) RefuseRefund(ctx context.Context, in accept.Ref, refusal MovingState) (MovingState, error) {
	r, err := a.load(ctx, in)
	if err != nil || r.Status != refund.Processing {
		return r.state(Done, ""), err
	}
	answer, err := r.adapter.QueryRefund(ctx, r.order(""))
	if err != nil {
		return MovingState{}, fmt.Errorf("confirm refusal of refund %s: %w", r.ID, err)
	}
	if answer.Outcome != channel.Failed {
		return a.learn(ctx, in, r, answer)
	}
	return a.change(ctx, in, r, func(tx pgx.Tx, now *refund.Refund, p payment.Payment) error {
		return bookRefundFailed(ctx, tx, in.Tenant, now, p, payment.Failure{
			Code: "channel_refused", ChannelCode: refusal.ChannelCode,
			Message: r.payment.Attempt.Channel + " refused the refund with " + refusal.ChannelCode,
		})
	})
}

// change runs fn on the refund, its payment locked first, unless the refund is
// final already, and returns the state after it.
func (a *Refunds) change(
	ctx context.Context, in accept.Ref, r refunding, fn func(pgx.Tx, *refund.Refund, payment.Payment) error,
) (MovingState, error) {
	err := a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		p, err := payment.LockAttempt(ctx, tx, in.Tenant, r.AttemptID)
		if err != nil {
			return err
		}
		now, err := refund.Lock(ctx, tx, in.Tenant, in.ID)
		if err != nil {
			return err
		}
		if now.Status == refund.Processing {
			err = fn(tx, &now, p)
		}
		r.Refund = now
		return err
	})
	return r.state(Done, ""), err
}

// waitingFor says in words what an unfinished order waits for.
func waitingFor(channelName string, a channel.Answer) string {
	switch {
	case a.Code == channel.CodeChannelBalance:
		return "the balance at " + channelName + " is too small: top it up; the order is sent again by itself"
	case a.Code == channel.CodeAbnormal:
		return channelName + " cannot pay it to the payer's card: say where the money is to go (redirect)"
	case a.Outcome == channel.Pending:
		return channelName + " works on it"
	case a.Outcome == channel.Failed && a.Code == channel.CodeNotFound:
		return channelName + " does not know the order yet"
	case a.Outcome == channel.Failed:
		return channelName + " refused with " + a.Code + "; confirming"
	case a.Code == channel.CodeMismatch:
		return "the answer of " + channelName + " contradicts our order: look at it before anything else happens"
	}
	return "no usable answer from " + channelName + " (" + a.Code + "); asking again"
}
