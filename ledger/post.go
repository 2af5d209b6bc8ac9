package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// Posted is the answer for one entry.
type Posted struct {
	// EntryID is the id of the entry in the books: ent_…
	EntryID string
	// Replayed says that the reference was booked before with the same content,
	// and nothing was written now.
	Replayed bool
}

// maxRaces bounds how often Post looks again after another transaction used its
// references between the look and the write. Two looks are enough unless that
// entry vanished, which entries do not.
const maxRaces = 3

// Post books entries in the caller's transaction, all or none, and answers in
// their order. It takes two round trips: one that locks the accounts with a
// floor in id order and reads what must be known, one that writes everything in
// one statement. Internal accounts are not locked.
//
// Post is idempotent by Reference: the same content again is answered with the
// first entry's id. It returns an *Error of kind
//
//	Invalid, Unbalanced, Forbidden   for what Entry.Check refuses
//	Mismatch                         for a reference booked with other content
//	Insufficient                     when a debit leaves available below the floor
//	AccountStatus                    for a frozen or closed account
//	LimitExceeded                    for a limit of an account, as a *LimitError
//	NotFound, HoldClosed, HoldExceeded  for FromHold
//	CustodyMode                      when the tenant's custody mode refuses the flow
//	Reversed                         for a second reversal, or one of a reversal
//
// After any error the caller must roll back: nothing of the call may be kept.
// Deadlocks and serialization failures come back as the driver's errors, which
// pg.DB.InTenant answers by running the transaction again.
func Post(ctx context.Context, tx pgx.Tx, tenant string, entries ...Entry) ([]Posted, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	if err := checkAll(entries); err != nil {
		return nil, err
	}
	call := &postCall{tenant: tenant, entries: entries}
	if met, err := pg.Meet(ctx, tx, call, postTogether); met {
		return call.answers, err
	}
	if promiseAll(tx, []*postCall{call}) {
		return call.answers, nil
	}
	if answers, booked, err := bookPlainly(ctx, tx, tenant, entries); booked || err != nil {
		return answers, err
	}
	b, err := post(ctx, tx, tenant, entries)
	if err != nil {
		return nil, err
	}
	return b.answers, nil
}

// checkAll refuses entries that no books would take.
func checkAll(entries []Entry) error {
	for i, e := range entries {
		if err := e.Check(); err != nil {
			return inEntry(i, err)
		}
		for j := range i {
			if entries[j].Reference == e.Reference {
				return inEntry(i, &Error{Invalid, "number", "the reference " + e.Reference.String() + " occurs twice in one call"})
			}
		}
	}
	return nil
}

// post is Post of checked entries, and what the books came to by it.
func post(ctx context.Context, tx pgx.Tx, tenant string, entries []Entry) (*booking, error) {
	for range maxRaces {
		known, err := look(ctx, tx, tenant, accountsOf(entries), holdsOf(entries), entries)
		if err != nil {
			return nil, err
		}
		booking := newBooking(known)
		if booking.answers, err = booking.decide(known, entries); err != nil {
			return nil, err
		}
		written, err := booking.write(ctx, tx, tenant)
		if err != nil {
			return nil, translate(err)
		}
		if written {
			return booking, nil
		}
	}
	return nil, fmt.Errorf("ledger: the references of these entries, %s first, are neither free nor found", entries[0].Reference)
}

// Lock locks those of accounts that are open and have a floor, in the order in
// which Post does, until tx ends. A caller that posts several times in one
// transaction names all its accounts first, so that two of them never wait for
// each other in a circle; one call of Post needs no Lock.
func Lock(ctx context.Context, tx pgx.Tx, tenant string, accounts ...AccountKey) error {
	if len(accounts) == 0 {
		return nil
	}
	_, err := read(ctx, tx, tenant, accounts, nil, nil)
	return err
}

// inEntry puts the position of an entry before the field of an *Error.
func inEntry(i int, err error) error {
	var refusal *Error
	if !errors.As(err, &refusal) {
		return err
	}
	placed := &Error{refusal.Kind, fmt.Sprintf("entries[%d].%s", i, refusal.Field), refusal.Rule}
	var limit *LimitError
	if errors.As(err, &limit) {
		return &LimitError{placed, limit.Account, limit.Limit, limit.Max, limit.Used, limit.Wanted}
	}
	return placed
}

// booking is what a call of Post will write.
type booking struct {
	answers  []Posted
	entries  []newEntry
	postings []newPosting
	accounts *balances
	holds    map[string]*holdState
}

type newEntry struct {
	Entry
	id   string
	hash []byte
}

type newPosting struct {
	entryID      string
	leg          int16
	accountID    string
	amount       int64
	accountSeq   *int64
	balanceAfter *int64
	holdID       *string
}

func newBooking(known *knowledge) *booking {
	return &booking{accounts: known.accounts, holds: known.holds}
}

