package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Preview is what booking would answer and leave behind.
type Preview struct {
	// Posted has an empty EntryID for what would be a new entry.
	Posted []Posted
	// After are the accounts with a floor that would change, as they would be.
	After []AccountAfter
}

// AccountAfter is a balance in minor units, positive on the normal side.
type AccountAfter struct {
	Account AccountKey
	Posted  int64
	Held    int64
}

// Try answers exactly what Post would, in the same state of the books, and books
// nothing: it is Post inside a savepoint that is rolled back. An error is the one
// that Post would return, but the transaction stays usable. The accounts stay
// locked until it ends.
func Try(ctx context.Context, tx pgx.Tx, tenant string, entries ...Entry) (Preview, error) {
	if len(entries) == 0 {
		return Preview{}, nil
	}
	if err := checkAll(entries); err != nil {
		return Preview{}, err
	}
	nested, err := tx.Begin(ctx)
	if err != nil {
		return Preview{}, fmt.Errorf("ledger: try: %w", err)
	}
	booked, err := post(ctx, nested, tenant, entries)
	if back := nested.Rollback(ctx); back != nil {
		return Preview{}, errors.Join(err, fmt.Errorf("ledger: try: %w", back))
	}
	if err != nil {
		return Preview{}, err
	}
	preview := Preview{Posted: booked.answers}
	for i := range preview.Posted {
		if !preview.Posted[i].Replayed {
			preview.Posted[i].EntryID = ""
		}
	}
	for _, a := range booked.accounts.inOrder {
		if a.booked || a.changed {
			preview.After = append(preview.After, AccountAfter{Account: a.key, Posted: a.posted, Held: a.held})
		}
	}
	return preview, nil
}
