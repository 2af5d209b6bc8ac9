package accept

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// MakeDue makes the workflows due again that unfinished selects, and returns how
// many there are. unfinished is a query of tenant_id and workflow_id over the
// objects that are not final, written by the package that owns them. A workflow
// that runs is left alone when it is started again.
func MakeDue(ctx context.Context, tx pgx.Tx, unfinished string) (int64, error) {
	tag, err := tx.Exec(ctx, `
		update workflow_starts s set started_at = null
		from (`+unfinished+`) u (tenant_id, workflow_id)
		where s.tenant_id = u.tenant_id and s.workflow_id = u.workflow_id`)
	if err != nil {
		return 0, fmt.Errorf("make workflows due: %w", err)
	}
	return tag.RowsAffected(), nil
}
