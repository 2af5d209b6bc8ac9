package api

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/account"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// PlaceHold implements POST /v1/holds.
func (h *handlers) PlaceHold(ctx context.Context, r gen.PlaceHoldRequestObject) (gen.PlaceHoldResponseObject, error) {
	c, body := callOf(ctx), r.Body
	n := account.NewHold{
		Reference: body.Reference, MerchantID: body.MerchantID, AccountName: text(body.AccountName),
		Amount: readAmount(body.Amount), Reason: body.Reason,
	}
	if body.ExpiresIn != nil {
		n.ExpiresIn = time.Duration(*body.ExpiresIn) * time.Second
	}
	return h.acceptedAtOnce(c, r.Params.IdempotencyKey, func(tx pgx.Tx) (string, int, any, error) {
		placed, err := account.PlaceHold(c.ctx, tx, c.tenant, n)
		return placed.ID, http.StatusCreated, showHold(placed), err
	})
}

// ReleaseHold implements POST /v1/holds/{hold_id}/releases.
func (h *handlers) ReleaseHold(ctx context.Context, r gen.ReleaseHoldRequestObject) (gen.ReleaseHoldResponseObject, error) {
	c, body := callOf(ctx), r.Body
	var amount *money.Amount
	if body.Amount != nil {
		amount = new(readAmount(*body.Amount))
	}
	return h.acceptedAtOnce(c, r.Params.IdempotencyKey, func(tx pgx.Tx) (string, int, any, error) {
		released, err := account.ReleaseHold(c.ctx, tx, c.tenant, r.HoldID, amount, body.Reason)
		return r.HoldID, http.StatusCreated, showHold(released), err
	})
}

// GetHold implements GET /v1/holds/{hold_id}.
func (h *handlers) GetHold(ctx context.Context, r gen.GetHoldRequestObject) (gen.GetHoldResponseObject, error) {
	c := callOf(ctx)
	var found account.Hold
	err := h.read(c, func(tx pgx.Tx) (err error) {
		found, err = account.GetHold(c.ctx, tx, c.tenant, r.HoldID)
		return err
	})
	return gen.GetHold200JSONResponse(showHold(found)), err
}

// ListHolds implements GET /v1/holds.
func (h *handlers) ListHolds(ctx context.Context, r gen.ListHoldsRequestObject) (gen.ListHoldsResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Hold)
	if err != nil {
		return nil, err
	}
	var list []account.Hold
	var last string
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, last, err = account.ListHolds(c.ctx, tx, c.tenant, ledger.HoldFilter{
			AccountID: text(r.Params.AccountID), Status: ledger.HoldStatus(text(r.Params.Status)), Reference: text(r.Params.Reference),
			Before: page.before, Limit: page.limit,
		})
		return err
	})
	return gen.ListHolds200JSONResponse{Data: mapped(list, showHold), NextCursor: nextCursor(last)}, err
}

func showHold(l account.Hold) gen.Hold {
	amount := func(minor int64) gen.Amount { return showAmount(money.Of(minor, l.Currency)) }
	out := gen.Hold{
		ID: l.ID, PlacedBy: gen.HoldPlacedByPlatform, Reference: l.Reference, AccountID: l.AccountID, Amount: amount(l.Amount),
		Captured: amount(l.Captured), Released: amount(l.Released), Status: gen.HoldStatus(l.Status), ExpiresAt: showTimeOrNull(l.ExpiresAt),
		CreatedAt: showTime(l.CreatedAt), ClosedAt: showTimeOrNull(l.ClosedAt),
		Releases: mapped(l.Releases, func(r account.Release) gen.HoldRelease {
			return gen.HoldRelease{Amount: amount(r.Amount), Reason: r.Reason, ReleasedAt: showTime(r.ReleasedAt)}
		}),
	}
	if l.Placed != nil {
		out.PlacedBy, out.Reference, out.Reason = gen.HoldPlacedByTenant, l.Placed.Reference, &l.Placed.Reason
	}
	return out
}
