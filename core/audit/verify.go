package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/chain"
	"github.com/suanpan/suanpan/ledger"
)

// Verify recomputes every seal of the log on the snapshot of tx and names each entry
// that was changed, deleted or slipped in since it was sealed. With opts.Pins the
// seals themselves are judged by the anchors. An error means that the check itself
// could not run.
func Verify(ctx context.Context, tx pgx.Tx, opts ledger.VerifyOptions) (ledger.Result, error) {
	v := &verification{tx: tx, pins: opts.Pins, began: time.Now(), most: opts.MaxBreaks, result: ledger.Result{
		ID: "C25", Name: "the audit log is as it was sealed", Breaks: []ledger.Break{},
		Rule: "the entries of every seal of the audit log give its hash, and each seal continues the one before, and anchors agree with both",
	}}
	if v.most <= 0 {
		v.most = 100
	}
	rows, err := tx.Query(ctx, `
		select tenant_id from audit_entries where $1 in ('', tenant_id)
		union select tenant_id from audit_seals where $1 in ('', tenant_id) order by 1`, opts.Tenant)
	if err != nil {
		return v.result, fmt.Errorf("verify the audit log: %w", err)
	}
	owners, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return v.result, fmt.Errorf("verify the audit log: %w", err)
	}
	for _, anchored := range opts.Pins.Owners(chain.AuditLog) {
		if (opts.Tenant == "" || opts.Tenant == anchored) && !slices.Contains(owners, anchored) {
			owners = append(owners, anchored)
		}
	}
	for _, owner := range owners {
		if err := v.chain(ctx, owner); err != nil {
			return v.result, fmt.Errorf("verify the audit log of %s: %w", owner, err)
		}
	}
	v.result.Took = time.Since(v.began)
	return v.result, nil
}

type verification struct {
	tx     pgx.Tx
	pins   *chain.Pins
	began  time.Time
	most   int
	result ledger.Result
}

func (v *verification) fail(owner, subject, detail string, args ...any) {
	v.result.Broken++
	if len(v.result.Breaks) < v.most {
		v.result.Breaks = append(v.result.Breaks, ledger.Break{TenantID: owner, Subject: subject, Detail: fmt.Sprintf(detail, args...)})
	}
}

// keptSeal is a seal as the database has it.
type keptSeal struct {
	chain.Block
	hash, digests []byte
}

// chain walks one log's seals; one at a time is in memory.
func (v *verification) chain(ctx context.Context, owner string) error {
	before := keptSeal{hash: make([]byte, 32)}
	for {
		seal := keptSeal{Block: chain.Block{Format: sealFormat, Owner: owner}}
		err := v.tx.QueryRow(ctx, `
			select number, from_seq, to_seq, entries::int8, prev_hash, hash, digests from audit_seals
			where tenant_id = $1 and number > $2 order by number limit 1`, owner, before.Number).
			Scan(&seal.Number, &seal.From, &seal.To, &seal.Rows, &seal.Prev, &seal.hash, &seal.digests)
		if errors.Is(err, pgx.ErrNoRows) {
			v.missing(owner, before.Number+1, v.pins.Last(chain.AuditLog, owner))
			return nil
		}
		if err != nil {
			return err
		}
		v.missing(owner, before.Number+1, seal.Number-1)
		v.pinned(owner, seal)
		if seal.Number != before.Number+1 || seal.From != before.To || !bytes.Equal(seal.Prev, before.hash) {
			v.fail(owner, sealName(seal.Number), "does not continue the seal before it")
		}
		if err := v.block(ctx, owner, seal); err != nil {
			return err
		}
		before = seal
	}
}

func sealName(number int64) string { return fmt.Sprintf("audit seal %d", number) }

// missing names the seals of these numbers that the anchors have and the database has not.
func (v *verification) missing(owner string, from, to int64) {
	for number := from; number <= to; number++ {
		if anchored, ok := v.pins.Seal(chain.AuditLog, owner, number); ok {
			v.fail(owner, sealName(number), "is missing; an anchor has it with entries up to seq %d", anchored.To)
		}
	}
}

// pinned judges a seal by the anchor that has it.
func (v *verification) pinned(owner string, seal keptSeal) {
	anchored, ok := v.pins.Seal(chain.AuditLog, owner, seal.Number)
	kept := chain.Seal{Number: seal.Number, From: seal.From, To: seal.To, Entries: seal.Rows, Prev: seal.Prev, Hash: seal.hash}
	if ok && !kept.Is(anchored) {
		v.fail(owner, sealName(seal.Number), "is not the one that an anchor has (entries after seq %d up to %d)", anchored.From, anchored.To)
	}
}

// block judges one seal.
func (v *verification) block(ctx context.Context, owner string, seal keptSeal) error {
	found, err := readDigests(ctx, v.tx, owner, seal.From, seal.To, int(seal.Rows)+v.most)
	if err != nil {
		return err
	}
	v.result.Checked += int64(len(found))
	name := sealName(seal.Number)
	if !bytes.Equal(seal.hash, seal.Hash(seal.digests)) {
		v.fail(owner, name, "its digests do not give its hash: the seal itself was changed")
	}
	sealed, err := chain.ReadDigests(seal.digests)
	if err != nil {
		v.fail(owner, name, "%s", err)
		return nil
	}
	return chain.Compare(sealed, found,
		func(missing chain.Digest) error {
			v.fail(owner, fmt.Sprintf("audit entry seq %d", missing.Seq), "was sealed in seal %d and is missing", seal.Number)
			return nil
		},
		func(extra chain.Digest) error {
			return v.name(ctx, owner, extra.Seq, "was not there when seal %d was made", seal.Number)
		},
		func(_, changed chain.Digest) error {
			return v.name(ctx, owner, changed.Seq, "is not as seal %d has it", seal.Number)
		})
}

// name says which entry it is about.
func (v *verification) name(ctx context.Context, owner string, seq int64, detail string, number int64) error {
	var entryID string
	err := v.tx.QueryRow(ctx, `select id from audit_entries where tenant_id = $1 and seq = $2 limit 1`, owner, seq).Scan(&entryID)
	if err != nil {
		return err
	}
	v.fail(owner, entryID, "audit entry seq %d "+detail, seq, number)
	return nil
}
