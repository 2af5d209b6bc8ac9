package event

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// MaxEndpoints bounds the enabled endpoints of one tenant.
const MaxEndpoints = 16

// SecretOverlap is how long the old secret still signs after RotateSecret.
const SecretOverlap = 24 * time.Hour

// Endpoint is a URL of the tenant that wants to hear of events.
type Endpoint struct {
	ID  string
	URL string
	// Types are the event types asked for; empty means all.
	Types       []Type
	Description string
	Enabled     bool
	// DisabledReason is "gone" (the receiver answered 410) or "deleted"; empty while enabled.
	DisabledReason string
	CreatedAt      time.Time
}

// NewEndpoint is what CreateEndpoint needs. ID may be empty, then one is minted.
type NewEndpoint struct {
	ID          string
	URL         string
	Types       []Type
	Description string
}

// CheckEndpoint refuses what CreateEndpoint would refuse without looking at the
// database. It resolves the host's name, so it runs outside any transaction.
func CheckEndpoint(ctx context.Context, guard *Guard, n NewEndpoint) error {
	for i, t := range n.Types {
		if !t.Known() {
			return fault.Invalid(fmt.Sprintf("event_types[%d]", i), "event_type_unknown",
				"This event type does not exist; the contract lists those that do.")
		}
	}
	return guard.CheckURL(ctx, n.URL)
}

// CreateEndpoint stores an endpoint that passed CheckEndpoint and returns it with
// its signing secret ("whsec_…"), which cannot be read again. It returns a
// fault.Refused when the tenant already has MaxEndpoints.
func CreateEndpoint(ctx context.Context, tx pgx.Tx, tenant string, n NewEndpoint) (Endpoint, string, error) {
	// The tenant's row is locked by nobody here: two requests at once may pass the
	// limit by one, which harms no one.
	var count int
	err := tx.QueryRow(ctx, `select count(*) from webhook_endpoints where tenant_id = $1 and enabled`, tenant).Scan(&count)
	if err != nil {
		return Endpoint{}, "", fmt.Errorf("event: count endpoints: %w", err)
	}
	if count >= MaxEndpoints {
		return Endpoint{}, "", fault.Refused("", "too_many_webhook_endpoints",
			fmt.Sprintf("There are already %d webhook endpoints; delete one first.", MaxEndpoints))
	}
	types := n.Types
	if types == nil {
		types = []Type{}
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
	secret, err := addSecret(ctx, tx, tenant, e.ID)
	return e, secret, err
}

// RotateSecret gives the endpoint a new secret and returns it. The older ones keep
// signing beside it for SecretOverlap. It returns fault.NotFound for an endpoint
// that does not exist or is disabled.
func RotateSecret(ctx context.Context, tx pgx.Tx, tenant, endpointID string) (string, error) {
	e, err := GetEndpoint(ctx, tx, tenant, endpointID)
	if err != nil {
		return "", err
	}
	if !e.Enabled {
		return "", fault.NotFound()
	}
	_, err = tx.Exec(ctx, `
		update webhook_secrets set expires_at = clock_timestamp() + $3::interval
		 where tenant_id = $1 and endpoint_id = $2 and expires_at is null`,
		tenant, endpointID, SecretOverlap)
	if err != nil {
		return "", fmt.Errorf("event: retire secrets: %w", err)
	}
	return addSecret(ctx, tx, tenant, endpointID)
}

func addSecret(ctx context.Context, tx pgx.Tx, tenant, endpointID string) (string, error) {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return "", fmt.Errorf("event: random secret: %w", err)
	}
	secret := secretPrefix + base64.StdEncoding.EncodeToString(key[:])
	_, err := tx.Exec(ctx, `insert into webhook_secrets (tenant_id, endpoint_id, secret) values ($1, $2, $3)`,
		tenant, endpointID, secret)
	if err != nil {
		return "", fmt.Errorf("event: store secret: %w", err)
	}
	return secret, nil
}

const endpointColumns = `id, url, event_types, description, enabled, coalesce(disabled_reason, ''), created_at`

