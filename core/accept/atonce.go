package accept

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

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
// transaction. create makes the object and renders the answer; what it queues to
// last travels in one round trip with the idempotency row and the commit. Requests
// that come at the same time share a transaction, so create must be fit for
// pg.DB.Together. Like Do,
// it answers a key seen before with the first answer, or refuses it with a
// Conflict, and an error undoes everything.
func AtOnce(
	ctx context.Context, db *pg.DB, req Request,
	create func(tx pgx.Tx, last *pgx.Batch) (objectID string, answer Response, err error),
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
		last := &pgx.Batch{}
		objectID, answer, err := create(tx, last)
		if err != nil {
			return err
		}
		out = Accepted{ObjectID: objectID, Response: &answer}
		last.Queue(`
			with accepted as (
			  insert into accepted_requests (tenant_id, idempotency_key, route, body_hash, object_id)
			  values ($1, $2, $3, $4, $5) returning created_at
			)
			insert into accepted_responses (tenant_id, idempotency_key, status, body, created_at)
			select $1, $2, $6, $7, created_at from accepted`,
			req.Tenant, req.Key, req.Route, hash[:], objectID, answer.Status, answer.Body)
		if err := pg.CommitWith(ctx, tx, last); err != nil {
			return fmt.Errorf("commit accepted request: %w", err)
		}
		return nil
	}
	if len(req.Body) > maxShared {
		err := db.InTenant(ctx, req.Tenant, accept)
		return out, err
	}
	err := db.Together(ctx, req.Tenant, req.Key, accept)
	return out, err
}
