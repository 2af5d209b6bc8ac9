package tenant

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// SigningKey is the public half of a key that requests of an API key are signed
// with. Several may be good at once.
type SigningKey struct {
	ID        string
	Name      string
	PublicKey ed25519.PublicKey
	CreatedAt time.Time
	// RetiresAt is the moment, of real time, from which nothing it signs is believed;
	// nil while there is none.
	RetiresAt *time.Time
}

// maxSigningKeys bounds the keys of one API key, retired ones included.
const maxSigningKeys = 64

// AddSigningKey registers a public key for requests of an API key. An Invalid fault
// says what is wrong with the key; one that the API key has, or had, already is a
// Conflict: a retired key does not come back.
func AddSigningKey(ctx context.Context, q pg.Querier, tenant, keyID, name string, public ed25519.PublicKey) (SigningKey, error) {
	if err := checkText("name", name, 64); err != nil {
		return SigningKey{}, err
	}
	if !strongPoint(public) {
		return SigningKey{}, fault.Invalid("public_key", "public_key_weak",
			"This is not an Ed25519 public key that can prove anything; make a fresh pair of keys.")
	}
	var count int
	err := q.QueryRow(ctx, `select count(*) from signing_keys where tenant_id = $1 and api_key_id = $2`, tenant, keyID).Scan(&count)
	if err != nil {
		return SigningKey{}, fmt.Errorf("signing keys: %w", err)
	}
	if count >= maxSigningKeys {
		return SigningKey{}, fault.Refused("", "signing_keys_too_many", "This API key has had 64 signing keys; create another API key.")
	}
	k := SigningKey{ID: id.New(id.SigningKey), Name: name, PublicKey: public}
	err = q.QueryRow(ctx, `
		insert into signing_keys (tenant_id, id, api_key_id, name, public_key) values ($1, $2, $3, $4, $5) returning created_at`,
		tenant, k.ID, keyID, k.Name, []byte(k.PublicKey)).Scan(&k.CreatedAt)
	switch {
	case pg.IsUnique(err, "signing_keys_tenant_id_api_key_id_public_key_key"):
		return SigningKey{}, fault.Conflict("public_key", "public_key_used", "This API key has, or had, this signing key already.")
	case pg.IsForeignKey(err, "signing_keys_tenant_id_api_key_id_fkey"):
		return SigningKey{}, fault.NotFound()
	case err != nil:
		return SigningKey{}, fmt.Errorf("add signing key: %w", err)
	}
	return k, nil
}

const sqlSigningKey = `
	select id, name, public_key, created_at, retires_at from signing_keys where tenant_id = $1 and api_key_id = $2 `

// GetSigningKey returns a signing key of an API key, retired or not, or NotFound.
func GetSigningKey(ctx context.Context, q pg.Querier, tenant, keyID, signingKeyID string) (SigningKey, error) {
	rows, err := q.Query(ctx, sqlSigningKey+`and id = $3`, tenant, keyID, signingKeyID)
	if err != nil {
		return SigningKey{}, fmt.Errorf("read signing key: %w", err)
	}
	k, err := pgx.CollectExactlyOneRow(rows, scanSigningKey)
	if errors.Is(err, pgx.ErrNoRows) {
		return SigningKey{}, fault.NotFound()
	}
	return k, err
}

// ListSigningKeys returns the signing keys of an API key, newest first.
func ListSigningKeys(ctx context.Context, q pg.Querier, tenant, keyID string) ([]SigningKey, error) {
	rows, err := q.Query(ctx, sqlSigningKey+`order by id desc`, tenant, keyID)
	if err != nil {
		return nil, fmt.Errorf("list signing keys: %w", err)
	}
	return pgx.CollectRows(rows, scanSigningKey)
}

func scanSigningKey(row pgx.CollectableRow) (SigningKey, error) {
	var k SigningKey
	var public []byte
	err := row.Scan(&k.ID, &k.Name, &public, &k.CreatedAt, &k.RetiresAt)
	k.PublicKey = public
	return k, err
}

// RetireSigningKey ends a signing key after overlap, at most MaxOverlap. An end that
// was set before only comes nearer. An unknown key is NotFound.
func RetireSigningKey(ctx context.Context, q pg.Querier, tenant, keyID, signingKeyID string, overlap time.Duration) error {
	if err := checkOverlap(overlap); err != nil {
		return err
	}
	tag, err := q.Exec(ctx, `
		update signing_keys set retires_at = least(retires_at, clock_timestamp() + $4::interval)
		where tenant_id = $1 and api_key_id = $2 and id = $3`, tenant, keyID, signingKeyID, overlap)
	if err != nil {
		return fmt.Errorf("retire signing key: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fault.NotFound()
	}
	return nil
}

// Verifier returns the public key that verifies what signingKeyID signed for an API
// key now; nil when there is none or it is retired.
func Verifier(ctx context.Context, db *pg.DB, tenant, keyID, signingKeyID string) (ed25519.PublicKey, error) {
	var public []byte
	err := db.RowAsSystem(ctx, `
		select public_key from signing_keys where tenant_id = $1 and api_key_id = $2 and id = $3
		and (retires_at is null or retires_at > clock_timestamp())`, tenant, keyID, signingKeyID).Scan(&public)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Unavailable(fmt.Errorf("look up signing key: %w", err), time.Second)
	}
	return public, nil
}

// nonceMargin is how long a nonce is kept beyond the end of its signature: more than
// the clocks of instances may differ.
const nonceMargin = 15 * time.Minute

// UseNonce reports whether a signature is used for the first time, on whatever
// instance, and makes sure that it is the last. expires is the signature's own end.
func UseNonce(ctx context.Context, db *pg.DB, tenant, signingKeyID, nonce string, expires time.Time) (bool, error) {
	var fresh bool
	err := db.RowAsSystem(ctx, `
		with used as (
		  insert into signature_nonces (tenant_id, signing_key_id, nonce, forget_after) values ($1, $2, $3, $4)
		  on conflict do nothing returning 1
		)
		select exists (select from used)`, tenant, signingKeyID, nonce, expires.Add(nonceMargin)).Scan(&fresh)
	if err != nil {
		return false, fault.Unavailable(fmt.Errorf("nonce: %w", err), time.Second)
	}
	return fresh, nil
}

// ForgetNonces deletes up to limit nonces of signatures that nobody believes any
// more. It needs the system role and returns how many.
func ForgetNonces(ctx context.Context, q pg.Querier, limit int) (int, error) {
	tag, err := q.Exec(ctx, `
		delete from signature_nonces where ctid in (
		  select ctid from signature_nonces where forget_after < clock_timestamp() order by forget_after limit $1)`, limit)
	if err != nil {
		return 0, fmt.Errorf("forget nonces: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
