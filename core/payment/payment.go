package payment

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/money"
)

// WorkflowType is the registered name of the workflow that drives a payment.
const WorkflowType = "Payment"

// WorkflowID is the id of the workflow that drives the payment.
func WorkflowID(paymentID string) string { return "payment/" + paymentID }

// ProductQR is the product "the payer scans our QR code".
const ProductQR = "qr"

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
	Channel   string
	Product   string
	Status    Status
	Failure   *Failure
	ExpiresAt time.Time
	CreatedAt time.Time
	PaidAt    *time.Time
	ClosedAt  *time.Time
	Attempt   Attempt
}

// Attempt is one try to collect a payment at one provider.
type Attempt struct {
	ID               string
	ChannelAccountID string
	// Number is what the provider knows; it never changes.
	Number         string
	RequestHash    []byte
	Status         AttemptStatus
	QRCode         string
	ChannelTradeNo string
	// Fee is what the provider keeps, in minor units, known once paid.
	Fee    money.Amount
	PaidAt *time.Time
}

// New is a request for a payment.
type New struct {
	ID         string
	MerchantID string
	Reference  string
	Subject    string
	Amount     money.Amount
	Channel    string
	Product    string
	// ExpiresIn is how long the payer may take, from the business clock's now.
	ExpiresIn time.Duration
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
	case n.Product != ProductQR:
		return fault.Invalid("method.product", "product_unsupported", "This channel account offers the product qr.")
	case n.ExpiresIn < MinExpiry || n.ExpiresIn > MaxExpiry:
		return fault.Invalid("expires_in", "expiry_out_of_range", "expires_in takes 60 seconds to 15 days.")
	case strings.TrimSpace(n.Subject) == "" || len([]rune(n.Subject)) > 127:
		return fault.Invalid("subject", "subject_length", "The subject takes 1 to 127 characters.")
	case n.Reference == "" || len(n.Reference) > 64:
		return fault.Invalid("reference", "reference_length", "The reference takes 1 to 64 characters.")
	}
	return nil
}

// Create records a payment with its first attempt, the attempt's number and the
// workflow that must drive it. It refuses an unknown merchant, a channel the
// tenant has no account for, and a reference used before.
func Create(ctx context.Context, tx pgx.Tx, tenantID string, n New) error {
	if err := n.check(); err != nil {
		return err
	}
	number := id.Number()
	account, err := tenant.PickChannelAccount(ctx, tx, tenantID, tenant.Wanted{
		Merchant: n.MerchantID, Channel: n.Channel, Product: n.Product, Number: number})
	if err != nil {
		return err
	}
	var expires time.Time
	err = tx.QueryRow(ctx, `
		insert into payments (tenant_id, id, merchant_id, reference, subject, currency, amount,
			channel, product, status, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'processing',
			date_trunc('second', suanpan_now() + $10::interval))
		returning expires_at`,
		tenantID, n.ID, n.MerchantID, n.Reference, n.Subject, n.Amount.Currency, n.Amount.Minor,
		n.Channel, n.Product, n.ExpiresIn).Scan(&expires)
	if err != nil {
		return createError(err)
	}
	hash := requestHash(number, n.Amount, n.Subject, expires)
	_, err = tx.Exec(ctx, `
		insert into attempts (tenant_id, id, payment_id, channel_account_id, channel, number, request_hash, status)
		values ($1, $2, $3, $4, $5, $6, $7, 'preparing')`,
		tenantID, id.New(id.Attempt), n.ID, account.ID, n.Channel, number, hash)
	if err != nil {
		return fmt.Errorf("create attempt: %w", err)
	}
	return accept.RequireWorkflow(ctx, tx, accept.Start{
		WorkflowID: WorkflowID(n.ID),
		Type:       WorkflowType,
		Ref:        accept.Ref{Tenant: tenantID, ID: n.ID},
		Attributes: accept.Attributes{Merchant: n.MerchantID, BusinessID: n.ID, Channel: n.Channel},
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

// requestHash freezes what is sent under number: a resend with other content is
// a programming error that must not reach the provider.
func requestHash(number string, amount money.Amount, subject string, expires time.Time) []byte {
	h := sha256.New()
	for _, field := range []string{number, strconv.FormatInt(amount.Minor, 10), string(amount.Currency),
		subject, expires.UTC().Format(time.RFC3339)} {
		_, _ = fmt.Fprintf(h, "%d:%s\n", len(field), field)
	}
	return h.Sum(nil)
}

// ErrRequestChanged says that what would be sent under an attempt's number is
// not what was first recorded for it.
var ErrRequestChanged = errors.New("the request recorded under this number was changed")

// CheckFrozen returns ErrRequestChanged unless p still says what its attempt was
// created with.
func (p Payment) CheckFrozen() error {
	hash := requestHash(p.Attempt.Number, p.Amount, p.Subject, p.ExpiresAt)
	if string(hash) != string(p.Attempt.RequestHash) {
		return ErrRequestChanged
	}
	return nil
}

// LateWorkflowType is the registered name of the workflow that looks into money
// for a closed payment.
const LateWorkflowType = "LatePayment"

// LookIntoLate requires the workflow that finds out whether the closed payment p
// was paid after all. cause, such as a notification's id, makes each reason to
// look a workflow of its own.
func LookIntoLate(ctx context.Context, tx pgx.Tx, tenantID string, p Payment, cause string) error {
	return accept.RequireWorkflow(ctx, tx, accept.Start{
		WorkflowID: "late-payment/" + p.ID + "/" + cause,
		Type:       LateWorkflowType,
		Ref:        accept.Ref{Tenant: tenantID, ID: p.ID},
		Attributes: accept.Attributes{Merchant: p.MerchantID, BusinessID: p.ID, Channel: p.Channel},
	})
}
