package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/money"
)

const paymentColumns = `
	p.id, p.merchant_id, p.reference, p.subject, p.currency, p.amount, p.refunded, p.refunding,
	coalesce(p.channel, ''), coalesce(p.product, ''), p.status, p.failure_code, coalesce(p.failure_channel_code, ''),
	coalesce(p.failure_message, ''), coalesce(p.close_reason, ''), p.checkout_token, coalesce(p.return_url, ''),
	coalesce(p.payment_link_id, ''), p.cancel_requested_at is not null,
	p.expires_at, p.created_at, p.paid_at, p.closed_at`

// attemptColumns are of a, which may be no row at all.
const attemptColumns = `
	coalesce(a.id, ''), coalesce(a.payment_id, ''), coalesce(a.channel_account_id, ''), coalesce(a.channel, ''),
	coalesce(a.product, ''), coalesce(a.position, 0), coalesce(a.number, ''), a.request_hash, coalesce(a.status, ''), a.action,
	coalesce(a.payer_person, ''), a.sealed_payer_id, a.sealed_payer_ip, coalesce(a.payer_id, ''), coalesce(a.payer_ip, ''),
	coalesce(a.return_url, ''), coalesce(a.click, ''), a.code_hash,
	coalesce(a.asked, 0),
	a.sent_at, a.cancel_sent_at, a.unseen_at is not null, a.failure_code, coalesce(a.failure_channel_code, ''),
	coalesce(a.failure_message, ''), coalesce(a.channel_trade_no, ''), coalesce(a.fee, 0), a.paid_at, coalesce(a.created_at, 'epoch')`

// fromPayments joins each payment with the attempt that stands for it.
const fromPayments = ` from payments p left join lateral (
	select * from attempts a where a.tenant_id = p.tenant_id and a.payment_id = p.id
	order by a.status = 'paid' desc, a.position desc limit 1) a on true `

// fromAttempts joins each attempt with its payment.
const fromAttempts = ` from attempts a join payments p on p.tenant_id = a.tenant_id and p.id = a.payment_id `

// fields are where the attempt's columns go; failure is read by the caller.
func (a *Attempt) fields(failureCode **string, failure *Failure) []any {
	return []any{&a.ID, &a.PaymentID, &a.ChannelAccountID, &a.Channel, &a.Product, &a.Position, &a.Number, &a.RequestHash,
		&a.Status, &a.Action, &a.Payer.Person, &a.Payer.ID, &a.Payer.IP, &a.Payer.Plain.ID, &a.Payer.Plain.IP,
		&a.ReturnURL, &a.Click, &a.CodeHash, &a.Asked,
		&a.SentAt, &a.CancelSentAt, &a.Unseen, failureCode, &failure.ChannelCode,
		&failure.Message, &a.ChannelTradeNo, &a.Fee.Minor, &a.PaidAt, &a.CreatedAt}
}

func failureOf(code *string, failure Failure) *Failure {
	if code == nil {
		return nil
	}
	failure.Code = *code
	return &failure
}

func scan(row pgx.CollectableRow) (Payment, error) {
	var p Payment
	var code, attemptCode *string
	var failure, attemptFailure Failure
	a := &p.Attempt
	err := row.Scan(append([]any{&p.ID, &p.MerchantID, &p.Reference, &p.Subject, &p.Amount.Currency, &p.Amount.Minor,
		&p.Refunded.Minor, &p.Refunding.Minor, &p.Channel, &p.Product, &p.Status, &code,
		&failure.ChannelCode, &failure.Message, &p.CloseReason, &p.CheckoutToken, &p.ReturnURL, &p.LinkID, &p.CancelRequested,
		&p.ExpiresAt, &p.CreatedAt, &p.PaidAt, &p.ClosedAt}, a.fields(&attemptCode, &attemptFailure)...)...)
	p.Failure, a.Failure = failureOf(code, failure), failureOf(attemptCode, attemptFailure)
	for _, amount := range []*money.Amount{&p.Refunded, &p.Refunding, &a.Fee} {
		amount.Currency = p.Amount.Currency
	}
	return p, err
}

func one(ctx context.Context, q pg.Querier, from, where string, args ...any) (Payment, error) {
	rows, err := q.Query(ctx, `select `+paymentColumns+`,`+attemptColumns+from+where, args...)
	return only(rows, err)
}

