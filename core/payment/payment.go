package payment

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/money"
)

// WorkflowType is the registered name of the workflow that drives a payment.
const WorkflowType = "Payment"

// WorkflowID is the id of the workflow that drives the payment.
func WorkflowID(paymentID string) string { return "payment/" + paymentID }

// Failure says why an object failed: our code, the provider's own code, and a
// sentence.
type Failure struct {
	Code        string
	ChannelCode string
	Message     string
}

// Payment is what a tenant asks a payer for.
type Payment struct {
	ID         string
	MerchantID string
	// Reference is the tenant's own number, unique in the tenant for ever.
	Reference string
	Subject   string
	Amount    money.Amount
	// Refunded has reached the payer; Refunding is promised to refunds in flight.
	Refunded  money.Amount
	Refunding money.Amount
	// Channel and Product are what was asked for at creation; empty when the payer
	// chooses on the checkout page.
	Channel string
	Product channel.Product
	Status  Status
	Failure *Failure
	// CloseReason is set once Status is Closed.
	CloseReason CloseReason
	// CheckoutToken opens the checkout page of this payment, and nothing else.
	CheckoutToken string
	// ReturnURL is where the payer goes from the checkout page afterwards, if not "".
	ReturnURL string
	// LinkID is the payment link that made it, if not "".
	LinkID string
	// CancelRequested: the tenant wants it ended unpaid.
	CancelRequested bool
	ExpiresAt       time.Time
	CreatedAt       time.Time
	PaidAt          *time.Time
	ClosedAt        *time.Time
	// Attempt is the one that the payment was read by; else the one that was paid,
	// else the newest. Without any attempt its ID is empty.
	Attempt Attempt
}

// PayerChooses reports whether the payment was made without a method.
func (p Payment) PayerChooses() bool { return p.Channel == "" }

// New is a request for a payment.
type New struct {
	ID         string
	MerchantID string
	Reference  string
	Subject    string
	Amount     money.Amount
	// Method is how the payer pays; nil lets the payer choose.
	Method *Method
	// ExpiresIn is how long the payer may take, from the business clock's now.
	ExpiresIn time.Duration
	// ReturnURL is where the payer goes from the checkout page afterwards; empty: nowhere.
	ReturnURL string
	// LinkID is the payment link that makes it, and Click the payer's click on that
	// link's page: a click makes one payment. Both are empty without a link.
	LinkID, Click string
}

// MinExpiry and MaxExpiry bound New.ExpiresIn (Alipay, alipay.trade.precreate:
// timeout_express takes 1m to 15d).
const (
	MinExpiry = time.Minute
	MaxExpiry = 15 * 24 * time.Hour
)

// check finds the first field of n that no payment can have.
func (n New) check() error {
	switch {
	case n.Amount.Check() != nil || !n.Amount.IsPositive():
		return fault.Invalid("amount", "amount_out_of_range", "The amount must be positive and of a known currency.")
	case n.Amount.Currency != money.CNY:
		return fault.Invalid("amount.currency", "currency_unsupported", "Alipay and WeChat Pay collect CNY; send currency CNY.")
	case n.ExpiresIn < MinExpiry || n.ExpiresIn > MaxExpiry:
		return fault.Invalid("expires_in", "expiry_out_of_range", "expires_in takes 60 seconds to 15 days.")
	case strings.TrimSpace(n.Subject) == "" || len([]rune(n.Subject)) > 127:
		return fault.Invalid("subject", "subject_length", "The subject takes 1 to 127 characters.")
	case n.Reference == "" || len(n.Reference) > 64:
		return fault.Invalid("reference", "reference_length", "The reference takes 1 to 64 characters.")
	}
	if n.ReturnURL == "" {
		return nil
	}
	return CheckReturnURL("return_url", n.ReturnURL)
}

// CheckReturnURL refuses, naming the field, what no payer's browser may be sent to:
// anything but an http or https address, or one that begins with a name before its
// host, which a payer would take for the host.
func CheckReturnURL(field, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" || len(address) > 512 {
		return fault.Invalid(field, "return_url_malformed",
			field+" must be an http or https address of at most 512 characters, without a user name.")
	}
	return nil
}

// Create records a payment with the workflow that must drive it and, when a
// method is asked for, its first attempt with its number. It refuses an unknown
// merchant, a reference used before, and a method that no account of the tenant
// offers.
func Create(ctx context.Context, tx pgx.Tx, tenantID string, n New, till Till) error {
	if err := n.check(); err != nil {
		return err
	}
	status, method := AwaitingPayer, Method{}
	if n.Method != nil {
		status, method = Processing, *n.Method
	}
	p := Payment{ID: n.ID, MerchantID: n.MerchantID, Subject: n.Subject, Amount: n.Amount}
	err := tx.QueryRow(ctx, `
		insert into payments (tenant_id, id, merchant_id, reference, subject, currency, amount,
			channel, product, status, checkout_token, expires_at, return_url, payment_link_id, link_click)
		values ($1, $2, $3, $4, $5, $6, $7, nullif($8, ''), nullif($9, ''), $10, $11,
			date_trunc('second', suanpan_now() + $12::interval), nullif($13, ''), nullif($14, ''), nullif($15, ''))
		returning expires_at`,
		tenantID, n.ID, n.MerchantID, n.Reference, n.Subject, n.Amount.Currency, n.Amount.Minor,
		method.Channel, string(method.Product), string(status), rand.Text(), n.ExpiresIn,
		n.ReturnURL, n.LinkID, n.Click).Scan(&p.ExpiresAt)
	if err != nil {
		return createError(err)
	}
	if n.Method != nil {
		if _, err := begin(ctx, tx, tenantID, p, method, till, nil); err != nil {
			return err
		}
	}
	return accept.RequireWorkflow(ctx, tx, accept.Start{
		WorkflowID: WorkflowID(n.ID),
		Type:       WorkflowType,
		Ref:        accept.Ref{Tenant: tenantID, ID: n.ID},
		Attributes: accept.Attributes{Merchant: n.MerchantID, BusinessID: n.ID, Channel: method.Channel},
	})
}

func createError(err error) error {
	if pg.IsUnique(err, "payments_tenant_id_reference_key") {
		return fault.Conflict("reference", "reference_used",
			"A payment with this reference exists; references are unique for ever. To repeat a request, repeat its Idempotency-Key.")
	}
	if pg.IsForeignKey(err, "payments_tenant_id_merchant_id_fkey") {
		return fault.Refused("merchant_id", "merchant_unknown", "There is no such merchant; create it first.")
	}
	return fmt.Errorf("create payment: %w", err)
}

// RequestCancel notes that the tenant wants the payment ended unpaid; its
// workflow does so, unless the payer was faster. Idempotent; a payment that ended
// otherwise is refused.
func RequestCancel(ctx context.Context, tx pgx.Tx, tenantID, paymentID string) error {
	p, err := Lock(ctx, tx, tenantID, paymentID)
	if err != nil {
		return err
	}
	if p.CancelRequested && (!p.Status.Final() || p.Status == Closed) {
		return nil
	}
	if p.Status.Final() {
		return fault.Refused("payment_id", "payment_not_cancellable",
			"Only a payment that has not ended can be cancelled; this one is "+string(p.Status)+".")
	}
	_, err = tx.Exec(ctx, `
		update payments set cancel_requested_at = suanpan_now(), news_at = clock_timestamp()
		where tenant_id = $1 and id = $2`, tenantID, paymentID)
	if err != nil {
		return fmt.Errorf("cancel payment %s: %w", paymentID, err)
	}
	return nil
}
