package payment

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/status"
	"github.com/suanpan/suanpan/money"
)

// The tables of the two nouns.
const (
	payments status.Table = "payments"
	attempts status.Table = "attempts"
)

// become changes the status of p, which the caller has locked.
func become(ctx context.Context, tx pgx.Tx, tenantID string, p *Payment, to Status, set string, args ...any) error {
	err := status.Change(ctx, tx, payments, tenantID, p.ID, p.Status, to, set, args...)
	if err == nil {
		p.Status = to
	}
	return err
}

// setAttempt changes the status of the attempt of p. At its end it forgets who its
// payer was: nothing is sent any more that needs it.
func setAttempt(ctx context.Context, tx pgx.Tx, tenantID string, p Payment, to AttemptStatus, set string, args ...any) error {
	if to.Live() {
		return status.Change(ctx, tx, attempts, tenantID, p.Attempt.ID, p.Attempt.Status, to, set, args...)
	}
	set += `, payer_id = null, payer_ip = null, payer_person = null, sealed_payer_id = null, sealed_payer_ip = null`
	err := status.Change(ctx, tx, attempts, tenantID, p.Attempt.ID, p.Attempt.Status, to, set, args...)
	if err != nil {
		return err
	}
	return party.DropPayer(ctx, tx, tenantID, p.Attempt.Payer)
}

// Every function below changes the attempt that p was read by, and with it the
// payment where that follows. The payment is locked. p is brought up to date.

// Prepared records what the payer's side has to do next: the payer may pay now.
func Prepared(ctx context.Context, tx pgx.Tx, tenantID string, p *Payment, action channel.Action) error {
	text, err := json.Marshal(action)
	if err != nil {
		return fmt.Errorf("action of attempt %s: %w", p.Attempt.ID, err)
	}
	if err := setAttempt(ctx, tx, tenantID, *p, Open, `, action = $5`, text); err != nil {
		return err
	}
	p.Attempt.Status, p.Attempt.Action = Open, &action
	if p.Status == Processing {
		return become(ctx, tx, tenantID, p, AwaitingPayer, "")
	}
	return nil
}

// RefusedNow records that the provider refused the attempt. A payment that was
// made with a method fails with its only attempt.
func RefusedNow(ctx context.Context, tx pgx.Tx, tenantID string, p *Payment, f Failure) error {
	err := setAttempt(ctx, tx, tenantID, *p, Refused, `, failure_code = $5, failure_channel_code = $6, failure_message = $7`,
		f.Code, f.ChannelCode, f.Message)
	if err != nil {
		return err
	}
	p.Attempt.Status, p.Attempt.Failure = Refused, &f
	return ended(ctx, tx, tenantID, p)
}

// ClosedNow records that the provider accepts no payer of the attempt any more.
func ClosedNow(ctx context.Context, tx pgx.Tx, tenantID string, p *Payment) error {
	if err := setAttempt(ctx, tx, tenantID, *p, AttemptClosed, ""); err != nil {
		return err
	}
	p.Attempt.Status = AttemptClosed
	return ended(ctx, tx, tenantID, p)
}

// ended settles what follows from the end of an attempt without the payment's
// money, and looks into what its provider has told about it already.
func ended(ctx context.Context, tx pgx.Tx, tenantID string, p *Payment) error {
	if err := Settle(ctx, tx, tenantID, p); err != nil {
		return err
	}
	return lookIntoNotified(ctx, tx, tenantID, *p)
}

// Receipt is what the provider's verified answer says about the payer's money.
type Receipt struct {
	ChannelTradeNo string
	// PaidAt is the provider's moment of payment: its day decides the books' day.
	PaidAt time.Time
	// Fee is what the provider keeps, by the channel account's rate.
	Fee money.Amount
}

// PaidNow records that the attempt brought the payment's money. The caller books
// it in the same transaction. The attempts that did not win stay live until their
// providers accept no payer any more.
func PaidNow(ctx context.Context, tx pgx.Tx, tenantID string, p *Payment, r Receipt) error {
	if err := become(ctx, tx, tenantID, p, Succeeded, `, paid_at = $5`, r.PaidAt); err != nil {
		return err
	}
	err := setAttempt(ctx, tx, tenantID, *p, Paid,
		`, channel_trade_no = $5, paid_at = $6, fee = $7`, r.ChannelTradeNo, r.PaidAt, r.Fee.Minor)
	if err != nil {
		return err
	}
	p.Attempt.Status = Paid
	return Settle(ctx, tx, tenantID, p)
}

// prospects are what can still become of a payment.
type prospects struct {
	// live attempts may still be paid; of these, expected are those whose provider
	// was not asked to close them, or did not say that it has never heard of them.
	live, expected int
	// expired: its time is over on the business clock.
	expired bool
}

// Settle ends the payment when nothing can become of it any more, and notes
// whether its workflow still has work to do.
func Settle(ctx context.Context, tx pgx.Tx, tenantID string, p *Payment) error {
	var left prospects
	err := tx.QueryRow(ctx, `
		select count(*), count(*) filter (where unseen_at is null), suanpan_now() > $3
		from attempts where tenant_id = $1 and payment_id = $2 and status in ('preparing', 'awaiting_payer')`,
		tenantID, p.ID, p.ExpiresAt).Scan(&left.live, &left.expected, &left.expired)
	if err != nil {
		return fmt.Errorf("live attempts of payment %s: %w", p.ID, err)
	}
	if !p.Status.Final() {
		if err := end(ctx, tx, tenantID, p, left); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `update payments set driven = $3 where tenant_id = $1 and id = $2 and driven <> $3`,
		tenantID, p.ID, !p.Status.Final() || left.live > 0)
	if err != nil {
		return fmt.Errorf("settle payment %s: %w", p.ID, err)
	}
	return nil
}

// end decides whether an unfinished payment is over.
func end(ctx context.Context, tx pgx.Tx, tenantID string, p *Payment, left prospects) error {
	last := p.Attempt
	switch {
	case p.CancelRequested && left.expected == 0:
		return closePayment(ctx, tx, tenantID, p, Cancelled)
	case left.live > 0:
		return nil
	case left.expired:
		return closePayment(ctx, tx, tenantID, p, Expired)
	case p.PayerChooses():
		return nil
	case p.Status == Processing && last.Status == Refused:
		f := *last.Failure
		p.Failure = &f
		return become(ctx, tx, tenantID, p, Failed,
			`, failure_code = $5, failure_channel_code = $6, failure_message = $7, closed_at = suanpan_now()`,
			f.Code, f.ChannelCode, f.Message)
	case last.Product == channel.ProductBarcode:
		return closePayment(ctx, tx, tenantID, p, Expired)
	}
	return closePayment(ctx, tx, tenantID, p, ByChannel)
}

func closePayment(ctx context.Context, tx pgx.Tx, tenantID string, p *Payment, why CloseReason) error {
	p.CloseReason = why
	return become(ctx, tx, tenantID, p, Closed, `, closed_at = suanpan_now(), close_reason = $5`, string(why))
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
