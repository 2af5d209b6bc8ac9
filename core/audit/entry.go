package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// Entry is one change, as it was written; it never changes.
type Entry struct {
	// TenantID is whose entry it is, or Platform.
	TenantID string
	ID       string
	// RecordedAt is real time, not the business clock.
	RecordedAt time.Time
	Actor      Actor
	// Action is created, changed, deleted, or done for what changed no row.
	Action     string
	ObjectType string
	ObjectID   string
	// Before and After are JSON objects of the columns that the log keeps; nil where
	// there was, or is, no row.
	Before, After json.RawMessage
}

// Filter narrows a list; its zero fields do not.
type Filter struct {
	ObjectType, ObjectID string
	// Actor is the id of a key or a principal, or the name of a command's user.
	Actor     string
	ActorKind Kind
	Operation string
	// From is included, To is not.
	From, To time.Time
	// Before is the id of the last entry of the page before.
	Before string
	// Limit bounds the page; Stream ignores it.
	Limit int
}

const columns = `tenant_id, id, recorded_at, actor_kind, key_id, principal_id, actor, operation, request_id,
	action, object_type, object_id, before, after`

// conditions take $1 to $10 from Filter.args; $10, the limit, is null for all.
const conditions = `
	and ($2 = '' or object_type = $2) and ($3 = '' or object_id = $3) and ($4 = '' or $4 in (key_id, principal_id, actor))
	and ($5 = '' or actor_kind = $5) and ($6 = '' or operation = $6)
	and ($7::timestamptz is null or recorded_at >= $7) and ($8::timestamptz is null or recorded_at < $8)
	and ($9 = '' or id < $9)
	order by id desc limit $10::int8`

const (
	sqlOfTenant = `select ` + columns + ` from audit_entries where tenant_id = $1` + conditions
	// Operators read what belongs to the platform, and what they did to tenants.
	sqlOfPlatform = `select ` + columns + ` from audit_entries
		where (tenant_id = $1 or actor_kind in ('operator', 'command'))` + conditions
)

func (f Filter) args(tenantID string, limit any) []any {
	at := func(t time.Time) any {
		if t.IsZero() {
			return nil
		}
		return t
	}
	return []any{tenantID, f.ObjectType, f.ObjectID, f.Actor, string(f.ActorKind), f.Operation, at(f.From), at(f.To), f.Before, limit}
}

func query(tenantID string) string {
	if tenantID == Platform {
		return sqlOfPlatform
	}
	return sqlOfTenant
}

// List returns a page of a tenant's entries, or of the Platform's, newest first. The
// Platform's are everything that operators and commands did, on whatever tenant, and
// need the system role.
func List(ctx context.Context, q pg.Querier, tenantID string, f Filter) ([]Entry, error) {
	rows, err := q.Query(ctx, query(tenantID), f.args(tenantID, f.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return list, nil
}

// Stream calls each with every entry that List would page through; an error of each
// ends it.
func Stream(ctx context.Context, q pg.Querier, tenantID string, f Filter, each func(Entry) error) error {
	rows, err := q.Query(ctx, query(tenantID), f.args(tenantID, nil)...)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		entry, err := scan(rows)
		if err != nil {
			return fmt.Errorf("audit log: %w", err)
		}
		if err := each(entry); err != nil {
			return err
		}
	}
	return rows.Err()
}

func scan(row pgx.CollectableRow) (e Entry, err error) {
	err = row.Scan(&e.TenantID, &e.ID, &e.RecordedAt, &e.Actor.Kind, &e.Actor.KeyID, &e.Actor.PrincipalID, &e.Actor.Name,
		&e.Actor.Operation, &e.Actor.RequestID, &e.Action, &e.ObjectType, &e.ObjectID, &e.Before, &e.After)
	return e, err
}
