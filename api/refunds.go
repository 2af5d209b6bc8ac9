package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/internal/id"
)

// CreateRefund implements POST /v1/payments/{payment_id}/refunds.
func (h *handlers) CreateRefund(ctx context.Context, r gen.CreateRefundRequestObject) (gen.CreateRefundResponseObject, error) {
	c, body := callOf(ctx), r.Body
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusCreated,
		create: func(tx pgx.Tx) (string, error) {
			refundID := id.New(id.Refund)
			return refundID, refund.Create(c.ctx, tx, c.tenant, refund.New{
				ID: refundID, PaymentID: r.PaymentID, Reference: body.Reference,
				Amount: readAmount(body.Amount), Reason: body.Reason,
			})
		},
		workflow: func(_ pgx.Tx, refundID string) (string, error) { return refund.WorkflowID(refundID), nil },
		show: func(tx pgx.Tx, refundID string) (any, error) {
			found, err := refund.Get(c.ctx, tx, c.tenant, refundID)
			return showRefund(found), err
		},
	})
}

// RedirectRefund implements POST /v1/refunds/{refund_id}/redirect.
func (h *handlers) RedirectRefund(ctx context.Context, r gen.RedirectRefundRequestObject) (gen.RedirectRefundResponseObject, error) {
	c, body := callOf(ctx), r.Body
	card, err := readCard(*body)
	if err != nil {
		return nil, err
	}
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusOK,
		create: func(tx pgx.Tx) (string, error) {
			return r.RefundID, refund.RequestRedirect(c.ctx, tx, c.tenant, r.RefundID, card, h.opts.Box)
		},
		workflow: func(tx pgx.Tx, _ string) (string, error) {
			found, err := refund.Get(c.ctx, tx, c.tenant, r.RefundID)
			return found.Workflow(), err
		},
		about:   func(string) string { return "redirect/" + r.Params.IdempotencyKey },
		preview: func(tx pgx.Tx) (any, error) { return previewRedirect(c, tx, r.RefundID, *body) },
		show: func(tx pgx.Tx, _ string) (any, error) {
			found, err := refund.Get(c.ctx, tx, c.tenant, r.RefundID)
			return showRefund(found), err
		},
	})
}

// previewRedirect shows where the money would go, with the payer's card and name masked.
func previewRedirect(c call, tx pgx.Tx, refundID string, body gen.RedirectRefund) (any, error) {
	shown := map[string]any{"refund_id": refundID, "to": body.To}
	found, err := refund.Get(c.ctx, tx, c.tenant, refundID)
	switch {
	case err == nil:
		shown["payment_id"], shown["amount"] = found.PaymentID, showAmount(found.Amount)
	case !errors.Is(err, &fault.Error{Kind: fault.KindNotFound}): // which is refused when it is carried out
		return nil, err
	}
	if body.Card != nil {
		shown["card"] = map[string]string{"bank": body.Card.Bank, "number": party.MaskCard(body.Card.Number),
			"holder": party.MaskName(body.Card.Holder)}
	}
	return shown, nil
}

// readCard returns the payer's card; nil when the money goes to the merchant.
func readCard(body gen.RedirectRefund) (*refund.Card, error) {
	switch {
	case body.To == gen.RefundDestinationPayerCard && body.Card == nil:
		return nil, fault.Invalid("card", "field_missing", "Say which card of the payer the money goes to.")
	case body.To == gen.RefundDestinationPayerCard:
		return &refund.Card{Bank: body.Card.Bank, Number: body.Card.Number, Holder: body.Card.Holder}, nil
	case body.Card != nil:
		return nil, fault.Invalid("card", "field_unknown", "Money that goes to the merchant goes to no card.")
	}
	return nil, nil
}

// GetRefund implements GET /v1/refunds/{refund_id}.
func (h *handlers) GetRefund(ctx context.Context, r gen.GetRefundRequestObject) (gen.GetRefundResponseObject, error) {
	c := callOf(ctx)
	var found refund.Refund
	err := h.read(c, func(tx pgx.Tx) (err error) {
		found, err = refund.Get(c.ctx, tx, c.tenant, r.RefundID)
		return err
	})
	return gen.GetRefund200JSONResponse(showRefund(found)), err
}

// ListRefunds implements GET /v1/refunds.
func (h *handlers) ListRefunds(ctx context.Context, r gen.ListRefundsRequestObject) (gen.ListRefundsResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Refund)
	if err != nil {
		return nil, err
	}
	var list []refund.Refund
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, err = refund.List(c.ctx, tx, c.tenant, refund.Filter{
			Status: text(r.Params.Status), PaymentID: text(r.Params.PaymentID), Reference: text(r.Params.Reference),
			From: r.Params.CreatedFrom, To: r.Params.CreatedTo, Before: page.before, Limit: page.limit + 1,
		})
		return err
	})
	data, next := cut(list, page.limit, func(r refund.Refund) string { return r.ID }, showRefund)
	return gen.ListRefunds200JSONResponse{Data: data, NextCursor: next}, err
}

func showRefund(r refund.Refund) gen.Refund {
	return gen.Refund{
		ID: r.ID, PaymentID: r.PaymentID, Origin: gen.RefundOrigin(r.Origin), Reference: orNull(r.Reference),
		Status: gen.RefundStatus(r.Status), Amount: showAmount(r.Amount), Reason: r.Reason,
		WaitingFor: orNull(r.WaitingFor), ChannelRefundNo: orNull(r.ChannelRefundNo), Failure: showFailure(r.Failure),
		Unresolved: showUnresolved(r.Unresolved), AbnormalAt: showTimeOrNull(r.AbnormalAt), Redirect: showRedirect(r.Redirect),
		CreatedAt: showTime(r.CreatedAt), RefundedAt: showTimeOrNull(r.RefundedAt),
		ReturnedAt: showTimeOrNull(r.ReturnedAt),
	}
}

func showRedirect(r refund.Redirect) *gen.RefundRedirect {
	if r.To == "" {
		return nil
	}
	return &gen.RefundRedirect{To: gen.RefundDestination(r.To), Status: gen.RefundRedirectStatus(r.Status),
		Failure: showFailure(r.Failure), RequestedAt: showTime(r.RequestedAt)}
}
