package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
)

// Capture is what a transfer must know of the hold that it names.
type Capture struct {
	// Reference is what the ledger knows the hold by.
	Reference string
	Account   ledger.AccountKey
}

// ToCapture returns a hold of the tenant's own. Faults, in the field hold_id:
// Refused for one that does not exist or is the platform's.
func ToCapture(ctx context.Context, q pg.Querier, tenantID, holdID string) (Capture, error) {
	h, err := GetHold(ctx, q, tenantID, holdID)
	switch {
	case errors.Is(err, &fault.Error{Kind: fault.KindNotFound}):
		return Capture{}, fault.Refused("hold_id", CodeHoldUnknown, "There is no such hold under this API key.")
	case err != nil:
		return Capture{}, err
	case h.Placed == nil:
		return Capture{}, fault.Refused("hold_id", CodeHoldForeign,
			"This hold belongs to a refund or a withdrawal, which alone captures or releases it.")
	}
	return Capture{holdReference(h.Placed.Reference), Key(h.Placed.MerchantID, h.Placed.AccountName, h.Currency)}, nil
}

// GetHold returns a hold, or fault.NotFound.
func GetHold(ctx context.Context, q pg.Querier, tenantID, holdID string) (Hold, error) {
	page, _, err := ListHolds(ctx, q, tenantID, ledger.HoldFilter{ID: holdID})
	switch {
	case err != nil:
		return Hold{}, err
	case len(page) == 0:
		return Hold{}, fault.NotFound()
	}
	return page[0], nil
}

// ListHolds is ledger.Holds with what the tenant said of its own; the filter's
// Reference finds those by the tenant's number as well.
func ListHolds(ctx context.Context, q pg.Querier, tenantID string, f ledger.HoldFilter) (page []Hold, next string, err error) {
	if f.Reference != "" {
		f.References, f.Reference = []string{f.Reference, holdReference(f.Reference)}, ""
	}
	list, next, err := ledger.Holds(ctx, q, tenantID, f)
	if err != nil {
		return nil, "", err
	}
	ids, byID := make([]string, len(list)), map[string]*Hold{}
	page = make([]Hold, len(list))
	for i, l := range list {
		page[i] = Hold{ListedHold: l}
		ids[i], byID[l.ID] = l.ID, &page[i]
	}
	return page, next, errors.Join(readPlaced(ctx, q, tenantID, ids, byID), readReleases(ctx, q, tenantID, ids, byID))
}

func readPlaced(ctx context.Context, q pg.Querier, tenantID string, ids []string, byID map[string]*Hold) error {
	rows, err := q.Query(ctx, `
		select id, reference, merchant_id, account_name, reason from placed_holds where tenant_id = $1 and id = any($2)`, tenantID, ids)
	if err != nil {
		return fmt.Errorf("holds: %w", err)
	}
	var id string
	var p Placed
	_, err = pgx.ForEachRow(rows, []any{&id, &p.Reference, &p.MerchantID, &p.AccountName, &p.Reason}, func() error {
		placed := p
		byID[id].Placed = &placed
		return nil
	})
	return err
}

func readReleases(ctx context.Context, q pg.Querier, tenantID string, ids []string, byID map[string]*Hold) error {
	rows, err := q.Query(ctx, `
		select hold_id, amount, reason, released_at from hold_releases where tenant_id = $1 and hold_id = any($2) order by id`, tenantID, ids)
	if err != nil {
		return fmt.Errorf("hold releases: %w", err)
	}
	var id string
	var r Release
	_, err = pgx.ForEachRow(rows, []any{&id, &r.Amount, &r.Reason, &r.ReleasedAt}, func() error {
		byID[id].Releases = append(byID[id].Releases, r)
		return nil
	})
	return err
}
