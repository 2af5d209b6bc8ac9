package account

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/clock"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// Hold is money set aside: by the tenant, which captures it by transfers or
// releases it, or by the platform for a refund or a withdrawal.
type Hold struct {
	ledger.ListedHold
	// Placed is nil for a hold of the platform's.
	Placed   *Placed
	Releases []Release
}

// Left is what can still be captured or released, in minor units.
func (h Hold) Left() int64 { return h.Amount - h.Captured - h.Released }

// Placed is what a tenant said when it placed a hold.
type Placed struct {
	// Reference is the tenant's own number, unique among its holds for ever.
	Reference   string
	MerchantID  string
	AccountName string
	Reason      string
}

// Release is one release of a hold by the tenant.
type Release struct {
	// Amount is in minor units.
	Amount     int64
	Reason     string
	ReleasedAt time.Time
}

// NewHold is a request for a hold.
type NewHold struct {
	Reference   string
	MerchantID  string
	AccountName string
	Amount      money.Amount
	Reason      string
	// ExpiresIn is 0 for a hold that stays until it is captured or released.
	ExpiresIn time.Duration
}

// holdReference is a tenant's hold in the ledger, apart from the platform's.
func holdReference(reference string) string { return "hold/" + reference }

// PlaceHold sets available money of a merchant aside. The money stays the
// merchant's, but nothing can spend or withdraw it; only a transfer that names the
// hold can take it. Faults: Refused for an unknown
// merchant or account, too little money, a limit or a frozen account; Conflict for
// a reference that another hold has.
func PlaceHold(ctx context.Context, tx pgx.Tx, tenantID string, n NewHold) (Hold, error) {
	key := Key(n.MerchantID, n.AccountName, n.Amount.Currency)
	if err := checkReason(n.Reason); err != nil {
		return Hold{}, err
	}
	if err := party.RequireExisting(ctx, tx, tenantID, "merchant_id", n.MerchantID); err != nil {
		return Hold{}, err
	}
	if err := RequireOpen(ctx, tx, tenantID, "account_name", key); err != nil {
		return Hold{}, err
	}
	request := ledger.HoldRequest{Account: key, Amount: n.Amount.Minor, Reference: holdReference(n.Reference)}
	if n.ExpiresIn > 0 {
		now, err := clock.Now(ctx, tx)
		if err != nil {
			return Hold{}, err
		}
		request.ExpiresAt = now.Add(n.ExpiresIn)
	}
	placed, err := ledger.PlaceHold(ctx, tx, tenantID, request)
	switch {
	case ledger.IsKind(err, ledger.Mismatch), err == nil && placed[0].Replayed:
		return Hold{}, fault.Conflict("reference", "reference_used",
			"A hold with this reference exists; references are unique for ever. To repeat a request, repeat its Idempotency-Key.")
	case err != nil:
		return Hold{}, Refusal(err)
	}
	_, err = tx.Exec(ctx, `
		insert into placed_holds (tenant_id, id, reference, merchant_id, account_name, reason) values ($1, $2, $3, $4, $5, $6)`,
		tenantID, placed[0].ID, n.Reference, n.MerchantID, n.AccountName, n.Reason)
	if err != nil {
		return Hold{}, fmt.Errorf("place hold: %w", err)
	}
	return told(ctx, tx, tenantID, placed[0].ID, event.HoldPlaced)
}

// ReleaseHold frees amount of a hold, or with nil all that is left of it. The event
// is told. Faults: NotFound; Refused for a hold of the platform's, one that
// is not open any more, and more than it has left. The idempotency row of the
// request makes it idempotent.
func ReleaseHold(
	ctx context.Context, tx pgx.Tx, tenantID, holdID string, amount *money.Amount, reason string,
) (Hold, error) {
	if err := checkReason(reason); err != nil {
		return Hold{}, err
	}
	h, err := GetHold(ctx, tx, tenantID, holdID)
	if err != nil {
		return h, err
	}
	if h.Placed == nil {
		return h, fault.Refused("", CodeHoldForeign, "This hold belongs to a refund or a withdrawal, which alone captures or releases it.")
	}
	// Captures and releases of a hold take turns on the lock of its account.
	if err := ledger.Lock(ctx, tx, tenantID, Key(h.Placed.MerchantID, h.Placed.AccountName, h.Currency)); err != nil {
		return h, err
	}
	if h, err = GetHold(ctx, tx, tenantID, holdID); err != nil {
		return h, err
	}
	free := h.Left()
	if amount != nil {
		free = amount.Minor
	}
	switch {
	case h.Status != ledger.HoldOpen:
		return h, fault.Refused("", CodeHoldNotOpen, "The hold is "+string(h.Status)+": nothing is left to release.")
	case amount != nil && amount.Currency != h.Currency:
		return h, fault.Refused("amount.currency", "currency_differs", "The hold is in "+string(h.Currency)+".")
	case free > h.Left():
		return h, fault.Refused("amount", CodeHoldExceeded, fmt.Sprintf("The hold has %d left.", h.Left()))
	}
	if err := ledger.ReduceHold(ctx, tx, tenantID, holdReference(h.Placed.Reference), h.Left()-free); err != nil {
		return h, err
	}
	_, err = tx.Exec(ctx, `insert into hold_releases (tenant_id, hold_id, amount, reason) values ($1, $2, $3, $4)`,
		tenantID, holdID, free, reason)
	if err != nil {
		return h, fmt.Errorf("release hold: %w", err)
	}
	return told(ctx, tx, tenantID, holdID, event.HoldReleased)
}

// told queues what happened to the hold, and returns it as it is then.
func told(ctx context.Context, tx pgx.Tx, tenantID, holdID string, what event.Type) (Hold, error) {
	h, err := GetHold(ctx, tx, tenantID, holdID)
	if err != nil {
		return h, err
	}
	err = event.Tell(ctx, tx, tenantID, event.News{
		Type: what, ObjectID: holdID, Data: map[string]string{"hold_id": holdID, "status": string(h.Status)},
	})
	return h, err
}
