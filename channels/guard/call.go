package guard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/internal/telemetry"
)

// guarded is an adapter behind the guard of its account. What makes no call
// (Name, Offers, notifications) is the adapter's own.
type guarded struct {
	channel.Adapter
	account *account
}

// call is one call to a provider with what is kept of it.
type call[A any] struct {
	op      channel.Operation
	number  string
	request fields
	send    func(context.Context) (A, error)
	// unsent makes the result of a call that was not let go.
	unsent func(channel.Answer) A
	// read takes the answer, and the fields to keep of it, out of a result.
	read func(A) (channel.Answer, fields)
}

// Who refused a call; the words are also labels of a metric.
const (
	byBulkhead = "bulkhead"
	byBreaker  = "breaker"
	byRate     = "rate"
)

// guard makes one call, or answers it with CodeNotSent at once.
func guard[A any](ctx context.Context, a *account, c call[A]) (A, error) {
	began := time.Now()
	ctx, span := a.guards.ports.Traces.Call(ctx, a.channel, a.ID, string(c.op))
	defer span.End()
	letGo, by, err := a.admit(ctx, c.op)
	span.Waited(time.Since(began))
	switch {
	case err != nil:
		var none A
		return none, fmt.Errorf("%s: nothing was sent: %w", c.op, err)
	case by != "":
		span.Refused(by)
		return refuse(a, c, began, by), nil
	}
	return attempt(ctx, a, c, letGo, span)
}

// refuse answers a call that was not let go.
func refuse[A any](a *account, c call[A], began time.Time, by string) A {
	answer := channel.Answer{Outcome: channel.Unknown, Code: channel.CodeNotSent, Message: whyRefused(by)}
	a.guards.ports.Metrics.Refused(a.channel, a.ID, by)
	a.record(channel.Call{
		Number: c.number, Operation: c.op, StartedAt: began, Took: time.Since(began),
		Outcome: answer.Outcome, Code: answer.Code, Request: c.request, Answer: fields{"refused_by": by},
	})
	return c.unsent(answer)
}

func whyRefused(by string) string {
	switch by {
	case byBulkhead:
		return "not sent: too many calls of this channel account are under way"
	case byBreaker:
		return "not sent: this channel account has not been answering"
	}
	return "not sent: no turn within the provider's calls per second"
}

// attempt makes the call that was let go.
func attempt[A any](ctx context.Context, a *account, c call[A], letGo func(error), span telemetry.Call) (A, error) {
	heard := errBad // what a panic leaves
	defer func() { letGo(heard) }()
	bounded, cancel := context.WithTimeout(ctx, a.guards.limits.timeout(c.op))
	defer cancel()
	watched, witness := wire.Watch(bounded)
	began := time.Now()
	result, err := c.send(watched)
	took := time.Since(began)

	answer, kept := channel.Answer{Outcome: channel.CallError}, fields{}
	if err == nil {
		answer, kept = c.read(result)
	}
	local := err == nil && c.op == channel.OpPrepay && witness.Requests() == 0 && answer.Outcome == channel.Succeeded
	heard = a.verdict(ctx, c.op, answer, took)
	if err != nil || local {
		heard = errIgnored
	}
	a.guards.ports.Metrics.Called(a.channel, a.ID, string(c.op), string(answer.Outcome), took)
	inconclusive := err != nil || answer.Outcome == channel.Unknown
	span.Answered(string(answer.Outcome), channel.PlainCode(answer.Code), providerCode(answer), inconclusive)
	a.record(channel.Call{
		Number: c.number, Operation: c.op, StartedAt: began, Took: took, Outcome: answer.Outcome, Code: answer.Code,
		RequestID: witness.RequestID(), Request: c.request, Answer: kept.with("provider_code", providerCode(answer)),
	})
	return result, err
}

// admit waits until a call may go, and says by whom it was refused if it may not.
// The function it returns ends the call and tells the breaker what came of it. The
// error is that of a context that ended meanwhile.
func (a *account) admit(ctx context.Context, op channel.Operation) (letGo func(error), by string, err error) {
	select {
	case a.room <- struct{}{}:
	default:
		return nil, byBulkhead, nil
	}
	ended := a.guards.ports.Metrics.Began(a.channel, a.ID)
	leave := func() { ended(); <-a.room }
	defer func() {
		if letGo == nil {
			leave()
		}
	}()
	if a.breaker.State() == gobreaker.StateOpen {
		return nil, byBreaker, nil
	}
	if p := a.pacerOf(op); p != nil {
		switch err := p.wait(ctx); {
		case errors.Is(err, errNoTurn):
			return nil, byRate, nil
		case err != nil:
			return nil, "", err
		}
	}
	tell, err := a.breaker.Allow()
	if err != nil {
		return nil, byBreaker, nil
	}
	return func(heard error) { tell(heard); leave() }, "", nil
}

// verdict is what a call says about its provider's health. ctx is the caller's: a
// call that the caller gave up says nothing.
func (a *account) verdict(ctx context.Context, op channel.Operation, answer channel.Answer, took time.Duration) error {
	unusable := answer.Outcome == channel.Unknown && answer.Code != channel.CodeMismatch
	file := op == channel.OpFetchTradeBill || op == channel.OpFetchFundBill
	switch {
	case unusable && errors.Is(ctx.Err(), context.Canceled):
		return errIgnored
	case unusable || took > a.guards.limits.SlowAfter && !file:
		return errBad
	}
	return nil
}

func (a *account) record(call channel.Call) {
	call.Tenant, call.ChannelAccountID, call.Code = a.Tenant, a.ID, channel.PlainCode(call.Code)
	a.guards.ports.Record(call)
}
