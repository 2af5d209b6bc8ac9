package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/approval"
	"github.com/suanpan/suanpan/internal/id"
)

func (a answer) VisitChangeApprovalPolicyResponse(w http.ResponseWriter) error { return a.write(w) }
func (a answer) VisitRejectApprovalResponse(w http.ResponseWriter) error       { return a.write(w) }

// ChangeApprovalPolicy implements POST /v1/approval_policies.
func (h *handlers) ChangeApprovalPolicy(
	ctx context.Context, r gen.ChangeApprovalPolicyRequestObject,
) (gen.ChangeApprovalPolicyResponseObject, error) {
	c, body := callOf(ctx), r.Body
	wanted := approval.Policy{Kind: approval.Kind(body.Kind), Required: body.Required, Reason: body.Reason}
	if body.FromAmount != nil {
		wanted.FromAmount = *body.FromAmount
	}
	if body.ExpiresIn != nil {
		wanted.ExpiresIn = time.Duration(*body.ExpiresIn) * time.Second
	}
	return h.acceptedAtOnce(c, r.Params.IdempotencyKey, func(tx pgx.Tx) (string, int, any, error) {
		set, err := approval.SetPolicy(c.ctx, tx, c.tenant, wanted)
		return string(set.Kind), http.StatusCreated, showPolicy(set), err
	})
}

// ListApprovalPolicies implements GET /v1/approval_policies. There is one per kind,
// so the list is one page.
func (h *handlers) ListApprovalPolicies(
	ctx context.Context, _ gen.ListApprovalPoliciesRequestObject,
) (gen.ListApprovalPoliciesResponseObject, error) {
	c := callOf(ctx)
	var list []approval.Policy
	err := h.read(c, func(tx pgx.Tx) (err error) {
		list, err = approval.Policies(c.ctx, tx, c.tenant)
		return err
	})
	return gen.ListApprovalPolicies200JSONResponse{Data: mapped(list, showPolicy)}, err
}

// GetApproval implements GET /v1/approvals/{approval_id}.
func (h *handlers) GetApproval(ctx context.Context, r gen.GetApprovalRequestObject) (gen.GetApprovalResponseObject, error) {
	c := callOf(ctx)
	var found gen.Approval
	err := h.read(c, func(tx pgx.Tx) (err error) {
		found, err = h.showApproval(c, tx, r.ApprovalID)
		return err
	})
	return gen.GetApproval200JSONResponse(found), err
}

// ListApprovals implements GET /v1/approvals.
func (h *handlers) ListApprovals(ctx context.Context, r gen.ListApprovalsRequestObject) (gen.ListApprovalsResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Approval)
	if err != nil {
		return nil, err
	}
	var list []approval.Approval
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, err = approval.List(c.ctx, tx, c.tenant, approval.Filter{
			Status: approval.Status(text(r.Params.Status)), Kind: approval.Kind(text(r.Params.Kind)),
			Before: page.before, Limit: page.limit + 1,
		})
		return err
	})
	data, next := cut(list, page.limit, func(a approval.Approval) string { return a.ID }, showApproval)
	return gen.ListApprovals200JSONResponse{Data: data, NextCursor: next}, err
}

// RejectApproval implements POST /v1/approvals/{approval_id}/reject.
func (h *handlers) RejectApproval(ctx context.Context, r gen.RejectApprovalRequestObject) (gen.RejectApprovalResponseObject, error) {
	c := callOf(ctx)
	return h.acceptedAtOnce(c, r.Params.IdempotencyKey, func(tx pgx.Tx) (string, int, any, error) {
		err := approval.Reject(c.ctx, tx, c.tenant, approval.Decision{ApprovalID: r.ApprovalID, By: c.by(), Reason: r.Body.Reason})
		if err != nil {
			return "", 0, nil, err
		}
		shown, err := h.showApproval(c, tx, r.ApprovalID)
		return r.ApprovalID, http.StatusCreated, shown, err
	})
}

// showApproval reads one approval and renders it.
func (h *handlers) showApproval(c call, tx pgx.Tx, approvalID string) (gen.Approval, error) {
	found, err := approval.Get(c.ctx, tx, c.tenant, approvalID)
	return showApproval(found), err
}

func showApproval(a approval.Approval) gen.Approval {
	out := gen.Approval{
		ID: a.ID, Kind: gen.ApprovalKind(a.Kind), Status: gen.ApprovalStatus(a.Status), Operation: a.Operation, Route: a.Route,
		ContentSha256: hex.EncodeToString(a.Hash),
		RequestedBy:   gen.Actor{APIKeyID: a.RequestedBy.KeyID, PrincipalID: orNull(a.RequestedBy.PrincipalID)},
		CreatedAt:     showTime(a.CreatedAt), ExpiresAt: showTime(a.ExpiresAt), DecidedAt: showTimeOrNull(a.DecidedAt),
		DecisionReason: orNull(a.DecisionReason), ObjectID: orNull(a.ObjectID),
	}
	var content map[string]any
	if !a.Sealed && json.Unmarshal(a.Content, &content) == nil && content != nil {
		out.Content = &content
	}
	var seen map[string]any
	if json.Unmarshal(a.Preview, &seen) == nil && seen != nil {
		out.Preview = &seen
	}
	if a.Amount != nil {
		out.Amount = &gen.NullableAmount{Amount: a.Amount.Minor, Currency: gen.Currency(a.Amount.Currency)}
	}
	if a.DecidedBy.KeyID != "" {
		out.DecidedBy = &gen.NullableActor{APIKeyID: a.DecidedBy.KeyID, PrincipalID: orNull(a.DecidedBy.PrincipalID)}
	}
	return out
}

func showPolicy(p approval.Policy) gen.ApprovalPolicy {
	out := gen.ApprovalPolicy{
		Kind: gen.ApprovalKind(p.Kind), Version: p.Version, Required: p.Required, ExpiresIn: int(p.ExpiresIn / time.Second),
		Reason: p.Reason, CreatedAt: showTime(p.CreatedAt),
	}
	if p.FromAmount != 0 {
		out.FromAmount = &p.FromAmount
	}
	return out
}
