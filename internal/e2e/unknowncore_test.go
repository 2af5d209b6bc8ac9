package e2e_test

import (
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	temporal "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/workflows"
)

// The same as TestUnknownResultsLive on a clock that skips the pauses, so that many
// more fit: the adapters with their guards, the steps, the workflows, the API, the
// database and the sandbox are the real ones; only Temporal's server is played, by
// its test environment.
//
//	make unknowns    # 10,000 here and 1,000 on a Temporal server
func TestUnknownResultsAtTheCore(t *testing.T) {
	w := newWorldWithoutWorkers(t, unguarded)
	w.played = true
	l := newLaboratory(w, 3)
	steps := app.NewSteps(l.openPool(), l.adapters(l.openPool()), l.box(), app.NotifyURL(l.channels.PublicURL))
	began := time.Now()
	var facts []*fact
	for l.met.sum() < *unknownsCore {
		wave := l.allCourses(min(*unknownsCore, 400), func(string) bool { return true })
		room := make(chan struct{}, 8)
		var all sync.WaitGroup
		for _, f := range wave {
			room <- struct{}{}
			all.Go(func() {
				defer func() { <-room }()
				f.skipThrough(steps)
			})
		}
		all.Wait()
		require.False(t, t.Failed())
		l.playLate(steps)
		facts = append(facts, wave...)
		l.takeCount()
		l.judgeFacts(facts)
		t.Logf("seed %d: %d unusable answers met by %d payments, all right", *unknownSeed, l.met.sum(), len(facts))
	}
	t.Logf("seed %d: %d unusable answers to %d payments with their refunds and withdrawals in %s, of which the platform's own record shows %d as unknown\n%s",
		*unknownSeed, l.met.sum(), len(facts), time.Since(began).Round(time.Second),
		w.count(`select count(*) from channel_calls where outcome = 'unknown'`), l.met.table())
}

// skipThrough runs the fact's workflows to their ends, one after the other.
func (f *fact) skipThrough(steps app.Steps) {
	f.Helper()
	tenantID := f.seed.TenantID
	f.play(steps, accept.Start{WorkflowID: paymentWorkflow(f.payment), Type: payment.WorkflowType, Ref: accept.Ref{Tenant: tenantID, ID: f.payment}})
	if f.refunds() {
		f.giveBack()
		f.play(steps, accept.Start{WorkflowID: refundWorkflow(f.refund), Type: refund.WorkflowType, Ref: accept.Ref{Tenant: tenantID, ID: f.refund}})
	}
	if f.paysOut() {
		f.payOut()
		f.play(steps, accept.Start{WorkflowID: withdrawalWorkflow(f.withdrawal), Type: payout.WorkflowType, Ref: accept.Ref{Tenant: tenantID, ID: f.withdrawal}})
	}
}

// play runs one workflow to its end. While it waits, the payer and the tenant act.
func (f *fact) play(steps app.Steps, start accept.Start) {
	f.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silence{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(3 * time.Minute)
	env.SetStartTime(time.Now())
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&activities.Heartbeat{}},
		DeadlockDetectionTimeout: time.Minute}) // a busy machine is no deadlock
	env.SetStartWorkflowOptions(temporal.StartWorkflowOptions{ID: start.WorkflowID, TaskQueue: workflows.Queue})
	workflows.Register(env)
	steps.Register(env)
	env.SetOnTimerScheduledListener(func(string, time.Duration) {
		env.RegisterDelayedCallback(func() {
			if !f.acted && f.canAct() {
				f.act()
				env.SignalWorkflow(workflows.SignalChanged, nil)
			}
		}, time.Second)
	})
	env.ExecuteWorkflow(start.Type, start.Ref)
	require.True(f, env.IsWorkflowCompleted(), start.WorkflowID)
	require.NoError(f, env.GetWorkflowError(), start.WorkflowID)
}

// canAct: the payer has something to pay, or the provider was asked by code.
func (f *fact) canAct() bool {
	f.Helper()
	return f.countOf(`select count(*) from payments p join attempts a on a.payment_id = p.id where p.id = $1
		and (p.status = 'awaiting_payer' or a.sent_at is not null)`, f.payment) > 0
}

// playLate runs the workflows that give back what came too late.
func (l *laboratory) playLate(steps app.Steps) {
	l.Helper()
	rows, err := l.db.Pool.Query(l.ctx, `select workflow_id, workflow_type, input->>'id' from workflow_starts where workflow_type = 'LatePayment'`)
	require.NoError(l, err)
	starts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (accept.Start, error) {
		s := accept.Start{Ref: accept.Ref{Tenant: l.seed.TenantID}}
		return s, row.Scan(&s.WorkflowID, &s.Type, &s.Ref.ID)
	})
	require.NoError(l, err)
	for _, start := range starts {
		f := &fact{laboratory: l, acted: true}
		f.play(steps, start)
	}
}

// silence is a Temporal logger.
type silence struct{}

func (silence) Debug(string, ...any) {}
func (silence) Info(string, ...any)  {}
func (silence) Warn(string, ...any)  {}
func (silence) Error(string, ...any) {}
