package refund

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/books"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/split"
	"github.com/suanpan/suanpan/core/unresolved"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// WorkflowType is the registered name of the workflow that drives a refund.
const WorkflowType = "Refund"

// WorkflowID is the id of the workflow that drives the refund until it has succeeded or
// failed.
func WorkflowID(refundID string) string { return "refund/" + refundID }

// Workflow is the id of the workflow that drives r, or drove it last: each time that the
// money came back it is another.
func (r Refund) Workflow() string {
	if r.Returns == 0 {
		return WorkflowID(r.ID)
	}
	return WorkflowID(r.ID) + "/returned/" + strconv.Itoa(r.Returns)
}

// Status is the state of a refund. The comment says who acts next.
type Status string

const (
	// Processing: the platform acts, or waits for the provider; waiting_for says which.
	Processing Status = "processing"
	// Succeeded: nobody; the money went back to the payer and is booked. Where a payer's
	// bank can send it back, the platform asks a while longer whether it did.
	Succeeded Status = "succeeded"
	// Failed: the tenant; the provider refused, nothing moved, the holds are released.
	Failed Status = "failed"
	// Returned: the tenant; it was paid, the payer's bank sent it back, and it lies at the
	// provider until the tenant says where it goes (redirect).
	Returned Status = "returned"
)

// CanBecome reports whether to may follow s: the whole table of transitions.
func (s Status) CanBecome(to Status) bool {
	switch s {
	case Processing:
		return slices.Contains([]Status{Succeeded, Failed}, to)
	case Succeeded:
		return to == Returned
	case Returned:
		return to == Succeeded
	}
	return false
}

// Open reports whether a workflow drives a refund in s.
func (s Status) Open() bool { return s == Processing || s == Returned }

// Origin says why there is a refund.
type Origin string

const (
	// Requested by the tenant.
	Requested Origin = "request"
	// LatePayment: owed, because the payer paid after the payment was closed, or twice.
	LatePayment Origin = "late_payment"
)

// Refund is money on its way back to a payer.
type Refund struct {
	ID        string
	PaymentID string
	AttemptID string
	Origin    Origin
	// Reference is the tenant's own number; empty for a late payment's refund.
	Reference   string
	Reason      string
	Amount      money.Amount
	Number      string
	RequestHash []byte
	Status      Status
	// Sent: the order may have reached the provider; SentAt is when it was about to be sent
	// for the first time under its number.
	Sent            bool
	SentAt          *time.Time
	WaitingFor      string
	ChannelRefundNo string
	// FeeReturned is what the provider gave back of its fee.
	FeeReturned money.Amount
	Failure     *payment.Failure
	// AbnormalAt is when the provider said last that its way back is closed; Redirect
	// is what the tenant asked for then.
	AbnormalAt *time.Time
	Redirect   Redirect
	CreatedAt  time.Time
	RefundedAt *time.Time
	// Unresolved says that the number may not be sent again; nil for most.
	Unresolved *unresolved.Case
	// ReturnedAt is when the platform learned last that it had come back, Returns how often
	// it did, and RepaidAt when the provider had paid it elsewhere.
	ReturnedAt *time.Time
	Returns    int
	RepaidAt   *time.Time
}

// Leg is what one receiver of the payment's split gives back.
type Leg struct {
	Position   int
	SplitID    string
	Receiver   split.Receiver
	MerchantID string
	Amount     money.Amount
	Available  bool
	// Hold is the reference of the ledger hold; empty for the platform's own leg.
	Hold string
}

// New is a tenant's request for a refund.
type New struct {
	ID        string
	PaymentID string
	Reference string
	Amount    money.Amount
	Reason    string
}

