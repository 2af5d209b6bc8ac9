package payment

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/status"
	"github.com/suanpan/suanpan/money"
)

// The tables of the two nouns.
const (
	payments status.Table = "payments"
	attempts status.Table = "attempts"
)

// become changes the status of p, which the caller has locked.
func become(ctx context.Context, tx pgx.Tx, tenantID string, p Payment, to Status, set string, args ...any) error {
	return status.Change(ctx, tx, payments, tenantID, p.ID, p.Status, to, set, args...)
}

func setAttempt(ctx context.Context, tx pgx.Tx, tenantID string, p Payment, to AttemptStatus, set string, args ...any) error {
	return status.Change(ctx, tx, attempts, tenantID, p.Attempt.ID, p.Attempt.Status, to, set, args...)
}

// Prepared records the QR code: the payer may scan now.
func Prepared(ctx context.Context, tx pgx.Tx, tenantID string, p Payment, qrCode string) error {
	if err := become(ctx, tx, tenantID, p, AwaitingPayer, ""); err != nil {
		return err
	}
	return setAttempt(ctx, tx, tenantID, p, Open, `, qr_code = $5`, qrCode)
}

// NotPrepared records that the provider refused to prepare the trade.
func NotPrepared(ctx context.Context, tx pgx.Tx, tenantID string, p Payment, f Failure) error {
	err := become(ctx, tx, tenantID, p, Failed,
		`, failure_code = $5, failure_channel_code = $6, failure_message = $7, closed_at = suanpan_now()`,
		f.Code, f.ChannelCode, f.Message)
	if err != nil {
		return err
	}
	if err := setAttempt(ctx, tx, tenantID, p, Refused, ""); err != nil {
		return err
	}
	return lookIntoNotified(ctx, tx, tenantID, p)
}

// Receipt is what the provider's verified answer says about the payer's money.
type Receipt struct {
	ChannelTradeNo string
	// PaidAt is the provider's moment of payment: its day decides the books' day.
	PaidAt time.Time
	// Fee is what the provider keeps, by the channel account's rate.
	Fee money.Amount
}

// PaidNow records the payer's money. The caller books it in the same transaction.
func PaidNow(ctx context.Context, tx pgx.Tx, tenantID string, p Payment, r Receipt) error {
	if err := become(ctx, tx, tenantID, p, Succeeded, `, paid_at = $5`, r.PaidAt); err != nil {
		return err
	}
	return setAttempt(ctx, tx, tenantID, p, Paid,
		`, channel_trade_no = $5, paid_at = $6, fee = $7`, r.ChannelTradeNo, r.PaidAt, r.Fee.Minor)
}

// ClosedNow records that the payer's time is over and the provider accepts no
// payer any more.
func ClosedNow(ctx context.Context, tx pgx.Tx, tenantID string, p Payment) error {
	if err := become(ctx, tx, tenantID, p, Closed, `, closed_at = suanpan_now()`); err != nil {
		return err
	}
	if err := setAttempt(ctx, tx, tenantID, p, AttemptClosed, ""); err != nil {
		return err
	}
	return lookIntoNotified(ctx, tx, tenantID, p)
}

// lookIntoNotified looks into every notification that was relayed while p was
// still open: its signal may have come too late for the workflow that just ended
// p. One that is relayed from now on finds p closed; see ByNumberAtRest.
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

// PaidLate records money that arrived for a closed or failed payment, to be
// given back by refundID. The payment stays as it is. It reports false when the
// receipt was recorded before.
func PaidLate(ctx context.Context, tx pgx.Tx, tenantID string, p Payment, r Receipt, refundID string) (bool, error) {
	if p.Status != Closed && p.Status != Failed {
		return false, fmt.Errorf("payment %s is %s, so its money is not late", p.ID, p.Status)
	}
	tag, err := tx.Exec(ctx, `
		insert into late_receipts (tenant_id, attempt_id, payment_id, currency, amount, fee,
			channel_trade_no, paid_at, refund_id)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing`,
		tenantID, p.Attempt.ID, p.ID, p.Amount.Currency, p.Amount.Minor, r.Fee.Minor,
		r.ChannelTradeNo, r.PaidAt, refundID)
	if err != nil {
		return false, fmt.Errorf("late receipt of payment %s: %w", p.ID, err)
	}
	return tag.RowsAffected() == 1, nil
}

// Refunding moves delta between free and promised to refunds in flight: positive
// when a refund is accepted, negative when it failed. The payment is locked.
func Refunding(ctx context.Context, tx pgx.Tx, tenantID string, p Payment, delta money.Amount) error {
	_, err := tx.Exec(ctx, `update payments set refunding = refunding + $3 where tenant_id = $1 and id = $2`,
		tenantID, p.ID, delta.Minor)
	if err != nil {
		return fmt.Errorf("refunding of payment %s: %w", p.ID, err)
	}
	return nil
}

// RefundedNow records that amount, promised before, reached the payer.
func RefundedNow(ctx context.Context, tx pgx.Tx, tenantID string, p Payment, amount money.Amount) error {
	_, err := tx.Exec(ctx, `
		update payments set refunding = refunding - $3, refunded = refunded + $3
		where tenant_id = $1 and id = $2`, tenantID, p.ID, amount.Minor)
	if err != nil {
		return fmt.Errorf("refunded of payment %s: %w", p.ID, err)
	}
	return nil
}

// Expired reports whether the payer's time and the grace after it are over on
// the business clock.
func Expired(ctx context.Context, tx pgx.Tx, p Payment, grace time.Duration) (bool, error) {
	var over bool
	err := tx.QueryRow(ctx, `select suanpan_now() > $1::timestamptz + $2::interval`, p.ExpiresAt, grace).Scan(&over)
	return over, err
}

// Overdue is a payment whose workflow must be told that the payer's time is over.
type Overdue struct {
	Tenant    string
	PaymentID string
}

// ClaimOverdue returns up to limit unfinished payments of all tenants whose time
// and grace are over, oldest first, and marks them told: each is returned again
// only after a minute, should it still be unfinished then.
func ClaimOverdue(ctx context.Context, tx pgx.Tx, grace time.Duration, limit int) ([]Overdue, error) {
	rows, err := tx.Query(ctx, `
		update payments set expiry_told_at = clock_timestamp()
		where (tenant_id, id) in (
			select tenant_id, id from payments
			where status in ('processing', 'awaiting_payer') and expires_at + $1::interval < suanpan_now()
			  and (expiry_told_at is null or expiry_told_at < clock_timestamp() - interval '1 minute')
			order by expires_at limit $2 for update skip locked)
		returning tenant_id, id`, grace, limit)
	if err != nil {
		return nil, fmt.Errorf("overdue payments: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Overdue])
}