func only(rows pgx.Rows, err error) (Payment, error) {
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

// locked locks the row of a payment and then reads, in one round trip. One query
// for both would show the attempts as they were before it waited for the lock.
func locked(ctx context.Context, tx pgx.Tx, lock, from, where string, args ...any) (Payment, error) {
	var both pgx.Batch
	both.Queue(`select from payments where `+lock, args...)
	both.Queue(`select `+paymentColumns+`,`+attemptColumns+from+where, args...)
	results := tx.SendBatch(ctx, &both)
	_, err := results.Exec()
	var p Payment
	if err == nil {
		p, err = only(results.Query())
	} else {
		err = fmt.Errorf("lock payment: %w", err)
	}
	if closing := results.Close(); err == nil && closing != nil {
		err = fmt.Errorf("lock payment: %w", closing)
	}
	return p, err
}

const (
	wherePayment = `where p.tenant_id = $1 and p.id = $2`
	whereAttempt = `where a.tenant_id = $1 and a.id = $2`
	whereNumber  = `where a.tenant_id = $1 and a.number = $2`
)

// Get returns a payment with the attempt that was paid, else its newest, or
// fault.NotFound.
func Get(ctx context.Context, q pg.Querier, tenantID, paymentID string) (Payment, error) {
	return one(ctx, q, fromPayments, wherePayment, tenantID, paymentID)
}

// Lock is Get with the payment's row locked until the transaction ends. It is
// the first lock of every change to a payment, its attempts and the refunds on it.
func Lock(ctx context.Context, tx pgx.Tx, tenantID, paymentID string) (Payment, error) {
	return locked(ctx, tx, `tenant_id = $1 and id = $2 for update`, fromPayments, wherePayment, tenantID, paymentID)
}

// GetAttempt returns an attempt with its payment, or fault.NotFound.
func GetAttempt(ctx context.Context, q pg.Querier, tenantID, attemptID string) (Payment, error) {
	return one(ctx, q, fromAttempts, whereAttempt, tenantID, attemptID)
}

// LockAttempt is GetAttempt with the payment's row locked; see Lock.
func LockAttempt(ctx context.Context, tx pgx.Tx, tenantID, attemptID string) (Payment, error) {
	return locked(ctx, tx, `tenant_id = $1 and id = (select payment_id from attempts where tenant_id = $1 and id = $2) for update`,
		fromAttempts, whereAttempt, tenantID, attemptID)
}

// ByNumber returns the attempt that carries number, with its payment.
func ByNumber(ctx context.Context, q pg.Querier, tenantID, number string) (Payment, error) {
	return one(ctx, q, fromAttempts, whereNumber, tenantID, number)
}

// ByNumberAtRest is ByNumber once whoever is changing the payment has committed.
// It keeps no lock, so what is relayed by its answer holds up nobody; but a
// change that begins after it sees everything that was committed before it.
func ByNumberAtRest(ctx context.Context, tx pgx.Tx, tenantID, number string) (Payment, error) {
	waiting, err := tx.Begin(ctx)
	if err != nil {
		return Payment{}, fmt.Errorf("payment: %w", err)
	}
	p, err := locked(ctx, waiting, `tenant_id = $1 and id = (select payment_id from attempts where tenant_id = $1 and number = $2) for share`,
		fromAttempts, whereNumber, tenantID, number)
	// Going back to the savepoint gives the lock up again.
	return p, errors.Join(err, waiting.Rollback(ctx))
}

// ByCheckoutToken returns whose payment a checkout page is of, and which, or
// fault.NotFound. It needs the system role: the page names nothing else.
func ByCheckoutToken(ctx context.Context, q pg.Querier, token string) (tenantID, paymentID string, err error) {
	err = q.QueryRow(ctx, `select tenant_id, id from payments where checkout_token = $1`, token).Scan(&tenantID, &paymentID)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", "", fault.NotFound()
	}
	if err != nil {
		return "", "", fmt.Errorf("payment of a checkout: %w", err)
	}
	return tenantID, paymentID, nil
}

// ByLinkClick returns the payment that a payer's click on a link's page made, or
// fault.NotFound.
func ByLinkClick(ctx context.Context, q pg.Querier, tenantID, linkID, click string) (Payment, error) {
	return one(ctx, q, fromPayments, ` where p.tenant_id = $1 and p.payment_link_id = $2 and p.link_click = $3`, tenantID, linkID, click)
}

// Attempts returns the attempts of the payments, oldest first.
func Attempts(ctx context.Context, q pg.Querier, tenantID string, paymentIDs ...string) ([]Attempt, error) {
	rows, err := q.Query(ctx, `select p.currency,`+attemptColumns+fromAttempts+`
		where a.tenant_id = $1 and a.payment_id = any($2) order by a.payment_id, a.position`, tenantID, paymentIDs)
	if err != nil {
		return nil, fmt.Errorf("attempts: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Attempt, error) {
		var a Attempt
		var code *string
		var failure Failure
		err := row.Scan(append([]any{&a.Fee.Currency}, a.fields(&code, &failure)...)...)
		a.Failure = failureOf(code, failure)
		return a, err
	})
}

// NextAction is what the payer's side has to do next to pay p by one of its
// attempts: what the newest open one says, nil when none is open.
func NextAction(all []Attempt) *channel.Action {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Status == Open {
			return all[i].Action
		}
	}
	return nil
}

// Filter narrows List; zero fields do not filter.
type Filter struct {
	Status     string
	MerchantID string
	Reference  string
	// LinkID is of the payment link that made them.
	LinkID   string
	From, To *time.Time
	// Before is the id of the last payment of the page before.
	Before string
	Limit  int
}

// List returns payments, newest first.
func List(ctx context.Context, q pg.Querier, tenantID string, f Filter) ([]Payment, error) {
	rows, err := q.Query(ctx, `select `+paymentColumns+`,`+attemptColumns+fromPayments+`
		where p.tenant_id = $1
		  and ($2 = '' or p.status = $2) and ($3 = '' or p.merchant_id = $3)
		  and ($4 = '' or p.reference = $4) and ($5 = '' or p.id < $5) and ($9 = '' or p.payment_link_id = $9)
		  and ($6::timestamptz is null or p.created_at >= $6)
		  and ($7::timestamptz is null or p.created_at < $7)
		order by p.id desc limit $8`,
		tenantID, f.Status, f.MerchantID, f.Reference, f.Before, f.From, f.To, f.Limit, f.LinkID)
	if err != nil {
		return nil, fmt.Errorf("payments: %w", err)
	}
	return pgx.CollectRows(rows, scan)
}
