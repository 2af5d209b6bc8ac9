package transfer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/internal/pg"
)

// row is a transfer to be written: when it was, or why it was refused.
type row struct {
	New
	batchID   string
	createdAt time.Time
	refused   error
}

func (r row) transfer() Transfer {
	return Transfer{ID: r.ID, Reference: r.Reference, FromMerchantID: r.FromMerchantID, ToMerchantID: r.ToMerchantID,
		FromAccount: r.FromAccount, ToAccount: r.ToAccount, Amount: r.Amount, HoldID: r.HoldID, BatchID: r.batchID, CreatedAt: r.createdAt}
}

// insert writes the row of one transfer.
func insert(ctx context.Context, tx pgx.Tx, tenantID, batchID string, n New) (Transfer, error) {
	one := &row{New: n, batchID: batchID}
	if err := insertAll(ctx, tx, tenantID, []*row{one}); err != nil {
		return Transfer{}, err
	}
	return one.transfer(), one.refused
}

// insertAll writes those of rows whose merchants exist and whose reference is
// free, in one round trip with the look at who they are; the others are refused. It
// comes before the posting, so that of two requests with one reference the second
// waits here, without locks on accounts.
func insertAll(ctx context.Context, tx pgx.Tx, tenantID string, rows []*row) error {
	call := &insertCall{tenantID, rows}
	met, err := pg.Meet(ctx, tx, call, insertTogether)
	if !met {
		err = insertTogether(ctx, tx, []*insertCall{call})[0]
	}
	return err
}

type insertCall struct {
	tenantID string
	rows     []*row
}

// References are claimed in their order, so that two transactions that share some
// never wait for each other in a circle.
const sqlInsert = `
	with given as (
	  select n.*, exists (select from merchants m where m.tenant_id = $1 and m.id = n.from_id) as from_known,
	    exists (select from merchants m where m.tenant_id = $1 and m.id = n.to_id) as to_known
	  from unnest((select $2::text[]), (select $3::text[]), (select $4::text[]), (select $5::text[]), (select $6::text[]),
	    (select $7::int8[]), (select $8::text[]), (select $9::text[]), (select $10::text[]), (select $11::text[]))
	    with ordinality n (id, reference, from_id, to_id, currency, amount, batch_id, from_account, to_account, hold_id, position)
	), written as (
	  insert into transfers (tenant_id, id, reference, from_merchant_id, to_merchant_id, currency, amount, batch_id,
	    from_account, to_account, hold_id)
	  select $1, id, reference, from_id, to_id, currency, amount, nullif(batch_id, ''), from_account, to_account, nullif(hold_id, '')
	  from given where from_known and to_known order by reference
	  on conflict on constraint transfers_reference do nothing
	  returning id, created_at
	)
	select g.from_known, g.to_known, w.created_at from given g left join written w on w.id = g.id order by g.position`

// insertTogether is insertAll for calls of one tenant. In company a refusal is for
// the call to make by itself, because the others' rows may go with it.
func insertTogether(ctx context.Context, tx pgx.Tx, calls []*insertCall) []error {
	var rows []*row
	for _, call := range calls {
		rows = append(rows, call.rows...)
	}
	batch := &pgx.Batch{}
	queueInsert(batch, calls[0].tenantID, rows)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return slices.Repeat([]error{fmt.Errorf("create transfer: %w", err)}, len(calls))
	}
	errs := make([]error, len(calls))
	if len(calls) == 1 {
		return errs
	}
	anyRefused := slices.ContainsFunc(rows, func(r *row) bool { return r.refused != nil })
	for i, call := range calls {
		switch {
		case slices.ContainsFunc(call.rows, func(r *row) bool { return r.refused != nil }):
			errs[i] = pg.Alone()
		case anyRefused:
			errs[i] = pg.Again()
		}
	}
	return errs
}

func queueInsert(batch *pgx.Batch, tenantID string, rows []*row) {
	texts := func(of func(r *row) string) []string {
		all := make([]string, len(rows))
		for i, r := range rows {
			all[i] = of(r)
		}
		return all
	}
	amounts := make([]int64, len(rows))
	for i, r := range rows {
		amounts[i] = r.Amount.Minor
	}
	batch.Queue(sqlInsert, tenantID,
		texts(func(r *row) string { return r.ID }), texts(func(r *row) string { return r.Reference }),
		texts(func(r *row) string { return r.FromMerchantID }), texts(func(r *row) string { return r.ToMerchantID }),
		texts(func(r *row) string { return string(r.Amount.Currency) }), amounts, texts(func(r *row) string { return r.batchID }),
		texts(func(r *row) string { return r.FromAccount }), texts(func(r *row) string { return r.ToAccount }),
		texts(func(r *row) string { return r.HoldID })).
		Query(func(found pgx.Rows) error {
			for i := 0; found.Next(); i++ {
				if err := rows[i].scan(found); err != nil {
					return err
				}
			}
			return found.Err()
		})
}

func (r *row) scan(found pgx.Rows) error {
	var fromKnown, toKnown bool
	var createdAt *time.Time
	if err := found.Scan(&fromKnown, &toKnown, &createdAt); err != nil {
		return err
	}
	switch {
	case !fromKnown:
		r.refused = party.NotFoundIn("from_merchant_id")
	case !toKnown:
		r.refused = party.NotFoundIn("to_merchant_id")
	case createdAt == nil:
		r.refused = referenceUsed()
	default:
		r.createdAt = *createdAt
	}
	return nil
}
