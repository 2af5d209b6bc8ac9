package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// postCall is a call of Post in a transaction that several calls share.
type postCall struct {
	tenant  string
	entries []Entry
	answers []Posted
}

// postTogether books several calls as Post books one. Where it may, it promises that
// all are booked plainly, with the commit. Otherwise all accounts are locked once
// and in order, the calls are decided one after the other on what was read under
// those locks, and one statement, which travels with the commit, writes all. When
// one call is refused nothing is written: the others come again without it. Calls
// that use an account for the first time go alone, because a refused one would
// leave the account.
func postTogether(ctx context.Context, tx pgx.Tx, calls []*postCall) []error {
	if promiseAll(tx, calls) {
		return make([]error, len(calls))
	}
	if len(calls) == 1 {
		b, err := post(ctx, tx, calls[0].tenant, calls[0].entries)
		if err == nil {
			calls[0].answers = b.answers
		}
		return []error{err}
	}
	tenant := calls[0].tenant
	var entries []Entry
	for _, call := range calls {
		entries = append(entries, call.entries...)
	}
	keys := accountsOf(entries)
	known, err := read(ctx, tx, tenant, keys, holdsOf(entries), entries)
	if err != nil {
		return same(len(calls), err)
	}
	b := newBooking(known)
	errs, refused := b.decideEach(known, calls)
	if refused {
		return errs
	}
	if err := b.writeLater(ctx, tx, tenant); err != nil {
		return same(len(calls), err)
	}
	return errs
}

// decideEach decides the calls in order and reports whether one of them cannot be
// booked. Those that can are then told to come again.
func (b *booking) decideEach(known *knowledge, calls []*postCall) (errs []error, refused bool) {
	errs = make([]error, len(calls))
	for i, call := range calls {
		if len(known.accounts.missing(accountsOf(call.entries))) > 0 {
			errs[i] = pg.Alone()
		} else {
			call.answers, errs[i] = b.decide(known, call.entries)
		}
		refused = refused || errs[i] != nil
	}
	for i := range errs {
		if refused && errs[i] == nil {
			errs[i] = pg.Again()
		}
	}
	return errs, refused
}

func same(n int, err error) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}
