package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/cashier"
	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/split"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/workflows"
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
	n := payment.New{MerchantID: body.MerchantID, Reference: body.Reference, Subject: body.Subject,
		Amount: readAmount(body.Amount), ExpiresIn: time.Duration(expiresIn) * time.Second, ReturnURL: text(body.ReturnURL)}
	if body.Method != nil {
		method := readMethod(*body.Method)
		n.Method = &method
	}
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusCreated,
		create: func(tx pgx.Tx) (string, error) {
			n.ID = id.New(id.Payment)
			return n.ID, payment.Create(c.ctx, tx, c.tenant, n, h.till())
		},
		workflow: func(_ pgx.Tx, paymentID string) (string, error) { return payment.WorkflowID(paymentID), nil },
		show:     func(tx pgx.Tx, paymentID string) (any, error) { return h.payment(c, tx, paymentID) },
	})
}

// CreatePaymentAttempt implements POST /v1/payments/{payment_id}/attempts.
func (h *handlers) CreatePaymentAttempt(
	ctx context.Context, r gen.CreatePaymentAttemptRequestObject,
) (gen.CreatePaymentAttemptResponseObject, error) {
	c := callOf(ctx)
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusCreated,
		create: func(tx pgx.Tx) (string, error) {
			return payment.AddAttempt(c.ctx, tx, c.tenant, r.PaymentID, readMethod(r.Body.Method), h.till())
		},
		workflow: func(pgx.Tx, string) (string, error) { return payment.WorkflowID(r.PaymentID), nil },
		about:    func(attemptID string) string { return attemptID },
		show:     func(tx pgx.Tx, _ string) (any, error) { return h.payment(c, tx, r.PaymentID) },
	})
}

// CancelPayment implements POST /v1/payments/{payment_id}/cancel.
func (h *handlers) CancelPayment(ctx context.Context, r gen.CancelPaymentRequestObject) (gen.CancelPaymentResponseObject, error) {
	c := callOf(ctx)
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusOK,
		create: func(tx pgx.Tx) (string, error) {
			return r.PaymentID, payment.RequestCancel(c.ctx, tx, c.tenant, r.PaymentID)
		},
		workflow: func(pgx.Tx, string) (string, error) { return payment.WorkflowID(r.PaymentID), nil },
		about:    func(string) string { return workflows.AboutEnd },
		show:     func(tx pgx.Tx, _ string) (any, error) { return h.payment(c, tx, r.PaymentID) },
	})
}

// ForgetPayer implements POST /v1/payments/{payment_id}/forget_payer.
func (h *handlers) ForgetPayer(ctx context.Context, r gen.ForgetPayerRequestObject) (gen.ForgetPayerResponseObject, error) {
	c := callOf(ctx)
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusOK,
		create: func(tx pgx.Tx) (string, error) {
			return r.PaymentID, payment.ForgetPayer(c.ctx, tx, c.tenant, r.PaymentID, r.Body.Reason)
		},
		show: func(tx pgx.Tx, _ string) (any, error) { return h.payment(c, tx, r.PaymentID) },
	})
}

// till is what taking a payment method needs.
func (s *server) till() payment.Till {
	return payment.Till{Box: s.opts.Box, Offers: func(channelName string) []channel.Offer {
		for _, p := range s.opts.Desk.Providers() {
			if p.Name == channelName {
				return p.Offers
			}
		}
		return nil
	}}
}

func readMethod(m gen.PaymentMethod) payment.Method {
	return payment.Method{Channel: string(m.Channel), Product: channel.Product(m.Product), PayerID: text(m.PayerID),
		PayerIP: text(m.PayerIP), ReturnURL: text(m.ReturnURL), AuthCode: text(m.AuthCode)}
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
			LinkID: text(r.Params.PaymentLinkID), From: r.Params.CreatedFrom, To: r.Params.CreatedTo, Before: page.before, Limit: page.limit + 1,
		})
		if err != nil {
			return err
		}
		shown := list[:min(len(list), page.limit)]
		attempts, err := payment.Attempts(c.ctx, tx, c.tenant, mapped(shown, func(p payment.Payment) string { return p.ID })...)
		if err != nil {
			return err
		}
		out.Data = make([]gen.Payment, 0, len(shown))
		for _, p := range shown {
			own := slices.DeleteFunc(slices.Clone(attempts), func(a payment.Attempt) bool { return a.PaymentID != p.ID })
			one, err := h.showPayment(c, tx, p, own)
			if err != nil {
				return err
			}
			out.Data = append(out.Data, one)
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
	attempts, err := payment.Attempts(c.ctx, tx, c.tenant, p.ID)
	if err != nil {
		return gen.Payment{}, err
	}
	return h.showPayment(c, tx, p, attempts)
}

