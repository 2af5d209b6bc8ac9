package tenant

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/access"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// KeyKind is the beginning of a secret, which tells people and leak scanners
// where it belongs. It grants nothing by itself.
type KeyKind string

const (
	// TestKey is for development and sandboxes.
	TestKey KeyKind = "sk_test_"
	// LiveKey is for production.
	LiveKey KeyKind = "sk_live_"
)

// AllScopes is the scope that includes every other.
const AllScopes = "*"

// scopeForm is what a scope looks like: a noun of the API and what may be done.
var scopeForm = regexp.MustCompile(`^[a-z][a-z_]{0,39}:(read|write)$`)

// Key is an API key as its tenant may see it; the secret is not part of it.
type Key struct {
	ID     string
	Name   string
	Scopes []string
	// RevokedAt is zero while the key works.
	CreatedAt, RevokedAt time.Time
}

// Principal is the caller that a secret stands for.
type Principal struct {
	TenantID string
	KeyID    string
	Scopes   []string
	// Person is who the key belongs to; nil for a key that stands for the tenant's
	// application, which may do whatever its scopes allow.
	Person *Person
}

// Person is the principal behind a key.
type Person struct {
	ID    string
	Roles []access.Role
	// MerchantID is whose staff it is, empty for the tenant's own.
	MerchantID string
}

// Performs reports whether the roles behind the key allow the action. A key
// without a principal has none and is bound by its scopes alone.
func (p Principal) Performs(action access.Action) bool {
	return p.Person == nil || action.Allows(p.Person.Roles)
}

// Allows reports whether the principal holds scope (such as "payments:write")
// or AllScopes. Writing does not include reading.
func (p Principal) Allows(scope string) bool {
	return slices.Contains(p.Scopes, scope) || slices.Contains(p.Scopes, AllScopes)
}

// secretLength is the number of base62 digits that hold 256 bits.
const secretLength = 43

// CreateKey adds an API key and returns its secret, which exists only in this
// answer: the database keeps its SHA-256. It needs the system role. Scopes are
// "noun:read", "noun:write" or AllScopes; at least one. Not idempotent.
func CreateKey(ctx context.Context, q pg.Querier, tenant string, kind KeyKind, name string, scopes []string) (Key, string, error) {
	if err := checkNewKey(kind, name, scopes); err != nil {
		return Key{}, "", err
	}
	secret := newSecret(kind)
	digest := sha256.Sum256([]byte(secret))
	k := Key{ID: id.New(id.APIKey), Name: name, Scopes: scopes}
	err := q.QueryRow(ctx, `
		insert into api_keys (tenant_id, id, secret_hash, name, scopes)
		values ($1, $2, $3, $4, $5) returning created_at`,
		tenant, k.ID, digest[:], k.Name, k.Scopes).Scan(&k.CreatedAt)
	if err != nil {
		return Key{}, "", fmt.Errorf("create API key: %w", err)
	}
	return k, secret, nil
}

func checkNewKey(kind KeyKind, name string, scopes []string) error {
	if kind != TestKey && kind != LiveKey {
		return fault.Invalid("kind", "key_kind_unknown", "a key is a test key or a live key")
	}
	if err := checkText("name", name, 64); err != nil {
		return err
	}
	if len(scopes) == 0 || len(scopes) > 64 {
		return fault.Invalid("scopes", "scopes_out_of_range", "scopes must name 1 to 64 scopes; "+AllScopes+" is all of them")
	}
	for i, s := range scopes {
		if s != AllScopes && !scopeForm.MatchString(s) {
			return fault.Invalid(fmt.Sprintf("scopes[%d]", i), "scope_malformed",
				"a scope is noun:read, noun:write or "+AllScopes)
		}
	}
	return nil
}

// newSecret draws 256 bits. rand.Read never fails: without entropy the
// process ends.
func newSecret(kind KeyKind) string {
	var bits [32]byte
	rand.Read(bits[:])
	digits := new(big.Int).SetBytes(bits[:]).Text(62)
	return string(kind) + strings.Repeat("0", secretLength-len(digits)) + digits
}

// Authenticate finds whom secret stands for. Unknown, malformed, empty and
// revoked secrets give one and the same Unauthenticated fault along the same
// path, so that nothing can be learned from the answer or its timing. When the
// database cannot answer it returns an Unavailable fault, never a principal.
func Authenticate(ctx context.Context, db *pg.DB, secret string) (Principal, error) {
	digest := sha256.Sum256([]byte(secret))
	var p Principal
	var stored []byte
	var revoked bool
	var person Person
	err := db.RowAsSystem(ctx, `
		select k.tenant_id, k.id, k.scopes, k.secret_hash, k.revoked_at is not null or coalesce(p.status, 'active') <> 'active',
		  coalesce(p.id, ''), coalesce(p.roles, '{}'), coalesce(p.merchant_id, '')
		from api_keys k left join principals p on p.tenant_id = k.tenant_id and p.id = k.principal_id
		where k.secret_hash = $1`,
		digest[:]).Scan(&p.TenantID, &p.KeyID, &p.Scopes, &stored, &revoked, &person.ID, &person.Roles, &person.MerchantID)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Principal{}, fault.Unavailable(fmt.Errorf("look up API key: %w", err), time.Second)
	}
	if subtle.ConstantTimeCompare(stored, digest[:]) != 1 || revoked {
		return Principal{}, fault.Unauthenticated("The API key is missing, unknown or revoked; send a valid one as a Bearer token.")
	}
	if person.ID != "" {
		p.Person = &person
	}
	return p, nil
}

// RevokeKey ends a key for good, from the next request on. It needs the system
// role. Revoking twice keeps the first moment; an unknown id is NotFound.
func RevokeKey(ctx context.Context, q pg.Querier, tenant, keyID string) error {
	tag, err := q.Exec(ctx, `
		update api_keys set revoked_at = coalesce(revoked_at, suanpan_now())
		where tenant_id = $1 and id = $2`, tenant, keyID)
	if err != nil {
		return fmt.Errorf("revoke API key: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fault.NotFound()
	}
	return nil
}

// ListKeys returns the tenant's keys, newest first, revoked ones included.
func ListKeys(ctx context.Context, q pg.Querier, tenant string) ([]Key, error) {
	rows, err := q.Query(ctx, `
		select id, name, scopes, created_at, revoked_at from api_keys
		where tenant_id = $1 order by id desc`, tenant)
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Key, error) {
		var k Key
		var revokedAt *time.Time
		err := row.Scan(&k.ID, &k.Name, &k.Scopes, &k.CreatedAt, &revokedAt)
		if revokedAt != nil {
			k.RevokedAt = *revokedAt
		}
		return k, err
	})
}
