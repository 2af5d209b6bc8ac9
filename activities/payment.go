package activities

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/pg"
)

// Payments are the steps of collecting a payment.
type Payments struct {
	DB       *pg.DB
	Channels Channels
	// NotifyURL returns where a provider sends notifications for a channel account.
	NotifyURL func(channelName, channelAccountID string) string
	// Grace is how long after expiry the last query waits, on the business clock:
	// the provider's own clock and a payer in the middle of paying.
	Grace time.Duration
}

// collecting is a payment with what is needed to talk about it to its provider.
type collecting struct {
	payment.Payment
	account tenant.ChannelAccount
	adapter channel.Adapter
}

// load reads the payment and finds its adapter.
func (a *Payments) load(ctx context.Context, in accept.Ref) (collecting, error) {
	var c collecting
	err := a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		var err error
		if c.Payment, err = payment.Get(ctx, tx, in.Tenant, in.ID); err != nil {
			return err
		}
		c.account, err = tenant.GetChannelAccount(ctx, tx, in.Tenant, c.Attempt.ChannelAccountID)
		return err
	})
	if err != nil {
		return c, err
	}
	if err := c.CheckFrozen(); err != nil {
		return c, fmt.Errorf("payment %s: %w", c.ID, err)
	}
	c.adapter, err = a.Channels.Adapter(ctx, c.account)
	return c, err
}

// ReadPayment reads the state of a payment.
func (a *Payments) ReadPayment(ctx context.Context, in accept.Ref) (PaymentState, error) {
	return a.change(ctx, in, "", func(pgx.Tx, *payment.Payment) error { return nil })
}

// change runs fn on the locked payment and returns the state after it. code is
// the provider's last code. fn updates p when it changes the row.
func (a *Payments) change(
	ctx context.Context, in accept.Ref, code string, fn func(tx pgx.Tx, p *payment.Payment) error,
) (PaymentState, error) {
	var state PaymentState
	err := a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		p, err := payment.Lock(ctx, tx, in.Tenant, in.ID)
		if err != nil {
			return err
		}
		if err := fn(tx, &p); err != nil {
			return err
		}
		expired, err := payment.Expired(ctx, tx, p, a.Grace)
		state = PaymentState{
			Status:      string(p.Status),
			Final:       p.Status.Final(),
			Channel:     p.Channel,
			ChannelCode: code,
			ExpiresAt:   p.ExpiresAt,
			Expired:     expired,
		}
		return err
	})
	return state, err
}

// PreparePayment asks the provider for a QR code and records it, or the
// provider's refusal. After an unknown outcome the payment stays as it is, and
// the same call may be made again. Idempotent.
func (a *Payments) PreparePayment(ctx context.Context, in accept.Ref) (PaymentState, error) {
	c, err := a.load(ctx, in)
	if err != nil || c.Status != payment.Processing {
		return a.orRead(ctx, in, err)
	}
	prepaid, err := c.adapter.Prepay(ctx, channel.PrepayOrder{
		Number:    c.Attempt.Number,
		Amount:    c.Amount,
		Subject:   c.Subject,
		ExpiresAt: c.ExpiresAt,
		NotifyURL: a.NotifyURL(c.Channel, c.account.ID),
		Product:   channel.Product(c.Product),
	})
	if err != nil {
		return PaymentState{}, fmt.Errorf("prepare payment %s: %w", c.ID, err)
	}
	return a.change(ctx, in, prepaid.Code, func(tx pgx.Tx, p *payment.Payment) error {
		if p.Status != payment.Processing {
			return nil
		}
		switch prepaid.Outcome {
		case channel.Succeeded:
			if err := payment.Prepared(ctx, tx, in.Tenant, *p, prepaid.Action.QRCode); err != nil {
				return err
			}
			p.Status = payment.AwaitingPayer
			return emit(ctx, tx, in.Tenant, event.PaymentAwaitingPayer, p.ID, string(p.Status))
		case channel.Failed:
			failure := payment.Failure{Code: "channel_refused", ChannelCode: prepaid.Code, Message: prepaid.Message}
			if err := payment.NotPrepared(ctx, tx, in.Tenant, *p, failure); err != nil {
				return err
			}
			p.Status = payment.Failed
			return emit(ctx, tx, in.Tenant, event.PaymentFailed, p.ID, string(p.Status))
		}
		return nil
	})
}

func (a *Payments) orRead(ctx context.Context, in accept.Ref, err error) (PaymentState, error) {
	if err != nil {
		return PaymentState{}, err
	}
	return a.ReadPayment(ctx, in)
}

// QueryPayment asks the provider about the trade and books the payer's money if
// it arrived, or closes the payment if the provider closed the trade.
// Idempotent: money is booked once, whatever is asked how often.
func (a *Payments) QueryPayment(ctx context.Context, in accept.Ref) (PaymentState, error) {
	c, err := a.load(ctx, in)
	if err != nil || c.Status.Final() {
		return a.orRead(ctx, in, err)
	}
	trade, err := c.adapter.QueryTrade(ctx, c.Attempt.Number)
	if err != nil {
		return PaymentState{}, fmt.Errorf("query payment %s: %w", c.ID, err)
	}
	if trade.Outcome == channel.Succeeded && trade.State == channel.TradePaid && trade.Amount != c.Amount {
		trade.Answer = contradiction(ctx, trade.Answer, c.ID, c.Amount, trade.Amount)
	}
	return a.change(ctx, in, trade.Code, func(tx pgx.Tx, p *payment.Payment) error {
		if p.Status.Final() || trade.Outcome != channel.Succeeded {
			return nil
		}
		switch trade.State {
		case channel.TradePaid:
			return bookPaid(ctx, tx, in.Tenant, p, c.account, trade)
		case channel.TradeClosed:
			return bookClosed(ctx, tx, in.Tenant, p)
		}
		return nil
	})
}

// ClosePayment asks the provider to accept no payer any more and closes the
// payment once it agrees. It is for payments whose time, grace and last query
// are over: only then does "no such trade" mean that nobody can pay. Idempotent.
func (a *Payments) ClosePayment(ctx context.Context, in accept.Ref) (PaymentState, error) {
	c, err := a.load(ctx, in)
	if err != nil || c.Status.Final() {
		return a.orRead(ctx, in, err)
	}
	answer, err := c.adapter.CloseTrade(ctx, c.Attempt.Number)
	if err != nil {
		return PaymentState{}, fmt.Errorf("close payment %s: %w", c.ID, err)
	}
	return a.change(ctx, in, answer.Code, func(tx pgx.Tx, p *payment.Payment) error {
		closed := answer.Outcome == channel.Succeeded ||
			answer.Outcome == channel.Failed && answer.Code == channel.CodeNotFound
		over, err := payment.Expired(ctx, tx, *p, a.Grace)
		if err != nil || p.Status.Final() || !closed || !over {
			return err
		}
		return bookClosed(ctx, tx, in.Tenant, p)
	})
}

func bookClosed(ctx context.Context, tx pgx.Tx, tenantID string, p *payment.Payment) error {
	if err := payment.ClosedNow(ctx, tx, tenantID, *p); err != nil {
		return err
	}
	p.Status = payment.Closed
	return emit(ctx, tx, tenantID, event.PaymentClosed, p.ID, string(p.Status))
}

// emit records the event of a status change in its transaction.
func emit(ctx context.Context, tx pgx.Tx, tenantID string, kind event.Type, objectID, status string) error {
	_, err := event.Emit(ctx, tx, tenantID, event.News{
		Type: kind, ObjectID: objectID, Data: map[string]string{"id": objectID, "status": status},
	})
	return err
}
