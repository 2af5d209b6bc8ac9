package tenant

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// The beginnings of secrets, which tell people and leak scanners where they
// belong. They grant nothing by themselves.
const (
	testPrefix     = "sk_test_"
	livePrefix     = "sk_live_"
	operatorPrefix = "sk_operator_"
)

func (m Mode) secretPrefix() string {
	if m == Live {
		return livePrefix
	}
	return testPrefix
}

// AllScopes is the scope that includes every other of a tenant. It never
// includes an operator's.
const AllScopes = "*"

// scopeForm is what a scope looks like: a noun of the API and what may be done.
var scopeForm = regexp.MustCompile(`^[a-z][a-z_]{0,39}:(read|write)$`)

// Demand says which requests of a key must be signed (RFC 9421).
type Demand string

const (
	// SignNever: none; a signature that is sent is verified all the same.
	SignNever Demand = "never"
	// SignMoney: those that move money or change who may.
	SignMoney Demand = "money"
	// SignAlways: all.
	SignAlways Demand = "always"
)

// strength orders demands.
func (d Demand) strength() int {
	return slices.Index([]Demand{SignNever, SignMoney, SignAlways}, d)
}

// Key is an API key as its tenant may see it; the secret is not part of it. Its
// ends are moments of real time, not of the business clock.
type Key struct {
	ID        string
	Name      string
	Scopes    []string
	Signature Demand
	// PrincipalID is whom the key belongs to, for good; empty when nobody.
	PrincipalID string
	CreatedAt   time.Time
	// ExpiresAt, PreviousUntil (the end of the secret before the last rotation),
	// LastUsedAt (to the minute) and RevokedAt are nil when there is no such moment.
	ExpiresAt, PreviousUntil, LastUsedAt, RevokedAt *time.Time
}

// NewKey is what CreateKey needs.
type NewKey struct {
	Name string
	// Scopes are "noun:read", "noun:write" or AllScopes; 1 to 64.
	Scopes []string
	// Signature is SignNever unless set.
	Signature Demand
	// PrincipalID is whom the key belongs to; may be empty, and somebody's later.
	PrincipalID string
	// ExpiresAt is nil for a key that is good until it is revoked.
	ExpiresAt *time.Time
}

// secretLength is the number of base62 digits that hold 256 bits.
const secretLength = 43

// CreateKey adds an API key and returns its secret, which exists only in this
// answer: the database keeps its SHA-256. An Invalid fault names the bad field.
// Not idempotent.
func CreateKey(ctx context.Context, q pg.Querier, tenant string, n NewKey) (Key, string, error) {
	if n.Signature == "" {
		n.Signature = SignNever
	}
	if err := n.check(); err != nil {
		return Key{}, "", err
	}
	owner, err := Get(ctx, q, tenant)
	if err != nil {
		return Key{}, "", err
	}
	secret := newSecret(owner.Mode.secretPrefix())
	k := Key{ID: id.New(id.APIKey), Name: n.Name, Scopes: n.Scopes, Signature: n.Signature, PrincipalID: n.PrincipalID,
		ExpiresAt: n.ExpiresAt}
	err = q.QueryRow(ctx, `
		insert into api_keys (tenant_id, id, secret_hash, name, scopes, signature, expires_at, principal_id)
		values ($1, $2, $3, $4, $5, $6, $7, nullif($8, '')) returning created_at`,
		tenant, k.ID, digest(secret), k.Name, k.Scopes, k.Signature, k.ExpiresAt, k.PrincipalID).Scan(&k.CreatedAt)
	if err != nil {
		return Key{}, "", fmt.Errorf("create API key: %w", err)
	}
	return k, secret, nil
}

func (n NewKey) check() error {
	if err := checkText("name", n.Name, 64); err != nil {
		return err
	}
	if n.Signature.strength() < 0 {
		return fault.Invalid("signature", "signature_demand_unknown", "signature must be never, money or always")
	}
	if n.ExpiresAt != nil && !n.ExpiresAt.After(time.Now()) {
		return fault.Invalid("expires_at", "expiry_past", "expires_at must be in the future")
	}
	return checkScopes(n.Scopes, AllScopes)
}

// checkScopes holds scopes to their form; others are taken besides.
func checkScopes(scopes []string, others ...string) error {
	if len(scopes) == 0 || len(scopes) > 64 {
		return fault.Invalid("scopes", "scopes_out_of_range", "scopes must name 1 to 64 scopes")
	}
	for i, s := range scopes {
		if !slices.Contains(others, s) && !scopeForm.MatchString(s) {
			return fault.Invalid(fmt.Sprintf("scopes[%d]", i), "scope_malformed", "a scope is noun:read, noun:write or "+AllScopes)
		}
	}
	return nil
}

// newSecret draws 256 bits. rand.Read never fails: without entropy the
// process ends.
func newSecret(prefix string) string {
	var bits [32]byte
	rand.Read(bits[:])
	digits := new(big.Int).SetBytes(bits[:]).Text(62)
	return prefix + strings.Repeat("0", secretLength-len(digits)) + digits
}

func digest(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// RevokeKey ends a key for good: nobody who looks it up afterwards finds it.
// Revoking twice keeps the first moment; an unknown id is NotFound.
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

const sqlKey = `
	select id, name, scopes, signature, coalesce(principal_id, ''), created_at, expires_at, previous_until, last_used_at, revoked_at
	from api_keys where tenant_id = $1 `

// GetKey returns a key, revoked or not, or a NotFound fault.
func GetKey(ctx context.Context, q pg.Querier, tenant, keyID string) (Key, error) {
	rows, err := q.Query(ctx, sqlKey+`and id = $2`, tenant, keyID)
	if err != nil {
		return Key{}, fmt.Errorf("read API key: %w", err)
	}
	k, err := pgx.CollectExactlyOneRow(rows, scanKey)
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, fault.NotFound()
	}
	return k, err
}

// ListKeys returns up to limit of the tenant's keys, newest first, revoked ones
// included, that are older than the one with the id before; "" begins at the newest.
func ListKeys(ctx context.Context, q pg.Querier, tenant, before string, limit int) ([]Key, error) {
	rows, err := q.Query(ctx, sqlKey+`and ($2 = '' or id < $2) order by id desc limit $3`, tenant, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	return pgx.CollectRows(rows, scanKey)
}

func scanKey(row pgx.CollectableRow) (Key, error) {
	var k Key
	err := row.Scan(&k.ID, &k.Name, &k.Scopes, &k.Signature, &k.PrincipalID, &k.CreatedAt,
		&k.ExpiresAt, &k.PreviousUntil, &k.LastUsedAt, &k.RevokedAt)
	return k, err
}
