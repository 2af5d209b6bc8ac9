package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// Kind is what sort of somebody a principal is.
type Kind string

const (
	// Service is a program of the tenant's.
	Service Kind = "service"
	// Operator is one of the tenant's people.
	Operator Kind = "operator"
	// MerchantStaff is one of a merchant's people.
	MerchantStaff Kind = "merchant_staff"
)

// The statuses of a principal.
const (
	// Active: its keys work.
	Active = "active"
	// Suspended: none of its keys works.
	Suspended = "suspended"
)

// Principal is a person or a service that acts through API keys.
type Principal struct {
	ID    string
	Kind  Kind
	Name  string
	Roles []Role
	// MerchantID is whose staff it is; empty unless Kind is MerchantStaff.
	MerchantID string
	Status     string
	CreatedAt  time.Time
	ChangedAt  time.Time
}

const columns = `id, kind, name, roles, coalesce(merchant_id, ''), status, created_at, changed_at`

func scan(row pgx.CollectableRow) (Principal, error) {
	var p Principal
	err := row.Scan(&p.ID, &p.Kind, &p.Name, &p.Roles, &p.MerchantID, &p.Status, &p.CreatedAt, &p.ChangedAt)
	return p, err
}

// Create adds a principal under a new id; ID, Status and times of p are ignored. An
// Invalid fault names the bad field; an unknown merchant is Refused. Not idempotent.
func Create(ctx context.Context, q pg.Querier, tenant string, p Principal) (Principal, error) {
	if err := p.check(); err != nil {
		return p, err
	}
	rows, err := q.Query(ctx, `
		insert into principals (tenant_id, id, kind, name, roles, merchant_id)
		values ($1, $2, $3, $4, $5, nullif($6, '')) returning `+columns,
		tenant, id.New(id.Principal), p.Kind, p.Name, p.Roles, p.MerchantID)
	if err != nil {
		return p, fmt.Errorf("create principal: %w", err)
	}
	created, err := pgx.CollectExactlyOneRow(rows, scan)
	if pg.IsForeignKey(err, "principals_tenant_id_merchant_id_fkey") {
		return p, fault.Refused("merchant_id", "merchant_unknown", "There is no such merchant; create it first.")
	}
	if err != nil {
		return p, fmt.Errorf("create principal: %w", err)
	}
	return created, nil
}

func (p Principal) check() error {
	if p.Kind != Service && p.Kind != Operator && p.Kind != MerchantStaff {
		return fault.Invalid("kind", "value_unknown", "This must be one of service, operator, merchant_staff.")
	}
	if p.Name == "" || len(p.Name) > 64 || strings.TrimSpace(p.Name) != p.Name || strings.ContainsFunc(p.Name, unicode.IsControl) {
		return fault.Invalid("name", "characters_not_allowed", "A name has 1 to 64 bytes, no control characters and no spaces at its ends.")
	}
	if len(p.Roles) == 0 {
		return fault.Invalid("roles", "field_missing", "A principal needs at least one role.")
	}
	for i, r := range p.Roles {
		field := fmt.Sprintf("roles[%d]", i)
		if !slices.Contains(Roles(), r) {
			return fault.Invalid(field, "value_unknown", "There is no such role.")
		}
		if slices.Contains(p.Roles[:i], r) {
			return fault.Invalid(field, "items_repeated", "A role occurs twice; name it once.")
		}
	}
	if p.Kind == MerchantStaff && (p.MerchantID == "" || !slices.Equal(p.Roles, []Role{Merchant})) {
		return fault.Invalid("roles", "merchant_role_alone", "A merchant's staff names its merchant_id and has the role merchant and no other.")
	}
	if p.Kind != MerchantStaff && (p.MerchantID != "" || slices.Contains(p.Roles, Merchant)) {
		return fault.Invalid("roles", "merchant_role_alone", "Only a principal of kind merchant_staff has a merchant_id and the role merchant.")
	}
	return nil
}

// Get returns the principal, or a NotFound fault.
func Get(ctx context.Context, q pg.Querier, tenant, principalID string) (Principal, error) {
	rows, err := q.Query(ctx, `select `+columns+` from principals where tenant_id = $1 and id = $2`, tenant, principalID)
	if err != nil {
		return Principal{}, fmt.Errorf("read principal: %w", err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, fault.NotFound()
	}
	return p, err
}

// List returns the tenant's principals, newest first, at most limit of those whose
// ids are before the given one, which is empty for the first page.
func List(ctx context.Context, q pg.Querier, tenant, before string, limit int) ([]Principal, error) {
	rows, err := q.Query(ctx, `
		select `+columns+` from principals where tenant_id = $1 and ($2 = '' or id < $2) order by id desc limit $3`, tenant, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list principals: %w", err)
	}
	return pgx.CollectRows(rows, scan)
}

// Change is what is to be different; nil fields stay.
type Change struct {
	Name   *string
	Roles  []Role
	Status *string
}

// Apply changes a principal and returns it as it was and as it is. Its keys have
// the new roles as soon as an instance looks them up again, within seconds. Faults: NotFound, Invalid.
func Apply(ctx context.Context, tx pgx.Tx, tenant, principalID string, c Change) (before, after Principal, err error) {
	rows, err := tx.Query(ctx, `select `+columns+` from principals where tenant_id = $1 and id = $2 for update`, tenant, principalID)
	if err != nil {
		return before, after, fmt.Errorf("change principal: %w", err)
	}
	before, err = pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return before, after, fault.NotFound()
	}
	if err != nil {
		return before, after, fmt.Errorf("change principal: %w", err)
	}
	after = before
	if c.Name != nil {
		after.Name = *c.Name
	}
	if c.Roles != nil {
		after.Roles = c.Roles
	}
	if c.Status != nil {
		after.Status = *c.Status
	}
	if after.Status != Active && after.Status != Suspended {
		return before, after, fault.Invalid("status", "value_unknown", "This must be one of active, suspended.")
	}
	if err := after.check(); err != nil {
		return before, after, err
	}
	err = tx.QueryRow(ctx, `
		update principals set name = $3, roles = $4, status = $5, changed_at = suanpan_now()
		where tenant_id = $1 and id = $2 returning changed_at`,
		tenant, principalID, after.Name, after.Roles, after.Status).Scan(&after.ChangedAt)
	if err != nil {
		return before, after, fmt.Errorf("change principal: %w", err)
	}
	return before, after, nil
}

// BindKey makes a key the principal's, for good. Idempotent. Faults:
// NotFound when there is no such key or principal; Refused for another's key.
func BindKey(ctx context.Context, q pg.Querier, tenant, keyID, principalID string) error {
	if _, err := Get(ctx, q, tenant, principalID); err != nil {
		return err
	}
	var bound *string
	err := q.QueryRow(ctx, `
		update api_keys set principal_id = coalesce(principal_id, $3) where tenant_id = $1 and id = $2 returning principal_id`,
		tenant, keyID, principalID).Scan(&bound)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fault.NotFound()
	case err != nil:
		return fmt.Errorf("bind key: %w", err)
	case *bound != principalID:
		return fault.Refused("principal_id", "key_bound", "The key belongs to another principal for good; make a new key.")
	}
	return nil
}
