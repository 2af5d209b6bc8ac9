package paymentlink

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/money"
)

// PaymentTime is how long the payer of a link may take. It is short, because a
// payment that nobody pays holds one of the link's uses until it ends.
const PaymentTime = 30 * time.Minute

// The refusals of Open.
const (
	CodeClosed = "payment_link_closed"
	CodeUsedUp = "payment_link_used_up"
)

// Open makes a payment for one payer and returns its id. amount is what the payer
// entered; it is ignored where the link's is fixed. The link's row is locked while
// its uses are counted, so that however many payers come at once, it never has
// more than MaxUses. It is idempotent by click: the payer's click on the link's page.
func Open(ctx context.Context, tx pgx.Tx, tenantID, linkID, click string, amount money.Amount) (string, error) {
	link, err := lock(ctx, tx, tenantID, linkID)
	if err != nil {
		return "", err
	}
	before, err := payment.ByLinkClick(ctx, tx, tenantID, linkID, click)
	if !errors.Is(err, &fault.Error{Kind: fault.KindNotFound}) {
		return before.ID, err
	}
	if err := link.check(); err != nil {
		return "", err
	}
	if amount, err = link.amount(amount); err != nil {
		return "", err
	}
	paymentID := id.New(id.Payment)
	err = payment.Create(ctx, tx, tenantID, payment.New{
		ID: paymentID, MerchantID: link.MerchantID, Reference: link.ID + "-" + strconv.Itoa(link.Opened+1),
		Subject: link.Subject, Amount: amount, ExpiresIn: PaymentTime, ReturnURL: link.ReturnURL, LinkID: linkID, Click: click,
	}, payment.Till{})
	if err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, `update payment_links set opened = opened + 1 where tenant_id = $1 and id = $2`, tenantID, linkID)
	if err != nil {
		return "", fmt.Errorf("use payment link: %w", err)
	}
	return paymentID, nil
}

// check says why the link makes no payment.
func (l Link) check() error {
	switch {
	case l.Open():
		return nil
	case l.Status == Active && !l.Over:
		return fault.Refused("", CodeUsedUp, "This payment link has been used as often as it may be.")
	}
	return fault.Refused("", CodeClosed, "This payment link is closed or its time is over.")
}

// amount is what the payer pays.
func (l Link) amount(entered money.Amount) (money.Amount, error) {
	if l.Amount.IsPositive() {
		return l.Amount, nil
	}
	if entered.Currency != l.Min.Currency || entered.Minor < l.Min.Minor || entered.Minor > l.Max.Minor {
		return money.Amount{}, fault.Invalid("amount", "amount_out_of_range",
			"The amount must be from "+l.Min.Text()+" to "+l.Max.Text()+".")
	}
	return entered, nil
}
