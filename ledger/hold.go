package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/money"
)

// HoldStatus says who acts next on a hold.
type HoldStatus string

const (
	// HoldOpen: its holder captures or releases it.
	HoldOpen HoldStatus = "open"
	// HoldCaptured: nobody; all of it was captured.
	HoldCaptured HoldStatus = "captured"
	// HoldReleased: nobody; what had not been captured is free again.
	HoldReleased HoldStatus = "released"
)

// HoldRequest asks to set money of an account aside.
type HoldRequest struct {
	Account AccountKey
	// Amount is in minor units, above zero.
	Amount int64
	// Reference is the holder's own name for the hold, unique per tenant for ever.
	Reference string
}

// Hold is money set aside. Captured + Released ≤ Amount; the rest is still held.
type Hold struct {
	ID        string
	Reference string
	AccountID string
	Amount    int64
	Captured  int64
	Released  int64
	Status    HoldStatus
	// Replayed says that PlaceHold found it already placed.
	Replayed bool
}

type holdState struct {
	id        string
	reference string
	accountID string
	amount    int64
	captured  int64
	released  int64
	status    HoldStatus
	changed   bool
}

func (h *holdState) hold(replayed bool) Hold {
	return Hold{ID: h.id, Reference: h.reference, AccountID: h.accountID, Amount: h.amount,
		Captured: h.captured, Released: h.released, Status: h.status, Replayed: replayed}
}

// PlaceHold sets money aside in the caller's transaction, all holds or none. It
// is idempotent by Reference: the same account and amount again are answered
// with the hold as it is now, whatever became of it. It returns an *Error of
// kind Invalid, Insufficient, AccountStatus or Mismatch; after any error the
// caller must roll back.
func PlaceHold(ctx context.Context, tx pgx.Tx, tenant string, requests ...HoldRequest) ([]Hold, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	keys, references := make([]AccountKey, len(requests)), make([]string, len(requests))
	for i, r := range requests {
		if err := r.check(fmt.Sprintf("holds[%d]", i)); err != nil {
			return nil, err
		}
		for j := range i {
			if references[j] == r.Reference {
				return nil, &Error{Invalid, fmt.Sprintf("holds[%d].reference", i), r.Reference + " occurs twice in one call"}
			}
		}
		keys[i], references[i] = r.Account, r.Reference
	}
	for range maxRaces {
		known, err := look(ctx, tx, tenant, keys, references, nil)
		if err != nil {
			return nil, err
		}
		answers, placed, err := decideHolds(known, requests)
		if err != nil {
			return nil, err
		}
		written, err := writeHolds(ctx, tx, tenant, known.accounts, placed)
		if err != nil {
			return nil, translate(err)
		}
		if written {
			return answers, nil
		}
	}
	return nil, fmt.Errorf("ledger: the hold references, %s first, are neither free nor found", references[0])
}

func (r HoldRequest) check(field string) error {
	info, err := r.Account.check(field + ".account")
	switch {
	case err != nil:
		return err
	case !info.Floored:
		return &Error{Invalid, field + ".account.type", fmt.Sprintf("accounts of type %s are internal and cannot be held", info.Type)}
	case r.Amount <= 0 || r.Amount > money.MaxMinor:
		return &Error{Invalid, field + ".amount", fmt.Sprintf("between 1 and %d minor units, not %d", money.MaxMinor, r.Amount)}
	case r.Reference == "" || !isText(r.Reference, maxNumber):
		return &Error{Invalid, field + ".reference", fmt.Sprintf("1 to %d bytes of text", maxNumber)}
	}
	return nil
}

func decideHolds(known *knowledge, requests []HoldRequest) (answers []Hold, placed []*holdState, err error) {
	for i, r := range requests {
		field := fmt.Sprintf("holds[%d]", i)
		a := known.accounts.of(r.Account)
		if before, ok := known.holds[r.Reference]; ok {
			if before.accountID != a.id || before.amount != r.Amount {
				return nil, nil, &Error{Mismatch, field + ".reference", r.Reference + " was placed on another account or for another amount"}
			}
			answers = append(answers, before.hold(true))
			continue
		}
		if err := a.mayChange(-r.Amount, false, field); err != nil {
			return nil, nil, err
		}
		if a.available()-r.Amount < *a.floor {
			return nil, nil, &Error{Insufficient, field + ".amount", fmt.Sprintf("%s of %s has %d available above its floor; this hold needs %d",
				a.key.Type, a.key.Owner, a.available()-*a.floor, r.Amount)}
		}
		a.held += r.Amount
		a.changed = true
		hold := &holdState{id: id.New(id.Hold), reference: r.Reference, accountID: a.id, amount: r.Amount, status: HoldOpen}
		placed = append(placed, hold)
		answers = append(answers, hold.hold(false))
	}
	return answers, placed, nil
}

const sqlLockHold = `
select h.id, h.status, h.amount - h.captured
from ledger_accounts a
join holds h on h.tenant_id = a.tenant_id and h.account_id = a.id
where h.tenant_id = $1 and h.reference = $2
for update of a, h`

const sqlReleaseHold = `
with freed as (
  update holds set status = 'released', released = amount - captured, closed_at = suanpan_now()
  where tenant_id = $1 and id = $2
  returning account_id, released
)
update ledger_accounts a set held = a.held - freed.released
from freed where a.tenant_id = $1 and a.id = freed.account_id`

// ReleaseHold frees what is left of a hold, in the caller's transaction. It is
// idempotent: a hold released before stays released. It returns an *Error of
// kind NotFound, or HoldClosed when all of the hold was captured.
func ReleaseHold(ctx context.Context, tx pgx.Tx, tenant, reference string) error {
	var holdID string
	var status HoldStatus
	var left int64
	err := tx.QueryRow(ctx, sqlLockHold, tenant, reference).Scan(&holdID, &status, &left)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return &Error{NotFound, "reference", "no hold has the reference " + reference}
	case err != nil:
		return fmt.Errorf("ledger: lock hold %s: %w", reference, err)
	case status == HoldReleased:
		return nil
	case status == HoldCaptured:
		return &Error{HoldClosed, "reference", fmt.Sprintf("the hold %s is captured: nothing is left to release", reference)}
	}
	if _, err := tx.Exec(ctx, sqlReleaseHold, tenant, holdID); err != nil {
		return fmt.Errorf("ledger: release hold %s: %w", reference, translate(err))
	}
	return nil
}
