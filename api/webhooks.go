package api

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/internal/id"
)

// redactedSecret is what is stored in the place of a secret.
const redactedSecret = "whsec_redacted"

// CreateWebhookEndpoint implements POST /v1/webhook_endpoints. The URL is
// resolved before the transaction, because a name server may take its time.
func (h *handlers) CreateWebhookEndpoint(ctx context.Context, r gen.CreateWebhookEndpointRequestObject) (gen.CreateWebhookEndpointResponseObject, error) {
	c, body := callOf(ctx), r.Body
	n := event.NewEndpoint{URL: body.URL, Description: text(body.Description)}
	if body.EventTypes != nil {
		n.Types = patterns(*body.EventTypes)
	}
	if err := event.CheckEndpoint(c.ctx, h.opts.Guard, n); err != nil {
		return nil, err
	}
	return h.withSecret(c, r.Params.IdempotencyKey, http.StatusCreated, func(tx pgx.Tx) (string, string, error) {
		e, secret, err := event.CreateEndpoint(c.ctx, tx, h.opts.Box, c.tenant, n)
		return e.ID, secret, err
	})
}

// RotateWebhookSecret implements POST /v1/webhook_endpoints/{webhook_endpoint_id}/rotate_secret.
func (h *handlers) RotateWebhookSecret(ctx context.Context, r gen.RotateWebhookSecretRequestObject) (gen.RotateWebhookSecretResponseObject, error) {
	c := callOf(ctx)
	return h.withSecret(c, r.Params.IdempotencyKey, http.StatusOK, func(tx pgx.Tx) (string, string, error) {
		secret, err := event.RotateSecret(c.ctx, tx, h.opts.Box, c.tenant, r.WebhookEndpointID)
		return r.WebhookEndpointID, secret, err
	})
}

// withSecret accepts a request that makes a secret and shows it once.
func (h *handlers) withSecret(c call, key string, status int, create func(tx pgx.Tx) (endpointID, secret string, err error)) (answer, error) {
	var secret string
	show := func(tx pgx.Tx, endpointID, shownSecret string) (any, error) {
		e, err := event.GetEndpoint(c.ctx, tx, c.tenant, endpointID)
		shown := showEndpoint(e)
		return gen.WebhookEndpointWithSecret{
			ID: shown.ID, URL: shown.URL, EventTypes: shown.EventTypes, Description: shown.Description,
			Enabled: shown.Enabled, DisabledReason: shown.DisabledReason,
			Status: shown.Status, StatusReason: shown.StatusReason, FailingSince: shown.FailingSince, RestsUntil: shown.RestsUntil,
			CreatedAt: shown.CreatedAt, Secret: shownSecret,
		}, err
	}
	return h.acceptedOnce(c, creation{
		key:    key,
		status: status,
		create: func(tx pgx.Tx) (endpointID string, err error) {
			endpointID, secret, err = create(tx)
			return endpointID, err
		},
		show: func(tx pgx.Tx, endpointID string) (any, error) { return show(tx, endpointID, secret) },
	}, func(tx pgx.Tx, endpointID string) (any, error) { return show(tx, endpointID, redactedSecret) })
}

// GetWebhookEndpoint implements GET /v1/webhook_endpoints/{webhook_endpoint_id}.
func (h *handlers) GetWebhookEndpoint(ctx context.Context, r gen.GetWebhookEndpointRequestObject) (gen.GetWebhookEndpointResponseObject, error) {
	c := callOf(ctx)
	var found event.Endpoint
	err := h.read(c, func(tx pgx.Tx) (err error) {
		found, err = event.GetEndpoint(c.ctx, tx, c.tenant, r.WebhookEndpointID)
		return err
	})
	return gen.GetWebhookEndpoint200JSONResponse(showEndpoint(found)), err
}

