package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// StatementQuery asks for an account's postings of some days.
type StatementQuery struct {
	AccountID string
	// From and To are business dates, YYYY-MM-DD, both included. Without To it is
	// today, without From the first of the month of To.
	From, To string
	// After is the position of the page before, zero for the first.
	After Position
	// Limit bounds a page; 0 means 50, at most 200.
	Limit int
}

// Position is a place in a statement: the seq and leg of its last line.
type Position struct{ Seq, Leg int64 }

// StatementLine is one posting of the account.
type StatementLine struct {
	Position
	EntryID string
	Reference
	// Amount is + debit, − credit, in minor units.
	Amount int64
	// Balance is the running balance on the account's normal side.
	Balance      int64
	BookedAt     time.Time
	BusinessDate string
	ChannelDate  string
}

// Statement is what an account did in some days. Opening + the changes of all
// lines, on the account's normal side, is Closing.
type Statement struct {
	Account          Account
	From, To         string
	Opening, Closing int64
	// NoData says why there is nothing to show; Opening and Closing mean nothing
	// then. It is "" for an account that stood still.
	NoData string
	Lines  []StatementLine
	// Next is the position of the following page, zero on the last.
	Next Position
}

// period is a stretch of business dates as times.
type period struct{ from, until time.Time }

// readPeriod checks the dates and turns them into times.
func readPeriod(from, to string) (period, error) {
	shanghai := time.FixedZone("Asia/Shanghai", 8*60*60) // no daylight saving since 1991
	var p period
	var err error
	if p.from, err = time.ParseInLocation(time.DateOnly, from, shanghai); err != nil {
		return p, &Error{Invalid, "from", "a date, YYYY-MM-DD"}
	}
	if p.until, err = time.ParseInLocation(time.DateOnly, to, shanghai); err != nil {
		return p, &Error{Invalid, "to", "a date, YYYY-MM-DD"}
	}
	if p.until.Before(p.from) {
		return p, &Error{Invalid, "to", "not before from"}
	}
	p.until = p.until.AddDate(0, 0, 1)
	return p, nil
}

// GetStatement returns one page. What a page costs does not grow with the
// account's history. It returns an *Error of kind NotFound or Invalid.
func GetStatement(ctx context.Context, q pg.Querier, tenant string, query StatementQuery) (Statement, error) {
	limit := pageSize(query.Limit)
	st, p, err := openStatement(ctx, q, tenant, query)
	if err != nil || st.NoData != "" {
		return st, err
	}
	running := st.Opening
	if query.After != (Position{}) {
		if running, err = balanceAfter(ctx, q, tenant, st.Account, p, query.After); err != nil {
			return st, err
		}
	}
	st.Lines, err = readLines(ctx, q, tenant, st.Account, p, query.After, running, limit+1)
	if err == nil && len(st.Lines) > limit {
		st.Lines = st.Lines[:limit]
		st.Next = st.Lines[limit-1].Position
	}
	return st, err
}

// StreamStatement gives begin the statement without lines, and then each line
// to line, in order, all of one snapshot. tx must not have been used yet.
func StreamStatement(ctx context.Context, tx pgx.Tx, tenant string, query StatementQuery,
	begin func(Statement) error, line func(StatementLine) error) error {
	if _, err := tx.Exec(ctx, `set transaction isolation level repeatable read, read only`); err != nil {
		return fmt.Errorf("ledger: statement: %w", err)
	}
	st, p, err := openStatement(ctx, tx, tenant, query)
	if err != nil {
		return err
	}
	if err := begin(st); err != nil || st.NoData != "" {
		return err
	}
	const batch = 2000
	for at, running := (Position{}), st.Opening; ; {
		lines, err := readLines(ctx, tx, tenant, st.Account, p, at, running, batch)
		if err != nil {
			return err
		}
		for _, l := range lines {
			if err := line(l); err != nil {
				return err
			}
		}
		if len(lines) < batch {
			return nil
		}
		at, running = lines[batch-1].Position, lines[batch-1].Balance
	}
}

func openStatement(ctx context.Context, q pg.Querier, tenant string, query StatementQuery) (Statement, period, error) {
	st := Statement{From: query.From, To: query.To}
	if st.To == "" {
		if err := q.QueryRow(ctx, `select suanpan_date(suanpan_now())::text`).Scan(&st.To); err != nil {
			return st, period{}, fmt.Errorf("ledger: statement: %w", err)
		}
	}
	if st.From == "" && len(st.To) == len(time.DateOnly) {
		st.From = st.To[:len("2006-01-")] + "01"
	}
	p, err := readPeriod(st.From, st.To)
	if err != nil {
		return st, p, err
	}
	if st.Account, err = GetAccount(ctx, q, tenant, query.AccountID); err != nil {
		return st, p, err
	}
	if !st.Account.CreatedAt.Before(p.until) {
		st.NoData = "the account was opened at " + st.Account.CreatedAt.UTC().Format(time.RFC3339) + ", after these days"
		return st, p, nil
	}
	if st.Opening, err = postedBefore(ctx, q, tenant, st.Account, p.from); err != nil {
		return st, p, err
	}
	st.Closing, err = postedBefore(ctx, q, tenant, st.Account, p.until)
	return st, p, err
}

