package event

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// News is what a caller reports through Emit.
type News struct {
	Type Type
	// ObjectID is the id of the object that changed ("pay_…").
	ObjectID string
	// Data is encoded as one JSON object; nil means {}. It holds what the catalogue
	// (Kinds) lists for the type, ids and statuses only: receivers fetch the object
	// for the rest.
	Data map[string]string
}

// Event is one recorded happening.
type Event struct {
	ID       string
	Type     Type
	ObjectID string
	// Sequence counts the events of one object from 1 without gaps.
	Sequence  int
	Data      json.RawMessage
	CreatedAt time.Time
}

// Emit records news in tx and queues its deliveries to every enabled endpoint of
// the tenant, also a paused one, that asked for its type, so that the change, the event and the
// deliveries commit together or not at all. The caller holds the lock on the
// object's row (it has just updated it), which makes the sequence gapless; a
// caller that does not gets a unique violation and its transaction rolls back.
// It returns the event's id. Emit is not idempotent: call it once per change.
func Emit(ctx context.Context, tx pgx.Tx, tenant string, news News) (string, error) {
	call := &tellCall{tenant: tenant}
	eventID, err := call.add(news)
	if err != nil {
		return "", err
	}
	if err := tx.SendBatch(ctx, statement([]*tellCall{call})).Close(); err != nil {
		return "", fmt.Errorf("event: record %s of %s: %w", news.Type, news.ObjectID, err)
	}
	return eventID, nil
}

// Tell is Emit of several news that does not wait: they travel with the next
// statement of the transaction or with its commit, which fails if they do.
func Tell(ctx context.Context, tx pgx.Tx, tenant string, news ...News) error {
	call := &tellCall{tenant: tenant}
	for _, one := range news {
		if _, err := call.add(one); err != nil {
			return err
		}
	}
	if len(news) == 0 {
		return nil
	}
	met, err := pg.Meet(ctx, tx, call, tellTogether)
	if !met {
		err = tellTogether(ctx, tx, []*tellCall{call})[0]
	}
	return err
}

// tellCall is what one call tells.
type tellCall struct {
	tenant                    string
	ids, types, objects, data []string
}

func (call *tellCall) add(news News) (eventID string, err error) {
	if err := news.check(); err != nil {
		return "", err
	}
	data := []byte("{}")
	if news.Data != nil {
		if data, err = json.Marshal(news.Data); err != nil {
			return "", fmt.Errorf("event: encode %s: %w", news.Type, err)
		}
	}
	eventID = id.New(id.Event)
	call.ids, call.types = append(call.ids, eventID), append(call.types, string(news.Type))
	call.objects, call.data = append(call.objects, news.ObjectID), append(call.data, string(data))
	return eventID, nil
}

func tellTogether(ctx context.Context, tx pgx.Tx, calls []*tellCall) []error {
	err := pg.Later(ctx, tx, statement(calls))
	if err != nil {
		err = fmt.Errorf("event: record: %w", err)
	}
	return slices.Repeat([]error{err}, len(calls))
}

// The arrays stand in scalar subqueries so that one plan serves all numbers of news.
const sqlHappened = `
	with happened as (
	  insert into events (tenant_id, id, type, object_id, sequence, data)
	  select $1, n.id, n.type, n.object_id,
	    coalesce((select max(e.sequence) from events e where e.tenant_id = $1 and e.object_id = n.object_id), 0)
	      + row_number() over (partition by n.object_id order by n.position),
	    n.data::jsonb
	    from unnest((select $2::text[]), (select $3::text[]), (select $4::text[]), (select $5::text[]))
	      with ordinality n (id, type, object_id, data, position)
	  returning tenant_id, id, type
	)
	insert into webhook_deliveries (tenant_id, event_id, endpoint_id)
	select h.tenant_id, h.id, e.id
	  from happened h
	  join webhook_endpoints e on e.tenant_id = h.tenant_id and e.enabled and ` + sqlAsked

// sqlAsked says whether the endpoint e asked for the event h: for everything, for
// its type, or for all of its noun. A ping is for nobody who was not named.
const sqlAsked = `h.type <> 'ping' and (cardinality(e.event_types) = 0 or h.type = any (e.event_types)
	    or split_part(h.type, '.', 1) || '.*' = any (e.event_types))`

// statement records what calls of one tenant tell, in their order.
func statement(calls []*tellCall) *pgx.Batch {
	var all tellCall
	for _, call := range calls {
		all.ids, all.types = append(all.ids, call.ids...), append(all.types, call.types...)
		all.objects, all.data = append(all.objects, call.objects...), append(all.data, call.data...)
	}
	batch := &pgx.Batch{}
	batch.Queue(sqlHappened, calls[0].tenant, all.ids, all.types, all.objects, all.data)
	return batch
}

const eventColumns = `id, type, object_id, sequence, data, created_at`

func scanEvent(row pgx.CollectableRow) (Event, error) {
	var e Event
	err := row.Scan(&e.ID, &e.Type, &e.ObjectID, &e.Sequence, &e.Data, &e.CreatedAt)
	return e, err
}

// Get returns one event of the tenant, or fault.NotFound.
func Get(ctx context.Context, q pg.Querier, tenant, eventID string) (Event, error) {
	rows, err := q.Query(ctx, `select `+eventColumns+` from events where tenant_id = $1 and id = $2`, tenant, eventID)
	if err != nil {
		return Event{}, fmt.Errorf("event: get: %w", err)
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEvent)
	if errors.Is(err, pgx.ErrNoRows) {
		return Event{}, fault.NotFound()
	}
	if err != nil {
		return Event{}, fmt.Errorf("event: get: %w", err)
	}
	return e, nil
}

// Filter narrows List. Zero fields do not narrow.
type Filter struct {
	Type        Type
	ObjectID    string
	CreatedFrom time.Time
	CreatedTo   time.Time
	// Before is the id of the last event of the page before; the newest come first.
	Before string
	// Limit is the page size, at least 1.
	Limit int
}

// List returns the tenant's events, newest first, at most f.Limit.
func List(ctx context.Context, q pg.Querier, tenant string, f Filter) ([]Event, error) {
	rows, err := q.Query(ctx, `
		select `+eventColumns+` from events
		 where tenant_id = $1
		   and ($2 = '' or type = $2)
		   and ($3 = '' or object_id = $3)
		   and ($4::timestamptz is null or created_at >= $4)
		   and ($5::timestamptz is null or created_at < $5)
		   and ($6 = '' or id < $6)
		 order by id desc limit $7`,
		tenant, string(f.Type), f.ObjectID, nullTime(f.CreatedFrom), nullTime(f.CreatedTo), f.Before, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("event: list: %w", err)
	}
	events, err := pgx.CollectRows(rows, scanEvent)
	if err != nil {
		return nil, fmt.Errorf("event: list: %w", err)
	}
	return events, nil
}

func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
