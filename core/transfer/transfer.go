package transfer

import (
	"errors"
	"fmt"
	"time"

	"github.com/suanpan/suanpan/core/books"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// Transfer is money that went from one merchant's available balance to another's.
type Transfer struct {
	ID string
	// Reference is the tenant's own number, unique among its transfers for ever.
	Reference      string
	FromMerchantID string
	ToMerchantID   string
	Amount         money.Amount
	// BatchID is the batch it came in, or "".
	BatchID   string
	CreatedAt time.Time
}

// New is a request for a transfer.
type New struct {
	ID             string
	Reference      string
	FromMerchantID string
	ToMerchantID   string
	Amount         money.Amount
}

// Codes of refusals that only transfers have.
const (
	CodeSameMerchant  = "same_merchant"
	CodeReferenceUsed = "reference_used"
)

func (n New) check() error {
	switch {
	case n.FromMerchantID == n.ToMerchantID:
		return fault.Invalid("to_merchant_id", CodeSameMerchant, "A transfer goes from one merchant to another; name two.")
	case n.Amount.Check() != nil || n.Amount.Minor <= 0:
		return fault.Invalid("amount.amount", "amount_out_of_range",
			fmt.Sprintf("The amount is between 1 and %d in a currency of the books.", money.MaxMinor))
	case n.Reference == "" || len(n.Reference) > 64:
		return fault.Invalid("reference", "reference_length", "The reference takes 1 to 64 characters.")
	}
	return nil
}

func (n New) accounts() (from, to ledger.AccountKey) {
	return books.MerchantAccount(n.FromMerchantID, n.Amount.Currency, true),
		books.MerchantAccount(n.ToMerchantID, n.Amount.Currency, true)
}

func (n New) entries() []ledger.Entry {
	from, to := n.accounts()
	return books.Transfer(books.Moving{Transfer: n.ID, Amount: n.Amount, From: from, To: to})
}

// referenceUsed refuses a reference that another transfer has.
func referenceUsed() error {
	return fault.Conflict("reference", CodeReferenceUsed,
		"A transfer with this reference exists; references are unique for ever. "+
			"To repeat a request, repeat its Idempotency-Key.")
}

// refusal words what the ledger refuses in the words of the request; other errors
// stay as they are.
func refusal(err error) error {
	var e *ledger.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Kind {
	case ledger.Insufficient:
		return fault.Refused("amount", "funds_insufficient", "The paying merchant's available balance is smaller than this amount.")
	case ledger.AccountStatus:
		return fault.Refused("", "account_not_active", "An account is frozen or closed: "+e.Rule+".")
	case ledger.LimitExceeded:
		return fault.Refused("amount", "limit_exceeded", "A limit of an account does not allow this: "+e.Rule+".")
	case ledger.CustodyMode:
		return fault.Refused("", "custody_mode_forbids", "The tenant's custody mode does not allow this: "+e.Rule+".")
	}
	return err
}

// missingMerchant refuses the first of the two that is not among the known ones.
func (n New) missingMerchant(known []string) error {
	for _, id := range known {
		if id == n.FromMerchantID {
			return party.NotFoundIn("to_merchant_id")
		}
	}
	return party.NotFoundIn("from_merchant_id")
}
