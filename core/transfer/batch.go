package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/account"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/ledger"
)

// Mode says what a refused item means for the rest of its batch.
type Mode string

const (
	// AllOrNothing: one refused item refuses the batch.
	AllOrNothing Mode = "all_or_nothing"
	// PerItem: each item is booked or refused on its own, in order.
	PerItem Mode = "per_item"
)

// MaxItems bounds a batch.
const MaxItems = 200

// Batch is an accepted batch.
type Batch struct {
	ID        string
	Mode      Mode
	Results   []Result
	CreatedAt time.Time
}

// Result is what became of one item: a transfer, or the refusal's code, field and
// sentence.
type Result struct {
	Reference  string `json:"reference"`
	TransferID string `json:"transfer_id,omitempty"`
	Code       string `json:"code,omitempty"`
	Field      string `json:"field,omitempty"`
	Detail     string `json:"detail,omitempty"`
	Limit      string `json:"limit,omitempty"`
}

// CreateBatch accepts a batch in tx and books what it may, with its events. In
// AllOrNothing the first refusal is returned with the item in its field, such as
// items[3].amount, and the caller rolls back. In PerItem refusals are results, and
// an error is one of the whole batch.
func CreateBatch(ctx context.Context, tx pgx.Tx, tenantID, batchID string, mode Mode, items []New) (Batch, error) {
	b := Batch{ID: batchID, Mode: mode}
	if err := checkItems(mode, items); err != nil {
		return b, err
	}
	var err error
	if mode == AllOrNothing {
		b.Results, err = bookAll(ctx, tx, tenantID, batchID, items)
	} else {
		b.Results, err = bookEach(ctx, tx, tenantID, batchID, items)
	}
	if err != nil {
		return b, err
	}
	results, err := json.Marshal(b.Results)
	if err != nil {
		return b, fmt.Errorf("transfer batch: %w", err)
	}
	err = tx.QueryRow(ctx, `
		insert into transfer_batches (tenant_id, id, mode, results) values ($1, $2, $3, $4) returning created_at`,
		tenantID, batchID, mode, string(results)).Scan(&b.CreatedAt)
	if err != nil {
		return b, fmt.Errorf("transfer batch: %w", err)
	}
	return b, nil
}

// TryBatch answers what CreateBatch would, in the same state of the books, and
// leaves nothing: the results without transfers, or the same refusal.
func TryBatch(ctx context.Context, tx pgx.Tx, tenantID string, mode Mode, items []New) (Batch, error) {
	nested, err := tx.Begin(ctx)
	if err != nil {
		return Batch{}, fmt.Errorf("transfer: savepoint: %w", err)
	}
	tried, err := CreateBatch(ctx, nested, tenantID, "", mode, items)
	return tried, errors.Join(err, nested.Rollback(ctx)) // nothing of it stays
}

func checkItems(mode Mode, items []New) error {
	if mode != AllOrNothing && mode != PerItem {
		return fault.Invalid("mode", "mode_unknown", "mode is all_or_nothing or per_item")
	}
	if len(items) == 0 || len(items) > MaxItems {
		return fault.Invalid("items", "items_out_of_range", fmt.Sprintf("A batch has 1 to %d items.", MaxItems))
	}
	seen := map[string]bool{}
	for i, n := range items {
		if seen[n.Reference] {
			return inItem(i, fault.Invalid("reference", CodeReferenceUsed, "Two items of the batch have this reference."))
		}
		seen[n.Reference] = true
	}
	return nil
}

// bookAll books every item with one call of the ledger, which locks the accounts
// once and in order.
func bookAll(ctx context.Context, tx pgx.Tx, tenantID, batchID string, items []New) ([]Result, error) {
	rows := make([]*row, len(items))
	for i := range items {
		n := &items[i]
		if err := n.check(); err != nil {
			return nil, inItem(i, err)
		}
		if err := n.find(ctx, tx, tenantID); err != nil {
			return nil, inItem(i, err)
		}
		rows[i] = &row{New: *n, batchID: batchID}
	}
	if err := insertAll(ctx, tx, tenantID, rows); err != nil {
		return nil, err
	}
	results := make([]Result, len(items))
	var entries []ledger.Entry
	var news []event.News
	for i, r := range rows {
		if r.refused != nil {
			return nil, inItem(i, r.refused)
		}
		entries = append(entries, r.entries()...)
		news = append(news, r.transfer().news()...)
		results[i] = Result{Reference: r.Reference, TransferID: r.ID}
	}
	if _, err := ledger.Post(ctx, tx, tenantID, entries...); err != nil {
		return nil, inItem(itemOf(err), account.Refusal(err))
	}
	return results, event.Tell(ctx, tx, tenantID, news...)
}

// bookEach books each item in a savepoint of its own. The accounts of all items
// are locked first, in order, because the items' own order crosses that of others.
func bookEach(ctx context.Context, tx pgx.Tx, tenantID, batchID string, items []New) ([]Result, error) {
	var accounts []ledger.AccountKey
	for _, n := range items {
		from, to := n.accounts()
		accounts = append(accounts, from, to)
	}
	if err := ledger.Lock(ctx, tx, tenantID, accounts...); err != nil {
		return nil, err
	}
	var results []Result
	var news []event.News
	for _, n := range items {
		t, err := bookOne(ctx, tx, tenantID, batchID, n)
		if refused, ok := fault.As(err); ok {
			results = append(results, Result{Reference: n.Reference, Code: refused.Code, Field: refused.Field, Detail: refused.Detail,
				Limit: refused.Limit})
			continue
		}
		if err != nil {
			return nil, err
		}
		news = append(news, t.news()...)
		results = append(results, Result{Reference: n.Reference, TransferID: t.ID})
	}
	return results, event.Tell(ctx, tx, tenantID, news...)
}

func bookOne(ctx context.Context, tx pgx.Tx, tenantID, batchID string, n New) (t Transfer, err error) {
	if err := n.check(); err != nil {
		return t, err
	}
	if err := n.find(ctx, tx, tenantID); err != nil {
		return t, err
	}
	nested, err := tx.Begin(ctx)
	if err != nil {
		return t, fmt.Errorf("transfer: savepoint: %w", err)
	}
	if t, err = insert(ctx, nested, tenantID, batchID, n); err == nil {
		_, err = ledger.Post(ctx, nested, tenantID, n.entries()...)
	}
	if err != nil {
		// A deadlock, which makes the whole transaction run again, is looked for in
		// the first error; a lost connection also fails to go back.
		return t, errors.Join(account.Refusal(err), nested.Rollback(ctx))
	}
	return t, nested.Commit(ctx)
}

// inItem puts the item before the field of a fault.
func inItem(i int, err error) error {
	refused, ok := fault.As(err)
	if !ok || i < 0 {
		return err
	}
	placed := *refused
	placed.Field = fmt.Sprintf("items[%d]", i)
	if refused.Field != "" {
		placed.Field += "." + refused.Field
	}
	return &placed
}

// itemOf is the position of the entry that the ledger refused, or -1. Each item
// is one entry.
func itemOf(err error) int {
	var e *ledger.Error
	var i int
	if !errors.As(err, &e) {
		return -1
	}
	if n, scanErr := fmt.Sscanf(e.Field, "entries[%d]", &i); n != 1 || scanErr != nil {
		return -1
	}
	return i
}