// balanceAfter is the running balance at a line of the statement. For an account
// with a floor the line's posting says it. For an internal account it is the
// balance by seq, corrected for the few postings around midnight of which seq
// and time are in different order.
func balanceAfter(ctx context.Context, q pg.Querier, tenant string, a Account, p period, at Position) (int64, error) {
	if a.Floor != nil {
		var balance int64
		err := q.QueryRow(ctx, `
			select coalesce((
			  select balance_after from postings
			  where tenant_id = $1 and account_id = $2 and entry_seq = $3 and leg = $4 limit 1
			), 0)`, tenant, a.ID, at.Seq, at.Leg).Scan(&balance)
		return balance, err
	}
	first, err := spanAround(ctx, q, tenant, p.from)
	if err != nil {
		return 0, err
	}
	last, err := spanAround(ctx, q, tenant, p.until)
	if err != nil {
		return 0, err
	}
	var balance int64
	err = q.QueryRow(ctx, sqlBalanceAfter, tenant, a.ID, at.Seq, at.Leg, p.from, p.until, first.upTo, last.after,
		a.NormalSide.sign()).Scan(&balance)
	if err != nil {
		return 0, fmt.Errorf("ledger: running balance: %w", err)
	}
	return balance, nil
}

// The balance at the last seal before the line, the postings since then up to
// the line, those of before the period that come later, less those of after the
// period that come earlier.
const sqlBalanceAfter = `
with base as (
  select number, to_seq from seals where tenant_id = $1 and to_seq < $3 order by to_seq desc limit 1
), mine as (
  select entry_seq, leg, amount, booked_at from postings where tenant_id = $1 and account_id = $2
)
select coalesce((
    select posted from seal_balances
    where tenant_id = $1 and account_id = $2 and seal <= (select number from base)
    order by seal desc limit 1
  ), 0) + $9::bigint * (
  coalesce((select sum(amount) from mine
    where entry_seq > (select coalesce((select to_seq from base), 0)) and entry_seq <= $3 and (entry_seq, leg) <= ($3, $4)), 0)
  + coalesce((select sum(amount) from mine where entry_seq >= $3 and entry_seq <= $7 and (entry_seq, leg) > ($3, $4) and booked_at < $5), 0)
  - coalesce((select sum(amount) from mine
      where entry_seq > $8 and entry_seq <= $3 and (entry_seq, leg) <= ($3, $4) and booked_at >= $6), 0)
)::bigint`

const sqlLines = `
select p.entry_seq, p.leg::bigint, p.amount, e.id, e.kind, e.number, e.phase, e.booked_at, e.business_date::text,
  coalesce(e.channel_date::text, '')
from (
  select entry_seq, leg, amount, booked_at from postings
  where tenant_id = $1 and account_id = $2 and entry_seq >= $3 and entry_seq <= $8 and (entry_seq, leg) > ($3, $4)
    and booked_at >= $5 and booked_at < $6
  order by entry_seq, leg limit $7
) p
join entries e on e.tenant_id = $1 and e.seq = p.entry_seq and e.booked_at = p.booked_at
order by p.entry_seq, p.leg`

// readLines reads the lines after a position, running on from a balance.
func readLines(
	ctx context.Context, q pg.Querier, tenant string, a Account, p period, at Position, running int64, limit int,
) ([]StatementLine, error) {
	if at == (Position{}) {
		// Nothing of the period lies at or below the base.
		first, err := spanAround(ctx, q, tenant, p.from)
		if err != nil {
			return nil, err
		}
		at = Position{Seq: first.after, Leg: maxLeg}
	}
	last, err := spanAround(ctx, q, tenant, p.until)
	if err != nil {
		return nil, err
	}
	// Planned for each page: a plan for any period expects a short one of a quiet account,
	// and reads and sorts all of a long one of a busy account to show its first lines.
	rows, err := q.Query(ctx, sqlLines, pgx.QueryExecModeCacheDescribe, tenant, a.ID, at.Seq, at.Leg, p.from, p.until, limit, last.upTo)
	if err != nil {
		return nil, fmt.Errorf("ledger: statement: %w", err)
	}
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (StatementLine, error) {
		var l StatementLine
		err := row.Scan(&l.Seq, &l.Leg, &l.Amount, &l.EntryID, &l.Kind, &l.Number, &l.Phase, &l.BookedAt, &l.BusinessDate, &l.ChannelDate)
		running += l.Amount * a.NormalSide.sign()
		l.Balance = running
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: statement: %w", err)
	}
	return lines, nil
}

const maxLeg = 1<<15 - 1
