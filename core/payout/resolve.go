package payout

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/unresolved"
	"github.com/suanpan/suanpan/internal/id"
)

// Resolve records what was decided about a withdrawal whose number may not be sent
// again. It is carried out when the provider, asked once more, does not know the
// number. It refuses one that is not unresolved, and a second decision.
func Resolve(ctx context.Context, tx pgx.Tx, tenantID, withdrawalID string, d unresolved.Decision, reason string) error {
	w, err := Lock(ctx, tx, tenantID, withdrawalID)
	if err != nil {
		return err
	}
	return w.undecided().Decide(ctx, tx, tenantID, w.ID, d, reason)
}

// undecided is what can be decided about w; nil for nothing.
func (w Withdrawal) undecided() *unresolved.Case {
	if w.Status != Processing {
		return nil
	}
	return w.Unresolved
}

// Resolvable returns the refusal to decide about w, or nil.
func (w Withdrawal) Resolvable() error { return w.undecided().Decidable() }

// RenumberNow gives w, which is locked, another number at the provider, under which it
// was not sent yet. Only a decision of two persons leads here.
func RenumberNow(ctx context.Context, tx pgx.Tx, tenantID string, w Withdrawal, payee party.SealedPayoutAccount) error {
	number := id.Number()
	_, err := tx.Exec(ctx, `update withdrawals set number = $3, request_hash = $4, sent_at = null
		where tenant_id = $1 and id = $2 and status = 'processing'`, tenantID, w.ID, number, requestHash(number, w.Amount, payee))
	if err != nil {
		return fmt.Errorf("another number for withdrawal %s: %w", w.ID, err)
	}
	return nil
}
