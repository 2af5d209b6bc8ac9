package account

import (
	"errors"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/ledger"
)

// Codes of refusals that have to do with holds.
const (
	CodeHoldUnknown  = "hold_unknown"
	CodeHoldNotOpen  = "hold_not_open"
	CodeHoldExceeded = "hold_exceeded"
	CodeHoldForeign  = "hold_not_yours"
)

// Refusal words what the ledger refuses of a request that has an amount and may
// name a hold; other errors stay as they are.
func Refusal(err error) error {
	var e *ledger.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Kind {
	case ledger.Insufficient:
		return fault.Refused("amount", "funds_insufficient", "The account's available balance is smaller than this amount.")
	case ledger.AccountStatus:
		return fault.Refused("", "account_not_active", "An account is frozen or closed: "+e.Rule+".")
	case ledger.LimitExceeded:
		refused := fault.Refused("amount", "limit_exceeded", "A limit of an account does not allow this: "+e.Rule+".")
		var limit *ledger.LimitError
		if errors.As(err, &limit) {
			refused.Limit = limit.Limit
		}
		return refused
	case ledger.CustodyMode:
		return fault.Refused("", "custody_mode_forbids", "The tenant's custody mode does not allow this: "+e.Rule+".")
	case ledger.HoldClosed:
		return fault.Refused("hold_id", CodeHoldNotOpen, "Nothing of the hold can be captured any more: "+e.Rule+".")
	case ledger.HoldExceeded:
		return fault.Refused("amount", CodeHoldExceeded, "The hold does not have this much left: "+e.Rule+".")
	}
	return err
}
