package api

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/cashier"
	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/paymentlink"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/money"
)

func (a answer) VisitCreatePaymentLinkResponse(w http.ResponseWriter) error { return a.write(w) }
func (a answer) VisitClosePaymentLinkResponse(w http.ResponseWriter) error  { return a.write(w) }

// CreatePaymentLink implements POST /v1/payment_links.
func (h *handlers) CreatePaymentLink(
	ctx context.Context, r gen.CreatePaymentLinkRequestObject,
) (gen.CreatePaymentLinkResponseObject, error) {
	c, body := callOf(ctx), r.Body
	n := paymentlink.New{MerchantID: body.MerchantID, Subject: body.Subject, Amount: readAmountOrNil(body.Amount),
		Min: readAmountOrNil(body.MinAmount), Max: readAmountOrNil(body.MaxAmount), ReturnURL: text(body.ReturnURL),
		ExpiresAt: body.ExpiresAt, MaxUses: body.MaxUses}
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusCreated,
		create: func(tx pgx.Tx) (string, error) {
			n.ID = id.New(id.PaymentLink)
			return n.ID, paymentlink.Create(c.ctx, tx, c.tenant, n)
		},
		show: func(tx pgx.Tx, linkID string) (any, error) { return h.paymentLink(c, tx, linkID) },
	})
}

// ClosePaymentLink implements POST /v1/payment_links/{payment_link_id}/close.
func (h *handlers) ClosePaymentLink(
	ctx context.Context, r gen.ClosePaymentLinkRequestObject,
) (gen.ClosePaymentLinkResponseObject, error) {
	c := callOf(ctx)
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusOK,
		create: func(tx pgx.Tx) (string, error) {
			return r.PaymentLinkID, paymentlink.Close(c.ctx, tx, c.tenant, r.PaymentLinkID)
		},
		show: func(tx pgx.Tx, linkID string) (any, error) { return h.paymentLink(c, tx, linkID) },
	})
}

// GetPaymentLink implements GET /v1/payment_links/{payment_link_id}.
func (h *handlers) GetPaymentLink(ctx context.Context, r gen.GetPaymentLinkRequestObject) (gen.GetPaymentLinkResponseObject, error) {
	c := callOf(ctx)
	var out gen.PaymentLink
	err := h.read(c, func(tx pgx.Tx) (err error) {
		out, err = h.paymentLink(c, tx, r.PaymentLinkID)
		return err
	})
	return gen.GetPaymentLink200JSONResponse(out), err
}

// ListPaymentLinks implements GET /v1/payment_links.
func (h *handlers) ListPaymentLinks(
	ctx context.Context, r gen.ListPaymentLinksRequestObject,
) (gen.ListPaymentLinksResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.PaymentLink)
	if err != nil {
		return nil, err
	}
	var list []paymentlink.Link
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, err = paymentlink.List(c.ctx, tx, c.tenant, paymentlink.Filter{Status: text(r.Params.Status),
			MerchantID: text(r.Params.MerchantID), Before: page.before, Limit: page.limit + 1})
		return err
	})
	data, next := cut(list, page.limit, func(l paymentlink.Link) string { return l.ID }, h.showPaymentLink)
	return gen.ListPaymentLinks200JSONResponse{Data: data, NextCursor: next}, err
}

func (h *handlers) paymentLink(c call, tx pgx.Tx, linkID string) (gen.PaymentLink, error) {
	l, err := paymentlink.Get(c.ctx, tx, c.tenant, linkID)
	return h.showPaymentLink(l), err
}

func (h *handlers) showPaymentLink(l paymentlink.Link) gen.PaymentLink {
	return gen.PaymentLink{
		ID: l.ID, MerchantID: l.MerchantID, URL: h.opts.PublicURL + cashier.LinkPath(l.Token), Subject: l.Subject,
		Amount: showAmountOrNull(l.Amount), MinAmount: showAmountOrNull(l.Min), MaxAmount: showAmountOrNull(l.Max),
		ReturnURL: orNull(l.ReturnURL), ExpiresAt: showTimeOrNull(l.ExpiresAt), MaxUses: l.MaxUses,
		Status: gen.PaymentLinkStatus(l.Status), Open: l.Open(), Opened: l.Opened, Used: l.Used, Paid: l.Paid,
		CreatedAt: showTime(l.CreatedAt), ClosedAt: showTimeOrNull(l.ClosedAt),
	}
}

func readAmountOrNil(a *gen.PositiveAmount) *money.Amount {
	if a == nil {
		return nil
	}
	return new(readAmount(*a))
}

// showAmountOrNull shows zero, which no link has, as null.
func showAmountOrNull(a money.Amount) *gen.Amount {
	if !a.IsPositive() {
		return nil
	}
	return new(showAmount(a))
}
