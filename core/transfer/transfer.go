package transfer

import (
	"context"
	"fmt"
	"time"

	"github.com/suanpan/suanpan/core/account"
	"github.com/suanpan/suanpan/core/books"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
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
	// FromAccount and ToAccount are the names of their accounts, "" the usual ones.
	FromAccount string
	ToAccount   string
	Amount      money.Amount
	// HoldID is the hold that it captured from, or "".
	HoldID string
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
	// FromAccount and ToAccount name accounts of theirs, "" the usual ones.
	FromAccount string
	ToAccount   string
	Amount      money.Amount
	// HoldID is a hold on the payer's account to capture Amount from; "" takes
	// what is available.
	HoldID string

	// hold is the reference of HoldID in the ledger, once it is found.
	hold string
}

// Codes of refusals that only transfers have.
const (
	CodeSameMerchant  = "same_merchant"
	CodeReferenceUsed = "reference_used"
	CodeHoldElsewhere = "hold_elsewhere"
)

func (n New) check() error {
	switch {
	case n.FromMerchantID == n.ToMerchantID && n.FromAccount == n.ToAccount:
		return fault.Invalid("to_merchant_id", CodeSameMerchant,
			"A transfer goes from one merchant to another, or between two accounts of one; name two.")
	case n.Amount.Check() != nil || n.Amount.Minor <= 0:
		return fault.Invalid("amount.amount", "amount_out_of_range",
			fmt.Sprintf("The amount is between 1 and %d in a currency of the books.", money.MaxMinor))
	case n.Reference == "" || len(n.Reference) > 64:
		return fault.Invalid("reference", "reference_length", "The reference takes 1 to 64 characters.")
	}
	return nil
}

func (n New) accounts() (from, to ledger.AccountKey) {
	return account.Key(n.FromMerchantID, n.FromAccount, n.Amount.Currency), account.Key(n.ToMerchantID, n.ToAccount, n.Amount.Currency)
}

func (n New) entries() []ledger.Entry {
	from, to := n.accounts()
	return books.Transfer(books.Moving{Transfer: n.ID, Amount: n.Amount, From: from, To: to, Hold: n.hold})
}

// referenceUsed refuses a reference that another transfer has.
func referenceUsed() error {
	return fault.Conflict("reference", CodeReferenceUsed,
		"A transfer with this reference exists; references are unique for ever. "+
			"To repeat a request, repeat its Idempotency-Key.")
}

// find looks up what the request names beside its merchants: accounts that must be
// open, and the hold. Most requests name neither and cost nothing here.
func (n *New) find(ctx context.Context, q pg.Querier, tenantID string) error {
	from, to := n.accounts()
	if err := account.RequireOpen(ctx, q, tenantID, "from_account", from); err != nil {
		return err
	}
	if err := account.RequireOpen(ctx, q, tenantID, "to_account", to); err != nil {
		return err
	}
	if n.HoldID == "" {
		return nil
	}
	capture, err := account.ToCapture(ctx, q, tenantID, n.HoldID)
	if err == nil && capture.Account != from {
		err = fault.Refused("hold_id", CodeHoldElsewhere, "The hold is on another account than the one this transfer pays from.")
	}
	n.hold = capture.Reference
	return err
}
