package recon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// Discrepancy is one difference of one run, as recorded.
type Discrepancy struct {
	ID               string
	ReconciliationID string
	ChannelAccountID string
	// Date is the provider's day, yyyy-mm-dd.
	Date   string
	Kind   Kind
	Status DiscrepancyStatus
	// Number is what the provider knows the payment or refund by.
	Number string
	// Row is the line in the bill's file; nil when the bill has none.
	Row *int
	// OurAmount and OurFee are in fen, nil when we have no record. The fee of a
	// refund is what the provider gives back, negative.
	OurAmount, OurFee *int64
	// TheirAmount is in minor units of TheirCurrency and TheirFee is the printed
	// text in yuan; nil when the bill has no line.
	TheirAmount             *int64
	TheirCurrency, TheirFee *string
	// PaymentID and RefundID are set where the number is known to us.
	PaymentID, RefundID *string
	// Explanation is a sentence for a person.
	Explanation string
	// AdjustmentEntryID names the entry that booked the difference, nil unless adjusted.
	AdjustmentEntryID *string
	CreatedAt         time.Time
}

const discrepancyColumns = `id, reconciliation_id, channel_account_id, to_char(bill_date, 'YYYY-MM-DD'), kind, status,
	number, row, our_amount, our_fee, their_amount, their_currency, their_fee, payment_id, refund_id, explanation,
	adjustment_entry_id, created_at`

// GetDiscrepancy returns one discrepancy, or fault.NotFound.
func GetDiscrepancy(ctx context.Context, q pg.Querier, tenant, discrepancyID string) (Discrepancy, error) {
	rows, err := q.Query(ctx, `select `+discrepancyColumns+` from discrepancies where tenant_id = $1 and id = $2`,
		tenant, discrepancyID)
	if err != nil {
		return Discrepancy{}, fmt.Errorf("discrepancy: %w", err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Discrepancy])
	if errors.Is(err, pgx.ErrNoRows) {
		return Discrepancy{}, fault.NotFound()
	}
	if err != nil {
		return Discrepancy{}, fmt.Errorf("discrepancy: %w", err)
	}
	return d, nil
}

// DiscrepancyFilter narrows ListDiscrepancies; zero fields do not filter.
type DiscrepancyFilter struct {
	ReconciliationID string
	ChannelAccountID string
	Kind             Kind
	Status           DiscrepancyStatus
	PaymentID        string
	// Before is the id of the last discrepancy of the page before.
	Before string
	Limit  int
}

// ListDiscrepancies returns discrepancies, newest first. Every run of a day has
// its own; filter by reconciliation to see one report.
func ListDiscrepancies(ctx context.Context, q pg.Querier, tenant string, f DiscrepancyFilter) ([]Discrepancy, error) {
	rows, err := q.Query(ctx, `select `+discrepancyColumns+` from discrepancies
		where tenant_id = $1 and ($2::text = '' or reconciliation_id = $2) and ($3::text = '' or channel_account_id = $3)
		  and ($4::text = '' or kind = $4) and ($5::text = '' or status = $5) and ($6::text = '' or payment_id = $6)
		  and ($7::text = '' or id < $7)
		order by id desc limit $8`,
		tenant, f.ReconciliationID, f.ChannelAccountID, string(f.Kind), string(f.Status), f.PaymentID, f.Before, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("discrepancies: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Discrepancy])
}

// storeDifferences records what a run found. entries names, by number, the
// entry that holds an adjusted difference.
func storeDifferences(ctx context.Context, tx pgx.Tx, tenant string, r Reconciliation, found []Difference,
	entries map[string]string) error {
	for start := 0; start < len(found); start += insertBatch {
		batch := found[start:min(start+insertBatch, len(found))]
		if err := storeBatch(ctx, tx, tenant, r, batch, entries); err != nil {
			return err
		}
	}
	return nil
}

func storeBatch(ctx context.Context, tx pgx.Tx, tenant string, r Reconciliation, found []Difference,
	entries map[string]string) error {
	n := len(found)
	ids, kinds, statuses := make([]string, n), make([]string, n), make([]string, n)
	numbers, explanations, entryIDs := make([]string, n), make([]string, n), make([]*string, n)
	rowNumbers, ourAmounts, ourFees, theirAmounts := make([]*int, n), make([]*int64, n), make([]*int64, n), make([]*int64, n)
	theirCurrencies, theirFees := make([]*string, n), make([]*string, n)
	for i, d := range found {
		ids[i], kinds[i], statuses[i] = id.New(id.Discrepancy), string(d.Kind), string(d.Status)
		numbers[i], explanations[i] = d.Number, d.Explanation
		if d.Ours != nil {
			ourAmounts[i], ourFees[i] = new(d.Ours.Amount.Minor), new(d.Ours.signedFee())
		}
		if d.Line != nil {
			rowNumbers[i], theirAmounts[i] = new(d.Row), new(d.Line.Amount.Minor)
			theirCurrencies[i], theirFees[i] = new(string(d.Line.Amount.Currency)), new(d.Line.FeeText)
		}
		if d.Status == DiscrepancyAdjusted {
			entryIDs[i] = new(entries[d.Number])
		}
	}
	// Numbers are unique among attempts and among refunds, so each join finds at most one.
	_, err := tx.Exec(ctx, `
		insert into discrepancies (tenant_id, id, reconciliation_id, channel_account_id, bill_date, kind, status, number,
			row, our_amount, our_fee, their_amount, their_currency, their_fee, payment_id, refund_id, explanation,
			adjustment_entry_id)
		select $1, u.id, $2, $3, $4::text::date, u.kind, u.status, u.number, u.row, u.our_amount, u.our_fee,
			u.their_amount, u.their_currency, u.their_fee, coalesce(f.payment_id, a.payment_id), f.id, u.explanation, u.entry
		from unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::int[], $10::bigint[], $11::bigint[],
			$12::bigint[], $13::text[], $14::text[], $15::text[], $16::text[])
			u(id, kind, status, number, row, our_amount, our_fee, their_amount, their_currency, their_fee, explanation, entry)
		left join attempts a on a.tenant_id = $1 and a.number = u.number
		left join refunds f on f.tenant_id = $1 and f.number = u.number`,
		tenant, r.ID, r.ChannelAccountID, r.Date, ids, kinds, statuses, numbers, rowNumbers, ourAmounts, ourFees,
		theirAmounts, theirCurrencies, theirFees, explanations, entryIDs)
	if err != nil {
		return fmt.Errorf("store discrepancies of %s: %w", r.ID, err)
	}
	return nil
}
