package api

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/access"
	"github.com/suanpan/suanpan/internal/id"
)

func (a answer) VisitCreatePrincipalResponse(w http.ResponseWriter) error  { return a.write(w) }
func (a answer) VisitChangePrincipalResponse(w http.ResponseWriter) error  { return a.write(w) }
func (a answer) VisitBindPrincipalKeyResponse(w http.ResponseWriter) error { return a.write(w) }

// CreatePrincipal implements POST /v1/principals.
func (h *handlers) CreatePrincipal(ctx context.Context, r gen.CreatePrincipalRequestObject) (gen.CreatePrincipalResponseObject, error) {
	c, body := callOf(ctx), r.Body
	wanted := access.Principal{Kind: access.Kind(body.Kind), Name: body.Name, Roles: readRoles(body.Roles), MerchantID: text(body.MerchantID)}
	return h.acceptedAtOnce(c, r.Params.IdempotencyKey, func(tx pgx.Tx) (string, int, any, error) {
		created, err := access.Create(c.ctx, tx, c.tenant, wanted)
		return created.ID, http.StatusCreated, showPrincipal(created), err
	})
}

// ChangePrincipal implements POST /v1/principals/{principal_id}/changes.
func (h *handlers) ChangePrincipal(ctx context.Context, r gen.ChangePrincipalRequestObject) (gen.ChangePrincipalResponseObject, error) {
	c, body := callOf(ctx), r.Body
	change := access.Change{Name: body.Name}
	if body.Roles != nil {
		change.Roles = readRoles(*body.Roles)
	}
	if body.Status != nil {
		change.Status = new(string(*body.Status))
	}
	return h.acceptedAtOnce(c, r.Params.IdempotencyKey, func(tx pgx.Tx) (string, int, any, error) {
		_, after, err := access.Apply(c.ctx, tx, c.tenant, r.PrincipalID, change)
		return r.PrincipalID, http.StatusCreated, showPrincipal(after), err
	})
}

// BindPrincipalKey implements POST /v1/principals/{principal_id}/keys.
func (h *handlers) BindPrincipalKey(ctx context.Context, r gen.BindPrincipalKeyRequestObject) (gen.BindPrincipalKeyResponseObject, error) {
	c, body := callOf(ctx), r.Body
	return h.acceptedAtOnce(c, r.Params.IdempotencyKey, func(tx pgx.Tx) (string, int, any, error) {
		err := access.BindKey(c.ctx, tx, c.tenant, body.APIKeyID, r.PrincipalID)
		return r.PrincipalID, http.StatusCreated, gen.PrincipalKey{APIKeyID: body.APIKeyID, PrincipalID: r.PrincipalID}, err
	})
}

// GetPrincipal implements GET /v1/principals/{principal_id}.
func (h *handlers) GetPrincipal(ctx context.Context, r gen.GetPrincipalRequestObject) (gen.GetPrincipalResponseObject, error) {
	c := callOf(ctx)
	var found access.Principal
	err := h.read(c, func(tx pgx.Tx) (err error) {
		found, err = access.Get(c.ctx, tx, c.tenant, r.PrincipalID)
		return err
	})
	return gen.GetPrincipal200JSONResponse(showPrincipal(found)), err
}

// ListPrincipals implements GET /v1/principals.
func (h *handlers) ListPrincipals(ctx context.Context, r gen.ListPrincipalsRequestObject) (gen.ListPrincipalsResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Principal)
	if err != nil {
		return nil, err
	}
	var list []access.Principal
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, err = access.List(c.ctx, tx, c.tenant, page.before, page.limit+1)
		return err
	})
	data, next := cut(list, page.limit, func(p access.Principal) string { return p.ID }, showPrincipal)
	return gen.ListPrincipals200JSONResponse{Data: data, NextCursor: next}, err
}

func readRoles(roles []gen.Role) []access.Role {
	return mapped(roles, func(r gen.Role) access.Role { return access.Role(r) })
}

func showPrincipal(p access.Principal) gen.Principal {
	return gen.Principal{
		ID: p.ID, Kind: gen.PrincipalKind(p.Kind), Name: p.Name,
		Roles:      mapped(p.Roles, func(r access.Role) gen.Role { return gen.Role(r) }),
		MerchantID: orNull(p.MerchantID), Status: gen.PrincipalStatus(p.Status),
		CreatedAt: showTime(p.CreatedAt), ChangedAt: showTime(p.ChangedAt),
	}
}
