package ledger

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/chain"
	"github.com/suanpan/suanpan/internal/pg"
)

// sealEntries bounds the entries of one seal, and so the digests of its row.
const sealEntries = 10000

// sealTarget is a tenant with entries that are not sealed, and the last of them.
type sealTarget struct {
	tenant string
	to     int64
}

// SealNow seals what every tenant has booked until now and returns how many
// seals it made. It runs beside posting without locking it out, and on several
// instances at once. It waits for the transactions that are booking while it
// looks (AwaitWriters); when ctx ends first, nothing is sealed and the next call
// tries again.
func SealNow(ctx context.Context, db *pg.DB) (int, error) {
	targets, err := sealTargets(ctx, db)
	if err != nil || len(targets) == 0 {
		return 0, err
	}
	if err := AwaitWriters(ctx, db, "entries"); err != nil {
		return 0, fmt.Errorf("ledger: %w", err)
	}
	made := 0
	for _, target := range targets {
		for {
			sealed, err := sealBlock(ctx, db, target)
			if err != nil {
				return made, fmt.Errorf("ledger: seal %s: %w", target.tenant, err)
			}
			if !sealed {
				break
			}
			made++
		}
	}
	return made, nil
}

const sqlSealTargets = `
select t.id, e.seq
from tenants t
cross join lateral (select seq from entries where tenant_id = t.id order by seq desc limit 1) e
left join lateral (select to_seq from seals where tenant_id = t.id order by number desc limit 1) s on true
where e.seq > coalesce(s.to_seq, 0) order by t.id`

func sealTargets(ctx context.Context, db *pg.DB) (targets []sealTarget, err error) {
	err = db.AsSystem(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sqlSealTargets)
		if err != nil {
			return err
		}
		targets, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (sealTarget, error) {
			var t sealTarget
			err := row.Scan(&t.tenant, &t.to)
			return t, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: what to seal: %w", err)
	}
	return targets, nil
}

// sealBlock makes the tenant's next seal, of entries up to the target. It
// returns false when nothing is left, or another instance seals this tenant.
func sealBlock(ctx context.Context, db *pg.DB, target sealTarget) (sealed bool, err error) {
	err = db.AsSystem(ctx, func(tx pgx.Tx) error {
		var mine bool
		err := tx.QueryRow(ctx, `select pg_try_advisory_xact_lock(hashtextextended('suanpan seal ' || $1, 0))`, target.tenant).Scan(&mine)
		if err != nil || !mine {
			return err
		}
		last, err := lastSeal(ctx, tx, target.tenant)
		if err != nil || last.To >= target.to {
			return err
		}
		// How much a block holds differs: no plan fits all.
		if _, err := tx.Exec(ctx, `set local plan_cache_mode = force_custom_plan`); err != nil {
			return err
		}
		b := newSealing(tx, target.tenant)
		if err := b.read(ctx, last, target.to); err != nil || b.entries == 0 {
			return err
		}
		sealed = true
		return b.write(ctx, tx, last)
	})
	return sealed && err == nil, err
}

// lastSeal returns the tenant's last seal, chain.Nothing before the first.
func lastSeal(ctx context.Context, q pg.Querier, tenant string) (chain.Seal, error) {
	rows, err := q.Query(ctx, `select `+chainColumns+` from seals where tenant_id = $1 order by number desc limit 1`, tenant)
	if err != nil {
		return chain.Seal{}, err
	}
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[chain.Seal])
	if errors.Is(err, pgx.ErrNoRows) {
		return chain.Nothing(), nil
	}
	return s, err
}

// sealing is a block under way.
type sealing struct {
	tenant   string
	walker   *walker
	entries  int64
	to       int64
	digests  []byte
	earliest int64
	latest   int64
	changes  map[*walkedAccount]int64
}

func newSealing(q pg.Querier, tenant string) *sealing {
	b := &sealing{tenant: tenant, walker: newWalker(q, tenant), earliest: math.MaxInt64, latest: math.MinInt64,
		changes: map[*walkedAccount]int64{}}
	b.walker.met = b.walker.loadNamed
	b.walker.posting = func(_ *walkedEntry, p *walkedPosting) {
		if p.account != nil && !p.account.floored {
			b.changes[p.account] += p.amount * p.account.side.sign()
		}
	}
	b.walker.entry = func(e *walkedEntry) error {
		b.digests = e.digest.Append(b.digests)
		b.entries++
		b.to = e.seq
		b.earliest, b.latest = min(b.earliest, e.bookedAt), max(b.latest, e.bookedAt)
		return nil
	}
	return b
}

