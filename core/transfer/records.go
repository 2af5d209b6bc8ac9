package transfer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
)

const columns = `id, reference, from_merchant_id, to_merchant_id, from_account, to_account, currency, amount,
  coalesce(hold_id, ''), coalesce(batch_id, ''), created_at`

func scan(row pgx.CollectableRow) (Transfer, error) {
	var t Transfer
	err := row.Scan(&t.ID, &t.Reference, &t.FromMerchantID, &t.ToMerchantID, &t.FromAccount, &t.ToAccount,
		&t.Amount.Currency, &t.Amount.Minor, &t.HoldID, &t.BatchID, &t.CreatedAt)
	return t, err
}

// Get returns a transfer, or fault.NotFound.
func Get(ctx context.Context, q pg.Querier, tenantID, transferID string) (Transfer, error) {
	rows, err := q.Query(ctx, `select `+columns+` from transfers where tenant_id = $1 and id = $2`, tenantID, transferID)
	if err != nil {
		return Transfer{}, fmt.Errorf("transfer: %w", err)
	}
	t, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Transfer{}, fault.NotFound()
	}
	return t, err
}

// Filter narrows List; zero fields do not filter.
type Filter struct {
	// MerchantID is the payer or the receiver.
	MerchantID string
	Reference  string
	BatchID    string
	From, To   *time.Time
	// Before is the id of the last transfer of the page before.
	Before string
	Limit  int
}

// List returns transfers, newest first.
func List(ctx context.Context, q pg.Querier, tenantID string, f Filter) ([]Transfer, error) {
	rows, err := q.Query(ctx, `select `+columns+` from transfers
		where tenant_id = $1 and ($2 = '' or from_merchant_id = $2 or to_merchant_id = $2)
		  and ($3 = '' or reference = $3) and ($4 = '' or batch_id = $4) and ($5 = '' or id < $5)
		  and ($6::timestamptz is null or created_at >= $6)
		  and ($7::timestamptz is null or created_at < $7)
		order by id desc limit $8`,
		tenantID, f.MerchantID, f.Reference, f.BatchID, f.Before, f.From, f.To, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("transfers: %w", err)
	}
	return pgx.CollectRows(rows, scan)
}

// GetBatch returns a batch, or fault.NotFound.
func GetBatch(ctx context.Context, q pg.Querier, tenantID, batchID string) (Batch, error) {
	b := Batch{ID: batchID}
	err := q.QueryRow(ctx, `select mode, results, created_at from transfer_batches where tenant_id = $1 and id = $2`,
		tenantID, batchID).Scan(&b.Mode, &b.Results, &b.CreatedAt)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Batch{}, fault.NotFound()
	case err != nil:
		return Batch{}, fmt.Errorf("transfer batch: %w", err)
	}
	return b, nil
}
