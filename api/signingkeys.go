package api

import (
	"context"
	"encoding/base64"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/tenant"
)

// CreateSigningKey implements POST /v1/api_keys/{api_key_id}/signing_keys. Whoever can
// add a key to sign with can sign for the API key, so it is handed out like one.
func (h *handlers) CreateSigningKey(ctx context.Context, r gen.CreateSigningKeyRequestObject) (gen.CreateSigningKeyResponseObject, error) {
	c := callOf(ctx)
	public, err := readPublicKey("public_key", r.Body.PublicKey)
	if err != nil {
		return nil, err
	}
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusCreated,
		create: func(tx pgx.Tx) (string, error) {
			if err := h.mayHandOut(c, tx, r.APIKeyID); err != nil {
				return "", err
			}
			added, err := tenant.AddSigningKey(c.ctx, tx, c.tenant, r.APIKeyID, r.Body.Name, public)
			return added.ID, err
		},
		show: func(tx pgx.Tx, signingKeyID string) (any, error) {
			return h.showSigningKey(c, tx, r.APIKeyID, signingKeyID)
		},
	})
}

// RetireSigningKey implements POST
// /v1/api_keys/{api_key_id}/signing_keys/{signing_key_id}/retire.
func (h *handlers) RetireSigningKey(ctx context.Context, r gen.RetireSigningKeyRequestObject) (gen.RetireSigningKeyResponseObject, error) {
	c := callOf(ctx)
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusOK,
		create: func(tx pgx.Tx) (string, error) {
			return r.SigningKeyID, tenant.RetireSigningKey(c.ctx, tx, c.tenant, r.APIKeyID, r.SigningKeyID, seconds(r.Body.Overlap))
		},
		show: func(tx pgx.Tx, signingKeyID string) (any, error) {
			return h.showSigningKey(c, tx, r.APIKeyID, signingKeyID)
		},
	})
}

// ListSigningKeys implements GET /v1/api_keys/{api_key_id}/signing_keys.
func (h *handlers) ListSigningKeys(ctx context.Context, r gen.ListSigningKeysRequestObject) (gen.ListSigningKeysResponseObject, error) {
	c := callOf(ctx)
	var list []tenant.SigningKey
	err := h.read(c, func(tx pgx.Tx) error {
		if _, err := tenant.GetKey(c.ctx, tx, c.tenant, r.APIKeyID); err != nil {
			return err
		}
		var err error
		list, err = tenant.ListSigningKeys(c.ctx, tx, c.tenant, r.APIKeyID)
		return err
	})
	show := func(k tenant.SigningKey) gen.SigningKey { return showSigningKey(r.APIKeyID, k) }
	return gen.ListSigningKeys200JSONResponse{Data: mapped(list, show)}, err
}

func (h *handlers) showSigningKey(c call, tx pgx.Tx, keyID, signingKeyID string) (gen.SigningKey, error) {
	found, err := tenant.GetSigningKey(c.ctx, tx, c.tenant, keyID, signingKeyID)
	return showSigningKey(keyID, found), err
}

func showSigningKey(keyID string, k tenant.SigningKey) gen.SigningKey {
	return gen.SigningKey{ID: k.ID, APIKeyID: keyID, Name: k.Name, PublicKey: base64.StdEncoding.EncodeToString(k.PublicKey),
		CreatedAt: showTime(k.CreatedAt), RetiresAt: showTimeOrNull(k.RetiresAt)}
}
