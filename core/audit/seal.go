package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/chain"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
)

// sealFormat names the canonical bytes: docs/audit.md. It never means others.
const sealFormat = "suanpan audit seal 1"

const (
	sqlOwners      = `select id from tenants union all select '` + Platform + `' as id`
	sqlSealTargets = `
		select o.id, e.seq from (` + sqlOwners + `) o
		cross join lateral (select seq from audit_entries where tenant_id = o.id order by seq desc limit 1) e
		left join lateral (select to_seq from audit_seals where tenant_id = o.id order by number desc limit 1) s on true
		where e.seq > coalesce(s.to_seq, 0)`
)

// sealEntries bounds the entries of one seal, and so the digests of its row.
const sealEntries = 10000

// SealNow seals what every tenant's log, and the platform's, holds until now and
// returns how many seals it made: as ledger.SealNow does for the books, in the
// background, on several instances at once. When ctx ends while transactions that
// write the log are waited for, nothing is sealed and the next call tries again.
func SealNow(ctx context.Context, db *pg.DB) (made int, err error) {
	targets := map[string]int64{}
	err = db.AsSystem(ctx, func(tx pgx.Tx) error {
		clear(targets)
		rows, err := tx.Query(ctx, sqlSealTargets)
		if err != nil {
			return err
		}
		var owner string
		var to int64
		_, err = pgx.ForEachRow(rows, []any{&owner, &to}, func() error {
			targets[owner] = to
			return nil
		})
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("audit log: what to seal: %w", err)
	}
	if len(targets) == 0 {
		return 0, nil
	}
	if err := ledger.AwaitWriters(ctx, db, "audit_entries"); err != nil {
		return 0, fmt.Errorf("audit log: %w", err)
	}
	for owner, to := range targets {
		for sealed := true; sealed; {
			if sealed, err = sealBlock(ctx, db, owner, to); err != nil {
				return made, fmt.Errorf("audit log: seal %s: %w", owner, err)
			}
			if sealed {
				made++
			}
		}
	}
	return made, nil
}

// sealBlock makes the owner's next seal, of entries up to seq to. It returns false
// when nothing is left, or another instance seals this log.
func sealBlock(ctx context.Context, db *pg.DB, owner string, to int64) (sealed bool, err error) {
	err = db.AsSystem(ctx, func(tx pgx.Tx) error {
		sealed = false
		var mine bool
		err := tx.QueryRow(ctx, `select pg_try_advisory_xact_lock(hashtextextended('suanpan audit seal ' || $1, 0))`, owner).Scan(&mine)
		if err != nil || !mine {
			return err
		}
		last, err := lastSeal(ctx, tx, owner)
		if err != nil {
			return err
		}
		block := chain.Block{Format: sealFormat, Owner: owner, Number: last.Number + 1, From: last.To, Prev: last.Hash}
		digests, err := readDigests(ctx, tx, owner, block.From, to, sealEntries)
		if err != nil || len(digests) == 0 {
			return err
		}
		block.To, block.Rows = digests[len(digests)-1].Seq, int64(len(digests))
		bytes := joined(digests)
		_, err = tx.Exec(ctx, `
			insert into audit_seals (tenant_id, number, from_seq, to_seq, entries, prev_hash, hash, digests)
			values ($1, $2, $3, $4, $5, $6, $7, $8)`,
			owner, block.Number, block.From, block.To, block.Rows, block.Prev, block.Hash(bytes), bytes)
		sealed = err == nil
		return err
	})
	return sealed && err == nil, err
}

// lastSeal returns the owner's last seal, chain.Nothing before the first.
func lastSeal(ctx context.Context, q pg.Querier, owner string) (chain.Seal, error) {
	s := chain.Nothing()
	err := q.QueryRow(ctx, `select number, to_seq, hash from audit_seals where tenant_id = $1 order by number desc limit 1`, owner).
		Scan(&s.Number, &s.To, &s.Hash)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return s, err
}

// Chains returns the sealed chains of the log: a tenant's each, and the platform's. It
// needs the system role, and q as long as they are read.
func Chains(ctx context.Context, q pg.Querier) (chain.Chains, error) {
	rows, err := q.Query(ctx, sqlOwners+` order by id`)
	if err != nil {
		return chain.Chains{}, fmt.Errorf("audit log: chains: %w", err)
	}
	owners, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return chain.Chains{}, fmt.Errorf("audit log: chains: %w", err)
	}
	return chain.Chains{Kind: chain.AuditLog, Owners: owners, Seals: func(owner string, after int64) ([]chain.Seal, error) {
		return sealsAfter(ctx, q, owner, after)
	}}, nil
}

// sealsAfter lists the seals after a number, oldest first, at most 1,000.
func sealsAfter(ctx context.Context, q pg.Querier, owner string, after int64) ([]chain.Seal, error) {
	rows, err := q.Query(ctx, `
		select number, from_seq, to_seq, entries::int8, prev_hash, hash from audit_seals
		where tenant_id = $1 and number > $2 order by number limit 1000`, owner, after)
	if err != nil {
		return nil, fmt.Errorf("audit log: seals: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[chain.Seal])
	if err != nil {
		return nil, fmt.Errorf("audit log: seals: %w", err)
	}
	return list, nil
}

func joined(digests []chain.Digest) (b []byte) {
	for _, d := range digests {
		b = d.Append(b)
	}
	return b
}

// Every column, as PostgreSQL writes it: jsonb sorts its keys and has one spelling.
const sqlSealed = `
	select seq, array[tenant_id, id, (extract(epoch from recorded_at) * 1000000)::int8::text, actor_kind, key_id, principal_id, actor,
	  operation, request_id, action, object_type, object_id, before::text, after::text]
	from audit_entries where tenant_id = $1 and seq > $2 and seq <= $3 order by seq, id limit $4`

// readDigests computes the digests of the owner's entries with from < seq <= to, at
// most so many.
func readDigests(ctx context.Context, q pg.Querier, owner string, from, to int64, limit int) ([]chain.Digest, error) {
	rows, err := q.Query(ctx, sqlSealed, owner, from, to, limit)
	if err != nil {
		return nil, err
	}
	var digests []chain.Digest
	var seq int64
	var texts []*string
	_, err = pgx.ForEachRow(rows, []any{&seq, &texts}, func() error {
		b := chain.PutInt(nil, seq)
		for _, text := range texts {
			if text == nil {
				b = chain.PutNull(b)
			} else {
				b = chain.PutText(b, []byte(*text))
			}
		}
		digests = append(digests, chain.Digest{Seq: seq, Hash: sha256.Sum256(b)})
		return nil
	})
	return digests, err
}
