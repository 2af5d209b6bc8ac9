package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/chain"
	"github.com/suanpan/suanpan/internal/pg"
)

// Moment asks for a point in the past: a seal by its number, or a time, which
// means the last seal at or before it.
type Moment struct {
	Seal int64
	At   time.Time
}

// Seal is one block of a tenant's chain.
type Seal struct {
	chain.Seal
	// SealedAt is business time, never before that of the seal before.
	SealedAt time.Time
}

const sealColumns = chainColumns + `, sealed_at`

// SealAt finds the seal of a moment. It returns an *Error of kind NoData when
// the moment lies before the first seal or names one that is not made yet.
func SealAt(ctx context.Context, q pg.Querier, tenant string, m Moment) (Seal, error) {
	var rows pgx.Rows
	var err error
	if m.Seal > 0 {
		rows, err = q.Query(ctx, `select `+sealColumns+` from seals where tenant_id = $1 and number = $2`, tenant, m.Seal)
	} else {
		rows, err = q.Query(ctx, `
			select `+sealColumns+` from seals where tenant_id = $1 and sealed_at <= $2
			order by sealed_at desc, number desc limit 1`, tenant, m.At)
	}
	if err != nil {
		return Seal{}, fmt.Errorf("ledger: seal: %w", err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Seal])
	switch {
	case errors.Is(err, pgx.ErrNoRows) && m.Seal > 0:
		return s, &Error{NoData, "seal", fmt.Sprintf("there is no seal %d yet", m.Seal)}
	case errors.Is(err, pgx.ErrNoRows):
		return s, &Error{NoData, "at", "no data: nothing was sealed at or before " + m.At.UTC().Format(time.RFC3339)}
	case err != nil:
		return s, fmt.Errorf("ledger: seal: %w", err)
	}
	return s, nil
}

// The balance of an account after a seal: with a floor its last posting says it,
// otherwise the seal does.
const sqlPostedAt = `
select case when a.floor is not null then coalesce((
    select p.balance_after from postings p
    where p.tenant_id = a.tenant_id and p.account_id = a.id and p.entry_seq <= $4 order by p.entry_seq desc, p.leg desc limit 1
  ), 0)
  else coalesce((
    select b.posted from seal_balances b
    where b.tenant_id = a.tenant_id and b.account_id = a.id and b.seal <= $3 order by b.seal desc limit 1
  ), 0) end, a.created_at
from ledger_accounts a where a.tenant_id = $1 and a.id = $2`

// NoData: nothing is known of that time, which is not the same as zero.
const NoData ErrorKind = "no_data"

// dateTolerance is how much later than an entry with a higher seq an entry may
// be dated: more than a statement may take.
const dateTolerance = 5 * time.Minute

// PostedAt returns what an account's posted balance was when a seal was made, in
// minor units on its normal side. It reads one row however long the history. It
// returns an *Error of kind NotFound for an unknown account, and NoData for one
// that was opened after the seal.
func PostedAt(ctx context.Context, q pg.Querier, tenant, accountID string, s Seal) (int64, error) {
	var posted int64
	var opened time.Time
	err := q.QueryRow(ctx, sqlPostedAt, tenant, accountID, s.Number, s.To).Scan(&posted, &opened)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, &Error{NotFound, "account_id", "no such account"}
	case err != nil:
		return 0, fmt.Errorf("ledger: posted at a seal: %w", err)
	case posted == 0 && opened.After(s.SealedAt):
		return 0, &Error{NoData, "at", "no data: the account was opened at " + opened.UTC().Format(time.RFC3339) +
			", after that seal"}
	}
	return posted, nil
}

// span is a stretch of seq that holds every entry booked in a stretch of time,
// and perhaps some more: who reads it also compares booked_at.
type span struct {
	// base is the last seal of which all entries were booked before the time.
	base Seal
	// after and upTo bound what was booked around it: after < seq <= upTo.
	after, upTo int64
}

// Everything up to the base was booked before the time, because booked_to never
// falls. An entry takes its seq in the statement that dates it, so among entries
// more than dateTolerance apart the order of seq is the order of time: a seal of
// which all entries are that much later lies wholly above.
const sqlSpan = `
select
  (select number from seals where tenant_id = $1 and booked_to < $2 order by booked_to desc, number desc limit 1),
  (select from_seq from seals where tenant_id = $1 and booked_from >= $2::timestamptz + $3::interval order by booked_from limit 1)`

// spanAround finds where in the books a time lies.
func spanAround(ctx context.Context, q pg.Querier, tenant string, at time.Time) (span, error) {
	var base, upTo *int64
	if err := q.QueryRow(ctx, sqlSpan, tenant, at, dateTolerance).Scan(&base, &upTo); err != nil {
		return span{}, fmt.Errorf("ledger: find a day: %w", err)
	}
	s := span{upTo: maxSeq}
	if upTo != nil {
		s.upTo = *upTo
	}
	if base == nil {
		return s, nil
	}
	seal, err := SealAt(ctx, q, tenant, Moment{Seal: *base})
	if err != nil {
		return span{}, err
	}
	s.base, s.after = seal, seal.To
	return s, nil
}

const maxSeq = int64(1)<<62 - 1

const sqlChangeBefore = `
select coalesce(sum(amount), 0)::bigint from postings
where tenant_id = $1 and account_id = $2 and entry_seq > $3 and entry_seq <= $4 and booked_at < $5`

// postedBefore returns an account's balance from what was booked before a time.
// It reads what was booked within some minutes around it, not the history.
func postedBefore(ctx context.Context, q pg.Querier, tenant string, a Account, at time.Time) (int64, error) {
	s, err := spanAround(ctx, q, tenant, at)
	if err != nil {
		return 0, err
	}
	posted := int64(0)
	if s.base.Number > 0 {
		if posted, err = PostedAt(ctx, q, tenant, a.ID, s.base); err != nil && !IsKind(err, NoData) {
			return 0, err
		}
	}
	var change int64
	if err := q.QueryRow(ctx, sqlChangeBefore, tenant, a.ID, s.after, s.upTo, at).Scan(&change); err != nil {
		return 0, fmt.Errorf("ledger: balance before %s: %w", at, err)
	}
	return posted + change*a.NormalSide.sign(), nil
}
