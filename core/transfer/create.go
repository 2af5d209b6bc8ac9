package transfer

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/account"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/ledger"
)

// Create accepts and books a transfer in tx, with its event. It is final: there is
// nothing to wait for. Faults: Invalid for a malformed field; Refused for an
// unknown merchant, too little money, a limit, a frozen account or a custody mode
// that forbids it; Conflict for a reference that another transfer has. After an
// error the caller rolls back. The idempotency row of the request makes it idempotent.
func Create(ctx context.Context, tx pgx.Tx, tenantID string, n New) (Transfer, error) {
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
	return t, event.Tell(ctx, tx, tenantID, t.news()...)
}

// news is what its booking tells.
func (t Transfer) news() []event.News {
	news := []event.News{{
		Type: event.TransferSucceeded, ObjectID: t.ID,
		Data: map[string]string{"transfer_id": t.ID, "status": "succeeded"},
	}}
	if t.HoldID != "" {
		news = append(news, event.News{
			Type: event.HoldCaptured, ObjectID: t.HoldID, Data: map[string]string{"hold_id": t.HoldID, "transfer_id": t.ID},
		})
	}
	return news
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
