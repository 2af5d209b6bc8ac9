package api

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/split"
	"github.com/suanpan/suanpan/internal/id"
)

// defaultExpiry is expires_in when the request has none.
const defaultExpiry = 7200

// CreatePayment implements POST /v1/payments.
func (h *handlers) CreatePayment(ctx context.Context, r gen.CreatePaymentRequestObject) (gen.CreatePaymentResponseObject, error) {
	c, body := callOf(ctx), r.Body
	expiresIn := defaultExpiry
	if body.ExpiresIn != nil {
		expiresIn = *body.ExpiresIn
	}
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusCreated,
		create: func(tx pgx.Tx) (string, error) {
			paymentID := id.New(id.Payment)
			return paymentID, payment.Create(c.ctx, tx, c.tenant, payment.New{
				ID: paymentID, MerchantID: body.MerchantID, Reference: body.Reference, Subject: body.Subject,
				Amount: readAmount(body.Amount), Channel: string(body.Method.Channel), Product: string(body.Method.Product),
				ExpiresIn: time.Duration(expiresIn) * time.Second,
			})
		},
		workflow: func(_ pgx.Tx, paymentID string) (string, error) { return payment.WorkflowID(paymentID), nil },
		show:     func(tx pgx.Tx, paymentID string) (any, error) { return h.payment(c, tx, paymentID) },
	})
}

// GetPayment implements GET /v1/payments/{payment_id}.
func (h *handlers) GetPayment(ctx context.Context, r gen.GetPaymentRequestObject) (gen.GetPaymentResponseObject, error) {
	c := callOf(ctx)
	var out gen.Payment
	err := h.read(c, func(tx pgx.Tx) (err error) {
		out, err = h.payment(c, tx, r.PaymentID)
		return err
	})
	return gen.GetPayment200JSONResponse(out), err
}

// ListPayments implements GET /v1/payments.
func (h *handlers) ListPayments(ctx context.Context, r gen.ListPaymentsRequestObject) (gen.ListPaymentsResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Payment)
	if err != nil {
		return nil, err
	}
	out := gen.ListPayments200JSONResponse{Data: []gen.Payment{}}
	err = h.read(c, func(tx pgx.Tx) error {
		list, err := payment.List(c.ctx, tx, c.tenant, payment.Filter{
			Status: text(r.Params.Status), MerchantID: text(r.Params.MerchantID), Reference: text(r.Params.Reference),
			From: r.Params.CreatedFrom, To: r.Params.CreatedTo, Before: page.before, Limit: page.limit + 1,
		})
		if err != nil {
			return err
		}
		out.Data = make([]gen.Payment, 0, len(list))
		for _, p := range list[:min(len(list), page.limit)] {
			shown, err := h.showPayment(c, tx, p)
			if err != nil {
				return err
			}
			out.Data = append(out.Data, shown)
		}
		out.NextCursor = after(list, page.limit, func(p payment.Payment) string { return p.ID })
		return nil
	})
	return out, err
}

func (h *handlers) payment(c call, tx pgx.Tx, paymentID string) (gen.Payment, error) {
	p, err := payment.Get(c.ctx, tx, c.tenant, paymentID)
	if err != nil {
		return gen.Payment{}, err
	}
	return h.showPayment(c, tx, p)
}

// showPayment reads what belongs to the payment's status: splits exist only
// after success, late money only after the end without success.
func (h *handlers) showPayment(c call, tx pgx.Tx, p payment.Payment) (gen.Payment, error) {
	out := gen.Payment{
		ID: p.ID, MerchantID: p.MerchantID, Reference: p.Reference, Status: gen.PaymentStatus(p.Status),
		Amount: showAmount(p.Amount), Refunded: showAmount(p.Refunded), Subject: p.Subject,
		Method:           gen.PaymentMethod{Channel: gen.Channel(p.Channel), Product: gen.PaymentMethodProduct(p.Product)},
		ChannelAccountID: p.Attempt.ChannelAccountID, ChannelTradeNo: orNull(p.Attempt.ChannelTradeNo),
		Failure: showFailure(p.Failure), Splits: []gen.SplitLeg{},
		ExpiresAt: showTime(p.ExpiresAt), PaidAt: showTimeOrNull(p.PaidAt), CreatedAt: showTime(p.CreatedAt),
	}
	switch p.Status {
	case payment.Processing:
	case payment.AwaitingPayer:
		out.NextAction = &gen.NextAction{Type: gen.NextActionTypeQrCode, QrCode: p.Attempt.QRCode}
	case payment.Succeeded:
		legs, err := split.Legs(c.ctx, tx, c.tenant, p.ID)
		if err != nil {
			return out, err
		}
		out.Splits = mapped(legs, func(l split.BookedLeg) gen.SplitLeg { return showLeg(l.Leg) })
	case payment.Closed, payment.Failed:
		late, err := payment.FindLateReceipt(c.ctx, tx, c.tenant, p.ID)
		if err != nil {
			return out, err
		}
		if late != nil {
			out.LatePayment = &gen.LatePayment{
				Amount: showAmount(late.Amount), ChannelTradeNo: late.ChannelTradeNo,
				PaidAt: showTime(late.PaidAt), RefundID: late.RefundID,
			}
		}
	}
	return out, nil
}
