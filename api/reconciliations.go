package api

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// CreateReconciliation implements POST /v1/reconciliations.
func (h *handlers) CreateReconciliation(ctx context.Context, r gen.CreateReconciliationRequestObject) (gen.CreateReconciliationResponseObject, error) {
	c, body := callOf(ctx), r.Body
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusCreated,
		create: func(tx pgx.Tx) (string, error) {
			account, err := tenant.GetChannelAccount(c.ctx, tx, c.tenant, body.ChannelAccountID)
			if err != nil {
				return "", err
			}
			opened, err := recon.Open(c.ctx, tx, c.tenant, account.ID, body.BillDate)
			if err != nil {
				return "", renamed(err, "date", "bill_date")
			}
			return opened.ID, accept.RequireWorkflow(c.ctx, tx, opened.Start(c.tenant, account.Channel))
		},
		workflow: func(tx pgx.Tx, reconciliationID string) (string, error) {
			found, err := recon.Get(c.ctx, tx, c.tenant, reconciliationID)
			return found.WorkflowID(), err
		},
		show: func(tx pgx.Tx, reconciliationID string) (any, error) {
			found, err := recon.Get(c.ctx, tx, c.tenant, reconciliationID)
			return showReconciliation(found), err
		},
	})
}

// renamed gives a refusal's field the name it has in the request.
func renamed(err error, from, to string) error {
	if f, ok := fault.As(err); ok && f.Field == from {
		copied := *f
		copied.Field = to
		return &copied
	}
	return err
}

// GetReconciliation implements GET /v1/reconciliations/{reconciliation_id}.
func (h *handlers) GetReconciliation(ctx context.Context, r gen.GetReconciliationRequestObject) (gen.GetReconciliationResponseObject, error) {
	c := callOf(ctx)
	var found recon.Reconciliation
	err := h.read(c, func(tx pgx.Tx) (err error) {
		found, err = recon.Get(c.ctx, tx, c.tenant, r.ReconciliationID)
		return err
	})
	return gen.GetReconciliation200JSONResponse(showReconciliation(found)), err
}

// ListReconciliations implements GET /v1/reconciliations.
func (h *handlers) ListReconciliations(ctx context.Context, r gen.ListReconciliationsRequestObject) (gen.ListReconciliationsResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Reconciliation)
	if err != nil {
		return nil, err
	}
	var list []recon.Reconciliation
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, err = recon.List(c.ctx, tx, c.tenant, recon.Filter{
			ChannelAccountID: text(r.Params.ChannelAccountID), Date: text(r.Params.BillDate), Status: recon.Status(text(r.Params.Status)),
			DailyOperationID: text(r.Params.DailyOperationID), Before: page.before, Limit: page.limit + 1,
		})
		return err
	})
	data, next := cut(list, page.limit, func(r recon.Reconciliation) string { return r.ID }, showReconciliation)
	return gen.ListReconciliations200JSONResponse{Data: data, NextCursor: next}, err
}

func showReconciliation(r recon.Reconciliation) gen.Reconciliation {
	out := gen.Reconciliation{
		ID: r.ID, ChannelAccountID: r.ChannelAccountID, BillDate: r.Date, Run: r.Run,
		DailyOperationID: orNull(r.DailyOperationID), Status: gen.ReconciliationStatus(r.Status),
		WaitingFor: orNull(r.WaitingFor), Failure: orNull(r.Failure), BillSha256: orNull(r.BillSHA256),
		Currency: gen.CurrencyCNY, CreatedAt: showTime(r.CreatedAt), FinishedAt: showTimeOrNull(r.FinishedAt),
	}
	if p := r.Report; p != nil {
		out.Ours, out.Theirs = showSide(p.Ours), showSide(p.Theirs)
		out.MatchedCount, out.DiscrepancyCount, out.OpenCount = &p.MatchedCount, &p.DiscrepancyCount, &p.OpenCount
		out.SettledAmount = &p.SettledFen
	}
	return out
}

// feeDecimals is what the most detailed provider prints.
const feeDecimals = 5

func showSide(t recon.Totals) *gen.ReconciliationSide {
	return &gen.ReconciliationSide{
		PaymentCount: t.PaymentCount, PaymentAmount: t.PaymentAmount,
		RefundCount: t.RefundCount, RefundAmount: t.RefundAmount, Fee: t.Fee.StringFixed(feeDecimals),
	}
}

// ListReconciliationDiscrepancies implements GET /v1/reconciliations/{reconciliation_id}/discrepancies.
func (h *handlers) ListReconciliationDiscrepancies(ctx context.Context, r gen.ListReconciliationDiscrepanciesRequestObject) (gen.ListReconciliationDiscrepanciesResponseObject, error) {
	c := callOf(ctx)
	err := h.read(c, func(tx pgx.Tx) error {
		_, err := recon.Get(c.ctx, tx, c.tenant, r.ReconciliationID)
		return err
	})
	if err != nil {
		return nil, err
	}
	page, err := h.discrepancies(c, r.Params.Limit, r.Params.Cursor, recon.DiscrepancyFilter{
		ReconciliationID: r.ReconciliationID, Kind: recon.Kind(text(r.Params.Kind)), Status: recon.DiscrepancyStatus(text(r.Params.Status)),
	})
	return gen.ListReconciliationDiscrepancies200JSONResponse(page), err
}

// ListDiscrepancies implements GET /v1/discrepancies.
func (h *handlers) ListDiscrepancies(ctx context.Context, r gen.ListDiscrepanciesRequestObject) (gen.ListDiscrepanciesResponseObject, error) {
	page, err := h.discrepancies(callOf(ctx), r.Params.Limit, r.Params.Cursor, recon.DiscrepancyFilter{
		ChannelAccountID: text(r.Params.ChannelAccountID), Kind: recon.Kind(text(r.Params.Kind)),
		Status: recon.DiscrepancyStatus(text(r.Params.Status)),
	})
	return gen.ListDiscrepancies200JSONResponse(page), err
}

func (h *handlers) discrepancies(c call, limit *int, cursor *string, f recon.DiscrepancyFilter) (gen.DiscrepancyPage, error) {
	page, err := readPage(limit, cursor, id.Discrepancy)
	if err != nil {
		return gen.DiscrepancyPage{}, err
	}
	f.Before, f.Limit = page.before, page.limit+1
	var list []recon.Discrepancy
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, err = recon.ListDiscrepancies(c.ctx, tx, c.tenant, f)
		return err
	})
	data, next := cut(list, page.limit, func(d recon.Discrepancy) string { return d.ID }, showDiscrepancy)
	return gen.DiscrepancyPage{Data: data, NextCursor: next}, err
}

func showDiscrepancy(d recon.Discrepancy) gen.Discrepancy {
	return gen.Discrepancy{
		ID: d.ID, ReconciliationID: d.ReconciliationID, ChannelAccountID: d.ChannelAccountID, BillDate: d.Date,
		Kind: gen.DiscrepancyKind(d.Kind), Status: gen.DiscrepancyStatus(d.Status), Number: d.Number, Row: d.Row,
		OurAmount: d.OurAmount, TheirAmount: d.TheirAmount, TheirCurrency: d.TheirCurrency, OurFee: d.OurFee, TheirFee: d.TheirFee,
		PaymentID: d.PaymentID, RefundID: d.RefundID, Explanation: d.Explanation, AdjustmentEntryID: d.AdjustmentEntryID,
		CreatedAt: showTime(d.CreatedAt),
	}
}
