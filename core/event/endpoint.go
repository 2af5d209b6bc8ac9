package event

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// MaxEndpoints bounds the endpoints of one tenant.
const MaxEndpoints = 16

// SecretOverlap is how long the old secret still signs after RotateSecret.
const SecretOverlap = 24 * time.Hour

// EndpointStatus says who acts next on an endpoint.
type EndpointStatus string

const (
	// EndpointActive: the dispatcher sends it what happens.
	EndpointActive EndpointStatus = "active"
	// EndpointPaused: what happens is kept for it until the tenant resumes it.
	EndpointPaused EndpointStatus = "paused"
	// EndpointDisabled: it answered 410, and what happens passes it by. The tenant
	// may make it active again.
	EndpointDisabled EndpointStatus = "disabled"
)

// Why an endpoint is not active.
const (
	// ReasonRequested: the tenant paused it.
	ReasonRequested = "requested"
	// ReasonFailing: it was paused after nothing but failures for the whole schedule.
	ReasonFailing = "failing"
	// ReasonGone: it answered 410.
	ReasonGone = "gone"
)

// Endpoint is a URL of the tenant that wants to hear of events.
type Endpoint struct {
	ID  string
	URL string
	// Types are the patterns of event types asked for; empty means all.
	Types       []Pattern
	Description string
	Status      EndpointStatus
	// StatusReason is why it is not active; empty while it is.
	StatusReason string
	// FailingSince is when its tries began to fail, nil when the last one did not.
	FailingSince *time.Time
	// RestsUntil is when it is tried again after failures in a row or a Retry-After,
	// nil when there is nothing to wait for.
	RestsUntil *time.Time
	CreatedAt  time.Time
}

// NewEndpoint is what CreateEndpoint needs. ID may be empty, then one is minted.
type NewEndpoint struct {
	ID          string
	URL         string
	Types       []Pattern
	Description string
}

// CheckEndpoint refuses what CreateEndpoint would refuse without looking at the
// database. It resolves the host's name, so it runs outside any transaction.
func CheckEndpoint(ctx context.Context, guard *Guard, n NewEndpoint) error {
	if err := checkTypes(n.Types); err != nil {
		return err
	}
	return guard.CheckURL(ctx, n.URL)
}

func checkTypes(types []Pattern) error {
	for i, t := range types {
		if !t.Known() {
			return fault.Invalid(fmt.Sprintf("event_types[%d]", i), "event_type_unknown",
				"No event type is called so; the contract lists those that exist. All of a noun are asked for by payment.* and the like.")
		}
	}
	return nil
}

// CreateEndpoint stores an endpoint that passed CheckEndpoint and returns it with
// its signing secret ("whsec_…"), which cannot be read again. It returns a
// fault.Refused when the tenant already has MaxEndpoints.
func CreateEndpoint(ctx context.Context, tx pgx.Tx, box *secret.Box, tenant string, n NewEndpoint) (Endpoint, string, error) {
	// The tenant's row is locked by nobody here: two requests at once may pass the
	// limit by one, which harms no one.
	var count int
	err := tx.QueryRow(ctx, `select count(*) from webhook_endpoints
		where tenant_id = $1 and disabled_reason is distinct from 'deleted'`, tenant).Scan(&count)
	if err != nil {
		return Endpoint{}, "", fmt.Errorf("event: count endpoints: %w", err)
	}
	if count >= MaxEndpoints {
		return Endpoint{}, "", fault.Refused("", "too_many_webhook_endpoints",
			fmt.Sprintf("There are already %d webhook endpoints; delete one first.", MaxEndpoints))
	}
	types := n.Types
	if types == nil {
		types = []Pattern{}
	}
	if n.ID == "" {
		n.ID = id.New(id.Endpoint)
	}
	rows, err := tx.Query(ctx, `
		insert into webhook_endpoints (tenant_id, id, url, event_types, description)
		values ($1, $2, $3, $4, $5)
		returning `+endpointColumns,
		tenant, n.ID, n.URL, types, n.Description)
	if err != nil {
		return Endpoint{}, "", fmt.Errorf("event: create endpoint: %w", err)
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEndpoint)
	if err != nil {
		return Endpoint{}, "", fmt.Errorf("event: create endpoint: %w", err)
	}
	signing, err := addSecret(ctx, tx, box, tenant, e.ID)
	return e, signing, err
}