// Create accepts a refund: it locks the payment, checks what is left of it,
// divides the amount over the legs of the split, holds every merchant's part and
// requires the workflow. It refuses a payment that did not succeed, more than is
// left, a reference used before, and a merchant without the money.
func Create(ctx context.Context, tx pgx.Tx, tenantID string, n New) error {
	p, err := payment.Lock(ctx, tx, tenantID, n.PaymentID)
	if err != nil {
		return err
	}
	if err := n.check(p); err != nil {
		return err
	}
	legs, err := divide(ctx, tx, tenantID, p, n)
	if err != nil {
		return err
	}
	r := Refund{ID: n.ID, PaymentID: p.ID, AttemptID: p.Attempt.ID, Origin: Requested,
		Reference: n.Reference, Reason: n.Reason, Amount: n.Amount}
	if err := insert(ctx, tx, tenantID, p, r, legs); err != nil {
		return err
	}
	if err := hold(ctx, tx, tenantID, legs); err != nil {
		return err
	}
	return payment.Refunding(ctx, tx, tenantID, p, n.Amount)
}

// CreateLate accepts the refund of a late receipt under the id the receipt
// names. The money lies in unidentified receipts and belongs to no merchant, so
// there are no legs and no holds.
func CreateLate(ctx context.Context, tx pgx.Tx, tenantID string, p payment.Payment, refundID string) error {
	r := Refund{ID: refundID, PaymentID: p.ID, AttemptID: p.Attempt.ID, Origin: LatePayment,
		Reason: lateReason(p), Amount: p.Amount}
	return insert(ctx, tx, tenantID, p, r, nil)
}

func lateReason(p payment.Payment) string {
	if p.Status == payment.Succeeded {
		return "paid twice"
	}
	return "paid after the payment was closed"
}

func (n New) check(p payment.Payment) error {
	if p.Status != payment.Succeeded {
		return fault.Refused("payment_id", "payment_not_refundable",
			"Only a payment that succeeded can be refunded; this one is "+string(p.Status)+".")
	}
	if n.Amount.Currency != p.Amount.Currency {
		return fault.Refused("amount.currency", "currency_mismatch",
			"A refund is in the currency of its payment, "+string(p.Amount.Currency)+".")
	}
	if n.Amount.Check() != nil || !n.Amount.IsPositive() {
		return fault.Invalid("amount", "amount_out_of_range", "The amount of a refund must be positive.")
	}
	left := p.Amount.Minor - p.Refunded.Minor - p.Refunding.Minor
	if n.Amount.Minor > left {
		return fault.Refused("amount.amount", "refund_exceeds_payment",
			"Of this payment "+strconv.FormatInt(left, 10)+" minor units are left to refund.")
	}
	return nil
}

// divide gives every leg of the split its part, counting what refunds before
// this one have taken or, still in flight, have promised; the legs are marked
// with it at once.
func divide(ctx context.Context, tx pgx.Tx, tenantID string, p payment.Payment, n New) ([]Leg, error) {
	booked, err := split.Legs(ctx, tx, tenantID, p.ID)
	if err != nil {
		return nil, err
	}
	before, err := p.Refunded.Add(p.Refunding)
	if err != nil {
		return nil, err
	}
	parts, err := split.RefundParts(booked, p.Amount, before, n.Amount)
	if err != nil {
		return nil, fmt.Errorf("divide refund of %s: %w", p.ID, err)
	}
	var legs []Leg
	for i, part := range parts {
		if part.Amount.IsZero() {
			continue
		}
		b := booked[i]
		leg := Leg{Position: b.Position, SplitID: b.SplitID, Receiver: b.Receiver, MerchantID: b.MerchantID,
			Amount: part.Amount, Available: b.Available}
		if b.Receiver == split.ToMerchant {
			leg.Hold = fmt.Sprintf("refund/%s/%d", n.ID, b.Position)
		}
		legs = append(legs, leg)
	}
	return legs, split.AddRefunded(ctx, tx, tenantID, booked[0].SplitID, parts)
}

// TakeBack undoes what divide marked, for a refund that failed.
func TakeBack(ctx context.Context, tx pgx.Tx, tenantID string, legs []Leg) error {
	if len(legs) == 0 {
		return nil
	}
	parts := make([]split.Part, len(legs))
	for i, leg := range legs {
		parts[i] = split.Part{Position: leg.Position, Amount: leg.Amount}
	}
	return split.TakeBackRefunded(ctx, tx, tenantID, legs[0].SplitID, parts)
}

