package access

import "slices"

// Role is what a principal is trusted with. Roles add up.
type Role string

// The roles. Who may do what is in matrix.
const (
	// Admin sets the tenant up: channels, keys, people, policies. It moves no money.
	Admin Role = "admin"
	// FinanceMaker asks for movements of money.
	FinanceMaker Role = "finance_maker"
	// FinanceChecker is the second person: it decides about what others asked for.
	FinanceChecker Role = "finance_checker"
	// Risk freezes, limits and holds.
	Risk Role = "risk"
	// Support helps payers: payments, their cancelling and refunds.
	Support Role = "support"
	// Merchant is a merchant's staff; it sees that merchant only.
	Merchant Role = "merchant"
	// Viewer reads.
	Viewer Role = "viewer"
)

// Roles lists all roles in the order of the table in docs/security.md.
func Roles() []Role {
	return []Role{Admin, FinanceMaker, FinanceChecker, Risk, Support, Merchant, Viewer}
}

// Action is one row of the matrix.
type Action struct {
	// Name is the operation's name in the contract.
	Name string
	// Roles may perform it.
	Roles []Role
	// Audited: the audit log tells of it whoever performs it. What a person changes is in
	// it in any case.
	Audited bool
}

// Allows reports whether one of roles may perform the action.
func (a Action) Allows(roles []Role) bool {
	return slices.ContainsFunc(roles, func(r Role) bool { return slices.Contains(a.Roles, r) })
}

// Matrix is the table of actions, in the order of the contract. A role that is not
// in a row may not perform it.
func Matrix() []Action { return slices.Concat(moneyActions(), setupActions()) }

func does(name string, roles ...Role) Action { return Action{Name: name, Roles: roles} }

func logged(name string, roles ...Role) Action {
	return Action{Name: name, Roles: roles, Audited: true}
}

// staff are all but merchants' staff.
func staff() []Role { return []Role{Admin, FinanceMaker, FinanceChecker, Risk, Support, Viewer} }

// workers are those of the tenant's own who do more than read.
func workers() []Role { return []Role{Admin, FinanceMaker, FinanceChecker, Risk, Support} }

// bookkeepers see accounts.
func bookkeepers() []Role { return []Role{Admin, FinanceMaker, FinanceChecker, Risk, Viewer} }

// owners see accounts, or those of their merchant.
func owners() []Role { return []Role{Admin, FinanceMaker, FinanceChecker, Risk, Merchant, Viewer} }

// moneyActions are about payments and what becomes of the money.
func moneyActions() []Action {
	return []Action{
		does("createPayment", FinanceMaker, Support),
		does("listPayments", Roles()...),
		does("getPayment", Roles()...),
		does("createPaymentAttempt", FinanceMaker, Support),
		does("cancelPayment", FinanceMaker, Risk, Support),
		logged("forgetPayer", Admin),
		does("getPaymentTimeline", staff()...),
		does("createPaymentLink", FinanceMaker, Support),
		does("listPaymentLinks", Roles()...),
		does("getPaymentLink", Roles()...),
		does("closePaymentLink", FinanceMaker, Risk, Support),
		does("createRefund", FinanceMaker, Support),
		does("listRefunds", Roles()...),
		does("getRefund", Roles()...),
		logged("redirectRefund", FinanceMaker),
		logged("resolveRefund", FinanceMaker),
		does("createWithdrawal", FinanceMaker, Merchant),
		does("listWithdrawals", owners()...),
		does("getWithdrawal", owners()...),
		logged("resolveWithdrawal", FinanceMaker),
		does("createTransfer", FinanceMaker),
		does("listTransfers", bookkeepers()...),
		does("getTransfer", bookkeepers()...),
		does("createTransferBatch", FinanceMaker),
		does("getTransferBatch", bookkeepers()...),
		logged("createMerchant", Admin),
		does("listMerchants", Roles()...),
		does("getMerchant", Roles()...),
		logged("forgetPayee", Admin),
		logged("unmaskPayee", Admin, Risk),
		logged("createSplitRule", Admin),
		does("listSplitRules", staff()...),
		does("getSplitRule", staff()...),
		does("createSplitPreview", staff()...),
		logged("openAccount", Admin),
		does("listAccounts", owners()...),
		does("getAccount", owners()...),
		does("getAccountStatement", owners()...),
		logged("changeAccountStatus", Risk),
		logged("changeAccountLimits", Risk),
		does("getAccountLimits", owners()...),
		does("listAccountChanges", bookkeepers()...),
		does("listEntries", bookkeepers()...),
		does("getEntry", bookkeepers()...),
		does("placeHold", FinanceMaker, Risk),
		does("listHolds", bookkeepers()...),
		does("getHold", bookkeepers()...),
		does("releaseHold", FinanceMaker, Risk),
		does("listVouchers", bookkeepers()...),
		does("getTrialBalance", bookkeepers()...),
	}
}

