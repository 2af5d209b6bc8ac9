package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/pg"
)

// Payments are the steps of collecting a payment. Those that talk to a provider
// are about one attempt and take its id; the others take the payment's.
type Payments struct {
	DB       *pg.DB
	Channels Channels
	// Box opens who pays, and the codes on payers' phones.
	Box *secret.Box
	// Offers lists what a channel can take.
	Offers func(channelName string) []channel.Offer
	// NotifyURL returns where a provider sends notifications for a channel account.
	NotifyURL func(channelName, channelAccountID string) string
	// Grace is how long after expiry the last query waits, on the business clock:
	// the provider's own clock and a payer in the middle of paying.
	Grace time.Duration
}

// collecting is an attempt with its payment and what is needed to talk about it
// to its provider.
type collecting struct {
	payment.Payment
	account tenant.ChannelAccount
	adapter channel.Adapter
	// payer is what is still known of who pays; forgotten says that it was more.
	payer     party.Payer
	forgotten bool
}

// load reads the attempt, lets note commit what must be known before its provider
// is called, and finds its adapter.
func (a *Payments) load(
	ctx context.Context, in accept.Ref, note func(tx pgx.Tx, p payment.Payment) error,
) (collecting, error) {
	var c collecting
	err := a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		var err error
		if c.Payment, err = payment.GetAttempt(ctx, tx, in.Tenant, in.ID); err != nil {
			return err
		}
		if err := c.CheckFrozen(); err != nil {
			return fmt.Errorf("attempt %s: %w", in.ID, err)
		}
		c.payer, err = c.Attempt.Payer.Open(ctx, tx, a.Box, in.Tenant)
		if c.forgotten = errors.Is(err, party.ErrForgotten); err != nil && !c.forgotten {
			return fmt.Errorf("attempt %s: %w", in.ID, err)
		}
		c.account, err = tenant.GetChannelAccount(ctx, tx, in.Tenant, c.Attempt.ChannelAccountID)
		if err != nil || note == nil {
			return err
		}
		return note(tx, c.Payment)
	})
	if err != nil {
		return c, err
	}
	c.adapter, err = a.Channels.Adapter(ctx, c.account)
	return c, err
}

// till is what trying another account needs.
func (a *Payments) till() payment.Till {
	return payment.Till{Box: a.Box, Offers: a.Offers}
}

// ReadPayment reads the state of a payment.
func (a *Payments) ReadPayment(ctx context.Context, in accept.Ref) (PaymentState, error) {
	return a.onPayment(ctx, in, func(pgx.Tx, *payment.Payment) error { return nil })
}

// EndPayment ends a payment of which nothing can become any more, because its
// time is over or because the tenant wants it so. Idempotent.
func (a *Payments) EndPayment(ctx context.Context, in accept.Ref) (PaymentState, error) {
	return a.onPayment(ctx, in, func(tx pgx.Tx, p *payment.Payment) error {
		over, err := payment.IsOver(ctx, tx, *p, a.Grace)
		if err != nil || !over && !p.CancelRequested {
			return err
		}
		return payment.Settle(ctx, tx, in.Tenant, p)
	})
}

// onPayment runs fn on the locked payment.
func (a *Payments) onPayment(ctx context.Context, in accept.Ref, fn func(tx pgx.Tx, p *payment.Payment) error) (PaymentState, error) {
	return a.change(ctx, in, "", payment.Lock, fn)
}

// onAttempt runs fn on the locked payment, read by one of its attempts. code is
// the provider's last code.
func (a *Payments) onAttempt(
	ctx context.Context, in accept.Ref, code string, fn func(tx pgx.Tx, p *payment.Payment) error,
) (PaymentState, error) {
	return a.change(ctx, in, code, payment.LockAttempt, fn)
}

// change runs fn on what lock finds, tells the tenant what follows from it, and
// returns the state after it. fn brings p up to date.
func (a *Payments) change(
	ctx context.Context, in accept.Ref, code string,
	lock func(ctx context.Context, tx pgx.Tx, tenantID, id string) (payment.Payment, error),
	fn func(tx pgx.Tx, p *payment.Payment) error,
) (PaymentState, error) {
	var state PaymentState
	err := a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		p, err := lock(ctx, tx, in.Tenant, in.ID)
		if err != nil {
			return err
		}
		before := p
		if err := fn(tx, &p); err != nil {
			return err
		}
		if err := tellTenant(ctx, tx, in.Tenant, before, p); err != nil {
			return err
		}
		state, err = a.state(ctx, tx, in.Tenant, p, code)
		return err
	})
	return state, err
}

