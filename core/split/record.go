package split

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/money"
)

// Payment is what Record must know of a succeeded payment.
type Payment struct {
	ID         string
	MerchantID string
	Amount     money.Amount
	// PaidOn is the business date (Asia/Shanghai) of the payment, yyyy-mm-dd.
	PaidOn string
}

// BookedLeg is a leg as recorded for a payment.
type BookedLeg struct {
	Leg
	SplitID  string
	Position int
	// Refunded is how much of Amount refunds have taken back or, still in
	// flight, have promised.
	Refunded money.Amount
	// Available: the money is withdrawable (a T0 merchant, the platform, or
	// settled); else it is still pending.
	Available bool
	// SettlementID is the settlement that made it available, if one did.
	SettlementID string
}

// Left returns what the leg has not given back.
func (l BookedLeg) Left() (money.Amount, error) { return l.Amount.Sub(l.Refunded) }

// Preview computes how amount would be divided if it were paid to merchant
// now; nothing is written. A merchant that does not exist is a Refused fault on
// merchant_id.
func Preview(ctx context.Context, q pg.Querier, tenant, merchant string, amount money.Amount) ([]Leg, error) {
	legs, _, err := compute(ctx, q, tenant, merchant, amount)
	return legs, err
}

func compute(ctx context.Context, q pg.Querier, tenant, merchant string, amount money.Amount) ([]Leg, surroundings, error) {
	around, err := rulesFrom(ctx, q, tenant, []string{merchant})
	if err != nil {
		return nil, around, err
	}
	if _, ok := around.settlements[merchant]; !ok {
		return nil, around, party.NotFoundIn("merchant_id")
	}
	legs, err := Compute(amount, merchant, around.rules)
	return legs, around, err
}

// Record divides a succeeded payment by the rules in force and stores the legs,
// which it returns for the books. It belongs into the transaction that marks
// the payment succeeded.
//
// Idempotent by payment: a payment that was recorded before keeps its legs,
// whatever the rules say now, and they are returned; with another amount it is
// a Conflict.
func Record(ctx context.Context, tx pgx.Tx, tenant string, p Payment) ([]BookedLeg, error) {
	if _, err := time.Parse(time.DateOnly, p.PaidOn); err != nil {
		return nil, fault.Invalid("paid_on", "date_malformed", "paid_on must be a date, yyyy-mm-dd")
	}
	legs, around, err := compute(ctx, tx, tenant, p.MerchantID, p.Amount)
	if err != nil {
		return nil, err
	}
	splitID := id.New(id.Split)
	booked := make([]BookedLeg, len(legs))
	for i, leg := range legs {
		booked[i] = BookedLeg{
			Leg: leg, SplitID: splitID, Position: i, Refunded: money.Of(0, leg.Amount.Currency),
			// Nothing of nothing is pending, so an empty leg never waits for settlement.
			Available: leg.Receiver == ToPlatform || around.settlements[leg.MerchantID] == party.T0 || leg.Amount.IsZero(),
		}
	}
	inserted, err := insertSplit(ctx, tx, tenant, splitID, p, booked)
	if err != nil {
		return nil, err
	}
	if !inserted {
		return recordedBefore(ctx, tx, tenant, p)
	}
	return booked, nil
}

// insertSplit reports false, and stores nothing, when the payment has a split.
func insertSplit(ctx context.Context, tx pgx.Tx, tenant, splitID string, p Payment, legs []BookedLeg) (bool, error) {
	var positions, levels []int
	var receivers, merchants, rules []string
	var amounts []int64
	var available []bool
	for _, l := range legs {
		positions = append(positions, l.Position)
		levels = append(levels, l.Level)
		receivers = append(receivers, string(l.Receiver))
		merchants = append(merchants, l.MerchantID)
		rules = append(rules, l.RuleID)
		amounts = append(amounts, l.Amount.Minor)
		available = append(available, l.Available)
	}
	tag, err := tx.Exec(ctx, `
		with s as (
			insert into splits (tenant_id, id, payment_id, currency, amount, paid_on)
			values ($1, $2, $3, $4, $5, $6::text::date)
			on conflict (tenant_id, payment_id) do nothing
			returning tenant_id, id
		)
		insert into split_legs (tenant_id, split_id, position, level, receiver, merchant_id, rule_id, amount, available)
		select s.tenant_id, s.id, l.position, l.level, l.receiver, nullif(l.merchant_id, ''), nullif(l.rule_id, ''), l.amount, l.available
		from s cross join unnest($7::int[], $8::int[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::boolean[])
			l (position, level, receiver, merchant_id, rule_id, amount, available)`,
		tenant, splitID, p.ID, p.Amount.Currency, p.Amount.Minor, p.PaidOn,
		positions, levels, receivers, merchants, rules, amounts, available)
	if err != nil {
		return false, fmt.Errorf("record split of %s: %w", p.ID, err)
	}
	return tag.RowsAffected() > 0, nil
}

