package payment

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
)

// Redrive makes the workflows of all payments due again that are not final or have
// an attempt that is not, and returns their number. Those that look into late money not booked yet are made due too;
// they do not count, because most have found that there is none. It needs the
// system role.
func Redrive(ctx context.Context, tx pgx.Tx) (int64, error) {
	_, err := accept.MakeDue(ctx, tx, `
		select s.tenant_id, s.workflow_id
		from workflow_starts s
		left join late_receipts l on l.tenant_id = s.tenant_id and l.attempt_id = s.input ->> 'id'
		where s.workflow_type = 'LatePayment' and l.attempt_id is null`)
	if err != nil {
		return 0, err
	}
	return accept.MakeDue(ctx, tx, `
		select tenant_id, 'payment/' || id from payments where driven`)
}