// ListWebhookEndpoints implements GET /v1/webhook_endpoints.
func (h *handlers) ListWebhookEndpoints(ctx context.Context, r gen.ListWebhookEndpointsRequestObject) (gen.ListWebhookEndpointsResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Endpoint)
	if err != nil {
		return nil, err
	}
	var list []event.Endpoint
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, err = event.ListEndpoints(c.ctx, tx, c.tenant, page.before, page.limit+1)
		return err
	})
	data, next := cut(list, page.limit, func(e event.Endpoint) string { return e.ID }, showEndpoint)
	return gen.ListWebhookEndpoints200JSONResponse{Data: data, NextCursor: next}, err
}

// DeleteWebhookEndpoint implements DELETE /v1/webhook_endpoints/{webhook_endpoint_id}.
func (h *handlers) DeleteWebhookEndpoint(ctx context.Context, r gen.DeleteWebhookEndpointRequestObject) (gen.DeleteWebhookEndpointResponseObject, error) {
	c := callOf(ctx)
	err := h.read(c, func(tx pgx.Tx) error { return event.DeleteEndpoint(c.ctx, tx, c.tenant, r.WebhookEndpointID) })
	return gen.DeleteWebhookEndpoint204Response{}, err
}

// ChangeWebhookEndpoint implements PATCH /v1/webhook_endpoints/{webhook_endpoint_id}.
// A new URL is resolved before the transaction.
func (h *handlers) ChangeWebhookEndpoint(ctx context.Context, r gen.ChangeWebhookEndpointRequestObject) (gen.ChangeWebhookEndpointResponseObject, error) {
	c, body := callOf(ctx), r.Body
	change := event.EndpointChange{URL: body.URL, Description: body.Description}
	if body.EventTypes != nil {
		change.Types = new(patterns(*body.EventTypes))
	}
	if body.Status != nil {
		change.Status = new(event.EndpointStatus(*body.Status))
	}
	// An endpoint that does not exist comes before what is wrong with the change.
	found := func(tx pgx.Tx) error {
		_, err := event.GetEndpoint(c.ctx, tx, c.tenant, r.WebhookEndpointID)
		return err
	}
	if err := h.read(c, found); err != nil {
		return nil, err
	}
	if err := event.CheckChange(c.ctx, h.opts.Guard, change); err != nil {
		return nil, err
	}
	var changed event.Endpoint
	err := h.read(c, func(tx pgx.Tx) (err error) {
		changed, err = event.ChangeEndpoint(c.ctx, tx, c.tenant, r.WebhookEndpointID, change)
		return err
	})
	return gen.ChangeWebhookEndpoint200JSONResponse(showEndpoint(changed)), err
}

// PingWebhookEndpoint implements POST /v1/webhook_endpoints/{webhook_endpoint_id}/ping.
func (h *handlers) PingWebhookEndpoint(ctx context.Context, r gen.PingWebhookEndpointRequestObject) (gen.PingWebhookEndpointResponseObject, error) {
	c := callOf(ctx)
	return h.acceptedAtOnce(c, r.Params.IdempotencyKey, func(tx pgx.Tx) (string, int, any, error) {
		e, err := event.PingEndpoint(c.ctx, tx, c.tenant, r.WebhookEndpointID)
		if err != nil {
			return "", 0, nil, err
		}
		shown, err := showEvent(e)
		return e.ID, http.StatusCreated, shown, err
	})
}

func patterns(list []gen.EventPattern) []event.Pattern {
	return mapped(list, func(p gen.EventPattern) event.Pattern { return event.Pattern(p) })
}

func showEndpoint(e event.Endpoint) gen.WebhookEndpoint {
	return gen.WebhookEndpoint{
		ID: e.ID, URL: e.URL, EventTypes: mapped(e.Types, func(p event.Pattern) gen.EventPattern { return gen.EventPattern(p) }),
		Description: e.Description, Enabled: e.Status == event.EndpointActive, DisabledReason: orNull(e.StatusReason),
		Status: gen.WebhookEndpointStatus(e.Status), StatusReason: orNull(e.StatusReason),
		FailingSince: showTimeOrNull(e.FailingSince), RestsUntil: showTimeOrNull(e.RestsUntil), CreatedAt: showTime(e.CreatedAt),
	}
}
