package refund

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/unresolved"
	"github.com/suanpan/suanpan/internal/id"
)

// Resolve records what was decided about a refund whose number may not be sent
// again. It is carried out when the provider, asked once more, does not know the
// number. It refuses one that is not unresolved, and a second decision.
func Resolve(ctx context.Context, tx pgx.Tx, tenantID, refundID string, d unresolved.Decision, reason string) error {
	r, err := Lock(ctx, tx, tenantID, refundID)
	if err != nil {
		return err
	}
	return r.undecided().Decide(ctx, tx, tenantID, r.ID, d, reason)
}

// undecided is what can be decided about r; nil for nothing.
func (r Refund) undecided() *unresolved.Case {
	if r.Status != Processing {
		return nil
	}
	return r.Unresolved
}

// Resolvable returns the refusal to decide about r, or nil.
func (r Refund) Resolvable() error { return r.undecided().Decidable() }

// RenumberNow gives r, which is locked, another number at the provider, under which it
// was not sent yet. Only a decision of two persons leads here.
func RenumberNow(ctx context.Context, tx pgx.Tx, tenantID string, r Refund, p payment.Payment) error {
	number := id.Number()
	_, err := tx.Exec(ctx, `update refunds set number = $3, request_hash = $4, sent_at = null
		where tenant_id = $1 and id = $2 and status = 'processing'`,
		tenantID, r.ID, number, requestHash(number, p.Attempt.Number, r.Amount, r.Reason))
	if err != nil {
		return fmt.Errorf("another number for refund %s: %w", r.ID, err)
	}
	return nil
}
