package tenant

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/access"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
)

// Principal is the caller that a secret stands for: a tenant's key, or an
// operator's, which has no tenant.
type Principal struct {
	// TenantID and Mode are empty for operators.
	TenantID string
	Mode     Mode
	KeyID    string
	Scopes   []string
	// Signature says which of its requests must be signed.
	Signature Demand
	// ExpiresAt is nil for a key without an end.
	ExpiresAt *time.Time
	// Person is who the key belongs to; nil for a key that stands for the tenant's
	// application, which may do whatever its scopes allow.
	Person *Person
}

// Person is the principal behind a key.
type Person struct {
	ID    string
	Kind  access.Kind
	Roles []access.Role
	// MerchantID is whose staff it is, empty for the tenant's own.
	MerchantID string
}

// Performs reports whether the roles behind the key allow the action. A key
// without a principal has none and is bound by its scopes alone.
func (p Principal) Performs(action access.Action) bool {
	return p.Person == nil || action.Allows(p.Person.Roles)
}

// Human reports whether somebody acts, and not a program.
func (p Principal) Human() bool { return p.Person != nil && p.Person.Kind != access.Service }

// Operator reports whether the principal runs the platform and belongs to no tenant.
func (p Principal) Operator() bool { return p.TenantID == "" }

// Allows reports whether the principal holds scope (such as "payments:write")
// or AllScopes. Writing does not include reading.
func (p Principal) Allows(scope string) bool {
	return slices.Contains(p.Scopes, scope) || slices.Contains(p.Scopes, AllScopes)
}

// PersonID is the id of the principal behind the key, empty when there is none.
func (p Principal) PersonID() string {
	if p.Person == nil {
		return ""
	}
	return p.Person.ID
}

// MayHandOut refuses a key that could do more, do it longer, do it with less proof or
// do it in another person's name than the principal itself: nobody makes, or gets the
// secret of, such a key. The faults name fields as a request would.
func (p Principal) MayHandOut(k Key) error {
	for i, scope := range k.Scopes {
		if !p.Allows(scope) {
			return tooWide(fmt.Sprintf("scopes[%d]", i), "the scope "+scope)
		}
	}
	if p.Person != nil && k.PrincipalID != p.Person.ID {
		return tooWide("", "the name of another principal, or none,")
	}
	if k.Signature.strength() < p.Signature.strength() {
		return tooWide("signature", "requests without the signatures that yours demands")
	}
	if p.ExpiresAt != nil && (k.ExpiresAt == nil || k.ExpiresAt.After(*p.ExpiresAt)) {
		return tooWide("expires_at", "a life beyond your key's own end")
	}
	return nil
}

// CodeKeyTooWide is the refusal to hand out more than the caller has.
const CodeKeyTooWide = "key_too_wide"

func tooWide(field, what string) error {
	return &fault.Error{Kind: fault.KindForbidden, Code: CodeKeyTooWide, Field: field,
		Detail: "This would give " + what + ", which the calling key does not have; call with a key that does."}
}

// wellFormed reports whether a secret can be one at all.
func wellFormed(secret string) bool {
	for _, prefix := range []string{testPrefix, livePrefix, operatorPrefix} {
		digits, found := strings.CutPrefix(secret, prefix)
		if found && len(digits) == secretLength && !strings.ContainsFunc(digits, notBase62) {
			return true
		}
	}
	return false
}

func notBase62(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// sqlAuthenticate finds whose secret it is and notes the use, at most once a minute
// for each key, so that the note is no write per request.
const sqlAuthenticate = `
	with found as (
	  select tenant_id, id, principal_id, scopes, signature, expires_at, revoked_at, last_used_at, secret_hash as hash
	  from api_keys where secret_hash = $1
	  union all
	  select tenant_id, id, principal_id, scopes, signature, expires_at, revoked_at, last_used_at, previous_hash
	  from api_keys where previous_hash = $1 and previous_until > clock_timestamp()
	  union all
	  select '', id, null, scopes, 'never', expires_at, revoked_at, last_used_at, secret_hash
	  from operator_keys where secret_hash = $1
	), good as (
	  select f.*, p.kind, p.roles, p.merchant_id from found f
	  left join principals p on p.tenant_id = f.tenant_id and p.id = f.principal_id
	  where f.revoked_at is null and (f.expires_at is null or f.expires_at > clock_timestamp()) and coalesce(p.status, 'active') = 'active'
	), noted as (
	  update api_keys k set last_used_at = clock_timestamp() from good g
	  where k.tenant_id = g.tenant_id and k.id = g.id and coalesce(g.last_used_at < clock_timestamp() - interval '1 minute', true)
	), noted_operator as (
	  update operator_keys k set last_used_at = clock_timestamp() from good g
	  where k.id = g.id and coalesce(g.last_used_at < clock_timestamp() - interval '1 minute', true)
	)
	select g.tenant_id, coalesce(t.mode, ''), g.id, g.scopes, g.signature, g.expires_at, g.hash,
	  coalesce(g.principal_id, ''), coalesce(g.kind, ''), coalesce(g.roles, '{}'), coalesce(g.merchant_id, '')
	from good g left join tenants t on t.id = g.tenant_id`

// Authenticate finds whom secret stands for. Malformed secrets are refused without a
// look, because their form is public; unknown, empty, revoked and expired ones give
// one and the same Unauthenticated fault along the same path, so that nothing can be
// learned from the answer or its timing. When the database cannot answer it returns
// an Unavailable fault, never a principal.
func Authenticate(ctx context.Context, db *pg.DB, secret string) (Principal, error) {
	if !wellFormed(secret) {
		return Principal{}, Unauthenticated()
	}
	sum := sha256.Sum256([]byte(secret))
	var p Principal
	var stored []byte
	var person Person
	err := db.RowAsSystem(ctx, sqlAuthenticate, sum[:]).Scan(
		&p.TenantID, &p.Mode, &p.KeyID, &p.Scopes, &p.Signature, &p.ExpiresAt, &stored,
		&person.ID, &person.Kind, &person.Roles, &person.MerchantID)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Principal{}, fault.Unavailable(fmt.Errorf("look up API key: %w", err), time.Second)
	}
	if subtle.ConstantTimeCompare(stored, sum[:]) != 1 {
		return Principal{}, Unauthenticated()
	}
	if person.ID != "" {
		p.Person = &person
	}
	return p, nil
}

// Unauthenticated is the one answer to every kind of bad key.
func Unauthenticated() error {
	return fault.Unauthenticated("The API key is missing, unknown or revoked; send a valid one as a Bearer token.")
}
