package event

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
)

// EndpointChange is what ChangeEndpoint changes; nil fields stay.
type EndpointChange struct {
	URL         *string
	Types       *[]Pattern
	Description *string
	// Status is EndpointActive or EndpointPaused.
	Status *EndpointStatus
}

// CheckChange refuses what ChangeEndpoint would refuse without looking at the
// database. It resolves a new URL's name, so it runs outside any transaction.
func CheckChange(ctx context.Context, guard *Guard, change EndpointChange) error {
	if change.Types != nil {
		if err := checkTypes(*change.Types); err != nil {
			return err
		}
	}
	if change.URL != nil {
		return guard.CheckURL(ctx, *change.URL)
	}
	return nil
}

// ChangeEndpoint changes an endpoint by a change that passed CheckChange and
// returns it. Making it active begins anew: what was kept for it is due at once,
// its failures are forgotten. Pausing it keeps what happens from now on; a disabled
// one cannot be paused. Types decide on events from now on. Idempotent.
func ChangeEndpoint(ctx context.Context, tx pgx.Tx, tenant, endpointID string, change EndpointChange) (Endpoint, error) {
	e, err := lockEndpoint(ctx, tx, tenant, endpointID)
	if err != nil {
		return Endpoint{}, err
	}
	_, err = tx.Exec(ctx, `
		update webhook_endpoints set url = coalesce($3, url), event_types = coalesce($4, event_types),
		       description = coalesce($5, description)
		 where tenant_id = $1 and id = $2`, tenant, endpointID, change.URL, change.Types, change.Description)
	if err != nil {
		return Endpoint{}, fmt.Errorf("event: change endpoint: %w", err)
	}
	if change.Status != nil {
		if err := setStatus(ctx, tx, tenant, e, *change.Status); err != nil {
			return Endpoint{}, err
		}
	}
	return GetEndpoint(ctx, tx, tenant, endpointID)
}

func setStatus(ctx context.Context, tx pgx.Tx, tenant string, e Endpoint, to EndpointStatus) error {
	switch {
	case to == EndpointActive:
		return resume(ctx, tx, tenant, e.ID)
	case e.Status == EndpointDisabled:
		return fault.Refused("status", "webhook_endpoint_disabled",
			"The endpoint answered 410 and hears of nothing; make it active first.")
	case e.Status == EndpointPaused:
		return nil // whoever paused it
	}
	return pause(ctx, tx, tenant, e.ID, ReasonRequested)
}

// resume makes an endpoint active. Its deliveries begin their schedule anew.
func resume(ctx context.Context, tx pgx.Tx, tenant, endpointID string) error {
	return execAll(ctx, tx, "resume endpoint", []any{tenant, endpointID}, `
		update webhook_endpoints
		   set enabled = true, disabled_reason = null, paused_reason = null,
		       failures = 0, failing_since = null, told_failing = false, rests_until = null
		 where tenant_id = $1 and id = $2`, `
		update webhook_deliveries set series_from = attempts, next_at = clock_timestamp()
		 where tenant_id = $1 and endpoint_id = $2 and status = 'pending' and leased_until is null`)
}

func pause(ctx context.Context, tx pgx.Tx, tenant, endpointID, reason string) error {
	_, err := tx.Exec(ctx, `update webhook_endpoints set paused_reason = $3 where tenant_id = $1 and id = $2`, tenant, endpointID, reason)
	if err != nil {
		return fmt.Errorf("event: pause endpoint: %w", err)
	}
	return nil
}

// DeleteEndpoint stops an endpoint for good and fails what was still to be
// delivered to it. It returns fault.NotFound when there is none, also the second time.
func DeleteEndpoint(ctx context.Context, tx pgx.Tx, tenant, endpointID string) error {
	if _, err := lockEndpoint(ctx, tx, tenant, endpointID); err != nil {
		return err
	}
	return disable(ctx, tx, tenant, endpointID, "deleted", "the endpoint was deleted")
}

// disable stops an endpoint and gives up what was to be delivered to it. A URL is
// kept, of a deleted endpoint too: its deliveries are history.
func disable(ctx context.Context, tx pgx.Tx, tenant, endpointID, reason, words string) error {
	err := execAll(ctx, tx, "disable endpoint", []any{tenant, endpointID, reason}, `
		update webhook_endpoints set enabled = false, disabled_reason = $3
		 where tenant_id = $1 and id = $2`)
	if err != nil {
		return err
	}
	return execAll(ctx, tx, "fail deliveries", []any{tenant, endpointID, words}, `
		update webhook_deliveries set status = 'failed', leased_until = null, last_answer = $3
		 where tenant_id = $1 and endpoint_id = $2 and status = 'pending'`)
}

func execAll(ctx context.Context, q pg.Querier, doing string, args []any, statements ...string) error {
	for _, sql := range statements {
		if _, err := q.Exec(ctx, sql, args...); err != nil {
			return fmt.Errorf("event: %s: %w", doing, err)
		}
	}
	return nil
}

// PingEndpoint records an event of type ping for one endpoint, whatever it asked
// for, and returns it. A fault.Refused says that the endpoint is not active.
func PingEndpoint(ctx context.Context, tx pgx.Tx, tenant, endpointID string) (Event, error) {
	e, err := lockEndpoint(ctx, tx, tenant, endpointID)
	if err != nil {
		return Event{}, err
	}
	if e.Status != EndpointActive {
		return Event{}, notActive(e)
	}
	eventID, err := Emit(ctx, tx, tenant, News{Type: Ping, ObjectID: endpointID, Data: map[string]string{"webhook_endpoint_id": endpointID}})
	if err != nil {
		return Event{}, err
	}
	_, err = tx.Exec(ctx, `insert into webhook_deliveries (tenant_id, event_id, endpoint_id) values ($1, $2, $3)`,
		tenant, eventID, endpointID)
	if err != nil {
		return Event{}, fmt.Errorf("event: queue ping: %w", err)
	}
	return Get(ctx, tx, tenant, eventID)
}

func notActive(e Endpoint) error {
	return fault.Refused("", "webhook_endpoint_not_active",
		fmt.Sprintf("The endpoint is %s; make it active first.", e.Status))
}