// showPayment reads what belongs to the payment's status: splits exist only
// after success, late money only after the end.
func (h *handlers) showPayment(c call, tx pgx.Tx, p payment.Payment, attempts []payment.Attempt) (gen.Payment, error) {
	out := gen.Payment{
		ID: p.ID, MerchantID: p.MerchantID, Reference: p.Reference, Status: gen.PaymentStatus(p.Status),
		Amount: showAmount(p.Amount), Refunded: showAmount(p.Refunded), Subject: p.Subject,
		CheckoutURL: h.opts.PublicURL + cashier.CheckoutPath(p.CheckoutToken), ReturnURL: orNull(p.ReturnURL),
		PaymentLinkID: orNull(p.LinkID), Attempts: mapped(attempts, showAttempt),
		ChannelAccountID: orNull(p.Attempt.ChannelAccountID), ChannelTradeNo: orNull(p.Attempt.ChannelTradeNo),
		Failure: showFailure(p.Failure), Splits: []gen.SplitLeg{}, LatePayments: []gen.LatePayment{},
		ExpiresAt: showTime(p.ExpiresAt), PaidAt: showTimeOrNull(p.PaidAt), CreatedAt: showTime(p.CreatedAt),
	}
	if p.Attempt.ID != "" {
		out.Method = &gen.UsedMethod{Channel: gen.Channel(p.Attempt.Channel), Product: gen.Product(p.Attempt.Product)}
	}
	if p.CloseReason != "" {
		reason := gen.PaymentCloseReason(p.CloseReason)
		out.CloseReason = &reason
	}
	if p.Status == payment.AwaitingPayer {
		out.NextAction = showAction(payment.NextAction(attempts))
		if out.NextAction == nil {
			out.NextAction = &gen.NextAction{Type: gen.NextActionTypeRedirect, URL: &out.CheckoutURL}
		}
	}
	if p.Status == payment.Succeeded {
		legs, err := split.Legs(c.ctx, tx, c.tenant, p.ID)
		if err != nil {
			return out, err
		}
		out.Splits = mapped(legs, func(l split.BookedLeg) gen.SplitLeg { return showLeg(l.Leg) })
	}
	if len(attempts) > 0 {
		late, err := payment.LateReceipts(c.ctx, tx, c.tenant, p.ID)
		if err != nil {
			return out, err
		}
		out.LatePayments = mapped(late, showLate)
	}
	return out, nil
}

func showAttempt(a payment.Attempt) gen.PaymentAttempt {
	out := gen.PaymentAttempt{
		ID: a.ID, Method: gen.UsedMethod{Channel: gen.Channel(a.Channel), Product: gen.Product(a.Product)},
		ChannelAccountID: a.ChannelAccountID, Status: gen.PaymentAttemptStatus(a.Status), ChannelTradeNo: orNull(a.ChannelTradeNo),
		Failure: showFailure(a.Failure), PaidAt: showTimeOrNull(a.PaidAt), CreatedAt: showTime(a.CreatedAt),
	}
	if a.Status == payment.Open {
		out.NextAction = showAction(a.Action)
	}
	return out
}

func showAction(a *channel.Action) *gen.NextAction {
	if a == nil {
		return nil
	}
	out := gen.NextAction{Type: gen.NextActionType(a.Type), URL: orNull(a.URL), QrCode: orNull(a.QRCode)}
	if len(a.Params) > 0 {
		out.Params = &a.Params
	}
	return &out
}

func showLate(l payment.LateReceipt) gen.LatePayment {
	return gen.LatePayment{AttemptID: l.AttemptID, Amount: showAmount(l.Amount), ChannelTradeNo: l.ChannelTradeNo,
		PaidAt: showTime(l.PaidAt), RefundID: l.RefundID}
}
