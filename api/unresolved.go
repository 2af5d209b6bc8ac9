package api

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/core/unresolved"
	"github.com/suanpan/suanpan/money"
	"github.com/suanpan/suanpan/workflows"
)

// What becomes of money whose fate nobody knows and whose number may not be sent again.

func (a answer) VisitResolveWithdrawalResponse(w http.ResponseWriter) error { return a.write(w) }
func (a answer) VisitResolveRefundResponse(w http.ResponseWriter) error     { return a.write(w) }

// ResolveWithdrawal implements POST /v1/withdrawals/{withdrawal_id}/resolve.
func (h *handlers) ResolveWithdrawal(ctx context.Context, r gen.ResolveWithdrawalRequestObject) (gen.ResolveWithdrawalResponseObject, error) {
	c, body := callOf(ctx), r.Body
	return h.accepted(c, h.resolution(c, r.Params.IdempotencyKey, *body, resolvable{
		id: r.WithdrawalID,
		find: func(tx pgx.Tx) (doubt, error) {
			w, err := payout.Get(c.ctx, tx, c.tenant, r.WithdrawalID)
			return doubt{"withdrawal_id", w.ID, w.Amount, w.Channel, payout.WorkflowID(w.ID), w.Resolvable, w.Unresolved}, err
		},
		decide: payout.Resolve,
	}))
}

// ResolveRefund implements POST /v1/refunds/{refund_id}/resolve.
func (h *handlers) ResolveRefund(ctx context.Context, r gen.ResolveRefundRequestObject) (gen.ResolveRefundResponseObject, error) {
	c, body := callOf(ctx), r.Body
	return h.accepted(c, h.resolution(c, r.Params.IdempotencyKey, *body, resolvable{
		id: r.RefundID,
		find: func(tx pgx.Tx) (doubt, error) {
			found, err := refund.Get(c.ctx, tx, c.tenant, r.RefundID)
			if err != nil {
				return doubt{}, err
			}
			p, err := payment.GetAttempt(c.ctx, tx, c.tenant, found.AttemptID)
			return doubt{"refund_id", found.ID, found.Amount, p.Attempt.Channel, found.Workflow(), found.Resolvable, found.Unresolved}, err
		},
		decide: refund.Resolve,
	}))
}

// resolvable is an object that something can be decided about.
type resolvable struct {
	id     string
	find   func(tx pgx.Tx) (doubt, error)
	decide func(ctx context.Context, tx pgx.Tx, tenantID, objectID string, d unresolved.Decision, reason string) error
}

// doubt is what is known of such an object.
type doubt struct {
	name, id   string
	amount     money.Amount
	channel    string
	workflow   string
	resolvable func() error
	unresolved *unresolved.Case
}

// resolution is the decision as a request: it is never carried out without a second
// person, who sees what the provider answered last. Whoever decides wakes the workflow.
func (h *handlers) resolution(c call, key string, body gen.ResolveUnknown, of resolvable) creation {
	return creation{
		key:    key,
		status: http.StatusOK,
		create: func(tx pgx.Tx) (string, error) {
			return of.id, of.decide(c.ctx, tx, c.tenant, of.id, unresolved.Decision(body.Decision), body.Reason)
		},
		workflow: func(tx pgx.Tx, _ string) (string, error) {
			found, err := of.find(tx)
			return found.workflow, err
		},
		about: func(string) string { return workflows.AboutDecision },
		preview: func(tx pgx.Tx) (any, error) {
			found, err := of.find(tx)
			if err == nil {
				err = found.resolvable()
			}
			if err != nil {
				return nil, err
			}
			return h.previewDoubt(found), nil
		},
		show: func(pgx.Tx, string) (any, error) { return nil, nil }, // the answer is the approval
	}
}

func (h *handlers) previewDoubt(d doubt) map[string]any {
	shown := map[string]any{d.name: d.id, "amount": showAmount(d.amount), "channel": d.channel, "number": d.unresolved.Number,
		"unresolved_since": showTime(d.unresolved.Since), "channel_code": d.unresolved.Code,
		"last_answer_code": orNull(d.unresolved.AnswerCode), "last_answer_at": showTimeOrNull(d.unresolved.AnsweredAt)}
	if d.unresolved.AnswerCode != "" {
		words := h.opts.Glossary.Of(d.channel, channel.Unknown, d.unresolved.AnswerCode)
		shown["last_answer"] = map[string]string{"zh": words.ZH, "en": words.EN}
	}
	return shown
}

func showUnresolved(c *unresolved.Case) *gen.Unresolved {
	if c == nil {
		return nil
	}
	return &gen.Unresolved{
		Since: showTime(c.Since), ChannelCode: c.Code, LastAnswerCode: orNull(c.AnswerCode), LastAnswerAt: showTimeOrNull(c.AnsweredAt),
		Decision: orNull(string(c.Decision)), Reason: orNull(c.Reason), DecidedAt: showTimeOrNull(c.DecidedAt),
	}
}
