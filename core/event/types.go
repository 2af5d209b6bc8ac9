package event

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Type names what happened: a noun of the contract, a dot, a past participle.
type Type string

// The event types of the contract.
const (
	PaymentAwaitingPayer     Type = "payment.awaiting_payer"
	PaymentSucceeded         Type = "payment.succeeded"
	PaymentClosed            Type = "payment.closed"
	PaymentFailed            Type = "payment.failed"
	PaymentPaidLate          Type = "payment.paid_late"
	PaymentPaidTwice         Type = "payment.paid_twice"
	PaymentLinkClosed        Type = "payment_link.closed"
	RefundAbnormal           Type = "refund.abnormal"
	RefundSucceeded          Type = "refund.succeeded"
	RefundFailed             Type = "refund.failed"
	RefundReturned           Type = "refund.returned"
	RefundUnresolved         Type = "refund.unresolved"
	WithdrawalSucceeded      Type = "withdrawal.succeeded"
	WithdrawalFailed         Type = "withdrawal.failed"
	WithdrawalReturned       Type = "withdrawal.returned"
	WithdrawalUnresolved     Type = "withdrawal.unresolved"
	TransferSucceeded        Type = "transfer.succeeded"
	AccountStatusChanged     Type = "account.status_changed"
	AccountLimitsChanged     Type = "account.limits_changed"
	HoldPlaced               Type = "hold.placed"
	HoldCaptured             Type = "hold.captured"
	HoldReleased             Type = "hold.released"
	HoldExpired              Type = "hold.expired"
	ReconciliationBalanced   Type = "reconciliation.balanced"
	ReconciliationDiscrepant Type = "reconciliation.discrepant"
	ApprovalRequested        Type = "approval.requested"
	ApprovalApproved         Type = "approval.approved"
	ApprovalRejected         Type = "approval.rejected"
	ApprovalExpired          Type = "approval.expired"
	WebhookEndpointFailing   Type = "webhook_endpoint.failing"
	WebhookEndpointPaused    Type = "webhook_endpoint.paused"
	WebhookEndpointDisabled  Type = "webhook_endpoint.disabled"
	// Ping is made by the tenant, for one endpoint. No endpoint asks for it.
	Ping Type = "ping"
)

// Kind says what an event of a type is about and what it carries.
type Kind struct {
	Type Type
	// Object is the kind of the object in object_id, and the path that shows it.
	Object, Path string
	// Data are the fields that data may hold: ids and statuses.
	Data []string
	// Means is a sentence for docs/webhooks.md.
	Means string
}

