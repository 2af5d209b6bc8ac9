package api

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/approval"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// redactedKey is what is stored in the place of a key's secret.
const redactedKey = "sk_redacted"

// newKey is a key that a request asks for, perhaps with the first key to sign with.
type newKey struct {
	tenant.NewKey
	signingName string
	signingKey  ed25519.PublicKey
}

// readNewKey refuses scopes that no operation for tenants has.
func (h *handlers) readNewKey(body gen.CreateAPIKey) (newKey, error) {
	ask := newKey{NewKey: tenant.NewKey{Name: body.Name, Scopes: body.Scopes, Signature: tenant.SignNever, ExpiresAt: body.ExpiresAt}}
	for i, scope := range body.Scopes {
		if !h.contract.hasScope(scope) {
			return ask, fault.Invalid(fmt.Sprintf("scopes[%d]", i), "scope_unknown",
				"No operation that a tenant's key may call has this scope; the contract names them in x-scope.")
		}
	}
	if body.Signature != nil {
		ask.Signature = tenant.Demand(*body.Signature)
	}
	if body.SigningKey != nil {
		var err error
		ask.signingName = body.SigningKey.Name
		if ask.signingKey, err = readPublicKey("signing_key.public_key", body.SigningKey.PublicKey); err != nil {
			return ask, err
		}
	}
	return ask, nil
}

func readPublicKey(field, encoded string) (ed25519.PublicKey, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, fault.Invalid(field, "public_key_malformed", "This is not the base64 of the 32 bytes of an Ed25519 public key.")
	}
	return raw, nil
}

func (n newKey) create(ctx context.Context, tx pgx.Tx, tenantID string) (tenant.Key, string, error) {
	created, secret, err := tenant.CreateKey(ctx, tx, tenantID, n.NewKey)
	if err == nil && n.signingKey != nil {
		_, err = tenant.AddSigningKey(ctx, tx, tenantID, created.ID, n.signingName, n.signingKey)
	}
	return created, secret, err
}

// CreateAPIKey implements POST /v1/api_keys.
func (h *handlers) CreateAPIKey(ctx context.Context, r gen.CreateAPIKeyRequestObject) (gen.CreateAPIKeyResponseObject, error) {
	c := callOf(ctx)
	ask, err := h.readNewKey(*r.Body)
	if err != nil {
		return nil, err
	}
	// What a person makes is that person's: a key of nobody would do what the roles forbid.
	ask.PrincipalID = c.caller.PersonID()
	made := tenant.Key{Scopes: ask.Scopes, Signature: ask.Signature, PrincipalID: ask.PrincipalID, ExpiresAt: ask.ExpiresAt}
	if err := c.caller.MayHandOut(made); err != nil {
		return nil, err
	}
	return h.withKeySecret(c, r.Params.IdempotencyKey, http.StatusCreated, func(tx pgx.Tx) (string, string, error) {
		created, secret, err := ask.create(c.ctx, tx, c.tenant)
		return created.ID, secret, err
	})
}

// RotateAPIKey implements POST /v1/api_keys/{api_key_id}/rotate.
func (h *handlers) RotateAPIKey(ctx context.Context, r gen.RotateAPIKeyRequestObject) (gen.RotateAPIKeyResponseObject, error) {
	c := callOf(ctx)
	return h.withKeySecret(c, r.Params.IdempotencyKey, http.StatusOK, func(tx pgx.Tx) (string, string, error) {
		if err := h.mayHandOut(c, tx, r.APIKeyID); err != nil {
			return "", "", err
		}
		secret, err := tenant.RotateKey(c.ctx, tx, c.tenant, r.APIKeyID, seconds(r.Body.Overlap))
		return r.APIKeyID, secret, err
	})
}

// withKeySecret accepts a request that makes a key's secret and shows it once.
func (h *handlers) withKeySecret(
	c call, key string, status int, create func(tx pgx.Tx) (keyID, secret string, err error),
) (answer, error) {
	var secret string
	show := func(tx pgx.Tx, keyID, shown string) (any, error) {
		found, err := tenant.GetKey(c.ctx, tx, c.tenant, keyID)
		return showKeyWithSecret(found, shown), err
	}
	return h.acceptedOnce(c, creation{
		key:    key,
		status: status,
		create: func(tx pgx.Tx) (keyID string, err error) {
			keyID, secret, err = create(tx)
			return keyID, err
		},
		show: func(tx pgx.Tx, keyID string) (any, error) { return show(tx, keyID, secret) },
	}, func(tx pgx.Tx, keyID string) (any, error) { return show(tx, keyID, redactedKey) })
}

