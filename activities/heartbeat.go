package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
)

// Heartbeat makes every activity that has a heartbeat timeout send heartbeats
// while it runs. A step waits for a provider or for the database and has no
// progress of its own to report; what matters is that the death of its worker
// is noticed in seconds, and not when the step's whole time is over.
type Heartbeat struct {
	interceptor.WorkerInterceptorBase
}

// InterceptActivity wraps the next interceptor.
func (*Heartbeat) InterceptActivity(
	_ context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &beating{interceptor.ActivityInboundInterceptorBase{Next: next}}
}

type beating struct {
	interceptor.ActivityInboundInterceptorBase
}

// ExecuteActivity beats three times per heartbeat timeout until the step ends.
func (b *beating) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	timeout := activity.GetInfo(ctx).HeartbeatTimeout
	if timeout <= 0 {
		return b.Next.ExecuteActivity(ctx, in)
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		ticker := time.NewTicker(timeout / 3)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-ticker.C:
				activity.RecordHeartbeat(ctx)
			}
		}
	}()
	return b.Next.ExecuteActivity(ctx, in)
}