// setupActions are about how the tenant is set up, and its days.
func setupActions() []Action {
	return []Action{
		does("listChannels", staff()...),
		logged("createChannelAccount", Admin),
		does("listChannelAccounts", Admin, Viewer),
		does("getChannelAccount", Admin, Viewer),
		logged("changeChannelAccount", Admin),
		logged("createChannelCredentials", Admin),
		does("listChannelCredentials", Admin),
		logged("retireChannelCredentials", Admin),
		does("checkChannelAccount", Admin),
		does("listChannelProducts", Admin, Viewer),
		logged("changeChannelProducts", Admin),
		logged("createDailyOperation", FinanceMaker),
		does("listDailyOperations", bookkeepers()...),
		does("getDailyOperation", bookkeepers()...),
		logged("createReconciliation", FinanceMaker),
		does("listReconciliations", bookkeepers()...),
		does("getReconciliation", bookkeepers()...),
		does("listReconciliationDiscrepancies", bookkeepers()...),
		does("listDiscrepancies", bookkeepers()...),
		does("listEvents", staff()...),
		does("getEvent", staff()...),
		logged("redeliverEvent", Admin, Support),
		logged("createWebhookEndpoint", Admin),
		does("listWebhookEndpoints", Admin, Viewer),
		does("getWebhookEndpoint", Admin, Viewer),
		logged("changeWebhookEndpoint", Admin),
		logged("deleteWebhookEndpoint", Admin),
		logged("rotateWebhookSecret", Admin),
		does("listWebhookDeliveries", Admin, Viewer),
		does("getWebhookDelivery", Admin, Viewer),
		logged("pingWebhookEndpoint", Admin, Support),
		logged("createWebhookRedelivery", Admin, Support),
		does("getWebhookRedelivery", Admin, Viewer),
		logged("createPrincipal", Admin),
		does("listPrincipals", Admin, Viewer),
		does("getPrincipal", Admin, Viewer),
		logged("changePrincipal", Admin),
		logged("bindPrincipalKey", Admin),
		logged("changeApprovalPolicy", Admin),
		does("listApprovalPolicies", staff()...),
		does("listApprovals", staff()...),
		does("getApproval", staff()...),
		logged("approveApproval", FinanceChecker),
		logged("rejectApproval", FinanceChecker),
		logged("createAPIKey", Admin),
		does("listAPIKeys", Admin, Viewer),
		does("getAPIKey", Admin, Viewer),
		logged("rotateAPIKey", workers()...), // a person's own, see tenant.Principal.MayHandOut
		logged("revokeAPIKey", Admin),
		logged("createSigningKey", workers()...), // for a person's own
		does("listSigningKeys", Admin, Viewer),
		logged("retireSigningKey", Admin),
		does("listAuditEntries", Admin, Risk, Viewer),
		does("getTestClock", staff()...),
		logged("moveTestClock", Admin),
	}
}
