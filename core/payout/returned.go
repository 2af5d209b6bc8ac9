package payout

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/returns"
	"github.com/suanpan/suanpan/core/status"
)

// ReturnWorkflowType is the registered name of the workflow that finds out whether a
// withdrawal that was paid has come back.
const ReturnWorkflowType = "WithdrawalReturn"

// ReturnedNow records that the payee's bank sent the money back, and why. The caller
// books it in tx.
func ReturnedNow(ctx context.Context, tx pgx.Tx, tenantID string, w Withdrawal, f payment.Failure) error {
	return status.Change(ctx, tx, table, tenantID, w.ID, w.Status, Returned,
		`, returned_at = suanpan_now(), return_look_at = null, failure_code = $5, failure_channel_code = $6, failure_message = $7`,
		f.Code, f.ChannelCode, f.Message)
}

// LookForReturn requires the workflow that finds out whether w, which was paid, has
// come back. cause, such as a notification's id, makes each reason to look a workflow
// of its own.
func LookForReturn(ctx context.Context, tx pgx.Tx, tenantID string, w Withdrawal, cause string) error {
	return accept.RequireWorkflow(ctx, tx, accept.Start{
		WorkflowID: "withdrawal-return/" + w.ID + "/" + cause,
		Type:       ReturnWorkflowType,
		Ref:        accept.Ref{Tenant: tenantID, ID: w.ID},
		Attributes: accept.Attributes{Merchant: w.MerchantID, BusinessID: w.ID, Channel: w.Channel},
	})
}

// LookForReturns requires a look for up to limit withdrawals of all tenants whose
// provider is to be asked now whether the money came back, and returns how many; see
// returns.Due.
func LookForReturns(ctx context.Context, tx pgx.Tx, watch time.Duration, limit int) (int, error) {
	due, err := returns.Due(ctx, tx, table, "paid_at", watch, limit)
	if err != nil {
		return 0, err
	}
	for _, look := range due {
		w, err := Get(ctx, tx, look.Tenant, look.ID)
		if err != nil {
			return 0, err
		}
		if err := LookForReturn(ctx, tx, look.Tenant, w, look.Cause()); err != nil {
			return 0, err
		}
	}
	return len(due), nil
}
