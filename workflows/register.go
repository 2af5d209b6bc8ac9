package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/core/refund"
)

// Registry is what Register needs of a worker or a test environment.
type Registry interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
}

// Types names every workflow by the name histories know it by.
func Types() map[string]any {
	return map[string]any{
		payment.WorkflowType:     Payment,
		payment.LateWorkflowType: LatePayment,
		refund.WorkflowType:      Refund,
		payout.WorkflowType:      Withdrawal,

		payout.ReturnWorkflowType: WithdrawalReturn,
		refund.ReturnWorkflowType: RefundReturn,
		recon.WorkflowType:        Reconciliation,
		recon.DailyWorkflowType:   DailyOperations,
		DailyRoundType:            DailyRound,
	}
}

// Register registers every workflow under its name.
func Register(r Registry) {
	for name, w := range Types() {
		r.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{Name: name})
	}
}