// Kinds is the catalogue: every type, once, in the order of the documentation.
func Kinds() []Kind {
	const (
		payments    = "/v1/payments/{id}"
		links       = "/v1/payment_links/{id}"
		refunds     = "/v1/refunds/{id}"
		withdrawals = "/v1/withdrawals/{id}"
		transfers   = "/v1/transfers/{id}"
		accounts    = "/v1/accounts/{id}"
		holds       = "/v1/holds/{id}"
		recons      = "/v1/reconciliations/{id}"
		approvals   = "/v1/approvals/{id}"
		endpoints   = "/v1/webhook_endpoints/{id}"
	)
	status := []string{"id", "status"}
	approval := []string{"approval_id", "kind"}
	endpoint := []string{"webhook_endpoint_id", "status", "reason"}
	return []Kind{
		{PaymentAwaitingPayer, "payment", payments, status, "The payer can pay by an attempt of it."},
		{PaymentSucceeded, "payment", payments, status, "It is paid and booked. Final."},
		{PaymentClosed, "payment", payments, status, "Nobody paid in time, or it was cancelled. Final."},
		{PaymentFailed, "payment", payments, status, "The provider refused it. Final."},
		{PaymentPaidLate, "payment", payments, status, "Money arrived after it was closed; it is being given back."},
		{PaymentPaidTwice, "payment", payments, status, "Money arrived again after it had succeeded; it is being given back."},
		{PaymentLinkClosed, "payment_link", links, status, "Nobody can pay by it any more. Final."},
		{RefundAbnormal, "refund", refunds, status, "The provider cannot pay the payer; say where the money is to go."},
		{RefundSucceeded, "refund", refunds, status, "The payer has the money back. Final, unless his bank sends it back."},
		{RefundFailed, "refund", refunds, status, "The provider refused it; its money is free again. Final."},
		{RefundReturned, "refund", refunds, status,
			"The payer's bank sent the money back after it was paid; say where it is to go."},
		{RefundUnresolved, "refund", refunds, status,
			"Nobody knows what became of it and it may not be sent again under its number; two persons decide (`resolve`)."},
		{WithdrawalSucceeded, "withdrawal", withdrawals, status, "The merchant was paid. Final, unless its bank sends the money back."},
		{WithdrawalFailed, "withdrawal", withdrawals, status, "The provider refused it; its money is free again. Final."},
		{WithdrawalReturned, "withdrawal", withdrawals, status,
			"The payee's bank sent the money back after it was paid; it is free again. Final."},
		{WithdrawalUnresolved, "withdrawal", withdrawals, status,
			"Nobody knows what became of it and it may not be sent again under its number; two persons decide (`resolve`)."},
		{TransferSucceeded, "transfer", transfers, []string{"transfer_id", "status"}, "It is booked. Final."},
		{AccountStatusChanged, "account", accounts, []string{"account_id", "status"}, "It was frozen, thawed or closed."},
		{AccountLimitsChanged, "account", accounts, []string{"account_id"}, "Its limits are others."},
		{HoldPlaced, "hold", holds, []string{"hold_id", "status"}, "Placed by you, not by a refund or a withdrawal."},
		{HoldCaptured, "hold", holds, []string{"hold_id", "transfer_id"}, "A transfer took a part of it or all."},
		{HoldReleased, "hold", holds, []string{"hold_id", "status"}, "What was left of it is free. Final."},
		{HoldExpired, "hold", holds, []string{"hold_id", "status"}, "Its time is over; what was left of it is free. Final."},
		{ReconciliationBalanced, "reconciliation", recons, status, "A day at a provider agrees with the books. Final."},
		{ReconciliationDiscrepant, "reconciliation", recons, status, "A day at a provider does not agree with the books. Final."},
		{ApprovalRequested, "approval", approvals, approval, "A request waits for a second person."},
		{ApprovalApproved, "approval", approvals, approval, "A second person agreed; the request is carried out. Final."},
		{ApprovalRejected, "approval", approvals, approval, "A second person refused; nothing was done. Final."},
		{ApprovalExpired, "approval", approvals, approval, "Nobody decided in time; nothing was done. Final."},
		{WebhookEndpointFailing, "webhook_endpoint", endpoints, endpoint, "For a day nothing but failures came from it; it is still tried."},
		{WebhookEndpointPaused, "webhook_endpoint", endpoints, endpoint,
			"It failed for the whole schedule. Events are kept for it until you resume it."},
		{WebhookEndpointDisabled, "webhook_endpoint", endpoints, endpoint, "It answered 410. Events pass it by until you make it active."},
		{Ping, "webhook_endpoint", endpoints, endpoint[:1], "You asked for it; only that endpoint hears of it."},
	}
}

// Types lists every type of the contract.
func Types() []Type {
	var types []Type
	for _, kind := range Kinds() {
		types = append(types, kind.Type)
	}
	return types
}

// Known reports whether t is a type of the contract.
func (t Type) Known() bool { return slices.Contains(Types(), t) }

// Pattern is what an endpoint asks for: a type, or a noun and ".*" for all its types.
type Pattern string

// Known reports whether p asks for anything there is. Pings are sent unasked.
func (p Pattern) Known() bool {
	noun, all := strings.CutSuffix(string(p), ".*")
	return slices.ContainsFunc(Types(), func(t Type) bool {
		if all {
			return strings.HasPrefix(string(t), noun+".")
		}
		return string(t) == string(p) && t != Ping
	})
}

// values is how everything looks that data may hold: ids, statuses, codes. A name,
// a sentence, an e-mail address or a telephone number does not look like this.
var values = regexp.MustCompile(`^([a-z][a-z0-9_.]{0,63}|[a-z]{2,4}_[0-9A-HJKMNP-TV-Z]{26})$`)

// check refuses news that the catalogue does not allow, which is a mistake of ours.
func (n News) check() error {
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Type == n.Type })
	if i < 0 {
		return fmt.Errorf("event: unknown type %q", n.Type)
	}
	for name, value := range n.Data {
		if !slices.Contains(kinds[i].Data, name) {
			return fmt.Errorf("event: %s may not carry %q: the catalogue does not list it", n.Type, name)
		}
		// The value may be what must not get into an event, so it is not shown.
		if !values.MatchString(value) {
			return fmt.Errorf("event: %s of %s is neither an id nor a status", name, n.Type)
		}
	}
	return nil
}
