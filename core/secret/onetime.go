package secret

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// MaxOneTimeLife bounds how long a one-time secret is kept.
const MaxOneTimeLife = 10 * time.Minute

// ErrNoSecret says that a one-time secret was taken, has expired, or never was.
var ErrNoSecret = errors.New("there is no such one-time secret: it was taken, it expired, or it never was")

// oneTimeColumn is where they are.
func oneTimeColumn() Column {
	return Column{Table: "one_time_secrets", Name: "sealed", Row: "id", Fixed: true}
}

func oneTimePlace(tenant, rowID string) Place {
	return oneTimeColumn().Place(tenant, rowID)
}

// PutOneTime keeps a secret for the attempt of that id, for at most MaxOneTimeLife
// of real time. A second one for the same attempt is an error.
func (b *Box) PutOneTime(ctx context.Context, q pg.Querier, tenant, attemptID string, plain []byte, life time.Duration) error {
	if life <= 0 || life > MaxOneTimeLife {
		return fmt.Errorf("a one-time secret lives for at most %s", MaxOneTimeLife)
	}
	sealed, err := b.Seal(ctx, q, oneTimePlace(tenant, attemptID), plain)
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, `
		insert into one_time_secrets (tenant_id, id, sealed, created_at, expires_at)
		select $1, $2, $3, at, at + $4::interval from clock_timestamp() as at`, tenant, attemptID, sealed, life)
	if err != nil {
		return fmt.Errorf("keep one-time secret: %w", err)
	}
	return nil
}

// TakeOneTime removes a secret and returns it. Whoever commits has it; a second
// taker, and one who comes too late, gets ErrNoSecret.
func (b *Box) TakeOneTime(ctx context.Context, q pg.Querier, tenant, attemptID string) (Value, error) {
	var sealed []byte
	var expired bool
	err := q.QueryRow(ctx, `
		delete from one_time_secrets where tenant_id = $1 and id = $2
		returning sealed, expires_at <= clock_timestamp()`, tenant, attemptID).Scan(&sealed, &expired)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && expired {
		return Value{}, ErrNoSecret
	}
	if err != nil {
		return Value{}, fmt.Errorf("take one-time secret: %w", err)
	}
	return b.Open(ctx, q, oneTimePlace(tenant, attemptID), sealed)
}

// SweepOneTime deletes up to limit secrets whose time is over and returns how many.
// It needs the system role.
func SweepOneTime(ctx context.Context, tx pgx.Tx, limit int) (int, error) {
	tag, err := tx.Exec(ctx, `
		delete from one_time_secrets where (tenant_id, id) in (
			select tenant_id, id from one_time_secrets where expires_at <= clock_timestamp()
			order by expires_at limit $1)`, limit)
	if err != nil {
		return 0, fmt.Errorf("sweep one-time secrets: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
