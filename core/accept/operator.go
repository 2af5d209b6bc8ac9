package accept

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// ByOperator accepts a POST of an operator, who has no tenant. create makes the
// object in a transaction of the system role and returns the answer to keep; object
// and idempotency row commit together. Like Do, it answers a key seen before with the
// first answer, or refuses it with a Conflict, and an error undoes everything. A key
// belongs to the operator's key that used it: the same text from another is another.
func ByOperator(
	ctx context.Context, db *pg.DB, operatorKeyID string, req Request,
	create func(tx pgx.Tx) (objectID string, kept Response, err error),
) (Accepted, error) {
	hash := sha256.Sum256(req.Body)
	var out Accepted
	err := db.AsSystem(ctx, func(tx pgx.Tx) error {
		out = Accepted{}
		seen, err := seenByOperator(ctx, tx, operatorKeyID, req.Key)
		if err != nil {
			return err
		}
		if seen != nil {
			return seen.replay(req, hash[:], &out)
		}
		objectID, kept, err := create(tx)
		if err != nil {
			return err
		}
		out = Accepted{ObjectID: objectID, Response: &kept}
		_, err = tx.Exec(ctx, `
			insert into operator_requests (operator_key_id, idempotency_key, route, body_hash, object_id, status, body)
			values ($1, $2, $3, $4, $5, $6, $7)`, operatorKeyID, req.Key, req.Route, hash[:], objectID, kept.Status, kept.Body)
		if err != nil {
			return fmt.Errorf("idempotency row: %w", err)
		}
		return nil
	})
	return out, err
}

func seenByOperator(ctx context.Context, tx pgx.Tx, operatorKeyID, key string) (*seenRequest, error) {
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0))`, operatorKeyID, key); err != nil {
		return nil, fmt.Errorf("idempotency row: %w", err)
	}
	seen := &seenRequest{}
	err := tx.QueryRow(ctx, `
		select route, body_hash, object_id, created_at, status, body from operator_requests
		where operator_key_id = $1 and idempotency_key = $2`, operatorKeyID, key).Scan(
		&seen.route, &seen.bodyHash, &seen.objectID, &seen.createdAt, &seen.status, &seen.body)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("idempotency row: %w", err)
	}
	return seen, nil
}
