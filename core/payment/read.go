package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/money"
)

const columns = `
	p.id, p.merchant_id, p.reference, p.subject, p.currency, p.amount, p.refunded, p.refunding,
	p.channel, p.product, p.status, p.failure_code, coalesce(p.failure_channel_code, ''),
	coalesce(p.failure_message, ''), p.expires_at, p.created_at, p.paid_at, p.closed_at,
	a.id, a.channel_account_id, a.number, a.request_hash, a.status, coalesce(a.qr_code, ''),
	coalesce(a.channel_trade_no, ''), coalesce(a.fee, 0), a.paid_at`

const from = ` from payments p join attempts a on a.tenant_id = p.tenant_id and a.payment_id = p.id `

func scan(row pgx.CollectableRow) (Payment, error) {
	var p Payment
	var failureCode *string
	var failure Failure
	a := &p.Attempt
	err := row.Scan(&p.ID, &p.MerchantID, &p.Reference, &p.Subject, &p.Amount.Currency, &p.Amount.Minor,
		&p.Refunded.Minor, &p.Refunding.Minor, &p.Channel, &p.Product, &p.Status, &failureCode,
		&failure.ChannelCode, &failure.Message, &p.ExpiresAt, &p.CreatedAt, &p.PaidAt, &p.ClosedAt,
		&a.ID, &a.ChannelAccountID, &a.Number, &a.RequestHash, &a.Status, &a.QRCode,
		&a.ChannelTradeNo, &a.Fee.Minor, &a.PaidAt)
	if failureCode != nil {
		failure.Code = *failureCode
		p.Failure = &failure
	}
	for _, amount := range []*money.Amount{&p.Refunded, &p.Refunding, &a.Fee} {
		amount.Currency = p.Amount.Currency
	}
	return p, err
}

func one(ctx context.Context, q pg.Querier, where string, args ...any) (Payment, error) {
	rows, err := q.Query(ctx, `select `+columns+from+where, args...)
	if err != nil {
		return Payment{}, fmt.Errorf("payment: %w", err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Payment{}, fault.NotFound()
	}
	if err != nil {
		return Payment{}, fmt.Errorf("payment: %w", err)
	}
	return p, nil
}

// Get returns a payment with its attempt, or fault.NotFound.
func Get(ctx context.Context, q pg.Querier, tenantID, paymentID string) (Payment, error) {
	return one(ctx, q, `where p.tenant_id = $1 and p.id = $2`, tenantID, paymentID)
}

// Lock is Get with the payment's row locked until the transaction ends. It is
// the first lock of every change to a payment and to the refunds on it.
func Lock(ctx context.Context, tx pgx.Tx, tenantID, paymentID string) (Payment, error) {
	return one(ctx, tx, `where p.tenant_id = $1 and p.id = $2 for update of p`, tenantID, paymentID)
}

// ByNumber returns the payment whose attempt carries number.
func ByNumber(ctx context.Context, q pg.Querier, tenantID, number string) (Payment, error) {
	return one(ctx, q, `where a.tenant_id = $1 and a.number = $2`, tenantID, number)
}

// ByNumberAtRest is ByNumber once whoever is changing the payment has committed.
// It keeps no lock, so what is relayed by its answer holds up nobody; but a
// change that begins after it sees everything that was committed before it.
func ByNumberAtRest(ctx context.Context, tx pgx.Tx, tenantID, number string) (Payment, error) {
	waiting, err := tx.Begin(ctx)
	if err != nil {
		return Payment{}, fmt.Errorf("payment: %w", err)
	}
	p, err := one(ctx, waiting, `where a.tenant_id = $1 and a.number = $2 for share of p`, tenantID, number)
	// Going back to the savepoint gives the lock up again.
	return p, errors.Join(err, waiting.Rollback(ctx))
}

// Filter narrows List; zero fields do not filter.
type Filter struct {
	Status     string
	MerchantID string
	Reference  string
	From, To   *time.Time
	// Before is the id of the last payment of the page before.
	Before string
	Limit  int
}

// List returns payments, newest first.
func List(ctx context.Context, q pg.Querier, tenantID string, f Filter) ([]Payment, error) {
	rows, err := q.Query(ctx, `select `+columns+from+`
		where p.tenant_id = $1
		  and ($2 = '' or p.status = $2) and ($3 = '' or p.merchant_id = $3)
		  and ($4 = '' or p.reference = $4) and ($5 = '' or p.id < $5)
		  and ($6::timestamptz is null or p.created_at >= $6)
		  and ($7::timestamptz is null or p.created_at < $7)
		order by p.id desc limit $8`,
		tenantID, f.Status, f.MerchantID, f.Reference, f.Before, f.From, f.To, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("payments: %w", err)
	}
	return pgx.CollectRows(rows, scan)
}

// LateReceipt is a payer's money that arrived after the payment was closed.
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

// FindLateReceipt returns the late receipt of a payment, nil when there is none.
func FindLateReceipt(ctx context.Context, q pg.Querier, tenantID, paymentID string) (*LateReceipt, error) {
	var r LateReceipt
	err := q.QueryRow(ctx, `
		select attempt_id, payment_id, currency, amount, fee, channel_trade_no, paid_at, refund_id
		from late_receipts where tenant_id = $1 and payment_id = $2`, tenantID, paymentID).
		Scan(&r.AttemptID, &r.PaymentID, &r.Amount.Currency, &r.Amount.Minor, &r.Fee.Minor,
			&r.ChannelTradeNo, &r.PaidAt, &r.RefundID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("late receipt: %w", err)
	}
	r.Fee.Currency = r.Amount.Currency
	return &r, nil
}
