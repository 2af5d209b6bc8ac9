package api

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/internal/id"
)

// GetEvent implements GET /v1/events/{event_id}.
func (h *handlers) GetEvent(ctx context.Context, r gen.GetEventRequestObject) (gen.GetEventResponseObject, error) {
	c := callOf(ctx)
	var out gen.Event
	err := h.read(c, func(tx pgx.Tx) error {
		found, err := event.Get(c.ctx, tx, c.tenant, r.EventID)
		if err != nil {
			return err
		}
		out, err = showEvent(found)
		return err
	})
	return gen.GetEvent200JSONResponse(out), err
}

// ListEvents implements GET /v1/events.
func (h *handlers) ListEvents(ctx context.Context, r gen.ListEventsRequestObject) (gen.ListEventsResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Event)
	if err != nil {
		return nil, err
	}
	out := gen.ListEvents200JSONResponse{Data: []gen.Event{}}
	err = h.read(c, func(tx pgx.Tx) error {
		list, err := event.List(c.ctx, tx, c.tenant, event.Filter{
			Type: event.Type(text(r.Params.Type)), ObjectID: text(r.Params.ObjectID),
			CreatedFrom: orZero(r.Params.CreatedFrom), CreatedTo: orZero(r.Params.CreatedTo),
			Before: page.before, Limit: page.limit + 1,
		})
		if err != nil {
			return err
		}
		for _, e := range list[:min(len(list), page.limit)] {
			shown, err := showEvent(e)
			if err != nil {
				return err
			}
			out.Data = append(out.Data, shown)
		}
		out.NextCursor = after(list, page.limit, func(e event.Event) string { return e.ID })
		return nil
	})
	return out, err
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func showEvent(e event.Event) (gen.Event, error) {
	data := map[string]string{}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return gen.Event{}, fmt.Errorf("data of event %s: %w", e.ID, err)
	}
	return gen.Event{
		ID: e.ID, Type: gen.EventType(e.Type), Timestamp: showTime(e.CreatedAt),
		ObjectID: e.ObjectID, Sequence: e.Sequence, Data: data,
	}, nil
}
