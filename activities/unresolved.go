package activities

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/core/unresolved"
)

// What becomes of money whose number may not be sent again: nothing is sent, the
// provider is asked on, and what two persons decided is carried out when it does not
// know the number.

// repeatOver reports whether the time is over in which what was first sent at that
// moment may be sent again.
func repeatOver(sentAt *time.Time, window time.Duration) bool {
	return window > 0 && sentAt != nil && time.Since(*sentAt) > window
}

// notSentAgain stands in the place of an answer: nothing was sent.
func notSentAgain() channel.Answer {
	return channel.Answer{Outcome: channel.Unknown, Code: channel.CodeRepeatOver, Message: "not sent again"}
}

// undecided is what may be unresolved: its case, if it is, and what would be.
type undecided struct {
	c       *unresolved.Case
	number  string
	channel string
	// told is the event of it, and lock locks the object and returns its status, and
	// whether it is still to be settled.
	told event.Type
	lock func(pgx.Tx) (status string, open bool, err error)
}

// noteUnresolved notes that the number may not be sent again, if the answer says so, or
// what the provider answered since, and returns in words what is waited for.
func noteUnresolved(ctx context.Context, tx pgx.Tx, in accept.Ref, u undecided, answer channel.Answer) (string, error) {
	switch {
	case answer.Code == channel.CodeRepeatOver && u.c == nil:
		if err := u.note(ctx, tx, in, answer.Code); err != nil {
			return "", err
		}
		u.c = &unresolved.Case{}
	case u.c == nil:
		return waitingFor(u.channel, answer), nil
	case answer.Code != channel.CodeRepeatOver:
		if err := unresolved.Answered(ctx, tx, in.Tenant, in.ID, u.number, answer.Code); err != nil {
			return "", err
		}
		u.c.AnswerCode = answer.Code
	}
	return u.waiting(), nil
}

// note records it and tells the tenant, once, unless another step has learnt meanwhile
// what became of the object.
func (u undecided) note(ctx context.Context, tx pgx.Tx, in accept.Ref, code string) error {
	status, open, err := u.lock(tx)
	if err != nil || !open {
		return err
	}
	news, err := unresolved.Note(ctx, tx, in.Tenant, in.ID, u.number, code)
	if err != nil || !news {
		return err
	}
	logger(ctx).Warn("the time for sending an order again is over; two persons decide what happens", "object", in.ID)
	return emit(ctx, tx, in.Tenant, u.told, in.ID, status)
}

func (u undecided) waiting() string {
	last := "it was not asked since"
	if u.c.AnswerCode != "" {
		last = "the last answer was " + u.c.AnswerCode
	}
	if u.c.Decision != "" {
		return "decided: " + string(u.c.Decision) + ", as soon as " + u.channel + " says again that it does not know the number; " + last
	}
	return "the time for sending it again to " + u.channel + " under its number is over: it is asked on and never sent by itself; " +
		"two persons decide (resolve); " + last
}

// decisionOn is what the answer makes due of what was decided: only "does not know the
// number" makes anything due.
func decisionOn(c *unresolved.Case, answer channel.Answer) unresolved.Decision {
	if c == nil || outcome(answer) != NotFound {
		return ""
	}
	return c.Decision
}

func (w paying) undecided(ctx context.Context, in accept.Ref) undecided {
	return undecided{w.Unresolved, w.Number, w.Channel, event.WithdrawalUnresolved, func(tx pgx.Tx) (string, bool, error) {
		now, err := payout.Lock(ctx, tx, in.Tenant, in.ID)
		return string(now.Status), now.Status == payout.Processing, err
	}}
}

func (r refunding) undecided(ctx context.Context, in accept.Ref) undecided {
	return undecided{r.Unresolved, r.Number, r.payment.Attempt.Channel, event.RefundUnresolved, func(tx pgx.Tx) (string, bool, error) {
		now, err := refund.Lock(ctx, tx, in.Tenant, in.ID)
		return string(now.Status), now.Status.Open(), err
	}}
}

func (w paying) decided(answer channel.Answer) unresolved.Decision {
	return decisionOn(w.Unresolved, answer)
}

func (r refunding) decided(answer channel.Answer) unresolved.Decision {
	return decisionOn(r.Unresolved, answer)
}

// declaredFailed is the failure of what two persons declared failed.
func declaredFailed(channelName string, answer channel.Answer) payment.Failure {
	return payment.Failure{Code: "declared_failed", ChannelCode: answer.Code,
		Message: "Two persons decided that it failed; " + channelName + " does not know the number."}
}

// carryOut does what was decided about a withdrawal whose number the provider does not
// know. Under another number it is sent by the step that sends.
func (a *Withdrawals) carryOut(ctx context.Context, in accept.Ref, w paying, answer channel.Answer) (MovingState, error) {
	return a.change(ctx, in, w, NotFound, answer.Code, func(tx pgx.Tx, now *payout.Withdrawal) error {
		switch decisionOn(now.Unresolved, answer) {
		case unresolved.Failed:
			return bookNotPaidOut(ctx, tx, in.Tenant, now, declaredFailed(w.Channel, answer))
		case unresolved.NewNumber:
			return payout.RenumberNow(ctx, tx, in.Tenant, *now, w.payee)
		}
		return nil // another step has done it
	})
}

// carryOut is the same for a refund.
func (a *Refunds) carryOut(ctx context.Context, in accept.Ref, r refunding, answer channel.Answer) (MovingState, error) {
	state, err := a.change(ctx, in, r, func(tx pgx.Tx, now *refund.Refund, p payment.Payment) error {
		switch decisionOn(now.Unresolved, answer) {
		case unresolved.Failed:
			return bookRefundFailed(ctx, tx, in.Tenant, now, p, declaredFailed(p.Attempt.Channel, answer))
		case unresolved.NewNumber:
			return refund.RenumberNow(ctx, tx, in.Tenant, *now, p)
		}
		return nil
	})
	if !state.Final {
		state.Outcome, state.ChannelCode = NotFound, answer.Code
	}
	return state, err
}
