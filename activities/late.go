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
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// ReadLatePayment reads whether the late money of an attempt is booked.
func (a *Payments) ReadLatePayment(ctx context.Context, in accept.Ref) (LateState, error) {
	var state LateState
	err := a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		p, err := payment.GetAttempt(ctx, tx, in.Tenant, in.ID)
		if err != nil {
			return err
		}
		state.Channel = p.Attempt.Channel
		late, err := payment.FindLateReceipt(ctx, tx, in.Tenant, in.ID)
		if err != nil || late == nil {
			return err
		}
		state.Settled, state.RefundID = true, late.RefundID
		return nil
	})
	return state, err
}

// BookLatePayment asks the provider whether an attempt that ended unpaid was paid
// after all. If so, the money is booked as nobody's yet and a refund of all of it
// is accepted in the same transaction. A provider that knows of no money decides
// nothing: its query may lag behind its notification. Idempotent.
func (a *Payments) BookLatePayment(ctx context.Context, in accept.Ref) (LateState, error) {
	c, err := a.load(ctx, in, nil)
	if err != nil {
		return LateState{}, err
	}
	state := LateState{Channel: c.Attempt.Channel}
	if c.Attempt.Status == payment.Paid || c.Attempt.Status.Live() {
		state.Settled = true
		return state, nil
	}
	trade, err := c.adapter.QueryTrade(ctx, c.Attempt.Number)
	if err != nil {
		return state, fmt.Errorf("query late payment %s: %w", in.ID, err)
	}
	trade = agreeing(ctx, c, trade)
	state.ChannelCode = trade.Code
	if trade.Outcome != channel.Succeeded {
		return state, nil
	}
	if trade.State != channel.TradePaid {
		state.NotPaid = true
		return state, nil
	}
	err = a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		p, err := payment.LockAttempt(ctx, tx, in.Tenant, in.ID)
		if err != nil {
			return err
		}
		return bookLate(ctx, tx, in.Tenant, &p, c.account, trade)
	})
	if err != nil {
		return state, err
	}
	return a.ReadLatePayment(ctx, in)
}

// bookLate books money that is not the payment's, accepts its refund and reports
// it, once.
func bookLate(
	ctx context.Context, tx pgx.Tx, tenantID string, p *payment.Payment, account tenant.ChannelAccount, trade channel.Trade,
) error {
	receipt, err := receiptOf(*p, account, trade)
	if err != nil {
		return err
	}
	refundID := id.New(id.Refund)
	fresh, err := payment.PaidLate(ctx, tx, tenantID, p, receipt, refundID)
	if err != nil || !fresh {
		return err
	}
	if err := postLateReceipt(ctx, tx, tenantID, *p, receipt); err != nil {
		return err
	}
	if err := refund.CreateLate(ctx, tx, tenantID, *p, refundID); err != nil {
		return err
	}
	kind := event.PaymentPaidLate
	if p.Status == payment.Succeeded {
		kind = event.PaymentPaidTwice
	}
	return emit(ctx, tx, tenantID, kind, p.ID, string(p.Status))
}
