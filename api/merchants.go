package api

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payout"
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
			created, err := party.Create(c.ctx, tx, h.opts.Box, c.tenant, n)
			return created.ID, err
		},
		show: h.merchantShower(c),
	})
}

// merchantShower shows one merchant.
func (h *handlers) merchantShower(c call) func(tx pgx.Tx, merchantID string) (any, error) {
	return func(tx pgx.Tx, merchantID string) (any, error) {
		found, err := party.Get(c.ctx, tx, c.tenant, merchantID)
		if err != nil {
			return nil, err
		}
		return h.showMerchant(c, tx, found)
	}
}

// ForgetPayee implements POST /v1/merchants/{merchant_id}/forget_payee.
func (h *handlers) ForgetPayee(ctx context.Context, r gen.ForgetPayeeRequestObject) (gen.ForgetPayeeResponseObject, error) {
	c := callOf(ctx)
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusOK,
		create: func(tx pgx.Tx) (string, error) {
			return r.MerchantID, payout.ForgetPayee(c.ctx, tx, c.tenant, r.MerchantID, r.Body.Reason)
		},
		show: h.merchantShower(c),
	})
}

// UnmaskPayee implements POST /v1/merchants/{merchant_id}/unmask_payee. What it shows is
// in no stored answer.
func (h *handlers) UnmaskPayee(ctx context.Context, r gen.UnmaskPayeeRequestObject) (gen.UnmaskPayeeResponseObject, error) {
	c := callOf(ctx)
	var account party.PayoutAccount
	show := func(a party.PayoutAccount) func(pgx.Tx, string) (any, error) {
		return func(_ pgx.Tx, unmaskingID string) (any, error) {
			return gen.UnmaskedPayee{ID: unmaskingID, MerchantID: r.MerchantID, Channel: gen.UnmaskedPayeeChannel(a.Channel),
				Account: a.Account, Name: a.Name}, nil
		}
	}
	return h.acceptedOnce(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusCreated,
		create: func(tx pgx.Tx) (unmaskingID string, err error) {
			unmaskingID, account, err = party.Unmask(c.ctx, tx, h.opts.Box, c.tenant, party.Look{
				MerchantID: r.MerchantID, KeyID: c.caller.KeyID, PrincipalID: c.caller.PersonID(), Reason: r.Body.Reason})
			return unmaskingID, err
		},
		show: func(tx pgx.Tx, unmaskingID string) (any, error) { return show(account)(tx, unmaskingID) },
	}, show(party.PayoutAccount{Channel: "alipay", Account: redactedPayee, Name: redactedPayee}))
}

// redactedPayee is what is stored in the place of what was unmasked.
const redactedPayee = "redacted"

// GetMerchant implements GET /v1/merchants/{merchant_id}.
func (h *handlers) GetMerchant(ctx context.Context, r gen.GetMerchantRequestObject) (gen.GetMerchantResponseObject, error) {
	c := callOf(ctx)
	var shown gen.Merchant
	err := h.read(c, func(tx pgx.Tx) error {
		found, err := party.Get(c.ctx, tx, c.tenant, r.MerchantID)
		if err != nil {
			return err
		}
		shown, err = h.showMerchant(c, tx, found)
		return err
	})
	return gen.GetMerchant200JSONResponse(shown), err
}

// ListMerchants implements GET /v1/merchants.
func (h *handlers) ListMerchants(ctx context.Context, r gen.ListMerchantsRequestObject) (gen.ListMerchantsResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Merchant)
	if err != nil {
		return nil, err
	}
	var last string
	var data []gen.Merchant
	err = h.read(c, func(tx pgx.Tx) error {
		list, next, err := party.List(c.ctx, tx, c.tenant, party.Filter{
			ParentID: text(r.Params.ParentID), Reference: text(r.Params.Reference), Before: page.before, Limit: page.limit,
		})
		last, data = next, make([]gen.Merchant, len(list))
		for i := 0; i < len(list) && err == nil; i++ {
			data[i], err = h.showMerchant(c, tx, list[i])
		}
		return err
	})
	return gen.ListMerchants200JSONResponse{Data: data, NextCursor: nextCursor(last)}, err
}

// showMerchant renders a merchant with its payee masked.
func (h *handlers) showMerchant(c call, tx pgx.Tx, m party.Merchant) (gen.Merchant, error) {
	out := gen.Merchant{
		ID: m.ID, Reference: m.Reference, Name: m.Name, ParentID: orNull(m.ParentID),
		Settlement: gen.Settlement(m.Settlement), CreatedAt: showTime(m.CreatedAt),
	}
	if m.PayoutAccount == nil {
		return out, nil
	}
	a, err := m.PayoutAccount.Masked(c.ctx, tx, h.opts.Box)
	out.PayoutAccount = &gen.PayoutAccount{Channel: gen.PayoutAccountChannel(a.Channel), Account: a.Account, Name: a.Name,
		ForgottenAt: showTimeOrNull(m.PayoutAccount.ForgottenAt)}
	return out, err
}
