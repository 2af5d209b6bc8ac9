package pg

import (
	"context"

	"github.com/suanpan/suanpan/internal/failpoint"
)

// committing visits the failpoint before a COMMIT and reports whether there is
// anything to commit: a transaction that wrote or locked nothing has no number.
func committing(ctx context.Context, tx Querier) (wrote bool) {
	if !failpoint.Enabled {
		return false
	}
	err := tx.QueryRow(ctx, `select pg_current_xact_id_if_assigned() is not null`).Scan(&wrote)
	if wrote = wrote && err == nil; wrote {
		failpoint.At(ctx, failpoint.BeforeCommit)
	}
	return wrote
}

// committed visits the failpoint after a COMMIT that made something durable.
func committed(ctx context.Context, wrote bool) {
	if wrote {
		failpoint.At(ctx, failpoint.AfterCommit)
	}
}