// tellTenant records the events of what became of a payment in one step.
func tellTenant(ctx context.Context, tx pgx.Tx, tenantID string, before, p payment.Payment) error {
	if before.Attempt.Status != p.Attempt.Status && p.Attempt.Status == payment.Open && !p.Status.Final() {
		return emit(ctx, tx, tenantID, event.PaymentAwaitingPayer, p.ID, string(p.Status))
	}
	if before.Status == p.Status {
		return nil
	}
	switch p.Status {
	case payment.Succeeded:
		return emit(ctx, tx, tenantID, event.PaymentSucceeded, p.ID, string(p.Status))
	case payment.Closed:
		return emit(ctx, tx, tenantID, event.PaymentClosed, p.ID, string(p.Status))
	case payment.Failed:
		return emit(ctx, tx, tenantID, event.PaymentFailed, p.ID, string(p.Status))
	}
	return nil
}

// emit records the event of a status change in its transaction.
func emit(ctx context.Context, tx pgx.Tx, tenantID string, kind event.Type, objectID, status string) error {
	_, err := event.Emit(ctx, tx, tenantID, event.News{
		Type: kind, ObjectID: objectID, Data: map[string]string{"id": objectID, "status": status},
	})
	return err
}

func (a *Payments) state(ctx context.Context, tx pgx.Tx, tenantID string, p payment.Payment, code string) (PaymentState, error) {
	over, err := payment.IsOver(ctx, tx, p, a.Grace)
	if err != nil {
		return PaymentState{}, err
	}
	all, err := payment.Attempts(ctx, tx, tenantID, p.ID)
	if err != nil {
		return PaymentState{}, err
	}
	state := PaymentState{Status: string(p.Status), Final: p.Status.Final(), ExpiresAt: p.ExpiresAt, Expired: over,
		Cancelling: p.CancelRequested, Live: []AttemptState{}, ChannelCode: code}
	for _, attempt := range all {
		if attempt.Status.Live() {
			state.Live = append(state.Live, attemptState(attempt))
		}
	}
	return state, nil
}

func attemptState(a payment.Attempt) AttemptState {
	s := AttemptState{ID: a.ID, Channel: a.Channel, Preparing: a.Status == payment.Preparing,
		ByCode: a.Product == channel.ProductBarcode, Undoing: a.CancelSentAt != nil, Unseen: a.Unseen}
	if a.SentAt != nil {
		s.SentAt = *a.SentAt
	}
	return s
}

// PrepareAttempt asks the provider for what the payer needs to pay and records
// it, or the provider's refusal. After an unknown outcome the attempt stays as it
// is, and the same call may be made again; when the provider surely was never
// reached, another account takes its place if there is one. Idempotent.
func (a *Payments) PrepareAttempt(ctx context.Context, in accept.Ref) (PaymentState, error) {
	wanted := func(p payment.Payment) bool {
		return p.Attempt.Status == payment.Preparing && !p.Status.Final() && !p.CancelRequested
	}
	c, err := a.load(ctx, in, func(tx pgx.Tx, p payment.Payment) error {
		if !wanted(p) {
			return nil
		}
		return payment.Asking(ctx, tx, in.Tenant, p)
	})
	if err != nil || !wanted(c.Payment) {
		return a.orLook(ctx, in, err)
	}
	if c.forgotten {
		return a.payerForgotten(ctx, in, c.Attempt.Asked)
	}
	prepaid, err := c.adapter.Prepay(ctx, channel.PrepayOrder{
		Number:    c.Attempt.Number,
		Amount:    c.Amount,
		Subject:   c.Subject,
		ExpiresAt: c.ExpiresAt,
		NotifyURL: a.NotifyURL(c.Attempt.Channel, c.account.ID),
		Product:   c.Attempt.Product,
		PayerID:   c.payer.ID,
		PayerIP:   c.payer.IP,
		ReturnURL: c.Attempt.ReturnURL,
	})
	if err != nil {
		return PaymentState{}, fmt.Errorf("prepare attempt %s: %w", in.ID, err)
	}
	return a.onAttempt(ctx, in, prepaid.Code, func(tx pgx.Tx, p *payment.Payment) error {
		switch {
		case p.Attempt.Status != payment.Preparing:
			return nil
		case prepaid.Outcome == channel.Succeeded:
			return payment.Prepared(ctx, tx, in.Tenant, p, prepaid.Action)
		case prepaid.Outcome == channel.Failed:
			return payment.RefusedNow(ctx, tx, in.Tenant, p, refusal(prepaid.Answer))
		case prepaid.Code == channel.CodeNotSent:
			return a.tryElsewhere(ctx, tx, in.Tenant, p)
		}
		return nil
	})
}

// codePayerForgotten is the failure of an attempt whose payer was forgotten before the
// provider was asked.
const codePayerForgotten = "payer_forgotten"

