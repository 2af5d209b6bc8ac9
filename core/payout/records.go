package payout

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
)

// columns are what scan reads.
func columns() string {
	return `id, merchant_id, reference, currency, amount, channel, channel_account_id, number, request_hash,
	status, accepted_at, sent_at, coalesce(waiting_for, ''), coalesce(channel_transfer_no, ''), failure_code,
	coalesce(failure_channel_code, ''), coalesce(failure_message, ''), created_at, paid_at, returned_at, ` + unresolved.Of("withdrawals")
}

func scan(row pgx.CollectableRow) (Withdrawal, error) {
	var w Withdrawal
	var failureCode *string
	var failure payment.Failure
	err := row.Scan(&w.ID, &w.MerchantID, &w.Reference, &w.Amount.Currency, &w.Amount.Minor, &w.Channel,
		&w.ChannelAccountID, &w.Number, &w.RequestHash, &w.Status, &w.AcceptedAt, &w.SentAt, &w.WaitingFor,
		&w.ChannelTransferNo, &failureCode, &failure.ChannelCode, &failure.Message, &w.CreatedAt, &w.PaidAt, &w.ReturnedAt, &w.Unresolved)
	w.Sent = w.SentAt != nil
	if failureCode != nil {
		failure.Code = *failureCode
		w.Failure = &failure
	}
	return w, err
}

func one(ctx context.Context, q pg.Querier, where string, args ...any) (Withdrawal, error) {
	rows, err := q.Query(ctx, `select `+columns()+` from withdrawals `+where, args...)
	if err != nil {
		return Withdrawal{}, fmt.Errorf("withdrawal: %w", err)
	}
	w, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Withdrawal{}, fault.NotFound()
	}
	if err != nil {
		return Withdrawal{}, fmt.Errorf("withdrawal: %w", err)
	}
	return w, nil
}

// Get returns a withdrawal, or fault.NotFound.
func Get(ctx context.Context, q pg.Querier, tenantID, withdrawalID string) (Withdrawal, error) {
	return one(ctx, q, `where tenant_id = $1 and id = $2`, tenantID, withdrawalID)
}

// Lock is Get with the row locked until the transaction ends.
func Lock(ctx context.Context, tx pgx.Tx, tenantID, withdrawalID string) (Withdrawal, error) {
	return one(ctx, tx, `where tenant_id = $1 and id = $2 for update`, tenantID, withdrawalID)
}

// ByNumber returns the withdrawal that carries number at the provider.
func ByNumber(ctx context.Context, q pg.Querier, tenantID, number string) (Withdrawal, error) {
	return one(ctx, q, `where tenant_id = $1 and number = $2`, tenantID, number)
}

// Filter narrows List; zero fields do not filter.
type Filter struct {
	MerchantID string
	Status     string
	Reference  string
	From, To   *time.Time
	// Before is the id of the last withdrawal of the page before.
	Before string
	Limit  int
}

// List returns withdrawals, newest first.
func List(ctx context.Context, q pg.Querier, tenantID string, f Filter) ([]Withdrawal, error) {
	rows, err := q.Query(ctx, `select `+columns()+` from withdrawals
		where tenant_id = $1 and ($2 = '' or merchant_id = $2) and ($3 = '' or status = $3)
		  and ($4 = '' or reference = $4) and ($5 = '' or id < $5)
		  and ($6::timestamptz is null or created_at >= $6)
		  and ($7::timestamptz is null or created_at < $7)
		order by id desc limit $8`,
		tenantID, f.MerchantID, f.Status, f.Reference, f.Before, f.From, f.To, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("withdrawals: %w", err)
	}
	return pgx.CollectRows(rows, scan)
}

// AcceptedNow records that the provider took the order; the caller moves the
// held money into transit in tx. Only the first call does anything: it reports
// false when the order was accepted before.
func AcceptedNow(ctx context.Context, tx pgx.Tx, tenantID string, w Withdrawal) (bool, error) {
	tag, err := tx.Exec(ctx, `
		update withdrawals set accepted_at = suanpan_now()
		where tenant_id = $1 and id = $2 and status = 'processing' and accepted_at is null`, tenantID, w.ID)
	if err != nil {
		return false, fmt.Errorf("withdrawal %s accepted: %w", w.ID, err)
	}
	return tag.RowsAffected() == 1, nil
}

// Receipt is what the provider's verified answer says about a transfer done.
type Receipt struct {
	ChannelTransferNo string
	PaidAt            time.Time
}

// SucceededNow records that the payee has the money, and that the provider is to be
// asked later whether it came back. The caller books it in tx.
func SucceededNow(ctx context.Context, tx pgx.Tx, tenantID string, w Withdrawal, r Receipt) error {
	return status.Change(ctx, tx, table, tenantID, w.ID, w.Status, Succeeded,
		`, waiting_for = null, paid_at = $5, channel_transfer_no = $6, return_look_at = $5::timestamptz + $7::interval`,
		r.PaidAt, r.ChannelTransferNo, returns.First)
}

// FailedNow records that the provider refused. The caller gives the merchant
// the money back in tx.
func FailedNow(ctx context.Context, tx pgx.Tx, tenantID string, w Withdrawal, f payment.Failure) error {
	return status.Change(ctx, tx, table, tenantID, w.ID, w.Status, Failed,
		`, waiting_for = null, failure_code = $5, failure_channel_code = $6, failure_message = $7`, f.Code, f.ChannelCode, f.Message)
}

// table holds the withdrawals.
const table status.Table = "withdrawals"

// Waiting notes in words what a processing withdrawal waits for. Idempotent.
func Waiting(ctx context.Context, tx pgx.Tx, tenantID, withdrawalID, why string) error {
	return status.Waiting(ctx, tx, table, tenantID, withdrawalID, why)
}

// Sending commits that the order is about to be sent. Idempotent; it says
// nothing about the provider.
func Sending(ctx context.Context, tx pgx.Tx, tenantID, withdrawalID string) error {
	return status.Sending(ctx, tx, table, tenantID, withdrawalID)
}
