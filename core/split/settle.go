package split

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/money"
)

// Settlement is pending money of one merchant and one payment day that became
// available: one entry in the books.
type Settlement struct {
	ID         string
	MerchantID string
	// PaidOn is the payments' business date, yyyy-mm-dd.
	PaidOn string
	// Amount is what the legs had not given back, always positive.
	Amount money.Amount
}

// DueMerchants returns the merchants that have something to settle of payments
// made on or before date (yyyy-mm-dd), in order of id.
func DueMerchants(ctx context.Context, q pg.Querier, tenant, date string) ([]string, error) {
	if err := checkDate(date); err != nil {
		return nil, err
	}
	rows, err := q.Query(ctx, `
		select distinct l.merchant_id
		from split_legs l
		join splits s on s.tenant_id = l.tenant_id and s.id = l.split_id
		join payments p on p.tenant_id = s.tenant_id and p.id = s.payment_id
		where l.tenant_id = $1 and not l.available and l.amount > l.refunded
		  and s.paid_on <= $2::text::date and p.refunding = 0
		order by l.merchant_id`, tenant, date)
	if err != nil {
		return nil, fmt.Errorf("find merchants to settle: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Settle makes available what is pending of merchantID from payments made on or
// before paidOn (yyyy-mm-dd), and returns one settlement per payment day and
// currency, oldest first, for the books in the same transaction. Payments with
// a refund in flight wait for a later run, so that the hold of the refund stays
// where the money is.
//
// Idempotent: what is available is not settled again, and with nothing to
// settle it returns nothing and writes nothing. It locks the payments and then
// their legs, as refunds do, so concurrent runs and refunds wait for each other.
func Settle(ctx context.Context, tx pgx.Tx, tenant, merchantID, paidOn string) ([]Settlement, error) {
	if err := checkDate(paidOn); err != nil {
		return nil, err
	}
	payments, err := lockDuePayments(ctx, tx, tenant, merchantID, paidOn)
	if err != nil || len(payments) == 0 {
		return nil, err
	}
	due, err := sumDue(ctx, tx, tenant, merchantID, payments)
	if err != nil {
		return nil, err
	}
	for i := range due {
		due[i].ID = id.New(id.Settlement)
		if err := settleDay(ctx, tx, tenant, due[i], payments); err != nil {
			return nil, fmt.Errorf("settle %s of %s: %w", merchantID, due[i].PaidOn, err)
		}
	}
	return due, nil
}

// lockDuePayments waits for whoever changes the payments; PostgreSQL then looks
// at refunding again in the row as it is after the wait.
func lockDuePayments(ctx context.Context, tx pgx.Tx, tenant, merchantID, paidOn string) ([]string, error) {
	rows, err := tx.Query(ctx, `
		select p.id from payments p
		where p.tenant_id = $1 and p.refunding = 0 and p.id in (
			select s.payment_id from split_legs l
			join splits s on s.tenant_id = l.tenant_id and s.id = l.split_id
			where l.tenant_id = $1 and l.merchant_id = $2 and not l.available and l.amount > l.refunded
			  and s.paid_on <= $3::text::date)
		order by p.id for no key update of p`, tenant, merchantID, paidOn)
	if err != nil {
		return nil, fmt.Errorf("lock payments to settle: %w", err)
	}
	payments, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("lock payments to settle: %w", err)
	}
	return payments, nil
}

// dueLegs are the legs that this settlement run takes, of locked payments.
const dueLegs = `
	from split_legs l
	join splits s on s.tenant_id = l.tenant_id and s.id = l.split_id
	where l.tenant_id = $1 and l.merchant_id = $2 and s.payment_id = any ($3::text[])
	  and not l.available and l.amount > l.refunded`

// sumDue reads under the locks, in a statement of its own, and so sees what the
// transactions waited for have left.
func sumDue(ctx context.Context, tx pgx.Tx, tenant, merchantID string, payments []string) ([]Settlement, error) {
	rows, err := tx.Query(ctx, `
		select paid_on::text, currency, sum(due)::bigint
		from (select s.paid_on, s.currency, l.amount - l.refunded as due `+dueLegs+`
		      order by l.split_id, l.position for update of l) locked
		group by paid_on, currency order by paid_on, currency`, tenant, merchantID, payments)
	if err != nil {
		return nil, fmt.Errorf("sum what is to settle: %w", err)
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Settlement, error) {
		s := Settlement{MerchantID: merchantID}
		err := row.Scan(&s.PaidOn, &s.Amount.Currency, &s.Amount.Minor)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("sum what is to settle: %w", err)
	}
	return due, nil
}

func settleDay(ctx context.Context, tx pgx.Tx, tenant string, s Settlement, payments []string) error {
	if err := s.Amount.Check(); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		insert into settlements (tenant_id, id, merchant_id, business_date, currency, amount)
		values ($1, $2, $3, $4::text::date, $5, $6)`,
		tenant, s.ID, s.MerchantID, s.PaidOn, s.Amount.Currency, s.Amount.Minor)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		update split_legs set available = true, settlement_id = $6
		where tenant_id = $1 and (split_id, position) in (
			select l.split_id, l.position `+dueLegs+`
			  and s.paid_on = $4::text::date and s.currency = $5)`,
		tenant, s.MerchantID, payments, s.PaidOn, s.Amount.Currency, s.ID)
	return err
}

func checkDate(date string) error {
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return fault.Invalid("date", "date_malformed", "the date must be yyyy-mm-dd")
	}
	return nil
}
