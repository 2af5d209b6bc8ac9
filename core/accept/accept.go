// Package accept owns what it means that the API accepted a request: the
// idempotency row, the bytes of the first answer, and the workflow that the
// accepted object must have. All of it commits with the object itself, so that
// 201 means booked whatever dies next.
//
// It may not know any business object; the packages of the objects import it.
package accept

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
)

// Request identifies one POST of a tenant.
type Request struct {
	Tenant string
	// Key is the caller's Idempotency-Key, 8 to 255 characters.
	Key string
	// Route is the method and path template with its parameters filled in.
	Route string
	// Body is the request body; only its SHA-256 is kept.
	Body []byte
	// Ask, when set, queues what must be known before the request is carried out; it
	// travels with the look for the key. It may run more than once.
	Ask func(batch *pgx.Batch)
	// Alone keeps the request out of shared transactions.
	Alone bool
}

// Accepted tells which object a request created, now or the first time.
type Accepted struct {
	ObjectID string
	// Replayed: the key was accepted before with the same route and body.
	Replayed bool
	// Response is the stored first answer; nil while there is none.
	Response *Response

	createdAt time.Time
}

// Response is an answer kept for replays, byte for byte.
type Response struct {
	Status int
	Body   []byte
}

// CodeKeyReused is the refusal of a key that came before with another request.
const CodeKeyReused = "idempotency_key_reused"

// Do runs create, which returns the id of the object it made, in one transaction
// with the idempotency row of req. A key seen before runs nothing: it answers
// with the first object, or with a Conflict when route or body differ. An error
// of create undoes everything, the key included. Concurrent calls with one key
// wait for the first.
func Do(ctx context.Context, db *pg.DB, req Request, create func(tx pgx.Tx) (string, error)) (Accepted, error) {
	hash := sha256.Sum256(req.Body)
	var out Accepted
	err := db.InTenant(ctx, req.Tenant, func(tx pgx.Tx) error {
		out = Accepted{}
		seen, err := findSeen(ctx, tx, req)
		if err != nil {
			return err
		}
		if seen != nil {
			return seen.replay(req, hash[:], &out)
		}
		if out.ObjectID, err = create(tx); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `
			insert into accepted_requests (tenant_id, idempotency_key, route, body_hash, object_id)
			values ($1, $2, $3, $4, $5) returning created_at`,
			req.Tenant, req.Key, req.Route, hash[:], out.ObjectID).Scan(&out.createdAt)
		if err != nil {
			return fmt.Errorf("idempotency row: %w", err)
		}
		return nil
	})
	return out, err
}

// seenRequest is an idempotency row with the answer kept for it, if any.
type seenRequest struct {
	route, objectID string
	bodyHash        []byte
	createdAt       time.Time
	status          *int
	body            []byte
}

// seenCall is one request's look for its key.
type seenCall struct {
	req  Request
	seen *seenRequest
}

// findSeen takes the lock on the key, so that calls with one key run one after
// the other, and then looks for the request; both travel together, and with those
// of others that share the transaction.
func findSeen(ctx context.Context, tx pgx.Tx, req Request) (*seenRequest, error) {
	call := &seenCall{req: req}
	met, err := pg.Meet(ctx, tx, call, findAllSeen)
	if !met {
		err = findAllSeen(ctx, tx, []*seenCall{call})[0]
	}
	return call.seen, err
}

// The keys are locked in their order, so that two transactions that share some of
// them never wait for each other in a circle.
const (
	sqlLockKeys = `
		select pg_advisory_xact_lock(hashtextextended($1 || ' ' || k.key, 0))
		from (select key from unnest((select $2::text[])) k (key) order by key) k`
	sqlSeen = `
		select r.idempotency_key, r.route, r.body_hash, r.object_id, r.created_at, a.status, a.body
		from accepted_requests r
		left join accepted_responses a using (tenant_id, idempotency_key, created_at)
		where r.tenant_id = $1 and r.idempotency_key = any ((select $2::text[])::text[])`
)

// findAllSeen is findSeen for calls of one tenant with different keys.
func findAllSeen(ctx context.Context, tx pgx.Tx, calls []*seenCall) []error {
	keys := make([]string, len(calls))
	byKey := map[string]*seenCall{}
	for i, call := range calls {
		keys[i] = call.req.Key
		byKey[call.req.Key] = call
	}
	tenant := calls[0].req.Tenant
	batch := &pgx.Batch{}
	batch.Queue(sqlLockKeys, tenant, keys)
	batch.Queue(sqlSeen, tenant, keys).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var key string
			seen := &seenRequest{}
			err := rows.Scan(&key, &seen.route, &seen.bodyHash, &seen.objectID, &seen.createdAt, &seen.status, &seen.body)
			if err != nil {
				return err
			}
			byKey[key].seen = seen
		}
		return rows.Err()
	})
	for _, call := range calls {
		if call.req.Ask != nil {
			call.req.Ask(batch)
		}
	}
	err := tx.SendBatch(ctx, batch).Close()
	if err != nil {
		err = fmt.Errorf("idempotency row: %w", err)
	}
	return slices.Repeat([]error{err}, len(calls))
}

func (seen *seenRequest) replay(req Request, hash []byte, out *Accepted) error {
	if seen.route != req.Route || !bytes.Equal(seen.bodyHash, hash) {
		return fault.Conflict("Idempotency-Key", CodeKeyReused,
			"this Idempotency-Key was used before with another route or body; use a new key for a new request")
	}
	*out = Accepted{ObjectID: seen.objectID, Replayed: true, createdAt: seen.createdAt}
	if seen.status != nil {
		out.Response = &Response{Status: *seen.status, Body: seen.body}
	}
	return nil
}

// Answer stores resp as the first answer to the request that a describes and
// returns the answer that everybody gets: resp, or the one stored before it.
func Answer(ctx context.Context, db *pg.DB, req Request, a Accepted, resp Response) (Response, error) {
	err := db.InTenant(ctx, req.Tenant, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			insert into accepted_responses (tenant_id, idempotency_key, status, body, created_at)
			values ($1, $2, $3, $4, $5) on conflict do nothing`,
			req.Tenant, req.Key, resp.Status, resp.Body, a.createdAt)
		if err != nil || tag.RowsAffected() == 1 {
			return err
		}
		return tx.QueryRow(ctx, `
			select status, body from accepted_responses
			where tenant_id = $1 and idempotency_key = $2 and created_at = $3`,
			req.Tenant, req.Key, a.createdAt).Scan(&resp.Status, &resp.Body)
	})
	return resp, err
}
