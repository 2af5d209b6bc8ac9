package refund

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
)

// Redrive makes the workflows of all unfinished refunds due again. It needs the
// system role.
func Redrive(ctx context.Context, tx pgx.Tx) (int64, error) {
	return accept.MakeDue(ctx, tx, `
		select tenant_id, 'refund/' || id || case when returns > 0 then '/returned/' || returns else '' end
		from refunds where status in ('processing', 'returned')`)
}
