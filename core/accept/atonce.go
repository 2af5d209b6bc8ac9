package accept

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// errUnanswered ends a replay whose first answer is not stored; AtOnce stores
// object and answer together, so only Do leaves such rows.
var errUnanswered = errors.New("accept: the request was accepted by another kind of route and has no answer yet")

// maxShared is how long a body may be, in bytes, to share a transaction with other
// requests: a longer one is many things at once, and would hold them up.
const maxShared = 1024

// AtOnce accepts a request whose object is final when it is created, so that
// nothing is left to wait for: object, idempotency row and answer commit in one
// transaction. create makes the object and renders the answer; what it leaves for
// later travels in one round trip with the idempotency row and the commit. Requests
// that come at the same time share a transaction, so create must be fit for
// pg.DB.Together. Like Do, it answers a key seen before with the first answer, or refuses it with a
// Conflict, and an error undoes everything.
func AtOnce(
	ctx context.Context, db *pg.DB, req Request,
	create func(tx pgx.Tx) (objectID string, answer Response, err error),
) (Accepted, error) {
	hash := sha256.Sum256(req.Body)
	var out Accepted
	accept := func(tx pgx.Tx) error {
		out = Accepted{}
		seen, err := findSeen(ctx, tx, req)
		if err != nil {
			return err
		}
		if seen != nil {
			err := seen.replay(req, hash[:], &out)
			if err == nil && out.Response == nil {
				err = errUnanswered
			}
			return err
		}
		objectID, answer, err := create(tx)
		if err != nil {
			return err
		}
		out = Accepted{ObjectID: objectID, Response: &answer}
		if err := store(ctx, tx, &storeCall{req, hash[:], objectID, answer}); err != nil {
			return err
		}
		if err := pg.CommitNow(ctx, tx); err != nil {
			return fmt.Errorf("commit accepted request: %w", err)
		}
		return nil
	}
	if req.Alone || len(req.Body) > maxShared {
		err := db.InTenant(ctx, req.Tenant, accept)
		return out, err
	}
	err := db.Together(ctx, req.Tenant, req.Key, accept)
	return out, err
}

// storeCall is one request's idempotency row with its answer.
type storeCall struct {
	req      Request
	hash     []byte
	objectID string
	answer   Response
}

const sqlStore = `
	with given as (
	  select * from unnest((select $2::text[]), (select $3::text[]), (select $4::bytea[]), (select $5::text[]), (select $6::int4[]),
	    (select $7::bytea[])) g (key, route, hash, object_id, status, body)
	), accepted as (
	  insert into accepted_requests (tenant_id, idempotency_key, route, body_hash, object_id)
	  select $1, key, route, hash, object_id from given
	  returning idempotency_key, created_at
	)
	insert into accepted_responses (tenant_id, idempotency_key, status, body, created_at)
	select $1, g.key, g.status, g.body, a.created_at from accepted a join given g on g.key = a.idempotency_key`

// store leaves call's row, with those of others that share the transaction, to
// travel with the commit.
func store(ctx context.Context, tx pgx.Tx, call *storeCall) error {
	met, err := pg.Meet(ctx, tx, call, storeTogether)
	if !met {
		err = storeTogether(ctx, tx, []*storeCall{call})[0]
	}
	return err
}

func storeTogether(ctx context.Context, tx pgx.Tx, calls []*storeCall) []error {
	n := len(calls)
	keys, routes, hashes, objects := make([]string, n), make([]string, n), make([][]byte, n), make([]string, n)
	statuses, bodies := make([]int32, n), make([][]byte, n)
	for i, call := range calls {
		keys[i], routes[i], hashes[i], objects[i] = call.req.Key, call.req.Route, call.hash, call.objectID
		statuses[i], bodies[i] = int32(call.answer.Status), call.answer.Body
	}
	batch := &pgx.Batch{}
	batch.Queue(sqlStore, calls[0].req.Tenant, keys, routes, hashes, objects, statuses, bodies)
	err := pg.Later(ctx, tx, batch)
	if err != nil {
		err = fmt.Errorf("idempotency row: %w", err)
	}
	return slices.Repeat([]error{err}, n)
}