// decide applies the entries of a call in order to what is known of the books. It is
// pure but for the new entries' ids.
func (b *booking) decide(known *knowledge, entries []Entry) ([]Posted, error) {
	answers := make([]Posted, len(entries))
	for i, e := range entries {
		hash := e.contentHash()
		if before, ok := known.entries[e.Reference]; ok {
			if string(before.hash) != string(hash) {
				return nil, inEntry(i, &Error{Mismatch, "reference", fmt.Sprintf(
					"%s was booked as %s with other content", e.Reference, before.id)})
			}
			answers[i] = Posted{EntryID: before.id, Replayed: true}
			continue
		}
		if err := known.checkReversal(e); err != nil {
			return nil, inEntry(i, err)
		}
		entry := newEntry{Entry: e, id: id.New(id.Entry), hash: hash}
		if err := b.apply(entry); err != nil {
			return nil, inEntry(i, err)
		}
		b.entries = append(b.entries, entry)
		answers[i] = Posted{EntryID: entry.id}
		known.entries[e.Reference] = entryBefore{entry.id, hash}
		if target, ok := known.reversibles[e.Reverses]; ok && e.Kind == Reversal {
			target.by = entry.id // for a second one in the same call
			known.reversibles[e.Reverses] = target
		}
	}
	return answers, nil
}

// apply moves balances and holds by one entry. Floors are judged when all legs
// are in, so the order of legs does not matter.
func (b *booking) apply(e newEntry) error {
	available := map[*account]int64{}
	for i, p := range e.Postings {
		field := fmt.Sprintf("postings[%d]", i)
		a := b.accounts.of(p.Account)
		posting := newPosting{entryID: e.id, leg: int16(i + 1), accountID: a.id, amount: p.Amount}
		change := p.Amount * a.normalSide.sign()
		if err := a.mayChange(change, p.FromHold != "", field); err != nil {
			return err
		}
		if a.floor != nil {
			if _, seen := available[a]; !seen {
				available[a] = a.available()
			}
			if p.FromHold != "" {
				hold, err := b.capture(a, p, -change, field)
				if err != nil {
					return err
				}
				posting.holdID = &hold.id
			}
			// Held money was counted when it was held, and a correction is not traffic.
			if p.FromHold == "" && e.Kind != Reversal {
				if err := a.count(sideOf(p.Amount), max(p.Amount, -p.Amount), field); err != nil {
					return err
				}
			}
			if err := a.add(change, field); err != nil {
				return err
			}
			posting.accountSeq, posting.balanceAfter = new(a.lastSeq), new(a.posted)
		}
		b.postings = append(b.postings, posting)
	}
	for i, p := range e.Postings {
		a := b.accounts.of(p.Account)
		before, floored := available[a]
		if floored && a.available() < before && a.available() < *a.floor {
			return &Error{Insufficient, fmt.Sprintf("postings[%d].amount", i), fmt.Sprintf(
				"%s has %d available above its floor; this entry needs %d", a.key, before-*a.floor, before-a.available())}
		}
	}
	return nil
}

// capture takes amount out of the hold that p names.
func (b *booking) capture(a *account, p Posting, amount int64, field string) (*holdState, error) {
	hold, ok := b.holds[p.FromHold]
	field += ".from_hold"
	switch {
	case !ok:
		return nil, &Error{NotFound, field, "no hold has the reference " + p.FromHold}
	case hold.accountID != a.id:
		return nil, &Error{HoldExceeded, field, fmt.Sprintf(
			"the hold %s is on another account than %s", p.FromHold, a.key)}
	case hold.status != HoldOpen:
		return nil, &Error{HoldClosed, field, fmt.Sprintf("the hold %s is %s", p.FromHold, hold.status)}
	case hold.overdue:
		return nil, &Error{HoldClosed, field, fmt.Sprintf("the time of the hold %s is over", p.FromHold)}
	case amount > hold.left():
		return nil, &Error{HoldExceeded, field, fmt.Sprintf("the hold %s has %d left, not %d", p.FromHold, hold.left(), amount)}
	}
	hold.captured += amount
	hold.changed = true
	if hold.left() == 0 {
		hold.status = HoldCaptured
	}
	a.held -= amount
	a.changed = true
	return hold, nil
}

func accountsOf(entries []Entry) []AccountKey {
	var keys []AccountKey
	seen := map[AccountKey]bool{}
	for _, e := range entries {
		for _, p := range e.Postings {
			if !seen[p.Account] {
				seen[p.Account] = true
				keys = append(keys, p.Account)
			}
		}
	}
	return keys
}

func holdsOf(entries []Entry) []string {
	var references []string
	for _, e := range entries {
		for _, p := range e.Postings {
			if p.FromHold != "" {
				references = append(references, p.FromHold)
			}
		}
	}
	return references
}