func scanEndpoint(row pgx.CollectableRow) (Endpoint, error) {
	var e Endpoint
	err := row.Scan(&e.ID, &e.URL, &e.Types, &e.Description, &e.Enabled, &e.DisabledReason, &e.CreatedAt)
	return e, err
}

// GetEndpoint returns one endpoint of the tenant; fault.NotFound also after its deletion.
func GetEndpoint(ctx context.Context, q pg.Querier, tenant, endpointID string) (Endpoint, error) {
	rows, err := q.Query(ctx, `
		select `+endpointColumns+` from webhook_endpoints
		 where tenant_id = $1 and id = $2 and disabled_reason is distinct from 'deleted'`, tenant, endpointID)
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

// DeleteEndpoint stops an endpoint for good and fails what was still to be
// delivered to it. It returns fault.NotFound when there is none, also the second time.
func DeleteEndpoint(ctx context.Context, tx pgx.Tx, tenant, endpointID string) error {
	if _, err := GetEndpoint(ctx, tx, tenant, endpointID); err != nil {
		return err
	}
	return disable(ctx, tx, tenant, endpointID, "deleted", "the endpoint was deleted")
}

func disable(ctx context.Context, tx pgx.Tx, tenant, endpointID, reason, words string) error {
	_, err := tx.Exec(ctx, `
		update webhook_endpoints set enabled = false, disabled_reason = $3
		 where tenant_id = $1 and id = $2`, tenant, endpointID, reason)
	if err != nil {
		return fmt.Errorf("event: disable endpoint: %w", err)
	}
	_, err = tx.Exec(ctx, `
		update webhook_deliveries set status = 'failed', leased_until = null, last_answer = $3
		 where tenant_id = $1 and endpoint_id = $2 and status = 'pending'`, tenant, endpointID, words)
	if err != nil {
		return fmt.Errorf("event: fail deliveries: %w", err)
	}
	return nil
}

// DeliveryStatus says who acts next on a delivery.
type DeliveryStatus string

const (
	// DeliveryPending: the dispatcher sends it at NextAt.
	DeliveryPending DeliveryStatus = "pending"
	// DeliveryDelivered: the receiver answered 2xx. Final.
	DeliveryDelivered DeliveryStatus = "delivered"
	// DeliveryFailed: given up after the last retry, or the endpoint is gone. Final;
	// the tenant reads what it missed from the list of events.
	DeliveryFailed DeliveryStatus = "failed"
)

// Delivery is the telling of one event to one endpoint.
type Delivery struct {
	EventID    string
	EndpointID string
	Status     DeliveryStatus
	// Attempts counts the tries begun, also one whose process died.
	Attempts int
	// NextAt is when the next try is due; meaningful while pending.
	NextAt        time.Time
	LastAttemptAt *time.Time
	// LastStatus is the receiver's HTTP status, nil when there was no answer.
	LastStatus *int
	// LastAnswer is the start of its answer, or what went wrong, at most 512 characters.
	LastAnswer  string
	DeliveredAt *time.Time
}

// ListDeliveries returns the deliveries to one endpoint, newest event first, at
// most limit, of events older than the event id before ("" for the first page).
// An empty status does not narrow.
func ListDeliveries(
	ctx context.Context, q pg.Querier, tenant, endpointID string, status DeliveryStatus, before string, limit int,
) ([]Delivery, error) {
	rows, err := q.Query(ctx, `
		select event_id, endpoint_id, status, attempts, next_at, last_attempt_at, last_status, coalesce(last_answer, ''), delivered_at
		  from webhook_deliveries
		 where tenant_id = $1 and endpoint_id = $2 and ($3 = '' or status = $3) and ($4 = '' or event_id < $4)
		 order by event_id desc limit $5`, tenant, endpointID, string(status), before, limit)
	if err != nil {
		return nil, fmt.Errorf("event: list deliveries: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Delivery, error) {
		var d Delivery
		err := row.Scan(&d.EventID, &d.EndpointID, &d.Status, &d.Attempts, &d.NextAt, &d.LastAttemptAt,
			&d.LastStatus, &d.LastAnswer, &d.DeliveredAt)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("event: list deliveries: %w", err)
	}
	return list, nil
}
