package api

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/clock"
	"github.com/suanpan/suanpan/core/fault"
)

// GetTestClock implements GET /v1/test/clock, which production does not know.
func (h *handlers) GetTestClock(ctx context.Context, _ gen.GetTestClockRequestObject) (gen.GetTestClockResponseObject, error) {
	if !h.opts.Dev {
		return nil, fault.NotFound()
	}
	c := callOf(ctx)
	var now time.Time
	err := h.read(c, func(tx pgx.Tx) (err error) {
		now, err = clock.Now(c.ctx, tx)
		return err
	})
	return gen.GetTestClock200JSONResponse{Now: showTime(now)}, err
}

// MoveTestClock implements POST /v1/test/clock, which production does not know.
// The move itself is idempotent (never backwards, to an absolute moment), so it
// happens outside the accepting transaction, under the role that may.
func (h *handlers) MoveTestClock(ctx context.Context, r gen.MoveTestClockRequestObject) (gen.MoveTestClockResponseObject, error) {
	if !h.opts.Dev {
		return nil, fault.NotFound()
	}
	c, to := callOf(ctx), r.Body.Now
	err := h.opts.DB.AsSystem(c.ctx, func(tx pgx.Tx) error {
		_, err := clock.Advance(c.ctx, tx, to)
		return err
	})
	if err != nil {
		return nil, err
	}
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusOK,
		create: func(pgx.Tx) (string, error) { return c.tenant, nil },
		show: func(tx pgx.Tx, _ string) (any, error) {
			now, err := clock.Now(c.ctx, tx)
			return gen.TestClock{Now: showTime(now)}, err
		},
	})
}
