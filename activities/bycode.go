package activities

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/secret"
)

// codeExpired is the failure of an attempt whose code was gone before it was used.
const codeExpired = "auth_code_expired"

// PayByCode takes the money by the code on the payer's phone. It is a moving
// call, made once: the code is taken out of the safe, and that money may have
// moved is committed, before it is made; whatever becomes of it, only a query or
// an undoing may follow. A repetition changes nothing.
func (a *Payments) PayByCode(ctx context.Context, in accept.Ref) (PaymentState, error) {
	var code secret.Value
	state, err := a.onAttempt(ctx, in, "", func(tx pgx.Tx, p *payment.Payment) (err error) {
		if p.Attempt.Status != payment.Preparing || p.Attempt.SentAt != nil || p.Status.Final() || p.CancelRequested {
			return nil
		}
		code, err = a.Box.TakeOneTime(ctx, tx, in.Tenant, in.ID)
		if errors.Is(err, secret.ErrNoSecret) {
			return payment.RefusedNow(ctx, tx, in.Tenant, p, payment.Failure{Code: codeExpired,
				Message: "The payer's code was not used in time; scan it again."})
		}
		if err != nil {
			return err
		}
		return payment.Sending(ctx, tx, in.Tenant, *p)
	})
	if err != nil || code.Empty() {
		return state, err
	}
	c, err := a.load(ctx, in, nil)
	if err != nil {
		return PaymentState{}, err
	}
	text := string(code.Reveal())
	if err := c.Attempt.CheckCode(text); err != nil {
		return PaymentState{}, fmt.Errorf("attempt %s: %w", in.ID, err)
	}
	collector, ok := c.adapter.(channel.CodeCollector)
	if !ok {
		return PaymentState{}, fmt.Errorf("attempt %s: %s takes no codes", in.ID, c.Attempt.Channel)
	}
	trade, err := collector.PayByCode(ctx, channel.CodeOrder{
		Number: c.Attempt.Number, Amount: c.Amount, Subject: c.Subject, AuthCode: text, PayerIP: c.payer.IP,
		NotifyURL: a.NotifyURL(c.Attempt.Channel, c.account.ID)})
	if err != nil {
		return PaymentState{}, fmt.Errorf("pay attempt %s by code: %w", in.ID, err)
	}
	if trade.Outcome == channel.Succeeded {
		return a.learn(ctx, in, c, trade)
	}
	return a.onAttempt(ctx, in, trade.Code, func(tx pgx.Tx, p *payment.Payment) error {
		switch {
		case p.Attempt.Status != payment.Preparing:
			return nil
		case trade.Outcome == channel.Pending:
			return payment.Prepared(ctx, tx, in.Tenant, p, channel.Action{Type: channel.ActionNone})
		case trade.Outcome == channel.Failed:
			return payment.RefusedNow(ctx, tx, in.Tenant, p, refusal(trade.Answer))
		case trade.Code == channel.CodeNotSent:
			return a.codeNotSent(ctx, tx, in.Tenant, p, text, trade.Answer)
		}
		return nil
	})
}

// codeNotSent tries the unused code at another account; without one, the attempt
// fails at once, so that the till can ask for another way to pay.
func (a *Payments) codeNotSent(
	ctx context.Context, tx pgx.Tx, tenantID string, p *payment.Payment, code string, answer channel.Answer,
) error {
	if !p.Status.Final() && !p.CancelRequested && p.Attempt.CancelSentAt == nil {
		moved, err := payment.TryElsewhere(ctx, tx, tenantID, *p, code, a.till())
		if err != nil || moved {
			return err
		}
	}
	return payment.RefusedNow(ctx, tx, tenantID, p, payment.Failure{Code: "channel_unreachable",
		ChannelCode: answer.Code, Message: "The provider could not be reached; nothing was asked of the payer."})
}

// UndoAttempt ends an attempt by code whatever became of it at the provider: one
// that was paid is given back there. From the moment before it is asked until it
// is answered, only its answer tells what became of the money. An attempt that
// was never sent is closed without a call. Idempotent.
func (a *Payments) UndoAttempt(ctx context.Context, in accept.Ref) (PaymentState, error) {
	var ask bool
	state, err := a.onAttempt(ctx, in, "", func(tx pgx.Tx, p *payment.Payment) error {
		switch {
		case !p.Attempt.Status.Live():
			return nil
		case p.Attempt.SentAt == nil:
			return payment.ClosedNow(ctx, tx, in.Tenant, p)
		}
		ask = true
		return payment.Cancelling(ctx, tx, in.Tenant, *p)
	})
	if err != nil || !ask {
		return state, err
	}
	c, err := a.load(ctx, in, nil)
	if err != nil {
		return PaymentState{}, err
	}
	collector, ok := c.adapter.(channel.CodeCollector)
	if !ok {
		return PaymentState{}, fmt.Errorf("attempt %s: %s takes no codes", in.ID, c.Attempt.Channel)
	}
	answer, err := collector.CancelTrade(ctx, c.Attempt.Number)
	if err != nil {
		return PaymentState{}, fmt.Errorf("undo attempt %s: %w", in.ID, err)
	}
	if answer.Refunded {
		logger(ctx).Info("a provider gave a payment by code back when it was undone", "attempt", in.ID, "code", answer.Code)
	}
	return a.onAttempt(ctx, in, answer.Code, func(tx pgx.Tx, p *payment.Payment) error {
		switch {
		case !p.Attempt.Status.Live():
			return nil
		case answer.Outcome == channel.Succeeded || answer.Outcome == channel.Failed && answer.Code == channel.CodeNotFound:
			return payment.ClosedNow(ctx, tx, in.Tenant, p)
		case answer.Outcome == channel.Failed:
			return payment.NotCancelled(ctx, tx, in.Tenant, *p)
		}
		return nil
	})
}
