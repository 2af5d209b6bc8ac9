package payment

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/money"
)

// LateReceipt is a payer's money that is not the payment's: it came after its
// attempt was closed, or after another attempt had won.
type LateReceipt struct {
	AttemptID      string
	PaymentID      string
	Amount         money.Amount
	Fee            money.Amount
	ChannelTradeNo string
	PaidAt         time.Time
	// RefundID is the refund that gives it back.
	RefundID string
}

// PaidLate records money of the attempt of p that is not the payment's, to be
// given back by refundID. The payment stays as it is; an attempt that was still
// live is closed. It reports false when the receipt was recorded before.
func PaidLate(ctx context.Context, tx pgx.Tx, tenantID string, p *Payment, r Receipt, refundID string) (bool, error) {
	if p.Attempt.Status == Paid || p.Attempt.Status.Live() && !p.Status.Final() {
		return false, fmt.Errorf("attempt %s is %s and payment %s is %s, so its money is not late",
			p.Attempt.ID, p.Attempt.Status, p.ID, p.Status)
	}
	tag, err := tx.Exec(ctx, `
		insert into late_receipts (tenant_id, attempt_id, payment_id, currency, amount, fee,
			channel_trade_no, paid_at, refund_id)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing`,
		tenantID, p.Attempt.ID, p.ID, p.Amount.Currency, p.Amount.Minor, r.Fee.Minor,
		r.ChannelTradeNo, r.PaidAt, refundID)
	if err != nil {
		return false, fmt.Errorf("late receipt of attempt %s: %w", p.Attempt.ID, err)
	}
	if p.Attempt.Status.Live() {
		if err := setAttempt(ctx, tx, tenantID, *p, AttemptClosed, ""); err != nil {
			return false, err
		}
		p.Attempt.Status = AttemptClosed
		if err := Settle(ctx, tx, tenantID, p); err != nil {
			return false, err
		}
	}
	return tag.RowsAffected() == 1, nil
}

// FindLateReceipt returns the late receipt of an attempt, nil when there is none.
func FindLateReceipt(ctx context.Context, q pg.Querier, tenantID, attemptID string) (*LateReceipt, error) {
	found, err := lateReceipts(ctx, q, tenantID, `l.attempt_id = $2`, attemptID)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// LateReceipts returns the late receipts of all attempts of a payment.
func LateReceipts(ctx context.Context, q pg.Querier, tenantID, paymentID string) ([]LateReceipt, error) {
	return lateReceipts(ctx, q, tenantID, `l.payment_id = $2`, paymentID)
}

func lateReceipts(ctx context.Context, q pg.Querier, tenantID, where, of string) ([]LateReceipt, error) {
	rows, err := q.Query(ctx, `
		select l.attempt_id, l.payment_id, l.currency, l.amount, l.fee, l.channel_trade_no, l.paid_at, l.refund_id
		from late_receipts l where l.tenant_id = $1 and `+where+` order by l.created_at, l.attempt_id`, tenantID, of)
	if err != nil {
		return nil, fmt.Errorf("late receipts: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (LateReceipt, error) {
		var r LateReceipt
		err := row.Scan(&r.AttemptID, &r.PaymentID, &r.Amount.Currency, &r.Amount.Minor, &r.Fee.Minor,
			&r.ChannelTradeNo, &r.PaidAt, &r.RefundID)
		r.Fee.Currency = r.Amount.Currency
		return r, err
	})
}

// LateWorkflowType is the registered name of the workflow that looks into money
// for a closed attempt.
const LateWorkflowType = "LatePayment"

// LookIntoLate requires the workflow that finds out whether the attempt of p,
// which ended unpaid, was paid after all. cause, such as a notification's id,
// makes each reason to look a workflow of its own.
func LookIntoLate(ctx context.Context, tx pgx.Tx, tenantID string, p Payment, cause string) error {
	return accept.RequireWorkflow(ctx, tx, accept.Start{
		WorkflowID: "late-payment/" + p.Attempt.ID + "/" + cause,
		Type:       LateWorkflowType,
		Ref:        accept.Ref{Tenant: tenantID, ID: p.Attempt.ID},
		Attributes: accept.Attributes{Merchant: p.MerchantID, BusinessID: p.ID, Channel: p.Attempt.Channel},
	})
}

// lookIntoNotified looks into every notification that was relayed while the
// attempt of p was still open: its signal may have come too late for the
// workflow that just ended it. One that is relayed from now on finds it closed;
// see ByNumberAtRest.
func lookIntoNotified(ctx context.Context, tx pgx.Tx, tenantID string, p Payment) error {
	told, err := channel.NotificationsOfTrade(ctx, tx, tenantID, p.Attempt.Number)
	if err != nil {
		return err
	}
	for _, notification := range told {
		if err := LookIntoLate(ctx, tx, tenantID, p, notification); err != nil {
			return err
		}
	}
	return nil
}
