package payout

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
)

// Redrive makes the workflows of all unfinished withdrawals due again. It needs
// the system role.
func Redrive(ctx context.Context, tx pgx.Tx) (int64, error) {
	return accept.MakeDue(ctx, tx, `select tenant_id, 'withdrawal/' || id from withdrawals where status = 'processing'`)
}
