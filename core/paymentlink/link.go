package paymentlink

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/money"
)

// Status is the state of a link. The comment says who acts next.
type Status string

const (
	// Active: payers; the link makes payments, within its time and number of uses.
	Active Status = "active"
	// Closed: nobody; the tenant closed it. Payments it made go on.
	Closed Status = "closed"
)

// Link is an address that makes payments.
type Link struct {
	ID         string
	TenantID   string
	MerchantID string
	// Token is the unguessable end of its address.
	Token   string
	Subject string
	// Amount is fixed, or zero when the payer enters one between Min and Max.
	Amount, Min, Max money.Amount
	// ReturnURL is where its payers go afterwards, if not "".
	ReturnURL string
	// ExpiresAt is when it stops making payments, on the business clock; nil: never.
	ExpiresAt *time.Time
	// MaxUses is how many payments it may have that are paid or can be; nil: any number.
	MaxUses *int
	// Opened is how many payments it ever made, Used how many of them are paid or
	// can be, Paid how many are paid.
	Opened, Used, Paid int
	Status             Status
	CreatedAt          time.Time
	ClosedAt           *time.Time
	// Over: its time is over.
	Over bool
}

// Open reports whether the link makes a payment for the next payer.
func (l Link) Open() bool {
	return l.Status == Active && !l.Over && (l.MaxUses == nil || l.Used < *l.MaxUses)
}

// New is a request for a link. Either Amount is set, or Min and Max are.
type New struct {
	ID         string
	MerchantID string
	Subject    string
	Amount     *money.Amount
	Min, Max   *money.Amount
	ReturnURL  string
	ExpiresAt  *time.Time
	MaxUses    *int
}

// check finds the first field of n that no link can have.
func (n New) check() error {
	switch {
	case n.Subject == "" || len([]rune(n.Subject)) > 127:
		return fault.Invalid("subject", "subject_length", "The subject takes 1 to 127 characters.")
	case n.MaxUses != nil && *n.MaxUses < 1:
		return fault.Invalid("max_uses", "max_uses_out_of_range", "max_uses is at least 1; leave it out for any number of uses.")
	case (n.Amount == nil) == (n.Min == nil || n.Max == nil) || (n.Min == nil) != (n.Max == nil):
		return fault.Invalid("amount", "amount_or_range", "Send either amount, or both min_amount and max_amount.")
	}
	for field, amount := range map[string]*money.Amount{"amount": n.Amount, "min_amount": n.Min, "max_amount": n.Max} {
		switch {
		case amount == nil:
		case amount.Check() != nil || !amount.IsPositive():
			return fault.Invalid(field, "amount_out_of_range", "The amount must be positive and of a known currency.")
		case amount.Currency != money.CNY:
			return fault.Invalid(field+".currency", "currency_unsupported", "Alipay and WeChat Pay collect CNY; send currency CNY.")
		}
	}
	if n.Min != nil && n.Max.Minor < n.Min.Minor {
		return fault.Invalid("max_amount", "amount_out_of_range", "max_amount must not be less than min_amount.")
	}
	if n.ReturnURL == "" {
		return nil
	}
	return payment.CheckReturnURL("return_url", n.ReturnURL)
}

// Create records a link. It refuses an unknown merchant and a time that is over.
// The idempotency row of the request makes it idempotent.
func Create(ctx context.Context, tx pgx.Tx, tenantID string, n New) error {
	if err := n.check(); err != nil {
		return err
	}
	if err := party.RequireExisting(ctx, tx, tenantID, "merchant_id", n.MerchantID); err != nil {
		return err
	}
	var future bool
	if err := tx.QueryRow(ctx, `select $1::timestamptz is null or $1 > suanpan_now()`, n.ExpiresAt).Scan(&future); err != nil {
		return fmt.Errorf("create payment link: %w", err)
	}
	if !future {
		return fault.Invalid("expires_at", "expiry_out_of_range", "expires_at must be in the future.")
	}
	minor := func(a *money.Amount) *int64 {
		if a == nil {
			return nil
		}
		return &a.Minor
	}
	_, err := tx.Exec(ctx, `
		insert into payment_links (tenant_id, id, merchant_id, token, subject, currency, amount, min_amount, max_amount,
			return_url, expires_at, max_uses)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, nullif($10, ''), $11, $12)`,
		tenantID, n.ID, n.MerchantID, rand.Text(), n.Subject, money.CNY, minor(n.Amount), minor(n.Min), minor(n.Max),
		n.ReturnURL, n.ExpiresAt, n.MaxUses)
	if err != nil {
		return fmt.Errorf("create payment link: %w", err)
	}
	return nil
}

// Close ends a link and tells the tenant so; payments it made go on. Closing a
// closed one changes nothing.
func Close(ctx context.Context, tx pgx.Tx, tenantID, linkID string) error {
	link, err := lock(ctx, tx, tenantID, linkID)
	if err != nil || link.Status == Closed {
		return err
	}
	_, err = tx.Exec(ctx, `
		update payment_links set status = 'closed', closed_at = suanpan_now() where tenant_id = $1 and id = $2`, tenantID, linkID)
	if err != nil {
		return fmt.Errorf("close payment link: %w", err)
	}
	_, err = event.Emit(ctx, tx, tenantID, event.News{Type: event.PaymentLinkClosed, ObjectID: linkID,
		Data: map[string]string{"id": linkID, "status": string(Closed)}})
	return err
}
