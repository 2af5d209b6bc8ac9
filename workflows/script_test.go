package workflows_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/workflows"
)

// script plays the activities: each gives the answers written for it in turn, and
// a call that no answer was written for fails the test.
type script struct {
	*testsuite.TestWorkflowEnvironment
	t     *testing.T
	mu    sync.Mutex // children call at the same time
	calls []string
	// began and at are when the first and the last activity began, on the
	// workflow's own clock.
	began, at time.Time
}

func newScript(t *testing.T) *script {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	s := &script{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), t: t}
	// The clock of the environment skips; this bounds the machine's.
	s.SetTestTimeout(time.Minute)
	// A machine that is busy with other tests is no deadlock.
	s.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	workflows.Register(s)
	return s
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

// reply is one answer of an activity.
type reply[S any] struct {
	state S
	err   error
}

func say[S any](state S) reply[S] { return reply[S]{state: state} }

// take notes the call and returns the next answer.
func take[S any](s *script, call string, answers *[]reply[S]) (S, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
	s.at = s.Now()
	if s.began.IsZero() {
		s.began = s.at
	}
	if len(*answers) == 0 {
		var none S
		s.t.Errorf("the script has no answer for this call: %v", s.calls)
		s.CancelWorkflow()
		return none, fmt.Errorf("no answer for %s", call)
	}
	next := (*answers)[0]
	*answers = (*answers)[1:]
	return next.state, next.err
}

func (s *script) as(name string, fn any) {
	s.RegisterActivityWithOptions(fn, activity.RegisterOptions{Name: name})
}

// plays registers an activity that takes only the object.
func plays[S any](s *script, name string, answers ...reply[S]) {
	s.as(name, func(context.Context, accept.Ref) (S, error) { return take(s, name, &answers) })
}

// playsSend registers a moving step; the call's name tells whether it may repeat.
func playsSend(s *script, name string, answers ...reply[activities.MovingState]) {
	s.as(name, func(_ context.Context, _ accept.Ref, again bool) (activities.MovingState, error) {
		return take(s, fmt.Sprintf("%s again=%t", name, again), &answers)
	})
}

// playsRefuse registers the step after a refusal; the call's name tells which.
func playsRefuse(s *script, name string, answers ...reply[activities.MovingState]) {
	s.as(name, func(_ context.Context, _ accept.Ref, refusal activities.MovingState) (activities.MovingState, error) {
		return take(s, name+" "+refusal.ChannelCode, &answers)
	})
}

func object() accept.Ref { return accept.Ref{Tenant: "ten_1", ID: "obj_1"} }

// ends runs the workflow and decodes its result.
func ends[S any](s *script, workflowType string) S {
	s.t.Helper()
	s.ExecuteWorkflow(workflowType, object())
	require.True(s.t, s.IsWorkflowCompleted())
	require.NoError(s.t, s.GetWorkflowError())
	var result S
	require.NoError(s.t, s.GetWorkflowResult(&result))
	return result
}

// answered keeps what an update answered.
type answered struct {
	value any
	err   error
	at    time.Time
	done  bool
}

// asks sends UpdateFirstAnswer and keeps the answer.
func (s *script) asks(at time.Duration, about ...any) *answered {
	return s.updates(workflows.UpdateFirstAnswer, at, about...)
}

// updates sends an update and keeps the answer.
func (s *script) updates(name string, at time.Duration, about ...any) *answered {
	a := &answered{}
	s.RegisterDelayedCallback(func() {
		s.UpdateWorkflow(name, name, &testsuite.TestUpdateCallback{
			OnAccept:   func() {},
			OnReject:   func(err error) { a.err = err },
			OnComplete: func(value any, err error) { a.value, a.err, a.at, a.done = value, err, s.Now(), true },
		}, about...)
	}, at)
	return a
}
