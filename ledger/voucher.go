package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/money"
)

// VoucherLine is one line of a day's vouchers (凭证) for the general ledger: what
// the entries of one kind did to one code (科目) of one book. The lines of a
// voucher balance.
type VoucherLine struct {
	// Voucher numbers the vouchers of the day: one per kind, book and currency.
	Voucher  int64
	Kind     Kind
	Book     Book
	Currency money.Currency
	GLCode   string
	Type     Type
	// Debit and Credit are turnovers in minor units.
	Debit, Credit int64
	// Postings is how many postings the line sums up.
	Postings int64
}

const sqlVouchers = `
select dense_rank() over (order by e.currency, a.book desc, e.kind), e.kind, a.book, e.currency, a.gl_code, a.type,
  coalesce(sum(p.amount) filter (where p.amount > 0), 0)::bigint, coalesce(-sum(p.amount) filter (where p.amount < 0), 0)::bigint, count(*)
from entries e
join postings p on p.tenant_id = e.tenant_id and p.entry_seq = e.seq and p.booked_at = e.booked_at
join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
where e.tenant_id = $1 and e.seq > $2 and e.seq <= $3 and e.booked_at >= $4 and e.booked_at < $5
group by e.currency, a.book, e.kind, a.gl_code, a.type
order by e.currency, a.book desc, e.kind, a.gl_code`

// Vouchers sums up a business date (YYYY-MM-DD) by kind and gl_code, in the
// order of currency, book (trust first), kind and gl_code. An empty list says
// that nothing was booked on that day. It returns an *Error of kind Invalid.
func Vouchers(ctx context.Context, q pg.Querier, tenant, date string) ([]VoucherLine, error) {
	day, err := readPeriod(date, date)
	if err != nil {
		return nil, &Error{Invalid, "date", "a date, YYYY-MM-DD"}
	}
	first, err := spanAround(ctx, q, tenant, day.from)
	if err != nil {
		return nil, err
	}
	last, err := spanAround(ctx, q, tenant, day.until)
	if err != nil {
		return nil, err
	}
	rows, err := q.Query(ctx, sqlVouchers, tenant, first.after, last.upTo, day.from, day.until)
	if err != nil {
		return nil, fmt.Errorf("ledger: vouchers: %w", err)
	}
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (VoucherLine, error) {
		var l VoucherLine
		err := row.Scan(&l.Voucher, &l.Kind, &l.Book, &l.Currency, &l.GLCode, &l.Type, &l.Debit, &l.Credit, &l.Postings)
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: vouchers: %w", err)
	}
	return lines, nil
}
