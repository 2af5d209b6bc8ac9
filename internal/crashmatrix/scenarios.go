package crashmatrix

import (
	"reflect"
	"runtime"
	"slices"
	"strings"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/workflows"
)

// Scenario is one course of business. Its cells are the failpoints that it visits
// in the Steps it answers for: names of activities, workflows, sweeps and routes,
// and app.ScopeWebhooks. A step that it is said to visit and does not fails it.
type Scenario struct {
	Name  string
	Steps []string
}

// The routes that accept something for good.
const (
	routePayment       = "POST /v1/payments"
	routeRefund        = "POST /v1/payments/{id}/refunds"
	routeRedirect      = "POST /v1/refunds/{id}/redirect"
	routeWithdrawal    = "POST /v1/withdrawals"
	routeTransfer      = "POST /v1/transfers"
	routeTransferBatch = "POST /v1/transfer_batches"
	routeResolve       = "POST /v1/refunds/{id}/resolve"
	routeApprove       = "POST /v1/approvals/{id}/approve"
	routeAttempt       = "POST /v1/payments/{id}/attempts"
	routeCancel        = "POST /v1/payments/{id}/cancel"
	routeDaily         = "POST /v1/daily_operations"
	routeRecon         = "POST /v1/reconciliations"
	routeAlipay        = "POST /notify/alipay/{id}"
	routeWeChat        = "POST /notify/wechatpay/{id}"
)

// The sweeps, by the names app.Sweeper gives them.
const (
	sweepStart   = "start missing workflows"
	sweepRelay   = "relay notifications"
	sweepOverdue = "wake overdue payments"
	sweepNews    = "tell payments what was asked"
	sweepSeal    = "seal the books"
	sweepHolds   = "expire holds"
	sweepWaits   = "expire approvals"
	sweepMonths  = "make partitions"
	sweepCalls   = "forget old calls"
	sweepSecrets = "forget one-time secrets"
	sweepTrips   = "forget payers' trips"
	sweepNonces  = "forget nonces"
	sweepRange   = "redeliver events"
	sweepReturns = "look for returns"
)

