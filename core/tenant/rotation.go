package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
)

// MaxOverlap is the longest time for which an old secret or signing key may stay
// good beside a new one.
const MaxOverlap = 30 * 24 * time.Hour

// RotateKey gives a key a new secret and returns it, this once. The secret before it
// stays good for overlap, at most MaxOverlap; one that was still good from an earlier
// rotation ends now. A key that is revoked or expired has no successor: 422
// key_not_active. Not idempotent.
func RotateKey(ctx context.Context, q pg.Querier, tenant, keyID string, overlap time.Duration) (string, error) {
	if err := checkOverlap(overlap); err != nil {
		return "", err
	}
	owner, err := Get(ctx, q, tenant)
	if err != nil {
		return "", err
	}
	secret := newSecret(owner.Mode.secretPrefix())
	var active bool
	err = q.QueryRow(ctx, `
		select revoked_at is null and (expires_at is null or expires_at > clock_timestamp())
		from api_keys where tenant_id = $1 and id = $2 for no key update`, tenant, keyID).Scan(&active)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", fault.NotFound()
	case err != nil:
		return "", fmt.Errorf("rotate API key: %w", err)
	case !active:
		return "", fault.Refused("", "key_not_active", "This key is revoked or expired; create another one.")
	}
	_, err = q.Exec(ctx, `
		update api_keys set previous_hash = secret_hash, previous_until = clock_timestamp() + $3::interval, secret_hash = $4
		where tenant_id = $1 and id = $2`, tenant, keyID, overlap, digest(secret))
	if err != nil {
		return "", fmt.Errorf("rotate API key: %w", err)
	}
	return secret, nil
}

func checkOverlap(overlap time.Duration) error {
	if overlap < 0 || overlap > MaxOverlap {
		return fault.Invalid("overlap", "out_of_range", "overlap must be from 0 seconds to 30 days")
	}
	return nil
}
