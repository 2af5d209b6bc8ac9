package api

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/internal/id"
)

// CreateDailyOperation implements POST /v1/daily_operations.
func (h *handlers) CreateDailyOperation(ctx context.Context, r gen.CreateDailyOperationRequestObject) (gen.CreateDailyOperationResponseObject, error) {
	c, body := callOf(ctx), r.Body
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusCreated,
		create: func(tx pgx.Tx) (string, error) {
			started, err := recon.DriveDaily(c.ctx, tx, c.tenant, body.BusinessDate)
			return started.ID, renamed(err, "date", "business_date")
		},
		workflow: func(tx pgx.Tx, dailyID string) (string, error) {
			found, err := recon.GetDaily(c.ctx, tx, c.tenant, dailyID)
			return found.WorkflowID(), err
		},
		show: func(tx pgx.Tx, dailyID string) (any, error) {
			found, err := recon.GetDaily(c.ctx, tx, c.tenant, dailyID)
			return showDaily(found), err
		},
	})
}

// GetDailyOperation implements GET /v1/daily_operations/{daily_operation_id}.
func (h *handlers) GetDailyOperation(ctx context.Context, r gen.GetDailyOperationRequestObject) (gen.GetDailyOperationResponseObject, error) {
	c := callOf(ctx)
	var found recon.Daily
	err := h.read(c, func(tx pgx.Tx) (err error) {
		found, err = recon.GetDaily(c.ctx, tx, c.tenant, r.DailyOperationID)
		return err
	})
	return gen.GetDailyOperation200JSONResponse(showDaily(found)), err
}

// ListDailyOperations implements GET /v1/daily_operations.
func (h *handlers) ListDailyOperations(ctx context.Context, r gen.ListDailyOperationsRequestObject) (gen.ListDailyOperationsResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Daily)
	if err != nil {
		return nil, err
	}
	var list []recon.Daily
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, err = recon.ListDaily(c.ctx, tx, c.tenant, recon.DailyFilter{
			BusinessDate: text(r.Params.BusinessDate), Before: page.before, Limit: page.limit + 1,
		})
		return err
	})
	data, next := cut(list, page.limit, func(d recon.Daily) string { return d.ID }, showDaily)
	return gen.ListDailyOperations200JSONResponse{Data: data, NextCursor: next}, err
}

func showDaily(d recon.Daily) gen.DailyOperation {
	return gen.DailyOperation{
		ID: d.ID, BusinessDate: d.BusinessDate, Status: gen.DailyOperationStatus(d.Status), WaitingFor: orNull(d.WaitingFor),
		Failure: orNull(d.Failure), CreatedAt: showTime(d.CreatedAt), FinishedAt: showTimeOrNull(d.FinishedAt),
	}
}
