//go:build chaos

package intercept

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/internal/failpoint"
)

// Temporal returns what a client, and the workers made from it, need to visit
// failpoints: nothing without the build tag chaos.
func Temporal(ctx context.Context) []interceptor.ClientInterceptor {
	return []interceptor.ClientInterceptor{&points{plan: ctx}}
}

// points wraps activities and workflow code of a worker, and the starts of a client.
type points struct {
	interceptor.InterceptorBase
	plan context.Context // carries what failpoint.Load found
}

// InterceptActivity gives every attempt a scope named by the activity.
func (p *points) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &attempts{interceptor.ActivityInboundInterceptorBase{Next: next}, p.plan}
}

type attempts struct {
	interceptor.ActivityInboundInterceptorBase
	plan context.Context
}

// planned is the activity's context with the plan's values.
type planned struct {
	context.Context
	plan context.Context
}

// Value prefers the activity's own values.
func (p planned) Value(key any) any {
	if value := p.Context.Value(key); value != nil {
		return value
	}
	return p.plan.Value(key)
}

func (a *attempts) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	ctx = failpoint.Scope(planned{ctx, a.plan}, activity.GetInfo(ctx).ActivityType.Name)
	failpoint.At(ctx, failpoint.Begin)
	result, err := a.Next.ExecuteActivity(ctx, in)
	failpoint.At(ctx, failpoint.End)
	return result, err
}

// InterceptWorkflow gives every run a scope named by the workflow. The visits of
// a replay are counted and do nothing, so that a number always names one command.
func (p *points) InterceptWorkflow(ctx workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	scope := failpoint.Scope(p.plan, workflow.GetInfo(ctx).WorkflowType.Name)
	return &run{interceptor.WorkflowInboundInterceptorBase{Next: next}, &live{scope}}
}

// live visits places of a run that is not being replayed.
type live struct{ scope context.Context }

func (l *live) at(ctx workflow.Context, place string) {
	if workflow.IsReplaying(ctx) {
		failpoint.Pass(l.scope, place)
		return
	}
	failpoint.At(l.scope, place)
}

type run struct {
	interceptor.WorkflowInboundInterceptorBase
	*live
}

func (r *run) Init(outbound interceptor.WorkflowOutboundInterceptor) error {
	return r.Next.Init(&commands{interceptor.WorkflowOutboundInterceptorBase{Next: outbound}, r.live})
}

func (r *run) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	result, err := r.Next.ExecuteWorkflow(ctx, in)
	r.at(ctx, failpoint.End)
	return result, err
}

func (r *run) ExecuteUpdate(ctx workflow.Context, in *interceptor.UpdateInput) (any, error) {
	result, err := r.Next.ExecuteUpdate(ctx, in)
	r.at(ctx, failpoint.Update)
	return result, err
}

// commands visits the place before each command that workflow code asks for.
type commands struct {
	interceptor.WorkflowOutboundInterceptorBase
	*live
}

func (c *commands) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	c.at(ctx, failpoint.Command)
	return c.Next.ExecuteActivity(ctx, name, args...)
}

func (c *commands) ExecuteLocalActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	c.at(ctx, failpoint.Command)
	return c.Next.ExecuteLocalActivity(ctx, name, args...)
}

func (c *commands) ExecuteChildWorkflow(ctx workflow.Context, name string, args ...any) workflow.ChildWorkflowFuture {
	c.at(ctx, failpoint.Command)
	return c.Next.ExecuteChildWorkflow(ctx, name, args...)
}

func (c *commands) NewTimer(ctx workflow.Context, d time.Duration) workflow.Future {
	c.at(ctx, failpoint.Command)
	return c.Next.NewTimer(ctx, d)
}

func (c *commands) NewTimerWithOptions(ctx workflow.Context, d time.Duration, o workflow.TimerOptions) workflow.Future {
	c.at(ctx, failpoint.Command)
	return c.Next.NewTimerWithOptions(ctx, d, o)
}

func (c *commands) Sleep(ctx workflow.Context, d time.Duration) error {
	c.at(ctx, failpoint.Command)
	return c.Next.Sleep(ctx, d)
}

func (c *commands) SignalExternalWorkflow(ctx workflow.Context, workflowID, runID, name string, arg any) workflow.Future {
	c.at(ctx, failpoint.Command)
	return c.Next.SignalExternalWorkflow(ctx, workflowID, runID, name, arg)
}

func (c *commands) NewContinueAsNewError(ctx workflow.Context, fn any, args ...any) error {
	c.at(ctx, failpoint.Command)
	return c.Next.NewContinueAsNewError(ctx, fn, args...)
}

// InterceptClient visits the places around the starts of workflows.
func (p *points) InterceptClient(next interceptor.ClientOutboundInterceptor) interceptor.ClientOutboundInterceptor {
	return &starts{interceptor.ClientOutboundInterceptorBase{Next: next}}
}

type starts struct {
	interceptor.ClientOutboundInterceptorBase
}

func (s *starts) ExecuteWorkflow(ctx context.Context, in *interceptor.ClientExecuteWorkflowInput) (client.WorkflowRun, error) {
	failpoint.At(ctx, failpoint.BeforeStart)
	run, err := s.Next.ExecuteWorkflow(ctx, in)
	failpoint.At(ctx, failpoint.AfterStart)
	return run, err
}

func (s *starts) SignalWithStartWorkflow(ctx context.Context, in *interceptor.ClientSignalWithStartWorkflowInput) (client.WorkflowRun, error) {
	failpoint.At(ctx, failpoint.BeforeStart)
	run, err := s.Next.SignalWithStartWorkflow(ctx, in)
	failpoint.At(ctx, failpoint.AfterStart)
	return run, err
}

func (s *starts) UpdateWithStartWorkflow(
	ctx context.Context, in *interceptor.ClientUpdateWithStartWorkflowInput,
) (client.WorkflowUpdateHandle, error) {
	failpoint.At(ctx, failpoint.BeforeStart)
	handle, err := s.Next.UpdateWithStartWorkflow(ctx, in)
	failpoint.At(ctx, failpoint.AfterStart)
	return handle, err
}
