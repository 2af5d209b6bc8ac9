package api

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/internal/id"
)

// ListWebhookDeliveries implements GET /v1/webhook_endpoints/{webhook_endpoint_id}/deliveries.
// Cursors are positions among events.
func (h *handlers) ListWebhookDeliveries(ctx context.Context, r gen.ListWebhookDeliveriesRequestObject) (gen.ListWebhookDeliveriesResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Event)
	if err != nil {
		return nil, err
	}
	var list []event.Delivery
	err = h.read(c, func(tx pgx.Tx) error {
		if _, err := event.GetEndpoint(c.ctx, tx, c.tenant, r.WebhookEndpointID); err != nil {
			return err
		}
		status := event.DeliveryStatus(text(r.Params.Status))
		list, err = event.ListDeliveries(c.ctx, tx, c.tenant, r.WebhookEndpointID, status, page.before, page.limit+1)
		return err
	})
	data, next := cut(list, page.limit, func(d event.Delivery) string { return d.EventID }, showDelivery)
	return gen.ListWebhookDeliveries200JSONResponse{Data: data, NextCursor: next}, err
}

// GetWebhookDelivery implements GET /v1/webhook_endpoints/{webhook_endpoint_id}/deliveries/{event_id}.
func (h *handlers) GetWebhookDelivery(ctx context.Context, r gen.GetWebhookDeliveryRequestObject) (gen.GetWebhookDeliveryResponseObject, error) {
	c := callOf(ctx)
	var found event.Delivery
	var tries []event.Attempt
	err := h.read(c, func(tx pgx.Tx) (err error) {
		if _, err := event.GetEndpoint(c.ctx, tx, c.tenant, r.WebhookEndpointID); err != nil {
			return err
		}
		found, tries, err = event.GetDelivery(c.ctx, tx, c.tenant, r.WebhookEndpointID, r.EventID)
		return err
	})
	d := showDelivery(found)
	return gen.GetWebhookDelivery200JSONResponse{
		EventID: d.EventID, WebhookEndpointID: d.WebhookEndpointID, Status: d.Status, Attempts: d.Attempts, NextAt: d.NextAt,
		LastAttemptAt: d.LastAttemptAt, LastStatus: d.LastStatus, LastAnswer: d.LastAnswer, LastTookMs: d.LastTookMs,
		DeliveredAt: d.DeliveredAt, Tries: mapped(tries, showTry),
	}, err
}

// RedeliverEvent implements POST /v1/events/{event_id}/redeliver.
func (h *handlers) RedeliverEvent(ctx context.Context, r gen.RedeliverEventRequestObject) (gen.RedeliverEventResponseObject, error) {
	c := callOf(ctx)
	return h.acceptedAtOnce(c, r.Params.IdempotencyKey, func(tx pgx.Tx) (string, int, any, error) {
		due, err := event.RedeliverEvent(c.ctx, tx, c.tenant, r.EventID, text(r.Body.WebhookEndpointID))
		return r.EventID, http.StatusOK, gen.WebhookDeliveryList{Data: mapped(due, showDelivery)}, err
	})
}

// CreateWebhookRedelivery implements POST /v1/webhook_endpoints/{webhook_endpoint_id}/redeliveries.
func (h *handlers) CreateWebhookRedelivery(ctx context.Context, r gen.CreateWebhookRedeliveryRequestObject) (gen.CreateWebhookRedeliveryResponseObject, error) {
	c, body := callOf(ctx), r.Body
	n := event.NewRedelivery{EndpointID: r.WebhookEndpointID, CreatedFrom: body.CreatedFrom, CreatedTo: body.CreatedTo,
		Scope: event.RedeliverMissed}
	if body.Scope != nil {
		n.Scope = event.RedeliveryScope(*body.Scope)
	}
	return h.acceptedAtOnce(c, r.Params.IdempotencyKey, func(tx pgx.Tx) (string, int, any, error) {
		// An endpoint that does not exist comes before what is wrong with the range.
		if _, err := event.GetEndpoint(c.ctx, tx, c.tenant, r.WebhookEndpointID); err != nil {
			return "", 0, nil, err
		}
		started, err := event.StartRedelivery(c.ctx, tx, c.tenant, n)
		return started.ID, http.StatusCreated, showRedelivery(started), err
	})
}

// GetWebhookRedelivery implements GET /v1/webhook_endpoints/{webhook_endpoint_id}/redeliveries/{webhook_redelivery_id}.
func (h *handlers) GetWebhookRedelivery(ctx context.Context, r gen.GetWebhookRedeliveryRequestObject) (gen.GetWebhookRedeliveryResponseObject, error) {
	c := callOf(ctx)
	var found event.Redelivery
	err := h.read(c, func(tx pgx.Tx) (err error) {
		if _, err := event.GetEndpoint(c.ctx, tx, c.tenant, r.WebhookEndpointID); err != nil {
			return err
		}
		found, err = event.GetRedelivery(c.ctx, tx, c.tenant, r.WebhookEndpointID, r.WebhookRedeliveryID)
		return err
	})
	return gen.GetWebhookRedelivery200JSONResponse(showRedelivery(found)), err
}

func showDelivery(d event.Delivery) gen.WebhookDelivery {
	out := gen.WebhookDelivery{
		EventID: d.EventID, WebhookEndpointID: d.EndpointID, Status: gen.WebhookDeliveryStatus(d.Status), Attempts: d.Attempts,
		LastAttemptAt: showTimeOrNull(d.LastAttemptAt), LastStatus: d.LastStatus, LastAnswer: d.LastAnswer,
		LastTookMs: milliseconds(d.LastTook), DeliveredAt: showTimeOrNull(d.DeliveredAt),
	}
	if d.Status == event.DeliveryPending {
		out.NextAt = showTimeOrNull(&d.NextAt)
	}
	return out
}

func showTry(a event.Attempt) gen.WebhookTry {
	return gen.WebhookTry{
		Number: a.Number, StartedAt: showTime(a.StartedAt), TookMs: a.Took.Milliseconds(), Status: a.Status, Answer: a.Answer,
	}
}

func showRedelivery(r event.Redelivery) gen.WebhookRedelivery {
	return gen.WebhookRedelivery{
		ID: r.ID, WebhookEndpointID: r.EndpointID, CreatedFrom: showTime(r.CreatedFrom), CreatedTo: showTime(r.CreatedTo),
		Scope: gen.WebhookRedeliveryScope(r.Scope), Status: gen.WebhookRedeliveryStatus(r.Status), Position: showTimeOrNull(r.Position),
		Examined: r.Examined, Queued: r.Queued, CreatedAt: showTime(r.CreatedAt), FinishedAt: showTimeOrNull(r.FinishedAt),
	}
}

func milliseconds(d *time.Duration) *int64 {
	if d == nil {
		return nil
	}
	return new(d.Milliseconds())
}
