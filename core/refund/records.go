package refund

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/returns"
	"github.com/suanpan/suanpan/core/status"
	"github.com/suanpan/suanpan/core/unresolved"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/money"
)

// columns are what scan reads.
func columns() string {
	return `id, payment_id, attempt_id, origin, coalesce(reference, ''), reason, currency, amount, number,
	request_hash, status, sent_at, coalesce(waiting_for, ''), coalesce(channel_refund_no, ''), fee_returned,
	failure_code, coalesce(failure_channel_code, ''), coalesce(failure_message, ''), created_at, refunded_at,
	abnormal_at, coalesce(redirect_to, ''), coalesce(redirect_status, ''), redirect_requested_at,
	redirect_failure_code, coalesce(redirect_channel_code, ''), coalesce(redirect_message, ''), returned_at,
	returns, repaid_at, ` + unresolved.Of("refunds")
}

func scan(row pgx.CollectableRow) (Refund, error) {
	var r Refund
	var failureCode, refusalCode *string
	var failure, refusal payment.Failure
	var requestedAt *time.Time
	err := row.Scan(&r.ID, &r.PaymentID, &r.AttemptID, &r.Origin, &r.Reference, &r.Reason,
		&r.Amount.Currency, &r.Amount.Minor, &r.Number, &r.RequestHash, &r.Status, &r.SentAt, &r.WaitingFor,
		&r.ChannelRefundNo, &r.FeeReturned.Minor, &failureCode, &failure.ChannelCode, &failure.Message,
		&r.CreatedAt, &r.RefundedAt, &r.AbnormalAt, &r.Redirect.To, &r.Redirect.Status, &requestedAt,
		&refusalCode, &refusal.ChannelCode, &refusal.Message, &r.ReturnedAt, &r.Returns, &r.RepaidAt,
		&r.Unresolved)
	if refusalCode != nil {
		refusal.Code = *refusalCode
		r.Redirect.Failure = &refusal
	}
	if requestedAt != nil {
		r.Redirect.RequestedAt = *requestedAt
	}
	r.Sent = r.SentAt != nil
	if failureCode != nil {
		failure.Code = *failureCode
		r.Failure = &failure
	}
	r.FeeReturned.Currency = r.Amount.Currency
	return r, err
}

func one(ctx context.Context, q pg.Querier, where string, args ...any) (Refund, error) {
	rows, err := q.Query(ctx, `select `+columns()+` from refunds `+where, args...)
	if err != nil {
		return Refund{}, fmt.Errorf("refund: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Refund{}, fault.NotFound()
	}
	if err != nil {
		return Refund{}, fmt.Errorf("refund: %w", err)
	}
	return r, nil
}

// Get returns a refund, or fault.NotFound.
func Get(ctx context.Context, q pg.Querier, tenantID, refundID string) (Refund, error) {
	return one(ctx, q, `where tenant_id = $1 and id = $2`, tenantID, refundID)
}

// Lock is Get with the row locked; the payment is locked first, by Lock of
// package payment.
func Lock(ctx context.Context, tx pgx.Tx, tenantID, refundID string) (Refund, error) {
	return one(ctx, tx, `where tenant_id = $1 and id = $2 for update`, tenantID, refundID)
}

// ByNumber returns the refund that carries number at the provider.
func ByNumber(ctx context.Context, q pg.Querier, tenantID, number string) (Refund, error) {
	return one(ctx, q, `where tenant_id = $1 and number = $2`, tenantID, number)
}

// Filter narrows List; zero fields do not filter.
type Filter struct {
	PaymentID string
	Status    string
	Reference string
	From, To  *time.Time
	// Before is the id of the last refund of the page before.
	Before string
	Limit  int
}

// List returns refunds, newest first.
func List(ctx context.Context, q pg.Querier, tenantID string, f Filter) ([]Refund, error) {
	rows, err := q.Query(ctx, `select `+columns()+` from refunds
		where tenant_id = $1 and ($2 = '' or payment_id = $2) and ($3 = '' or status = $3)
		  and ($4 = '' or reference = $4) and ($5 = '' or id < $5)
		  and ($6::timestamptz is null or created_at >= $6)
		  and ($7::timestamptz is null or created_at < $7)
		order by id desc limit $8`,
		tenantID, f.PaymentID, f.Status, f.Reference, f.Before, f.From, f.To, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("refunds: %w", err)
	}
	return pgx.CollectRows(rows, scan)
}

// Legs returns what each receiver gives back in a refund, by position.
func Legs(ctx context.Context, q pg.Querier, tenantID string, r Refund) ([]Leg, error) {
	rows, err := q.Query(ctx, `
		select position, split_id, receiver, coalesce(merchant_id, ''), amount, available, coalesce(hold, '')
		from refund_legs where tenant_id = $1 and refund_id = $2 order by position`, tenantID, r.ID)
	if err != nil {
		return nil, fmt.Errorf("refund legs: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Leg, error) {
		var l Leg
		err := row.Scan(&l.Position, &l.SplitID, &l.Receiver, &l.MerchantID, &l.Amount.Minor, &l.Available, &l.Hold)
		l.Amount.Currency = r.Amount.Currency
		return l, err
	})
}

// Receipt is what the provider's verified answer says about a refund done.
type Receipt struct {
	ChannelRefundNo string
	RefundedAt      time.Time
	FeeReturned     money.Amount
	// MayReturn: at this provider a payer's bank can send it back later.
	MayReturn bool
}

// SucceededNow records that the money went back. The caller books it in tx.
func SucceededNow(ctx context.Context, tx pgx.Tx, tenantID string, r Refund, receipt Receipt) error {
	return status.Change(ctx, tx, table, tenantID, r.ID, r.Status, Succeeded,
		`, waiting_for = null, refunded_at = $5, channel_refund_no = $6, fee_returned = $7,
			redirect_status = case when redirect_to is not null then 'accepted' end,
			redirect_failure_code = null, redirect_channel_code = null, redirect_message = null,
			return_look_at = case when $8 then $5::timestamptz + $9::interval end`,
		receipt.RefundedAt, receipt.ChannelRefundNo, receipt.FeeReturned.Minor, receipt.MayReturn, returns.First)
}

// FailedNow records that the provider refused. The caller releases the holds in tx.
func FailedNow(ctx context.Context, tx pgx.Tx, tenantID string, r Refund, f payment.Failure) error {
	return status.Change(ctx, tx, table, tenantID, r.ID, r.Status, Failed,
		`, waiting_for = null, failure_code = $5, failure_channel_code = $6, failure_message = $7`, f.Code, f.ChannelCode, f.Message)
}

// table holds the refunds.
const table status.Table = "refunds"

// Waiting notes in words what a processing refund waits for. Idempotent.
func Waiting(ctx context.Context, tx pgx.Tx, tenantID, refundID, why string) error {
	return status.Waiting(ctx, tx, table, tenantID, refundID, why)
}

// Sending commits that the order is about to be sent. Idempotent; it says
// nothing about the provider.
func Sending(ctx context.Context, tx pgx.Tx, tenantID, refundID string) error {
	return status.Sending(ctx, tx, table, tenantID, refundID)
}
