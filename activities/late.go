package activities

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/internal/id"
)

// ReadLatePayment reads whether the late money of a closed payment is booked.
func (a *Payments) ReadLatePayment(ctx context.Context, in accept.Ref) (LateState, error) {
	var state LateState
	err := a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		p, err := payment.Get(ctx, tx, in.Tenant, in.ID)
		if err != nil {
			return err
		}
		state.Channel = p.Channel
		late, err := payment.FindLateReceipt(ctx, tx, in.Tenant, in.ID)
		if err != nil || late == nil {
			return err
		}
		state.Settled, state.RefundID = true, late.RefundID
		return nil
	})
	return state, err
}

// BookLatePayment asks the provider whether a closed payment was paid after all.
// If so, the money is booked as nobody's yet and a refund of all of it is
// accepted in the same transaction. A provider that knows of no money decides
// nothing: its query may lag behind its notification. Idempotent.
func (a *Payments) BookLatePayment(ctx context.Context, in accept.Ref) (LateState, error) {
	c, err := a.load(ctx, in)
	if err != nil {
		return LateState{}, err
	}
	state := LateState{Channel: c.Channel}
	if !c.Status.Final() || c.Status == payment.Succeeded {
		state.Settled = true
		return state, nil
	}
	trade, err := c.adapter.QueryTrade(ctx, c.Attempt.Number)
	if err != nil {
		return state, fmt.Errorf("query late payment %s: %w", c.ID, err)
	}
	if trade.Outcome == channel.Succeeded && trade.State == channel.TradePaid && trade.Amount != c.Amount {
		trade.Answer = contradiction(ctx, trade.Answer, c.ID, c.Amount, trade.Amount)
	}
	state.ChannelCode = trade.Code
	if trade.Outcome != channel.Succeeded {
		return state, nil
	}
	if trade.State != channel.TradePaid {
		state.NotPaid = true
		return state, nil
	}
	err = a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		p, err := payment.Lock(ctx, tx, in.Tenant, in.ID)
		if err != nil {
			return err
		}
		receipt, err := receiptOf(p, c.account, trade)
		if err != nil {
			return err
		}
		fresh, err := payment.PaidLate(ctx, tx, in.Tenant, p, receipt, id.New(id.Refund))
		if err != nil || !fresh {
			return err
		}
		return bookLate(ctx, tx, in.Tenant, p, receipt)
	})
	if err != nil {
		return state, err
	}
	return a.ReadLatePayment(ctx, in)
}

// bookLate books the late money, accepts its refund and reports it.
func bookLate(ctx context.Context, tx pgx.Tx, tenantID string, p payment.Payment, r payment.Receipt) error {
	late, err := payment.FindLateReceipt(ctx, tx, tenantID, p.ID)
	if err != nil {
		return err
	}
	if err := postLateReceipt(ctx, tx, tenantID, p, r); err != nil {
		return err
	}
	if err := refund.CreateLate(ctx, tx, tenantID, p, late.RefundID); err != nil {
		return err
	}
	return emit(ctx, tx, tenantID, event.PaymentPaidLate, p.ID, string(p.Status))
}
