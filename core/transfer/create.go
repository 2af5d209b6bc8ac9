package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/account"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/ledger"
)

// Create accepts and books a transfer in tx. Its event is queued to last, which
// the caller sends before it commits. It is final: there is nothing to wait for.
// Faults: Invalid for a malformed field; Refused for an unknown merchant, too
// little money, a limit, a frozen account or a custody mode that forbids it;
// Conflict for a reference that another transfer has. After an error the caller
// rolls back. The idempotency row of the request makes it idempotent.
func Create(ctx context.Context, tx pgx.Tx, last *pgx.Batch, tenantID string, n New) (Transfer, error) {
	if err := n.check(); err != nil {
		return Transfer{}, err
	}
	if err := n.find(ctx, tx, tenantID); err != nil {
		return Transfer{}, err
	}
	t, err := insert(ctx, tx, tenantID, "", n)
	if err != nil {
		return Transfer{}, err
	}
	if _, err := ledger.Post(ctx, tx, tenantID, n.entries()...); err != nil {
		return Transfer{}, account.Refusal(err)
	}
	return t, t.tell(last, tenantID)
}

func (t Transfer) tell(last *pgx.Batch, tenantID string) error {
	_, err := event.Queue(last, tenantID, event.News{
		Type: event.TransferSucceeded, ObjectID: t.ID,
		Data: map[string]string{"transfer_id": t.ID, "status": "succeeded"},
	})
	if err != nil || t.HoldID == "" {
		return err
	}
	_, err = event.Queue(last, tenantID, event.News{
		Type: event.HoldCaptured, ObjectID: t.HoldID, Data: map[string]string{"hold_id": t.HoldID, "transfer_id": t.ID},
	})
	return err
}

// insert writes the row if both merchants exist, in one round trip with the look
// at who they are. It comes before the posting, so that of two requests with one
// reference the second waits here, without locks on accounts.
func insert(ctx context.Context, tx pgx.Tx, tenantID, batchID string, n New) (Transfer, error) {
	t := Transfer{ID: n.ID, Reference: n.Reference, FromMerchantID: n.FromMerchantID, ToMerchantID: n.ToMerchantID,
		FromAccount: n.FromAccount, ToAccount: n.ToAccount, Amount: n.Amount, HoldID: n.HoldID, BatchID: batchID}
	var known []string
	var createdAt *time.Time
	err := tx.QueryRow(ctx, `
		with known as (
		  select array_agg(id) as ids, count(*) as found from merchants where tenant_id = $1 and id in ($4, $5)
		), written as (
		  insert into transfers (tenant_id, id, reference, from_merchant_id, to_merchant_id, currency, amount, batch_id,
		    from_account, to_account, hold_id)
		  select $1, $2, $3, $4, $5, $6, $7, nullif($8, ''), $9, $10, nullif($11, '') from known
		  where found = case when $4 = $5 then 1 else 2 end
		  on conflict on constraint transfers_reference do nothing
		  returning created_at
		)
		select coalesce(ids, '{}'), (select created_at from written) from known`,
		tenantID, n.ID, n.Reference, n.FromMerchantID, n.ToMerchantID, n.Amount.Currency, n.Amount.Minor, batchID,
		n.FromAccount, n.ToAccount, n.HoldID).
		Scan(&known, &createdAt)
	switch {
	case err != nil:
		return Transfer{}, fmt.Errorf("create transfer: %w", err)
	case !slices.Contains(known, n.FromMerchantID):
		return Transfer{}, party.NotFoundIn("from_merchant_id")
	case !slices.Contains(known, n.ToMerchantID):
		return Transfer{}, party.NotFoundIn("to_merchant_id")
	case createdAt == nil:
		return Transfer{}, referenceUsed()
	}
	t.CreatedAt = *createdAt
	return t, nil
}

// Balance is a merchant's available balance in minor units.
type Balance struct {
	MerchantID string
	// Account is its name, "" the usual one.
	Account string
	Posted  int64
	Held    int64
}

// Try answers what Create would, in the same state of the books, and leaves
// nothing: the balances of both merchants afterwards, or the same refusal.
func Try(ctx context.Context, tx pgx.Tx, tenantID string, n New) ([]Balance, error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	if err := n.find(ctx, tx, tenantID); err != nil {
		return nil, err
	}
	nested, err := tx.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("transfer: savepoint: %w", err)
	}
	after, err := try(ctx, nested, tenantID, n)
	return after, errors.Join(err, nested.Rollback(ctx)) // nothing of it stays
}

func try(ctx context.Context, tx pgx.Tx, tenantID string, n New) ([]Balance, error) {
	if _, err := insert(ctx, tx, tenantID, "", n); err != nil {
		return nil, err
	}
	preview, err := ledger.Try(ctx, tx, tenantID, n.entries()...)
	if err != nil {
		return nil, account.Refusal(err)
	}
	var after []Balance
	for _, a := range preview.After {
		after = append(after, Balance{MerchantID: a.Account.Owner, Account: a.Account.Name, Posted: a.Posted, Held: a.Held})
	}
	return after, nil
}
