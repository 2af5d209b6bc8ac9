package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// The plain way: most entries need no decision, because their accounts are open,
// active and without limits and have the money. The database's book_plainly locks,
// judges and writes those in one statement; it touches nothing when it finds
// anything that is not plain, and the long way finds out what that is.

// maxPlain bounds how many entries are booked plainly at once.
const maxPlain = 64

// isPlain reports whether e may turn out to be plain.
func (e Entry) isPlain() bool {
	if e.Kind == Reversal || e.Reverses != "" {
		return false
	}
	for _, p := range e.Postings {
		if p.FromHold != "" {
			return false
		}
	}
	return true
}

// plainly is a call of book_plainly. Its answers come true when that returns true.
type plainly struct {
	entries []newEntry
	answers []Posted
}

func newPlainly(entries []Entry) (*plainly, bool) {
	p := &plainly{entries: make([]newEntry, len(entries)), answers: make([]Posted, len(entries))}
	if len(entries) > maxPlain {
		return nil, false
	}
	for i, e := range entries {
		if !e.isPlain() {
			return nil, false
		}
		p.entries[i] = newEntry{Entry: e, id: id.New(id.Entry), hash: e.contentHash()}
		p.answers[i] = Posted{EntryID: p.entries[i].id}
	}
	return p, true
}

const sqlBookPlainly = `select book_plainly($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)`

// args are the parameters of book_plainly.
func (p *plainly) args(tenant string, insist bool) []any {
	n := len(p.entries)
	ids, kinds, numbers, phases, currencies := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	legs, hashes, channelDates, metadata := make([]int16, n), make([][]byte, n), make([]*string, n), make([]string, n)
	var floored, internal []AccountKey
	places := map[AccountKey]int32{} // from 1 on among the floored, from -1 down among the internal
	var accountOf []int32
	var amounts []int64
	for i, e := range p.entries {
		ids[i], kinds[i], numbers[i], phases[i], currencies[i] = e.id, string(e.Kind), e.Number, e.Phase, string(e.Currency)
		legs[i], hashes[i], channelDates[i], metadata[i] = int16(len(e.Postings)), e.hash, orNull(e.ChannelDate), metadataText(e.Metadata)
		for _, posting := range e.Postings {
			place, seen := places[posting.Account]
			if !seen {
				if info, _ := posting.Account.Type.Info(); info.Floored {
					floored = append(floored, posting.Account)
					place = int32(len(floored))
				} else {
					internal = append(internal, posting.Account)
					place = -int32(len(internal))
				}
				places[posting.Account] = place
			}
			accountOf, amounts = append(accountOf, place), append(amounts, posting.Amount)
		}
	}
	for i, place := range accountOf {
		if place < 0 {
			accountOf[i] = int32(len(floored)) - place
		}
	}
	args := make([]any, 0, 21)
	args = append(args, tenant, insist, ids, kinds, numbers, phases, currencies, legs, hashes, channelDates, metadata)
	for _, keys := range [][]AccountKey{floored, internal} {
		types, owners, currencies, names := columns(keys)
		args = append(args, types, owners, currencies, names)
	}
	return append(args, accountOf, amounts)
}

// promiseAll leaves the booking of all calls for the commit, if tx lets promise, and
// answers them.
func promiseAll(tx pgx.Tx, calls []*postCall) bool {
	entries := calls[0].entries
	for _, call := range calls[1:] {
		entries = append(entries[:len(entries):len(entries)], call.entries...)
	}
	p, plain := newPlainly(entries)
	if !plain {
		return false
	}
	batch := &pgx.Batch{}
	batch.Queue(sqlBookPlainly, p.args(calls[0].tenant, true)...)
	if !pg.Promise(tx, batch) {
		return false
	}
	for _, call := range calls {
		call.answers, p.answers = p.answers[:len(call.entries)], p.answers[len(call.entries):]
	}
	return true
}

// bookPlainly books entries if they are plain, in one round trip, and reports
// whether they were; the accounts with a floor are locked either way.
func bookPlainly(ctx context.Context, tx pgx.Tx, tenant string, entries []Entry) ([]Posted, bool, error) {
	if !pg.OfTenant(tx) {
		return nil, false, nil
	}
	p, plain := newPlainly(entries)
	if !plain {
		return nil, false, nil
	}
	batch := &pgx.Batch{}
	var booked bool
	batch.Queue(sqlBookPlainly, p.args(tenant, false)...).QueryRow(func(row pgx.Row) error { return row.Scan(&booked) })
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, false, fmt.Errorf("ledger: book: %w", translate(err))
	}
	return p.answers, booked, nil
}
