package recon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// neighbours says which bills of the neighbouring days a run looks at; 0 means
// none.
type neighbours struct {
	// previous is the bill version that the day before was last reconciled with.
	previous int
	// carries: the run of the next day takes over what midnight explains. It does
	// not when the next day was reconciled before this day ever was; then next is
	// the bill version it used.
	carries bool
	next    int
}

func findNeighbours(ctx context.Context, tx pgx.Tx, tenant string, r Reconciliation, day Day) (neighbours, error) {
	var n neighbours
	var err error
	if n.previous, err = usedVersion(ctx, tx, tenant, r.ChannelAccountID, day.Previous(), nil); err != nil {
		return n, err
	}
	var first *time.Time
	err = tx.QueryRow(ctx, `
		select min(finished_at) from reconciliations
		where tenant_id = $1 and channel_account_id = $2 and bill_date = $3 and status in ('balanced', 'discrepant')`,
		tenant, r.ChannelAccountID, day.Start()).Scan(&first)
	if err != nil {
		return n, fmt.Errorf("first run of the day: %w", err)
	}
	// A rerun must see what the first run saw: only a next day finished before it.
	n.next, err = usedVersion(ctx, tx, tenant, r.ChannelAccountID, day.Next(), first)
	n.carries = n.next == 0
	return n, err
}

// usedVersion is the bill version of the day's last finished run, among those
// finished before the given time if there is one; 0 without a run.
func usedVersion(ctx context.Context, tx pgx.Tx, tenant, accountID string, day Day, before *time.Time) (int, error) {
	var version int
	err := tx.QueryRow(ctx, `
		select bill_version from reconciliations
		where tenant_id = $1 and channel_account_id = $2 and bill_date = $3 and status in ('balanced', 'discrepant')
		  and ($4::timestamptz is null or finished_at < $4)
		order by run desc limit 1`, tenant, accountID, day.Start(), before).Scan(&version)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("bill of %s: %w", day, err)
	}
	return version, nil
}

// Three sources of records, each with the same columns: payments paid in time,
// receipts of closed payments, and refunds. A closed payment's attempt keeps its
// status; its money is told by the late receipt.
const (
	paidColumns = `'payment' as kind, a.number, a.channel_account_id, p.currency, p.amount,
		coalesce(a.fee, 0) as fee, a.paid_at as at
		from attempts a join payments p on p.tenant_id = a.tenant_id and p.id = a.payment_id`
	lateColumns = `'payment', a.number, a.channel_account_id, l.currency, l.amount, l.fee, l.paid_at
		from late_receipts l join attempts a on a.tenant_id = l.tenant_id and a.id = l.attempt_id`
	refundColumns = `'refund', f.number, a.channel_account_id, f.currency, f.amount, f.fee_returned, f.refunded_at
		from refunds f join attempts a on a.tenant_id = f.tenant_id and a.id = f.attempt_id`
	// neighbourColumns ask whether the stored bills of the days around print a number.
	neighbourColumns = `
		exists (select from bill_lines b where b.tenant_id = $1 and b.channel_account_id = $2
			and b.bill_date = $3::date and b.version = $4 and b.number = o.number),
		exists (select from bill_lines b where b.tenant_id = $1 and b.channel_account_id = $2
			and b.bill_date = $5::date and b.version = $6 and b.number = o.number)`
)

// eachRecord streams our finished records of the day, and those of the last
// minutes of the day before that its bill lacked.
func eachRecord(ctx context.Context, tx pgx.Tx, tenant string, r Reconciliation, day Day, n neighbours, rules Rules,
	use func(Record) error) error {
	rows, err := tx.Query(ctx, `
		select o.*, `+neighbourColumns+` from (
			select `+paidColumns+`
			where a.tenant_id = $1 and a.channel_account_id = $2 and a.status = 'paid' and a.paid_at >= $7 and a.paid_at < $8
			union all select `+lateColumns+`
			where l.tenant_id = $1 and a.channel_account_id = $2 and a.status <> 'paid' and l.paid_at >= $7 and l.paid_at < $8
			union all select `+refundColumns+`
			where f.tenant_id = $1 and a.channel_account_id = $2 and f.status in ('succeeded', 'returned')
			  and f.refunded_at >= $7 and f.refunded_at < $8) o`,
		tenant, r.ChannelAccountID, day.Previous().Start(), n.previous, day.Next().Start(), n.next,
		day.Start().Add(-rules.Midnight), day.End())
	if err != nil {
		return fmt.Errorf("our records: %w", err)
	}
	return eachRow(rows, r, func(record Record) error {
		if record.At.Before(day.Start()) {
			if n.previous == 0 || record.InPreviousBill {
				return nil
			}
			record.Carried = true
		}
		return use(record)
	})
}

// lookUp streams what we know of numbers that the bill prints, whatever their
// day, account and state.
func lookUp(ctx context.Context, tx pgx.Tx, tenant string, r Reconciliation, day Day, n neighbours, numbers []string,
	use func(Record) error) error {
	for start := 0; start < len(numbers); start += insertBatch {
		batch := numbers[start:min(start+insertBatch, len(numbers))]
		rows, err := tx.Query(ctx, `
			select o.*, `+neighbourColumns+` from (
				select `+paidColumns+`
				where a.tenant_id = $1 and a.number = any($7) and not exists (select from late_receipts l
					where l.tenant_id = a.tenant_id and l.attempt_id = a.id)
				union all select `+lateColumns+`
				where l.tenant_id = $1 and a.number = any($7)
				union all select `+refundColumns+`
				where f.tenant_id = $1 and f.number = any($7)) o`,
			tenant, r.ChannelAccountID, day.Previous().Start(), n.previous, day.Next().Start(), n.next, batch)
		if err != nil {
			return fmt.Errorf("look up numbers of the bill: %w", err)
		}
		if err := eachRow(rows, r, use); err != nil {
			return err
		}
	}
	return nil
}

func eachRow(rows pgx.Rows, r Reconciliation, use func(Record) error) error {
	defer rows.Close()
	for rows.Next() {
		var kind channel.BillKind
		var account string
		var amount money.Amount
		var at *time.Time
		record := Record{}
		if err := rows.Scan(&kind, &record.Number, &account, &amount.Currency, &amount.Minor, &record.Fee, &at,
			&record.InPreviousBill, &record.InNextBill); err != nil {
			return fmt.Errorf("our records: %w", err)
		}
		record.Kind, record.Amount = kind, amount
		record.OtherAccount = account != r.ChannelAccountID
		if record.Unfinished = at == nil; !record.Unfinished {
			record.At = *at
		}
		if err := use(record); err != nil {
			return err
		}
	}
	return rows.Err()
}
