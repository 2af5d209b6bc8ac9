package secret

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// RotateDataKey gives the tenant a new data key: what is sealed from now on is
// sealed under it, what is sealed already stays readable. It returns the new
// version. Of rotations at the same time one new key comes out.
func (b *Box) RotateDataKey(ctx context.Context, q pg.Querier, tenant string) (uint32, error) {
	last, err := newest(ctx, q, tenant)
	if err != nil {
		return 0, err
	}
	next, err := b.addKey(ctx, q, last)
	return next.version, err
}

// Rewrap wraps data keys that are under another master key under the first of
// the Box's, at most limit of them, and returns how many. It needs the system
// role. Values stay as they are and open all the while, in every process that
// holds both master keys. Run it until it returns 0.
func (b *Box) Rewrap(ctx context.Context, tx pgx.Tx, limit int) (int, error) {
	done := 0
	for _, anyOf := range []string{platform, ""} {
		n, err := b.rewrapShelf(ctx, tx, anyOf, limit-done)
		if err != nil {
			return 0, err
		}
		done += n
	}
	return done, nil
}

// wrappedKey is a data key as it is stored.
type wrappedKey struct {
	name     keyName
	masterID string
	wrapped  []byte
}

// rewrapShelf rewraps up to limit data keys of the table that has those of anyOf.
func (b *Box) rewrapShelf(ctx context.Context, tx pgx.Tx, anyOf string, limit int) (int, error) {
	master := b.masters[0]
	table, owner := shelf(anyOf)
	rows, err := tx.Query(ctx, `
		select `+owner+`, version, tag, master_key, wrapped from `+table+`
		where master_key <> $1 order by `+owner+`, version limit $2 for update skip locked`, master.ID(), limit)
	if err != nil {
		return 0, fmt.Errorf("data keys under other master keys: %w", err)
	}
	old, err := pgx.CollectRows(rows, scanWrapped)
	if err != nil {
		return 0, fmt.Errorf("data keys under other master keys: %w", err)
	}
	for _, o := range old {
		plain, err := b.unwrap(ctx, o.name, o.masterID, o.wrapped)
		if err != nil {
			return 0, fmt.Errorf("data keys of %s: %w", o.name.tenant, err)
		}
		wrapped, err := master.Wrap(ctx, plain, o.name.context())
		if err != nil {
			return 0, fmt.Errorf("data keys of %s: wrap data key: %w", o.name.tenant, err)
		}
		_, err = tx.Exec(ctx, `
			update `+table+` set master_key = $3, wrapped = $4 where `+owner+` = $1 and version = $2`,
			o.name.tenant, o.name.version, master.ID(), wrapped)
		if err != nil {
			return 0, fmt.Errorf("rewrap data key: %w", err)
		}
	}
	return len(old), nil
}

func scanWrapped(r pgx.CollectableRow) (wrappedKey, error) {
	var k wrappedKey
	var tag []byte
	err := r.Scan(&k.name.tenant, &k.name.version, &tag, &k.masterID, &k.wrapped)
	if err == nil {
		k.name.tag = [tagLength]byte(tag)
	}
	return k, err
}

// KeyInUse is how many data keys a master key wraps.
type KeyInUse struct {
	MasterKey string
	DataKeys  int
	// Held: this Box can unwrap them.
	Held bool
}

// InUse lists the master keys that wrap data keys, so that an operator knows which
// are still needed. It needs the system role.
func (b *Box) InUse(ctx context.Context, q pg.Querier) ([]KeyInUse, error) {
	rows, err := q.Query(ctx, `
		select master_key, count(*) from (
			select master_key from data_keys union all select master_key from platform_keys) k
		group by master_key order by master_key`)
	if err != nil {
		return nil, fmt.Errorf("master keys in use: %w", err)
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (KeyInUse, error) {
		var k KeyInUse
		err := r.Scan(&k.MasterKey, &k.DataKeys)
		_, missing := b.masters.find(k.MasterKey)
		k.Held = missing == nil
		return k, err
	})
}

// Reseal seals an opened value anew when it is not under the tenant's newest data
// key; it reports false when it is already.
func (b *Box) Reseal(ctx context.Context, q pg.Querier, at Place, sealed []byte) ([]byte, bool, error) {
	version, err := VersionOf(sealed)
	if err != nil {
		return nil, false, err
	}
	now, err := newest(ctx, q, at.Tenant)
	if err != nil || version == now.version {
		return sealed, false, err
	}
	value, err := b.Open(ctx, q, at, sealed)
	if err != nil {
		return nil, false, err
	}
	again, err := b.Seal(ctx, q, at, value.Reveal())
	return again, err == nil, err
}
