package recon

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
)

// DailyWorkflowType is the registered name of the workflow that drives a
// tenant's daily operations.
const DailyWorkflowType = "DailyOperations"

// WorkflowID is the id of the workflow that drives d.
func (d Daily) WorkflowID() string { return "daily-operations/" + d.ID }

// Start describes the workflow that drives d.
func (d Daily) Start(tenant string) accept.Start {
	return accept.Start{
		WorkflowID: d.WorkflowID(),
		Type:       DailyWorkflowType,
		Ref:        accept.Ref{Tenant: tenant, ID: d.ID},
		Attributes: accept.Attributes{BusinessID: d.ID},
	}
}

// Start describes the workflow that drives r, which belongs to a channel.
func (r Reconciliation) Start(tenant, channelName string) accept.Start {
	return accept.Start{
		WorkflowID: r.WorkflowID(),
		Type:       WorkflowType,
		Ref:        accept.Ref{Tenant: tenant, ID: r.ID},
		Attributes: accept.Attributes{BusinessID: r.ID, Channel: channelName},
	}
}

// DriveDaily starts daily operations for date and requires their workflow. Its
// faults are those of StartDaily.
func DriveDaily(ctx context.Context, tx pgx.Tx, tenant, date string) (Daily, error) {
	d, err := StartDaily(ctx, tx, tenant, date)
	if err != nil {
		return d, err
	}
	return d, accept.RequireWorkflow(ctx, tx, d.Start(tenant))
}

// RanAfter reports whether daily operations for date were started after it had
// ended and did not fail. Those that a tenant starts earlier reconcile nothing.
func RanAfter(ctx context.Context, tx pgx.Tx, tenant, date string) (ran bool, err error) {
	err = tx.QueryRow(ctx, `
		select exists (select from daily_operations where tenant_id = $1 and business_date = $2 and status <> 'failed'
		  and suanpan_date(created_at) > business_date)`, tenant, date).Scan(&ran)
	return ran, err
}

// Yesterday is the last business date that has ended, yyyy-mm-dd.
func Yesterday(ctx context.Context, tx pgx.Tx) (string, error) {
	today, err := businessDay(ctx, tx)
	return today.Previous().String(), err
}

// Redrive makes the workflows of all unfinished reconciliations and daily
// operations due again. It needs the system role.
func Redrive(ctx context.Context, tx pgx.Tx) (int64, error) {
	return accept.MakeDue(ctx, tx, `
		select tenant_id, 'reconciliation/' || channel_account_id || '/' || to_char(bill_date, 'YYYY-MM-DD') || '/' || run
		from reconciliations where status = 'processing'
		union all
		select tenant_id, 'daily-operations/' || id from daily_operations where status = 'processing'`)
}
