package refund

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/returns"
	"github.com/suanpan/suanpan/core/status"
)

// ReturnWorkflowType is the registered name of the workflow that finds out whether a
// refund that was paid has come back.
const ReturnWorkflowType = "RefundReturn"

// ReturnedNow records that the payer's bank sent the money of r back, and requires the
// workflow that drives it on from here. What the tenant may have asked for before has
// come to nothing. The caller books it in tx.
func ReturnedNow(ctx context.Context, tx pgx.Tx, tenantID string, r *Refund, p payment.Payment) error {
	err := status.Change(ctx, tx, table, tenantID, r.ID, r.Status, Returned,
		`, returned_at = suanpan_now(), returns = returns + 1, return_look_at = null, abnormal_at = suanpan_now(),
			redirect_status = case when redirect_to is not null then 'refused' end,
			redirect_failure_code = case when redirect_to is not null then 'channel_refused' end,
			redirect_channel_code = case when redirect_to is not null then $5 end,
			redirect_message = case when redirect_to is not null then 'It came back from there, too.' end`, channel.CodeAbnormal)
	if err != nil {
		return err
	}
	r.Status, r.Returns = Returned, r.Returns+1
	return accept.RequireWorkflow(ctx, tx, accept.Start{
		WorkflowID: r.Workflow(),
		Type:       WorkflowType,
		Ref:        accept.Ref{Tenant: tenantID, ID: r.ID},
		Attributes: accept.Attributes{Merchant: p.MerchantID, BusinessID: r.ID, Channel: p.Attempt.Channel},
	})
}

// SentOnNow records that the provider paid a refund that had come back, at the moment
// at, where it was told to. The caller books it in tx.
func SentOnNow(ctx context.Context, tx pgx.Tx, tenantID string, r Refund, at time.Time) error {
	return status.Change(ctx, tx, table, tenantID, r.ID, r.Status, Succeeded,
		`, waiting_for = null, repaid_at = $5, return_look_at = $5::timestamptz + $6::interval,
			redirect_status = case when redirect_to is not null then 'accepted' end,
			redirect_failure_code = null, redirect_channel_code = null, redirect_message = null`, at, returns.First)
}

// PaidLastAt is when the provider paid r, the last time if it came back; nil before.
func (r Refund) PaidLastAt() *time.Time {
	if r.RepaidAt != nil {
		return r.RepaidAt
	}
	return r.RefundedAt
}

// LookForReturn requires the workflow that finds out whether the refund, which was
// paid, has come back. cause, such as a notification's id, makes each reason to look a
// workflow of its own.
func LookForReturn(ctx context.Context, tx pgx.Tx, tenantID, refundID, cause string) error {
	start := accept.Start{
		WorkflowID: "refund-return/" + refundID + "/" + cause,
		Type:       ReturnWorkflowType,
		Ref:        accept.Ref{Tenant: tenantID, ID: refundID},
		Attributes: accept.Attributes{BusinessID: refundID},
	}
	err := tx.QueryRow(ctx, `
		select p.merchant_id, a.channel
		from refunds r
		join payments p on p.tenant_id = r.tenant_id and p.id = r.payment_id
		join attempts a on a.tenant_id = r.tenant_id and a.id = r.attempt_id
		where r.tenant_id = $1 and r.id = $2`, tenantID, refundID).Scan(&start.Attributes.Merchant, &start.Attributes.Channel)
	if err != nil {
		return fmt.Errorf("refund %s that may have come back: %w", refundID, err)
	}
	return accept.RequireWorkflow(ctx, tx, start)
}

// LookForReturns requires a look for up to limit refunds of all tenants whose provider
// is to be asked now whether the money came back, and returns how many; see returns.Due.
func LookForReturns(ctx context.Context, tx pgx.Tx, watch time.Duration, limit int) (int, error) {
	due, err := returns.Due(ctx, tx, table, "coalesce(repaid_at, refunded_at)", watch, limit)
	if err != nil {
		return 0, err
	}
	for _, look := range due {
		if err := LookForReturn(ctx, tx, look.Tenant, look.ID, look.Cause()); err != nil {
			return 0, err
		}
	}
	return len(due), nil
}
