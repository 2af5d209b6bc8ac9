package activities

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/core/secret"
)

// RedirectRefund sends the money of an abnormal refund where the tenant said. It is
// a moving call under the refund's own number, made once for each request: the card
// is taken out of the safe, and that it may have been sent is committed, before it
// is. What became of it only a query tells. A repetition changes nothing.
func (a *Refunds) RedirectRefund(ctx context.Context, in accept.Ref) (MovingState, error) {
	r, err := a.load(ctx, in)
	if err != nil || !r.Status.Open() {
		return r.state(Done, ""), err
	}
	redirector, ok := r.adapter.(channel.AbnormalRefunder)
	if !ok {
		return MovingState{}, fmt.Errorf("refund %s: %s sends no refund another way", r.ID, r.payment.Attempt.Channel)
	}
	order := channel.AbnormalRefund{RefundOrder: r.order(""), ChannelRefundNo: r.ChannelRefundNo}
	sending, err := a.redirecting(ctx, in, &order)
	if err != nil || !sending {
		return r.waiting(), err
	}
	answer, err := redirector.RedirectRefund(ctx, order)
	if err != nil {
		return MovingState{}, fmt.Errorf("redirect refund %s: %w", r.ID, err)
	}
	r.Redirect = refund.Redirect{}
	switch {
	case answer.Outcome == channel.Failed:
		return r.waiting(), a.redirectRefused(ctx, in, payment.Failure{Code: "channel_refused", ChannelCode: answer.Code,
			Message: r.payment.Attempt.Channel + " did not take this destination: " + answer.Code})
	case answer.Code == channel.CodeNotSent:
		return r.waiting(), a.redirectRefused(ctx, in, payment.Failure{Code: "channel_unreachable", ChannelCode: answer.Code,
			Message: r.payment.Attempt.Channel + " could not be reached; nothing was asked of it."})
	}
	return a.learn(ctx, in, r, answer)
}

// waiting says that the money waits: for a destination, or, when one was sent before,
// for a query to tell.
func (r refunding) waiting() MovingState {
	outcome, code := Pending, channel.CodeAbnormal
	if r.Redirect.Status == refund.RedirectSent {
		outcome, code = Unknown, "SENT_BEFORE"
	}
	r.Redirect = refund.Redirect{}
	return r.state(outcome, code)
}

// redirecting fills in the destination and commits that it is about to be sent. It
// reports false when there is nothing to send: it was sent before, or the card's
// time is over.
func (a *Refunds) redirecting(ctx context.Context, in accept.Ref, order *channel.AbnormalRefund) (sending bool, err error) {
	err = a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		sending = false
		now, err := refund.Lock(ctx, tx, in.Tenant, in.ID)
		if err != nil || !now.Status.Open() || now.Redirect.Status != refund.RedirectRequested {
			return err
		}
		order.ToMerchant = now.Redirect.To == refund.ToMerchant
		if !order.ToMerchant {
			card, err := refund.TakeCard(ctx, tx, in.Tenant, in.ID, a.Box)
			if errors.Is(err, secret.ErrNoSecret) {
				return refund.RedirectRefusedNow(ctx, tx, in.Tenant, in.ID, refund.RedirectRequested, payment.Failure{Code: "card_expired",
					Message: "The card could not be sent within ten minutes and was forgotten; ask again."})
			}
			if err != nil {
				return err
			}
			order.Bank, order.Card, order.Holder = card.Bank, card.Number, card.Holder
		}
		sending = true
		return refund.RedirectSending(ctx, tx, in.Tenant, in.ID)
	})
	return sending, err
}

func (a *Refunds) redirectRefused(ctx context.Context, in accept.Ref, f payment.Failure) error {
	return a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		if err := refund.RedirectRefusedNow(ctx, tx, in.Tenant, in.ID, refund.RedirectSent, f); err != nil {
			return err
		}
		return refund.Waiting(ctx, tx, in.Tenant, in.ID, f.Message+" Say where the money is to go (redirect).")
	})
}

// noteWay notes whether the way of an accepted refund is open, and tells the tenant
// when it has closed.
func noteWay(ctx context.Context, tx pgx.Tx, in accept.Ref, status refund.Status, answer channel.RefundState) error {
	switch {
	case answer.Outcome != channel.Pending || answer.Code == channel.CodeChannelBalance:
		return nil
	case answer.Code != channel.CodeAbnormal:
		return refund.OnItsWay(ctx, tx, in.Tenant, in.ID)
	}
	news, err := refund.AbnormalNow(ctx, tx, in.Tenant, in.ID, answer.ChannelRefundNo)
	if err != nil || !news {
		return err
	}
	return emit(ctx, tx, in.Tenant, event.RefundAbnormal, in.ID, string(status))
}