func hold(ctx context.Context, tx pgx.Tx, tenantID string, legs []Leg) error {
	var requests []ledger.HoldRequest
	for _, leg := range legs {
		if leg.Hold != "" {
			account := books.MerchantAccount(leg.MerchantID, leg.Amount.Currency, leg.Available)
			requests = append(requests, ledger.HoldRequest{Account: account, Amount: leg.Amount.Minor, Reference: leg.Hold})
		}
	}
	if len(requests) == 0 {
		return nil
	}
	_, err := ledger.PlaceHold(ctx, tx, tenantID, requests...)
	var refusal *ledger.Error
	if errors.As(err, &refusal) && refusal.Kind == ledger.Insufficient {
		return fault.Refused("amount", "merchant_funds_insufficient",
			"A merchant that received part of this payment no longer has enough money to give its part back.")
	}
	return err
}

func insert(ctx context.Context, tx pgx.Tx, tenantID string, p payment.Payment, r Refund, legs []Leg) error {
	number := id.Number()
	var reference *string
	if r.Origin == Requested {
		reference = &r.Reference
	}
	_, err := tx.Exec(ctx, `
		insert into refunds (tenant_id, id, payment_id, attempt_id, origin, reference, reason,
			currency, amount, number, request_hash, status)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'processing')`,
		tenantID, r.ID, r.PaymentID, r.AttemptID, r.Origin, reference, r.Reason,
		r.Amount.Currency, r.Amount.Minor, number, requestHash(number, p.Attempt.Number, r.Amount, r.Reason))
	if pg.IsUnique(err, "refunds_tenant_id_reference_key") {
		return fault.Conflict("reference", "reference_used",
			"A refund with this reference exists; references are unique for ever. To repeat a request, repeat its Idempotency-Key.")
	}
	if err != nil {
		return fmt.Errorf("create refund: %w", err)
	}
	for _, leg := range legs {
		if err := insertLeg(ctx, tx, tenantID, r.ID, leg); err != nil {
			return err
		}
	}
	return accept.RequireWorkflow(ctx, tx, accept.Start{
		WorkflowID: WorkflowID(r.ID),
		Type:       WorkflowType,
		Ref:        accept.Ref{Tenant: tenantID, ID: r.ID},
		Attributes: accept.Attributes{Merchant: p.MerchantID, BusinessID: r.ID, Channel: p.Attempt.Channel},
	})
}

func insertLeg(ctx context.Context, tx pgx.Tx, tenantID, refundID string, leg Leg) error {
	_, err := tx.Exec(ctx, `
		insert into refund_legs (tenant_id, refund_id, position, split_id, receiver, merchant_id, amount, available, hold)
		values ($1, $2, $3, $4, $5, nullif($6, ''), $7, $8, nullif($9, ''))`,
		tenantID, refundID, leg.Position, leg.SplitID, leg.Receiver, leg.MerchantID,
		leg.Amount.Minor, leg.Available, leg.Hold)
	if err != nil {
		return fmt.Errorf("refund leg: %w", err)
	}
	return nil
}

// requestHash freezes what is sent under number.
func requestHash(number, tradeNumber string, amount money.Amount, reason string) []byte {
	h := sha256.New()
	for _, field := range []string{number, tradeNumber, strconv.FormatInt(amount.Minor, 10), string(amount.Currency), reason} {
		_, _ = fmt.Fprintf(h, "%d:%s\n", len(field), field)
	}
	return h.Sum(nil)
}

// CheckFrozen returns payment.ErrRequestChanged unless r still says what was
// recorded when its number was minted.
func (r Refund) CheckFrozen(p payment.Payment) error {
	if string(requestHash(r.Number, p.Attempt.Number, r.Amount, r.Reason)) != string(r.RequestHash) {
		return payment.ErrRequestChanged
	}
	return nil
}