func recordedBefore(ctx context.Context, q pg.Querier, tenant string, p Payment) ([]BookedLeg, error) {
	legs, err := Legs(ctx, q, tenant, p.ID)
	if err != nil {
		return nil, err
	}
	sum := money.Of(0, p.Amount.Currency)
	for _, leg := range legs {
		if sum, err = sum.Add(leg.Amount); err != nil {
			break
		}
	}
	if err != nil || sum != p.Amount {
		return nil, fault.Conflict("amount", "split_recorded_differently", "this payment's split is recorded with another amount")
	}
	return legs, nil
}

// Legs returns the recorded legs of a payment in order; none when it has not
// been split, that is, not been paid.
func Legs(ctx context.Context, q pg.Querier, tenant, paymentID string) ([]BookedLeg, error) {
	rows, err := q.Query(ctx, `
		select l.level, l.receiver, coalesce(l.merchant_id, ''), coalesce(l.rule_id, ''), l.amount, s.currency,
		       l.split_id, l.position, l.refunded, l.available, coalesce(l.settlement_id, '')
		from splits s join split_legs l on l.tenant_id = s.tenant_id and l.split_id = s.id
		where s.tenant_id = $1 and s.payment_id = $2 order by l.position`, tenant, paymentID)
	if err != nil {
		return nil, fmt.Errorf("read split legs: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (BookedLeg, error) {
		var l BookedLeg
		err := row.Scan(&l.Level, &l.Receiver, &l.MerchantID, &l.RuleID, &l.Amount.Minor, &l.Amount.Currency,
			&l.SplitID, &l.Position, &l.Refunded.Minor, &l.Available, &l.SettlementID)
		l.Refunded.Currency = l.Amount.Currency
		return l, err
	})
}

// AddRefunded adds parts to what the legs of a split have given back. It belongs
// into the transaction that accepts the refund, so that refunds in flight count
// for the next one. The caller holds the payment's row lock and guards against
// doing it twice. A leg that would give
// back more than its amount is an error, and nothing may be committed then.
func AddRefunded(ctx context.Context, tx pgx.Tx, tenant, splitID string, parts []Part) error {
	return changeRefunded(ctx, tx, tenant, splitID, parts, 1)
}

// TakeBackRefunded undoes AddRefunded for a refund that failed. The same
// cautions hold.
func TakeBackRefunded(ctx context.Context, tx pgx.Tx, tenant, splitID string, parts []Part) error {
	return changeRefunded(ctx, tx, tenant, splitID, parts, -1)
}

func changeRefunded(ctx context.Context, tx pgx.Tx, tenant, splitID string, parts []Part, sign int64) error {
	var positions []int
	var amounts []int64
	for _, p := range parts {
		if p.Amount.IsNegative() {
			return fmt.Errorf("refund parts of %s: the part of leg %d is negative", splitID, p.Position)
		}
		if !p.Amount.IsZero() {
			positions = append(positions, p.Position)
			amounts = append(amounts, sign*p.Amount.Minor)
		}
	}
	tag, err := tx.Exec(ctx, `
		update split_legs l set refunded = l.refunded + part.amount
		from unnest($3::int[], $4::bigint[]) part (position, amount)
		where l.tenant_id = $1 and l.split_id = $2 and l.position = part.position
		  and l.refunded + part.amount between 0 and l.amount`,
		tenant, splitID, positions, amounts)
	if err != nil {
		return fmt.Errorf("refund parts of %s: %w", splitID, err)
	}
	if tag.RowsAffected() != int64(len(positions)) {
		return fmt.Errorf("refund parts of %s: a leg is missing or has not that much left", splitID)
	}
	return nil
}
