package tenant

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// OperatorScopes are what an operator's key may do. Tenants' keys never hold them.
func OperatorScopes() []string {
	return []string{"tenants:read", "tenants:write", "platform_audit:read"}
}

// CreateOperatorKey adds a key of those who run the platform and returns its secret,
// which exists only in this answer. It needs the system role, and no route of the API
// leads here: the first key cannot be made with a key, and a stolen one must not make
// others. expiresAt may be nil. Not idempotent.
func CreateOperatorKey(ctx context.Context, q pg.Querier, name string, scopes []string, expiresAt *time.Time) (Key, string, error) {
	if err := checkText("name", name, 64); err != nil {
		return Key{}, "", err
	}
	if err := checkScopes(scopes); err != nil {
		return Key{}, "", err
	}
	for i, scope := range scopes {
		if !slices.Contains(OperatorScopes(), scope) {
			return Key{}, "", fault.Invalid(fmt.Sprintf("scopes[%d]", i), "scope_unknown", "operators hold tenants:read and tenants:write")
		}
	}
	secret := newSecret(operatorPrefix)
	k := Key{ID: id.New(id.OperatorKey), Name: name, Scopes: scopes, Signature: SignNever, ExpiresAt: expiresAt}
	err := q.QueryRow(ctx, `
		insert into operator_keys (id, secret_hash, name, scopes, expires_at)
		values ($1, $2, $3, $4, $5) returning created_at`,
		k.ID, digest(secret), k.Name, k.Scopes, k.ExpiresAt).Scan(&k.CreatedAt)
	if err != nil {
		return Key{}, "", fmt.Errorf("create operator key: %w", err)
	}
	return k, secret, nil
}

// RevokeOperatorKey ends an operator's key for good. It needs the system role.
// Revoking twice keeps the first moment; an unknown id is NotFound.
func RevokeOperatorKey(ctx context.Context, q pg.Querier, keyID string) error {
	tag, err := q.Exec(ctx, `update operator_keys set revoked_at = coalesce(revoked_at, suanpan_now()) where id = $1`, keyID)
	if err != nil {
		return fmt.Errorf("revoke operator key: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fault.NotFound()
	}
	return nil
}

// ListOperatorKeys returns all operators' keys, newest first, revoked ones included.
// It needs the system role.
func ListOperatorKeys(ctx context.Context, q pg.Querier) ([]Key, error) {
	rows, err := q.Query(ctx, `
		select id, name, scopes, 'never', '', created_at, expires_at, null::timestamptz, last_used_at, revoked_at
		from operator_keys order by id desc`)
	if err != nil {
		return nil, fmt.Errorf("list operator keys: %w", err)
	}
	return pgx.CollectRows(rows, scanKey)
}