// mayHandOut refuses to work on a key that can do more than the caller, or that would
// make the caller a second person.
func (h *handlers) mayHandOut(c call, tx pgx.Tx, keyID string) error {
	found, err := tenant.GetKey(c.ctx, tx, c.tenant, keyID)
	if err != nil {
		return err
	}
	err = c.caller.MayHandOut(found)
	if refusal, ok := fault.As(err); ok {
		refusal.Field = "" // the request names no scopes
	}
	if err != nil || found.PrincipalID == c.caller.PersonID() {
		return err
	}
	return h.mayBeAnother(c, tx)
}

// mayBeAnother refuses a key of nobody to take a principal's key once policies want two
// persons: whoever knows the secret of a checker's key approves what he asked for.
func (h *handlers) mayBeAnother(c call, tx pgx.Tx) error {
	held, err := approval.InForce(c.ctx, tx, c.tenant)
	if err != nil || !held {
		return err
	}
	return fault.NotAllowed(tenant.CodeKeyTooWide, "This key belongs to a principal, and approval policies are in force: call with a key "+
		"of the same principal, or create a key and have it bound to the principal, which a second person approves.")
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// RevokeAPIKey implements POST /v1/api_keys/{api_key_id}/revoke.
func (h *handlers) RevokeAPIKey(ctx context.Context, r gen.RevokeAPIKeyRequestObject) (gen.RevokeAPIKeyResponseObject, error) {
	c := callOf(ctx)
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusOK,
		create: func(tx pgx.Tx) (string, error) {
			return r.APIKeyID, tenant.RevokeKey(c.ctx, tx, c.tenant, r.APIKeyID)
		},
		show: func(tx pgx.Tx, keyID string) (any, error) {
			revoked, err := tenant.GetKey(c.ctx, tx, c.tenant, keyID)
			return showKey(revoked), err
		},
	})
}

// GetAPIKey implements GET /v1/api_keys/{api_key_id}.
func (h *handlers) GetAPIKey(ctx context.Context, r gen.GetAPIKeyRequestObject) (gen.GetAPIKeyResponseObject, error) {
	c := callOf(ctx)
	var found tenant.Key
	err := h.read(c, func(tx pgx.Tx) (err error) {
		found, err = tenant.GetKey(c.ctx, tx, c.tenant, r.APIKeyID)
		return err
	})
	return gen.GetAPIKey200JSONResponse(showKey(found)), err
}

// ListAPIKeys implements GET /v1/api_keys.
func (h *handlers) ListAPIKeys(ctx context.Context, r gen.ListAPIKeysRequestObject) (gen.ListAPIKeysResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.APIKey)
	if err != nil {
		return nil, err
	}
	var list []tenant.Key
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, err = tenant.ListKeys(c.ctx, tx, c.tenant, page.before, page.limit+1)
		return err
	})
	data, next := cut(list, page.limit, func(k tenant.Key) string { return k.ID }, showKey)
	return gen.ListAPIKeys200JSONResponse{Data: data, NextCursor: next}, err
}

func showKey(k tenant.Key) gen.APIKey {
	return gen.APIKey{
		ID: k.ID, Name: k.Name, Scopes: k.Scopes, Signature: gen.SignatureDemand(k.Signature), PrincipalID: orNull(k.PrincipalID),
		CreatedAt: showTime(k.CreatedAt), ExpiresAt: showTimeOrNull(k.ExpiresAt), PreviousSecretUntil: showTimeOrNull(k.PreviousUntil),
		LastUsedAt: showTimeOrNull(k.LastUsedAt), RevokedAt: showTimeOrNull(k.RevokedAt),
	}
}

func showKeyWithSecret(k tenant.Key, secret string) gen.APIKeyWithSecret {
	s := showKey(k)
	return gen.APIKeyWithSecret{
		ID: s.ID, Name: s.Name, Scopes: s.Scopes, Signature: s.Signature, PrincipalID: s.PrincipalID,
		CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt,
		PreviousSecretUntil: s.PreviousSecretUntil, LastUsedAt: s.LastUsedAt, RevokedAt: s.RevokedAt, Secret: secret,
	}
}