// read takes in at most sealEntries entries after the last seal.
func (b *sealing) read(ctx context.Context, last chain.Seal, to int64) error {
	end, err := blockEnd(ctx, b.walker.q, b.tenant, last.To, to)
	if err != nil {
		return err
	}
	b.walker.open(last.To, end)
	return b.walker.walk(ctx, end)
}

// blockEnd is the seq of the last entry that fits into a block.
func blockEnd(ctx context.Context, q pg.Querier, tenant string, from, to int64) (int64, error) {
	var end int64
	err := q.QueryRow(ctx, `
		select coalesce((
		  select seq from entries where tenant_id = $1 and seq > $2 and seq <= $3 order by seq offset $4 limit 1
		), $3)`, tenant, from, to, sealEntries-1).Scan(&end)
	return end, err
}

const sqlWriteSeal = `
insert into seals (tenant_id, number, from_seq, to_seq, entries, prev_hash, hash, digests, booked_from, booked_to, sealed_at)
select $1, $2::bigint, $3, $4, $5, $6, $7, $8, $9,
  greatest($10::timestamptz, (select booked_to from seals where tenant_id = $1 and number = $2::bigint - 1)),
  greatest(suanpan_now(), (select sealed_at from seals where tenant_id = $1 and number = $2::bigint - 1))`

const sqlWriteSealBalances = `
insert into seal_balances (tenant_id, account_id, seal, posted)
select $1, c.account_id, $2::bigint, c.change + coalesce((
  select posted from seal_balances b
  where b.tenant_id = $1 and b.account_id = c.account_id and b.seal < $2::bigint
  order by b.seal desc limit 1
), 0)
from unnest($3::text[], $4::int8[]) c (account_id, change)`

func (b *sealing) write(ctx context.Context, tx pgx.Tx, last chain.Seal) error {
	number := last.Number + 1
	hash := sealHash(b.tenant, number, last.To, b.to, b.entries, last.Hash, b.digests)
	_, err := tx.Exec(ctx, sqlWriteSeal, b.tenant, number, last.To, b.to, b.entries, last.Hash, hash, b.digests,
		microTime(b.earliest), microTime(b.latest))
	if err != nil {
		return err
	}
	accounts, changes := []string{}, []int64{}
	for account, change := range b.changes {
		accounts, changes = append(accounts, account.id), append(changes, change)
	}
	_, err = tx.Exec(ctx, sqlWriteSealBalances, b.tenant, number, accounts, changes)
	return err
}

const chainColumns = `number, from_seq, to_seq, entries::bigint, prev_hash, hash`

// Chains returns the sealed chains of the books, a tenant's each. It needs the
// system role, and q as long as they are read.
func Chains(ctx context.Context, q pg.Querier) (chain.Chains, error) {
	rows, err := q.Query(ctx, `select id from tenants order by id`)
	if err != nil {
		return chain.Chains{}, fmt.Errorf("ledger: chains: %w", err)
	}
	tenants, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return chain.Chains{}, fmt.Errorf("ledger: chains: %w", err)
	}
	return chain.Chains{Kind: chain.Books, Owners: tenants, Seals: func(tenant string, after int64) ([]chain.Seal, error) {
		return sealsAfter(ctx, q, tenant, after)
	}}, nil
}

// sealsAfter lists the seals after a number, oldest first, at most 1,000.
func sealsAfter(ctx context.Context, q pg.Querier, tenant string, after int64) ([]chain.Seal, error) {
	rows, err := q.Query(ctx, `select `+chainColumns+` from seals where tenant_id = $1 and number > $2 order by number limit 1000`,
		tenant, after)
	if err != nil {
		return nil, fmt.Errorf("ledger: seals: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[chain.Seal])
	if err != nil {
		return nil, fmt.Errorf("ledger: seals: %w", err)
	}
	return list, nil
}