// Scenarios lists everything that is run.
func Scenarios() []Scenario {
	paying := []string{"Payment", "ReadPayment", "PrepareAttempt", "QueryAttempt", routePayment, sweepRelay}
	closing := []string{"Payment", "QueryAttempt", "CloseAttempt"}
	late := []string{"LatePayment", "ReadLatePayment", "BookLatePayment", sweepStart}
	return []Scenario{
		{"pay-alipay", append([]string{routeAlipay}, paying...)},
		{"pay-wechat", append([]string{routeWeChat}, paying...)},
		{"close-alipay", append([]string{sweepOverdue}, closing...)},
		{"close-scanned", closing},
		{"close-wechat", closing},
		{"refuse-alipay", []string{"Payment", "PrepareAttempt"}},
		{"refuse-wechat", []string{"Payment", "PrepareAttempt"}},
		{"cancel", []string{"CloseAttempt", routeCancel, sweepNews}},
		{"cancel-unchosen", []string{"EndPayment", routeCancel}},
		{"second-attempt", []string{"PrepareAttempt", "CloseAttempt", routeAttempt, sweepNews}},
		{"code-alipay", []string{"PayByCode"}},
		{"code-wechat", []string{"PayByCode"}},
		{"code-undone", []string{"PayByCode", "UndoAttempt"}},
		{"late-alipay", late},
		{"late-wechat", late},
		{"refund-alipay", []string{"Refund", "ReadRefund", "SendRefund", routeRefund}},
		{"refund-wechat", []string{"Refund", "ReadRefund", "SendRefund", "QueryRefund", routeRefund}},
		{"refund-lost-alipay", []string{"Refund", "QueryRefund"}},
		{"refund-unseen-alipay", []string{"Refund", "SendRefund", "QueryRefund"}},
		{"refund-refused-alipay", []string{"Refund", "RefuseRefund"}},
		{"refund-refused-wechat", []string{"Refund", "QueryRefund", "RefuseRefund"}},
		{"refund-redirected", []string{"Refund", "QueryRefund", "RedirectRefund", routeRedirect}},
		{"refund-returned", []string{"Refund", "RefundReturn", "ReadPaidRefund", "FindReturnedRefund", "QueryRefund", routeRedirect}},
		{"refund-resolved", []string{"Refund", "SendRefund", "QueryRefund", routeResolve, routeApprove}},
		{"withdraw", []string{"Withdrawal", "ReadWithdrawal", "SendWithdrawal", routeWithdrawal}},
		{"withdraw-lost", []string{"Withdrawal", "QueryWithdrawal"}},
		{"withdraw-unseen", []string{"Withdrawal", "SendWithdrawal", "QueryWithdrawal"}},
		{"withdraw-refused", []string{"Withdrawal", "SendWithdrawal", "RefuseWithdrawal"}},
		{"withdraw-returned", []string{"WithdrawalReturn", "ReadPaidWithdrawal", "FindReturnedWithdrawal", sweepReturns}},
		{"daily", []string{"DailyOperations", "Reconciliation", "OpenReconciliations", "SettleDay", "FinishDaily",
			"ReadReconciliation", "FetchBill", "MatchBill", routeDaily}},
		{"recon-refused", []string{"Reconciliation", "ReadReconciliation", "FetchBill", "GiveUpReconciliation", routeRecon}},
		{"round", []string{workflows.DailyRoundType, "OpenYesterday", sweepStart}},
		{"transfer", []string{routeTransfer}},
		{"transfer-batch", []string{routeTransferBatch}},
		{"webhook", []string{app.ScopeWebhooks}},
		{"redelivery", []string{sweepRange}},
		{"seal", []string{sweepSeal}},
		{"expire-hold", []string{sweepHolds}},
		{"year-ahead", []string{sweepMonths}},
		{"forget", []string{sweepCalls, sweepSecrets, sweepWaits, sweepTrips, sweepNonces}},
	}
}

// Registered names every activity, workflow and sweep that a worker runs.
func Registered() []string {
	names := NamesOf(app.NewSteps(nil, nil, nil, nil).Register)
	for name := range workflows.Types() {
		names = append(names, name)
	}
	names = append(names, (&app.Sweeper{}).Sweeps()...)
	slices.Sort(names)
	return names
}

// NamesOf lists the activities that register registers.
func NamesOf(register func(worker.ActivityRegistry)) []string {
	found := &registry{}
	register(found)
	return found.names
}

// Unanswered lists the registered steps that no scenario answers for.
func Unanswered(registered []string, scenarios []Scenario) []string {
	var missing []string
	for _, step := range registered {
		if !slices.ContainsFunc(scenarios, func(s Scenario) bool { return slices.Contains(s.Steps, step) }) {
			missing = append(missing, step)
		}
	}
	return missing
}

// registry takes the place of a worker and keeps the names of activities.
type registry struct {
	worker.ActivityRegistry
	names []string
}

// RegisterActivity names activities as the SDK does.
func (r *registry) RegisterActivity(a any) {
	r.RegisterActivityWithOptions(a, activity.RegisterOptions{})
}

// RegisterActivityWithOptions takes a function, or a struct with one per method.
func (r *registry) RegisterActivityWithOptions(a any, options activity.RegisterOptions) {
	kind := reflect.TypeOf(a)
	if kind.Kind() == reflect.Func {
		name := options.Name
		if name == "" {
			whole := strings.TrimSuffix(runtime.FuncForPC(reflect.ValueOf(a).Pointer()).Name(), "-fm")
			name = whole[strings.LastIndexByte(whole, '.')+1:]
		}
		r.names = append(r.names, name)
		return
	}
	for i := range kind.NumMethod() {
		r.names = append(r.names, options.Name+kind.Method(i).Name)
	}
}