// payerForgotten ends an attempt that cannot be prepared any more. One that the provider
// may have heard of goes on until its time is over: nobody has got what he would pay by.
func (a *Payments) payerForgotten(ctx context.Context, in accept.Ref, asked int) (PaymentState, error) {
	return a.onAttempt(ctx, in, "", func(tx pgx.Tx, p *payment.Payment) error {
		if asked > 0 || p.Attempt.Status != payment.Preparing {
			return nil
		}
		return payment.RefusedNow(ctx, tx, in.Tenant, p, payment.Failure{Code: codePayerForgotten,
			Message: "The payer was forgotten before the provider was asked."})
	})
}

// tryElsewhere gives the attempt's place to another account, but only if this was
// the one question that its provider may have heard.
func (a *Payments) tryElsewhere(ctx context.Context, tx pgx.Tx, tenantID string, p *payment.Payment) error {
	if p.Attempt.Asked == 1 && !p.Status.Final() && !p.CancelRequested {
		moved, err := payment.TryElsewhere(ctx, tx, tenantID, *p, "", a.till())
		if err != nil || moved {
			return err
		}
	}
	return payment.NotAsked(ctx, tx, tenantID, *p)
}

func refusal(answer channel.Answer) payment.Failure {
	return payment.Failure{Code: "channel_refused", ChannelCode: answer.Code, Message: answer.Message}
}

// orLook returns the state of the payment of an attempt that has nothing to do.
func (a *Payments) orLook(ctx context.Context, in accept.Ref, err error) (PaymentState, error) {
	if err != nil {
		return PaymentState{}, err
	}
	return a.onAttempt(ctx, in, "", func(pgx.Tx, *payment.Payment) error { return nil })
}

// QueryAttempt asks the provider about the trade and books the payer's money if
// it arrived, or closes the attempt if the provider closed the trade. Idempotent:
// money is booked once, whatever is asked how often.
func (a *Payments) QueryAttempt(ctx context.Context, in accept.Ref) (PaymentState, error) {
	c, err := a.load(ctx, in, nil)
	if err != nil || !c.Attempt.Status.Live() {
		return a.orLook(ctx, in, err)
	}
	trade, err := c.adapter.QueryTrade(ctx, c.Attempt.Number)
	if err != nil {
		return PaymentState{}, fmt.Errorf("query attempt %s: %w", in.ID, err)
	}
	return a.learn(ctx, in, c, trade)
}

// learn records what the provider says about the trade of an attempt.
func (a *Payments) learn(ctx context.Context, in accept.Ref, c collecting, trade channel.Trade) (PaymentState, error) {
	trade = agreeing(ctx, c, trade)
	return a.onAttempt(ctx, in, trade.Code, func(tx pgx.Tx, p *payment.Payment) error {
		if !p.Attempt.Status.Live() || trade.Outcome != channel.Succeeded {
			return nil
		}
		switch trade.State {
		case channel.TradePaid:
			if p.Attempt.CancelSentAt != nil {
				return nil // it may have been given back since: only the cancelling tells
			}
			return bookMoney(ctx, tx, in.Tenant, p, c.account, trade)
		case channel.TradeClosed:
			return payment.ClosedNow(ctx, tx, in.Tenant, p)
		}
		return nil
	})
}

// agreeing turns the answer into an unknown one if it is about another amount.
func agreeing(ctx context.Context, c collecting, trade channel.Trade) channel.Trade {
	if trade.Outcome == channel.Succeeded && trade.State == channel.TradePaid && trade.Amount != c.Amount {
		trade.Answer = contradiction(ctx, trade.Answer, c.ID, c.Amount, trade.Amount)
	}
	return trade
}

// CloseAttempt asks the provider to accept no payer any more and closes the
// attempt once it agrees. It is for attempts whose time, grace and last query are
// over, and for those of payments that want no payer any more; of these, one that
// its provider has not seen yet is only noted, because a payer who has its code
// may still come. Idempotent.
func (a *Payments) CloseAttempt(ctx context.Context, in accept.Ref) (PaymentState, error) {
	c, err := a.load(ctx, in, nil)
	if err != nil || !c.Attempt.Status.Live() {
		return a.orLook(ctx, in, err)
	}
	answer, err := c.adapter.CloseTrade(ctx, c.Attempt.Number)
	if err != nil {
		return PaymentState{}, fmt.Errorf("close attempt %s: %w", in.ID, err)
	}
	return a.onAttempt(ctx, in, answer.Code, func(tx pgx.Tx, p *payment.Payment) error {
		over, err := payment.IsOver(ctx, tx, *p, a.Grace)
		if err != nil || !p.Attempt.Status.Live() || !over && !p.Status.Final() && !p.CancelRequested {
			return err
		}
		unseen := answer.Outcome == channel.Failed && answer.Code == channel.CodeNotFound
		switch {
		case answer.Outcome == channel.Succeeded || unseen && over:
			return payment.ClosedNow(ctx, tx, in.Tenant, p)
		case unseen:
			return payment.NotSeen(ctx, tx, in.Tenant, p)
		}
		return nil
	})
}
