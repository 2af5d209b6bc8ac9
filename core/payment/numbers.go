package payment

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// Numbers returns the numbers under which providers know the payment's attempts,
// in the order of the attempts.
func Numbers(ctx context.Context, q pg.Querier, tenantID, paymentID string) ([]string, error) {
	rows, err := q.Query(ctx, `select number from attempts where tenant_id = $1 and payment_id = $2 order by id`, tenantID, paymentID)
	if err != nil {
		return nil, fmt.Errorf("numbers of payment %s: %w", paymentID, err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
