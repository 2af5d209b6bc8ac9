package event

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
)

// DeliveryStatus says who acts next on a delivery.
type DeliveryStatus string

const (
	// DeliveryPending: the dispatcher sends it at NextAt.
	DeliveryPending DeliveryStatus = "pending"
	// DeliveryDelivered: the receiver answered 2xx. Nobody, unless the tenant wants it again.
	DeliveryDelivered DeliveryStatus = "delivered"
	// DeliveryFailed: given up after the last retry, or the endpoint is gone. The
	// tenant may have it delivered again.
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
	// LastAnswer is the start of its answer, masked, or what went wrong, at most 512 characters.
	LastAnswer string
	// LastTook is how long the last try took, nil when none came to an end.
	LastTook    *time.Duration
	DeliveredAt *time.Time
}

// Attempt is one try of a delivery that came to an end.
type Attempt struct {
	// Number counts the tries of a delivery from 1; one that is missing was begun by
	// a process that died.
	Number    int
	StartedAt time.Time
	Took      time.Duration
	// Status is the receiver's HTTP status, nil when there was no answer.
	Status *int
	// Answer is the start of its answer, masked, or what went wrong.
	Answer string
}

const deliveryColumns = `event_id, endpoint_id, status, attempts, next_at, last_attempt_at, last_status, coalesce(last_answer, ''),
	last_ms, delivered_at`

func scanDelivery(row pgx.CollectableRow) (Delivery, error) {
	var (
		d    Delivery
		took *int64
	)
	err := row.Scan(&d.EventID, &d.EndpointID, &d.Status, &d.Attempts, &d.NextAt, &d.LastAttemptAt,
		&d.LastStatus, &d.LastAnswer, &took, &d.DeliveredAt)
	if took != nil {
		d.LastTook = new(time.Duration(*took) * time.Millisecond)
	}
	return d, err
}

// ListDeliveries returns the deliveries to one endpoint, newest event first, at
// most limit, of events older than the event id before ("" for the first page).
// An empty status does not narrow.
func ListDeliveries(
	ctx context.Context, q pg.Querier, tenant, endpointID string, status DeliveryStatus, before string, limit int,
) ([]Delivery, error) {
	rows, err := q.Query(ctx, `
		select `+deliveryColumns+` from webhook_deliveries
		 where tenant_id = $1 and endpoint_id = $2 and ($3 = '' or status = $3) and ($4 = '' or event_id < $4)
		 order by event_id desc limit $5`, tenant, endpointID, string(status), before, limit)
	if err != nil {
		return nil, fmt.Errorf("event: list deliveries: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanDelivery)
	if err != nil {
		return nil, fmt.Errorf("event: list deliveries: %w", err)
	}
	return list, nil
}

// maxAttempts bounds the tries that GetDelivery returns, the newest.
const maxAttempts = 100

// GetDelivery returns a delivery and its newest tries, newest first, or fault.NotFound.
func GetDelivery(ctx context.Context, q pg.Querier, tenant, endpointID, eventID string) (Delivery, []Attempt, error) {
	rows, err := q.Query(ctx, `select `+deliveryColumns+` from webhook_deliveries
		where tenant_id = $1 and endpoint_id = $2 and event_id = $3`, tenant, endpointID, eventID)
	if err != nil {
		return Delivery{}, nil, fmt.Errorf("event: get delivery: %w", err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanDelivery)
	if errors.Is(err, pgx.ErrNoRows) {
		return Delivery{}, nil, fault.NotFound()
	}
	if err != nil {
		return Delivery{}, nil, fmt.Errorf("event: get delivery: %w", err)
	}
	rows, err = q.Query(ctx, `
		select attempt, started_at, took_ms, status, answer from webhook_attempts
		 where tenant_id = $1 and endpoint_id = $2 and event_id = $3
		 order by attempt desc limit $4`, tenant, endpointID, eventID, maxAttempts)
	if err != nil {
		return Delivery{}, nil, fmt.Errorf("event: list attempts: %w", err)
	}
	attempts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Attempt, error) {
		var (
			a    Attempt
			took int64
		)
		err := row.Scan(&a.Number, &a.StartedAt, &took, &a.Status, &a.Answer)
		a.Took = time.Duration(took) * time.Millisecond
		return a, err
	})
	if err != nil {
		return Delivery{}, nil, fmt.Errorf("event: list attempts: %w", err)
	}
	return d, attempts, nil
}

// ForgetAttempts drops the months of tries that are older than the given number of
// whole months, at least 1, and returns how many it dropped. It needs the system role.
func ForgetAttempts(ctx context.Context, tx pgx.Tx, months int) (int, error) {
	var dropped int
	if err := tx.QueryRow(ctx, `select forget_webhook_attempts($1)`, months).Scan(&dropped); err != nil {
		return 0, fmt.Errorf("event: forget old attempts: %w", err)
	}
	return dropped, nil
}
