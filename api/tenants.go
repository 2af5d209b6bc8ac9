package api

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// The routes of this file are for operators: they work on all tenants, as the system role.

// CreateTenant implements POST /v1/tenants.
func (h *handlers) CreateTenant(ctx context.Context, r gen.CreateTenantRequestObject) (gen.CreateTenantResponseObject, error) {
	c := callOf(ctx)
	return h.acceptedFromOperator(c, r.Params.IdempotencyKey, http.StatusCreated, func(tx pgx.Tx) (string, any, any, error) {
		created, err := tenant.CreateIn(c.ctx, tx, h.opts.Mode, r.Body.Name, tenant.CustodyMode(r.Body.CustodyMode))
		shown := showTenant(created)
		return created.ID, shown, shown, err
	})
}

// ListTenants implements GET /v1/tenants.
func (h *handlers) ListTenants(ctx context.Context, r gen.ListTenantsRequestObject) (gen.ListTenantsResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Tenant)
	if err != nil {
		return nil, err
	}
	var list []tenant.Tenant
	err = h.opts.DB.AsSystem(c.ctx, func(tx pgx.Tx) (err error) {
		list, err = tenant.List(c.ctx, tx, page.before, page.limit+1)
		return err
	})
	data, next := cut(list, page.limit, func(t tenant.Tenant) string { return t.ID }, showTenant)
	return gen.ListTenants200JSONResponse{Data: data, NextCursor: next}, err
}

// GetTenant implements GET /v1/tenants/{tenant_id}.
func (h *handlers) GetTenant(ctx context.Context, r gen.GetTenantRequestObject) (gen.GetTenantResponseObject, error) {
	c := callOf(ctx)
	var found tenant.Tenant
	err := h.opts.DB.AsSystem(c.ctx, func(tx pgx.Tx) (err error) {
		found, err = tenant.Get(c.ctx, tx, r.TenantID)
		return err
	})
	return gen.GetTenant200JSONResponse(showTenant(found)), err
}

// CreateTenantKey implements POST /v1/tenants/{tenant_id}/api_keys.
func (h *handlers) CreateTenantKey(ctx context.Context, r gen.CreateTenantKeyRequestObject) (gen.CreateTenantKeyResponseObject, error) {
	c := callOf(ctx)
	ask, err := h.readNewKey(*r.Body)
	if err != nil {
		return nil, err
	}
	return h.acceptedFromOperator(c, r.Params.IdempotencyKey, http.StatusCreated, func(tx pgx.Tx) (string, any, any, error) {
		created, secret, err := ask.create(c.ctx, tx, r.TenantID)
		return created.ID, showKeyWithSecret(created, secret), showKeyWithSecret(created, redactedKey), err
	})
}

// ListTenantKeys implements GET /v1/tenants/{tenant_id}/api_keys.
func (h *handlers) ListTenantKeys(ctx context.Context, r gen.ListTenantKeysRequestObject) (gen.ListTenantKeysResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.APIKey)
	if err != nil {
		return nil, err
	}
	var list []tenant.Key
	err = h.opts.DB.AsSystem(c.ctx, func(tx pgx.Tx) error {
		if _, err := tenant.Get(c.ctx, tx, r.TenantID); err != nil {
			return err
		}
		list, err = tenant.ListKeys(c.ctx, tx, r.TenantID, page.before, page.limit+1)
		return err
	})
	data, next := cut(list, page.limit, func(k tenant.Key) string { return k.ID }, showKey)
	return gen.ListTenantKeys200JSONResponse{Data: data, NextCursor: next}, err
}

// RevokeTenantKey implements POST /v1/tenants/{tenant_id}/api_keys/{api_key_id}/revoke.
func (h *handlers) RevokeTenantKey(ctx context.Context, r gen.RevokeTenantKeyRequestObject) (gen.RevokeTenantKeyResponseObject, error) {
	c := callOf(ctx)
	return h.acceptedFromOperator(c, r.Params.IdempotencyKey, http.StatusOK, func(tx pgx.Tx) (string, any, any, error) {
		if err := tenant.RevokeKey(c.ctx, tx, r.TenantID, r.APIKeyID); err != nil {
			return "", nil, nil, err
		}
		revoked, err := tenant.GetKey(c.ctx, tx, r.TenantID, r.APIKeyID)
		shown := showKey(revoked)
		return revoked.ID, shown, shown, err
	})
}

func showTenant(t tenant.Tenant) gen.Tenant {
	return gen.Tenant{ID: t.ID, Name: t.Name, Mode: gen.TenantMode(t.Mode), CustodyMode: gen.CustodyMode(t.CustodyMode),
		CreatedAt: showTime(t.CreatedAt)}
}
