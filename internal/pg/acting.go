package pg

import (
	"context"

	"github.com/jackc/pgx/v5"
)

type merchantKey struct{}

// OfMerchant returns a context whose transactions see only rows of that merchant
// in the tables that name one, besides what the tenant's wall hides anyway. It is
// for callers who are a merchant's staff.
func OfMerchant(ctx context.Context, merchantID string) context.Context {
	return context.WithValue(ctx, merchantKey{}, merchantID)
}

func merchantOf(ctx context.Context) string {
	merchantID, _ := ctx.Value(merchantKey{}).(string)
	return merchantID
}

type actorKey struct{}

// By returns a context whose transactions tell the database who acts: actor is what
// core/audit writes, and its triggers read. Such transactions are shared with nobody.
func By(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

func actorOf(ctx context.Context) string {
	actor, _ := ctx.Value(actorKey{}).(string)
	return actor
}

const sqlActor = `select set_config('suanpan.actor', $1, true)`

// nameActor tells a transaction that has begun who acts, if anybody does.
func nameActor(ctx context.Context, tx pgx.Tx) error {
	actor := actorOf(ctx)
	if actor == "" {
		return nil
	}
	_, err := tx.Exec(ctx, sqlActor, actor)
	return err
}
