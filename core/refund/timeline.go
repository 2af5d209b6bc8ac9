package refund

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/payment"
)

// Timeline returns what happened around a payment and its refunds, as
// channel.Timeline does: the newest moments, at most limit of them, oldest first.
func Timeline(ctx context.Context, tx pgx.Tx, tenantID, paymentID string, limit int) ([]channel.Moment, error) {
	numbers, err := payment.Numbers(ctx, tx, tenantID, paymentID)
	if err != nil {
		return nil, err
	}
	about := channel.About{Numbers: numbers, Objects: []string{paymentID}}
	rows, err := tx.Query(ctx, `select id, number from refunds where tenant_id = $1 and payment_id = $2`, tenantID, paymentID)
	if err != nil {
		return nil, fmt.Errorf("refunds of payment %s: %w", paymentID, err)
	}
	var refundID, number string
	_, err = pgx.ForEachRow(rows, []any{&refundID, &number}, func() error {
		about.Objects, about.Numbers = append(about.Objects, refundID), append(about.Numbers, number)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("refunds of payment %s: %w", paymentID, err)
	}
	return channel.Timeline(ctx, tx, tenantID, about, limit)
}
