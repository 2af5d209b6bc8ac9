package ledger

import (
	"context"
	"fmt"
	"time"

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
	// HoldExpired: nobody; its time was over, and what had not been captured is free again.
	HoldExpired HoldStatus = "expired"
)

// HoldRequest asks to set money of an account aside.
type HoldRequest struct {
	Account AccountKey
	// Amount is in minor units, above zero.
	Amount int64
	// Reference is the holder's own name for the hold, unique per tenant for ever.
	Reference string
	// ExpiresAt, when set, is the business time from which nothing can be captured
	// any more; ExpireHolds then frees what is left. Set none for money that
	// somebody outside may still move.
	ExpiresAt time.Time
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
	// ExpiresAt is nil for a hold that stays until it is captured or released.
	ExpiresAt *time.Time
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
	expiresAt *time.Time
	// overdue says that it was open and its time over when it was looked at.
	overdue bool
	// limitedOn is the day on which it was counted against limits, or "".
	limitedOn string
	changed   bool
}

// left is what can still be captured or released.
func (h *holdState) left() int64 { return h.amount - h.captured - h.released }

func (h *holdState) hold(replayed bool) Hold {
	return Hold{ID: h.id, Reference: h.reference, AccountID: h.accountID, Amount: h.amount,
		Captured: h.captured, Released: h.released, Status: h.status, ExpiresAt: h.expiresAt, Replayed: replayed}
}

// PlaceHold sets money aside in the caller's transaction, all holds or none. It
// is idempotent by Reference: the same account and amount again are answered
// with the hold as it is now, whatever became of it and whatever expiry it has.
// A hold counts against the limits of its account as the debit it announces; what
// is released on the same day or in the same month is given back to them.
//
// It returns an *Error of kind Invalid, Insufficient, LimitExceeded,
// AccountStatus or Mismatch; after any error the caller must roll back.
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
			return nil, nil, &Error{Insufficient, field + ".amount", fmt.Sprintf("%s has %d available above its floor; this hold needs %d",
				a.key, a.available()-*a.floor, r.Amount)}
		}
		if err := a.count(a.outSide(), r.Amount, field); err != nil {
			return nil, nil, err
		}
		a.held += r.Amount
		a.changed = true
		hold := &holdState{id: id.New(id.Hold), reference: r.Reference, accountID: a.id, amount: r.Amount,
			status: HoldOpen, limitedOn: a.today}
		if !r.ExpiresAt.IsZero() {
			hold.expiresAt = &r.ExpiresAt
		}
		placed = append(placed, hold)
		answers = append(answers, hold.hold(false))
	}
	return answers, placed, nil
}
