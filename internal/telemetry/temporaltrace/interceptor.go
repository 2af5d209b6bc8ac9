package temporaltrace

import (
	"context"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/internal/telemetry"
)

// Interceptors are what a client, and the workers made from it, need to take part in
// traces: nothing for a nil *telemetry.Traces. codeOf is the code of an error that is a
// refusal of ours, or empty; no other word of an error comes into a span.
func Interceptors(traces *telemetry.Traces, codeOf func(error) string) []interceptor.ClientInterceptor {
	if traces == nil {
		return nil
	}
	return []interceptor.ClientInterceptor{traced{interceptor.NewTracingInterceptor(&tracer{traces: traces, codeOf: codeOf})}}
}

// traced is Temporal's tracing interceptor with ours inside.
type traced struct{ interceptor.Interceptor }

// InterceptWorkflow lets a run be told once.
func (t traced) InterceptWorkflow(ctx workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return t.Interceptor.InterceptWorkflow(ctx, &ending{interceptor.WorkflowInboundInterceptorBase{Next: next}})
}

// InterceptActivity numbers the tries.
func (t traced) InterceptActivity(ctx context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return t.Interceptor.InterceptActivity(ctx, &numbered{interceptor.ActivityInboundInterceptorBase{Next: next}})
}

// ending releases the span of a run, or of an update, when it has come to its end. A run
// that leaves a worker's memory unfinished goes through the same code as one that ends,
// and one that is replayed has ended before: neither is told.
type ending struct {
	interceptor.WorkflowInboundInterceptorBase
}

func (e *ending) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	result, err := e.Next.ExecuteWorkflow(ctx, in)
	release(ctx)
	return result, err
}

func (e *ending) ExecuteUpdate(ctx workflow.Context, in *interceptor.UpdateInput) (any, error) {
	result, err := e.Next.ExecuteUpdate(ctx, in)
	release(ctx)
	return result, err
}

func release(ctx workflow.Context) {
	if s, ok := ctx.Value(spanKey{}).(*span); ok {
		s.released = !workflow.IsReplaying(ctx)
	}
}

type numbered struct {
	interceptor.ActivityInboundInterceptorBase
}

func (n *numbered) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	telemetry.Attempt(ctx, int(activity.GetInfo(ctx).Attempt))
	return n.Next.ExecuteActivity(ctx, in)
}
