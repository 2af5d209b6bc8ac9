package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// heartbeat is after how long without a sign of life a step's worker counts as
// dead. The steps send it themselves; see activities.Heartbeat.
const heartbeat = 10 * time.Second

// channelCall is for steps that ask a provider something, or instruct it in a
// way that may be repeated identically, and then commit what they learned. A
// provider's uncertain answer is a result, not an error; what is retried here,
// for as long as it takes, is our own trouble (database, process death).
func channelCall(ctx workflow.Context, channel string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           channel,
		StartToCloseTimeout: 45 * time.Second,
		HeartbeatTimeout:    heartbeat,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval:    500 * time.Millisecond,
			BackoffCoefficient: 2,
			MaximumInterval:    15 * time.Second,
		},
	})
}

// movingCall is for the one step that moves money at a provider. It is tried
// once: whatever goes wrong with it, the workflow asks before it sends again.
func movingCall(ctx workflow.Context, channel string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           channel,
		StartToCloseTimeout: 45 * time.Second,
		HeartbeatTimeout:    heartbeat,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}

// billCall is for downloading and storing a bill, which may be large.
func billCall(ctx workflow.Context, channel string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           channel,
		StartToCloseTimeout: 20 * time.Minute,
		HeartbeatTimeout:    heartbeat,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval:    time.Second,
			BackoffCoefficient: 2,
			MaximumInterval:    time.Minute,
		},
	})
}

// bookwork is for steps that only use the database.
func bookwork(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           Queue,
		StartToCloseTimeout: 5 * time.Minute,
		HeartbeatTimeout:    heartbeat,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval:    500 * time.Millisecond,
			BackoffCoefficient: 2,
			MaximumInterval:    15 * time.Second,
		},
	})
}

// patience is a growing pause between two questions about the same thing.
type patience struct{ pause, max time.Duration }

func (p *patience) next() time.Duration {
	now := p.pause
	p.pause = min(p.pause*3/2, p.max)
	return now
}

// Pauses between queries. The provider's notification normally comes first;
// these find what a lost notification would have told.
func payerPatience() patience  { return patience{5 * time.Second, 10 * time.Minute} }
func movingPatience() patience { return patience{3 * time.Second, 5 * time.Minute} }
func billPatience() patience   { return patience{time.Minute, 30 * time.Minute} }

// rhythm is how often a provider is asked what became of a code on a payer's
// phone, and for how long before it is to be undone.
type rhythm struct{ every, atMost time.Duration }

// rhythmOfCodes is what each provider asks for: Alipay every 3 to 6 s for up to
// 60 s, WeChat Pay about every 10 s for up to 45 s.
func rhythmOfCodes(channel string) rhythm {
	if channel == "wechatpay" {
		return rhythm{10 * time.Second, 45 * time.Second}
	}
	return rhythm{4 * time.Second, 60 * time.Second}
}