// RotateSecret gives the endpoint a new secret and returns it. The older ones keep
// signing beside it for SecretOverlap. It returns fault.NotFound for an endpoint
// that does not exist.
func RotateSecret(ctx context.Context, tx pgx.Tx, box *secret.Box, tenant, endpointID string) (string, error) {
	// Two rotations at once would leave three secrets without an end.
	if _, err := lockEndpoint(ctx, tx, tenant, endpointID); err != nil {
		return "", err
	}
	_, err := tx.Exec(ctx, `
		update webhook_secrets set expires_at = clock_timestamp() + $3::interval
		 where tenant_id = $1 and endpoint_id = $2 and expires_at is null`,
		tenant, endpointID, SecretOverlap)
	if err != nil {
		return "", fmt.Errorf("event: retire secrets: %w", err)
	}
	return addSecret(ctx, tx, box, tenant, endpointID)
}

const endpointColumns = `id, url, event_types, description, enabled, coalesce(disabled_reason, ''), coalesce(paused_reason, ''),
	failing_since, rests_until, created_at`

func scanEndpoint(row pgx.CollectableRow) (Endpoint, error) {
	var (
		e                Endpoint
		enabled          bool
		disabled, paused string
	)
	err := row.Scan(&e.ID, &e.URL, &e.Types, &e.Description, &enabled, &disabled, &paused, &e.FailingSince, &e.RestsUntil, &e.CreatedAt)
	switch {
	case !enabled:
		e.Status, e.StatusReason = EndpointDisabled, disabled
	case paused != "":
		e.Status, e.StatusReason = EndpointPaused, paused
	default:
		e.Status = EndpointActive
	}
	return e, err
}

// GetEndpoint returns one endpoint of the tenant; fault.NotFound also after its deletion.
func GetEndpoint(ctx context.Context, q pg.Querier, tenant, endpointID string) (Endpoint, error) {
	return oneEndpoint(ctx, q, tenant, endpointID, "")
}

// lockEndpoint is GetEndpoint for a transaction that is going to change it or to
// tell of it; deliveries may be queued meanwhile.
func lockEndpoint(ctx context.Context, tx pgx.Tx, tenant, endpointID string) (Endpoint, error) {
	return oneEndpoint(ctx, tx, tenant, endpointID, "for no key update")
}

func oneEndpoint(ctx context.Context, q pg.Querier, tenant, endpointID, lock string) (Endpoint, error) {
	rows, err := q.Query(ctx, `
		select `+endpointColumns+` from webhook_endpoints
		 where tenant_id = $1 and id = $2 and disabled_reason is distinct from 'deleted' `+lock, tenant, endpointID)
	if err != nil {
		return Endpoint{}, fmt.Errorf("event: get endpoint: %w", err)
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEndpoint)
	if errors.Is(err, pgx.ErrNoRows) {
		return Endpoint{}, fault.NotFound()
	}
	if err != nil {
		return Endpoint{}, fmt.Errorf("event: get endpoint: %w", err)
	}
	return e, nil
}

// ListEndpoints returns the tenant's endpoints that were not deleted, newest
// first, at most limit, older than the id before ("" for the first page).
func ListEndpoints(ctx context.Context, q pg.Querier, tenant, before string, limit int) ([]Endpoint, error) {
	rows, err := q.Query(ctx, `
		select `+endpointColumns+` from webhook_endpoints
		 where tenant_id = $1 and disabled_reason is distinct from 'deleted' and ($2 = '' or id < $2)
		 order by id desc limit $3`, tenant, before, limit)
	if err != nil {
		return nil, fmt.Errorf("event: list endpoints: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanEndpoint)
	if err != nil {
		return nil, fmt.Errorf("event: list endpoints: %w", err)
	}
	return list, nil
}
