package payout

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
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/core/unresolved"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// WorkflowType is the registered name of the workflow that drives a withdrawal.
const WorkflowType = "Withdrawal"

// WorkflowID is the id of the workflow that drives the withdrawal.
func WorkflowID(withdrawalID string) string { return "withdrawal/" + withdrawalID }

// HoldReference names the ledger hold on the merchant's money.
func HoldReference(withdrawalID string) string { return "withdrawal/" + withdrawalID }

// Status is the state of a withdrawal. The comment says who acts next.
type Status string

const (
	// Processing: the platform acts, or waits for the provider; waiting_for says which.
	Processing Status = "processing"
	// Succeeded: nobody; the payee has the money. The platform asks a while longer
	// whether the payee's bank sends it back.
	Succeeded Status = "succeeded"
	// Failed: the tenant; the provider refused, the merchant has the money back.
	Failed Status = "failed"
	// Returned: the tenant; it was paid, the payee's bank sent it back (退票), and the
	// merchant has the money back.
	Returned Status = "returned"
)

// CanBecome reports whether to may follow s: the whole table of transitions.
func (s Status) CanBecome(to Status) bool {
	return s == Processing && slices.Contains([]Status{Succeeded, Failed}, to) || s == Succeeded && to == Returned
}

// MinAmountMinor is the smallest withdrawal in fen (Alipay,
// alipay.fund.trans.uni.transfer: trans_amount is at least 0.10 yuan).
const MinAmountMinor = 10

// Withdrawal is a merchant's money on its way to the merchant.
type Withdrawal struct {
	ID               string
	MerchantID       string
	Reference        string
	Amount           money.Amount
	Channel          string
	ChannelAccountID string
	Number           string
	RequestHash      []byte
	Status           Status
	// AcceptedAt is when the provider took the order: the money is in transit.
	AcceptedAt *time.Time
	// Sent: the order may have reached the provider; SentAt is when it was about to be sent
	// for the first time under its number.
	Sent              bool
	SentAt            *time.Time
	WaitingFor        string
	ChannelTransferNo string
	Failure           *payment.Failure
	CreatedAt         time.Time
	PaidAt            *time.Time
	// Unresolved says that the number may not be sent again; nil for most.
	Unresolved *unresolved.Case
	// ReturnedAt is when the platform learned that the payee's bank had sent it back.
	ReturnedAt *time.Time
}

// New is a request for a withdrawal.
type New struct {
	ID         string
	MerchantID string
	Reference  string
	Amount     money.Amount
}

func (n New) check() error {
	switch {
	case n.Amount.Currency != money.CNY:
		return fault.Invalid("amount.currency", "currency_unsupported", "Withdrawals are paid in CNY.")
	case n.Amount.Check() != nil || n.Amount.Minor < MinAmountMinor:
		return fault.Invalid("amount.amount", "amount_out_of_range",
			"The smallest withdrawal is "+strconv.Itoa(MinAmountMinor)+" fen.")
	case n.Reference == "" || len(n.Reference) > 64:
		return fault.Invalid("reference", "reference_length", "The reference takes 1 to 64 characters.")
	}
	return nil
}

// Create accepts a withdrawal to the merchant's registered account: it holds
// the money and requires the workflow. It refuses a merchant without a payout
// account or without the money, and a reference used before.
func Create(ctx context.Context, tx pgx.Tx, tenantID string, n New) error {
	if err := n.check(); err != nil {
		return err
	}
	if err := party.RequireExisting(ctx, tx, tenantID, "merchant_id", n.MerchantID); err != nil {
		return err
	}
	payee, err := party.PayoutAccountOf(ctx, tx, tenantID, n.MerchantID)
	if err != nil {
		return err
	}
	if payee.ForgottenAt != nil {
		return party.PayeeForgotten()
	}
	number := id.Number()
	account, err := tenant.PickChannelAccount(ctx, tx, tenantID, tenant.Wanted{
		Merchant: n.MerchantID, Channel: payee.Channel, Number: number})
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		insert into withdrawals (tenant_id, id, merchant_id, reference, currency, amount,
			channel, channel_account_id, number, request_hash, status)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'processing')`,
		tenantID, n.ID, n.MerchantID, n.Reference, n.Amount.Currency, n.Amount.Minor,
		payee.Channel, account.ID, number, requestHash(number, n.Amount, payee))
	if pg.IsUnique(err, "withdrawals_tenant_id_reference_key") {
		return fault.Conflict("reference", "reference_used",
			"A withdrawal with this reference exists; references are unique for ever. "+
				"To repeat a request, repeat its Idempotency-Key.")
	}
	if err != nil {
		return fmt.Errorf("create withdrawal: %w", err)
	}
	if err := holdMoney(ctx, tx, tenantID, n); err != nil {
		return err
	}
	return accept.RequireWorkflow(ctx, tx, accept.Start{
		WorkflowID: WorkflowID(n.ID),
		Type:       WorkflowType,
		Ref:        accept.Ref{Tenant: tenantID, ID: n.ID},
		Attributes: accept.Attributes{Merchant: n.MerchantID, BusinessID: n.ID, Channel: payee.Channel},
	})
}

func holdMoney(ctx context.Context, tx pgx.Tx, tenantID string, n New) error {
	_, err := ledger.PlaceHold(ctx, tx, tenantID, ledger.HoldRequest{
		Account:   books.MerchantAccount(n.MerchantID, n.Amount.Currency, true),
		Amount:    n.Amount.Minor,
		Reference: HoldReference(n.ID),
	})
	var refusal *ledger.Error
	if errors.As(err, &refusal) && refusal.Kind == ledger.Insufficient {
		return fault.Refused("amount", "funds_insufficient",
			"The merchant's withdrawable balance is smaller than this amount.")
	}
	return err
}

// requestHash freezes what is sent under number. The payee goes in sealed, so that
// nobody can try accounts and names against it.
func requestHash(number string, amount money.Amount, payee party.SealedPayoutAccount) []byte {
	h := sha256.New()
	for _, field := range append([]string{number, strconv.FormatInt(amount.Minor, 10), string(amount.Currency)}, payee.Frozen()...) {
		_, _ = fmt.Fprintf(h, "%d:%s\n", len(field), field)
	}
	return h.Sum(nil)
}

// CheckFrozen returns payment.ErrRequestChanged unless w and payee still say
// what was recorded when the number was minted.
func (w Withdrawal) CheckFrozen(payee party.SealedPayoutAccount) error {
	if string(requestHash(w.Number, w.Amount, payee)) != string(w.RequestHash) {
		return payment.ErrRequestChanged
	}
	return nil
}
