package api

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/internal/id"
)

// CreateMerchant implements POST /v1/merchants.
func (h *handlers) CreateMerchant(ctx context.Context, r gen.CreateMerchantRequestObject) (gen.CreateMerchantResponseObject, error) {
	c, body := callOf(ctx), r.Body
	n := party.NewMerchant{
		Reference: body.Reference, Name: body.Name, ParentID: text(body.ParentID), Settlement: party.Settlement(body.Settlement),
	}
	if a := body.PayoutAccount; a != nil {
		n.PayoutAccount = &party.PayoutAccount{Channel: string(a.Channel), Account: a.Account, Name: a.Name}
	}
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusCreated,
		create: func(tx pgx.Tx) (string, error) {
			created, err := party.Create(c.ctx, tx, c.tenant, n)
			return created.ID, err
		},
		show: func(tx pgx.Tx, merchantID string) (any, error) {
			found, err := party.Get(c.ctx, tx, c.tenant, merchantID)
			return showMerchant(found), err
		},
	})
}

// GetMerchant implements GET /v1/merchants/{merchant_id}.
func (h *handlers) GetMerchant(ctx context.Context, r gen.GetMerchantRequestObject) (gen.GetMerchantResponseObject, error) {
	c := callOf(ctx)
	var found party.Merchant
	err := h.read(c, func(tx pgx.Tx) (err error) {
		found, err = party.Get(c.ctx, tx, c.tenant, r.MerchantID)
		return err
	})
	return gen.GetMerchant200JSONResponse(showMerchant(found)), err
}

// ListMerchants implements GET /v1/merchants.
func (h *handlers) ListMerchants(ctx context.Context, r gen.ListMerchantsRequestObject) (gen.ListMerchantsResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Merchant)
	if err != nil {
		return nil, err
	}
	var list []party.Merchant
	var last string
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, last, err = party.List(c.ctx, tx, c.tenant, party.Filter{
			ParentID: text(r.Params.ParentID), Reference: text(r.Params.Reference), Before: page.before, Limit: page.limit,
		})
		return err
	})
	return gen.ListMerchants200JSONResponse{Data: mapped(list, showMerchant), NextCursor: nextCursor(last)}, err
}

func showMerchant(m party.Merchant) gen.Merchant {
	out := gen.Merchant{
		ID: m.ID, Reference: m.Reference, Name: m.Name, ParentID: orNull(m.ParentID),
		Settlement: gen.Settlement(m.Settlement), CreatedAt: showTime(m.CreatedAt),
	}
	if a := m.PayoutAccount; a != nil { // party shows it masked
		out.PayoutAccount = &gen.PayoutAccount{Channel: gen.PayoutAccountChannel(a.Channel), Account: a.Account, Name: a.Name}
	}
	return out
}
