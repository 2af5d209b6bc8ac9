package activities_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/api"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/workflows"
)

// stage is a scene on which real workflows run, one course after the other, on
// the environment's clock that skips; the business clock follows it.
type stage struct {
	*scene
	day   time.Time
	ahead time.Duration // of the business clock, at the beginning of the next course
	api   http.Handler
	now   *counterpart // of the course that happens
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{scene: newScene(t), day: time.Now().Truncate(time.Second)}
	var err error
	s.api, err = api.New(api.Options{DB: s.db.DB, Adapters: s, Log: silent()})
	require.NoError(t, err)
	return s
}

// Adapter is the provider of the course that happens.
func (s *stage) Adapter(context.Context, tenant.ChannelAccount) (channel.Adapter, error) {
	return s.now, nil
}

func (s *stage) Notifier(ctx context.Context, account tenant.ChannelAccount) (channel.Notifier, error) {
	return s.Adapter(ctx, account)
}

// course is one object on its way, with the messages about it in one order. A
// message is either a push, which reaches us on its own, or "<call> <how>", the
// next answer to that call. A push arrives while the first call whose answer
// follows it is under way, or while the workflow waits.
type course struct {
	*stage
	truth    truth
	ref      accept.Ref
	workflow string
	rest     []string
	sweeper  *app.Sweeper
	steps    app.Steps

	mu      sync.Mutex // guards what follows against the workflow's two goroutines
	env     *testsuite.TestWorkflowEnvironment
	began   time.Time
	running accept.Start
	queue   []accept.Start
	over    map[string]bool
	blocked string // the pull that was first when the workflow last waited
	idle    int    // how often it waited after everything was said
	asking  string
	isPaid  bool
	ghosts  []*ghost
	haunted sync.WaitGroup
	errs    []error
}

// run lets the course happen and returns what became of it.
func (s *stage) run(t truth, order []string) fate {
	s.Helper()
	c := &course{stage: s, truth: t, rest: slices.Clone(order), over: map[string]bool{}}
	provider := &counterpart{course: c, trade: channel.TradeNotFound, before: channel.TradeNotFound, moved: map[string]int{}}
	c.steps = app.NewSteps(s.db.DB, s, s.box, app.NotifyURL("https://pay.example.com"))
	c.sweeper = &app.Sweeper{DB: s.db.DB, Starter: workflows.Starter{Client: &switchboard{course: c}}, Log: silent(), Grace: app.PaymentGrace}
	s.now = provider
	c.ref, c.workflow = t.begin(s)
	c.startRequired()
	for len(c.queue) > 0 {
		next := c.queue[0]
		c.queue = c.queue[1:]
		c.play(next)
		c.afterwards()
	}
	c.release()
	require.NoError(s, c.firstError(), "%s: replay with -order %q", t.name, strings.Join(order, ","))
	return c.fate(provider)
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// begins of truths.

func (s *stage) beginPayment() (accept.Ref, string) {
	in := s.order(qr(), time.Minute)
	return in, payment.WorkflowID(in.ID)
}

func beginRefund(fen int64) func(*stage) (accept.Ref, string) {
	return func(s *stage) (accept.Ref, string) {
		in := s.newRefund(s.paid().ID, fen)
		return in, refund.WorkflowID(in.ID)
	}
}

func (s *stage) beginWithdrawal() (accept.Ref, string) {
	s.paid()
	in := s.newWithdrawal(400)
	return in, payout.WorkflowID(in.ID)
}

// play runs one workflow to its end.
func (c *course) play(next accept.Start) {
	c.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quietLog{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(2 * time.Minute)
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&activities.Heartbeat{}},
		DeadlockDetectionTimeout: time.Minute}) // a busy machine is no deadlock
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: next.WorkflowID, TaskQueue: workflows.Queue})
	workflows.Register(env)
	c.steps.Register(env)
	// Whenever the workflow waits, what can reach it by then does.
	env.SetOnTimerScheduledListener(func(string, time.Duration) {
		env.RegisterDelayedCallback(c.waits, time.Second)
	})
	c.mu.Lock()
	c.env, c.running, c.began, c.blocked, c.idle = env, next, env.Now(), "", 0
	c.mu.Unlock()
	env.ExecuteWorkflow(next.Type, next.Ref)
	c.ahead += env.Now().Sub(c.began)
	c.mu.Lock()
	c.env = nil
	c.over[next.WorkflowID] = true
	c.mu.Unlock()
	require.True(c, env.IsWorkflowCompleted())
	var goesOn *workflow.ContinueAsNewError
	if err := env.GetWorkflowError(); c.truth.waitsForAPerson && next.WorkflowID == c.workflow {
		require.ErrorAs(c, err, &goesOn)
	} else {
		require.NoError(c, err)
	}
}

// afterwards delivers what is left and starts what that, or the workflow,
// requires.
func (c *course) afterwards() {
	c.Helper()
	c.startRequired()
	if len(c.queue) > 0 {
		return
	}
	for len(c.queue) == 0 {
		at := slices.IndexFunc(c.rest, isPush)
		if at < 0 {
			return
		}
		m := c.rest[at]
		c.rest = slices.Delete(c.rest, at, at+1) // answers wait for the next workflow that asks
		c.push(m)
		c.startRequired()
	}
}

// startRequired does what a sweep does some seconds later.
func (c *course) startRequired() {
	c.Helper()
	_, err := c.db.Pool.Exec(c.Context(), `update workflow_starts set created_at = created_at - interval '1 minute' where started_at is null`)
	require.NoError(c, err)
	_, err = c.sweeper.StartMissing(c.Context())
	require.NoError(c, err)
}

func isPush(m string) bool {
	call, _, _ := strings.Cut(m, " ")
	return !slices.Contains([]string{"prepay", "query", "close", "send"}, call)
}

// pull returns how the call is answered, and what arrives before the answer.
func (c *course) pull(call string) (how string, before []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.IndexFunc(c.rest, func(m string) bool { return strings.HasPrefix(m, call+" ") })
	if at < 0 {
		return "true", nil
	}
	_, how, _ = strings.Cut(c.rest[at], " ")
	var rest []string
	for _, m := range c.rest[:at] {
		if isPush(m) {
			before = append(before, m)
		} else {
			rest = append(rest, m)
		}
	}
	c.rest = append(rest, c.rest[at+1:]...)
	return how, before
}

// arrive lets the pushes reach us now, but for those that are not true yet.
func (c *course) arrive(pushes []string) {
	c.follow()
	c.mu.Lock()
	early := slices.DeleteFunc(slices.Clone(pushes), func(m string) bool { return !c.early(m) })
	pushes = slices.DeleteFunc(pushes, c.early)
	c.rest = append(early, c.rest...)
	c.mu.Unlock()
	for _, m := range pushes {
		c.push(m)
	}
}

// early: no provider would say that yet.
func (c *course) early(m string) bool {
	return c.truth.paysAfterClose && strings.HasPrefix(m, "notify") && !c.isPaid
}

// paid notes whether the provider can speak of a payment.
func (c *course) paid(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isPaid = yes
}

// waits is called on the environment's clock while the workflow waits.
func (c *course) waits() {
	c.mu.Lock()
	first := slices.IndexFunc(c.rest, func(m string) bool { return !isPush(m) })
	if first >= 0 && c.rest[first] == c.blocked {
		// Nobody asks for this answer: what comes after it need not wait for it.
		c.rest = append(slices.Delete(c.rest, first, first+1), c.blocked)
		first = slices.IndexFunc(c.rest, func(m string) bool { return !isPush(m) })
	}
	c.blocked = ""
	now := len(c.rest)
	if first >= 0 {
		now, c.blocked = first, c.rest[first]
	}
	arriving := slices.Clone(c.rest[:now])
	c.rest = slices.Clone(c.rest[now:])
	if len(c.rest) == 0 {
		c.idle++
	}
	enough := c.truth.waitsForAPerson && c.idle > 3
	env := c.env
	c.mu.Unlock()
	c.arrive(arriving)
	if enough {
		env.SetContinueAsNewSuggested(true)
	}
}

// follow moves the business clock to where the environment's is.
func (c *course) follow() {
	ahead := c.stage.ahead
	c.mu.Lock()
	if c.env != nil {
		ahead += c.env.Now().Sub(c.began)
	}
	c.mu.Unlock()
	_, err := c.db.Pool.Exec(c.Context(), `update business_clock set ahead = $1::interval`, ahead)
	c.note(err)
}

// push lets one message reach us.
func (c *course) push(m string) {
	switch m {
	case "notify", "notify again", "notify later":
		id := map[string]string{"notify": "N1", "notify again": "N1", "notify later": "N2"}[m]
		c.deliver(letter{Notification: c.told(id, c.truth.refund)}, true)
	case "forged":
		c.deliver(letter{Forged: true, Notification: c.told("F", c.truth.refund)}, false)
	case "foreign":
		foreign := c.told("X", c.truth.refund)
		foreign.Number, foreign.TradeNumber = "01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAV"
		c.deliver(letter{Notification: foreign}, false)
	case "old trade": // of the payment that is being refunded
		c.deliver(letter{Notification: c.told("O", false)}, true)
	case "wake", "hurry":
		c.mu.Lock()
		if c.env != nil {
			c.env.SignalWorkflow(map[string]string{"wake": workflows.SignalExpired, "hurry": workflows.SignalNotified}[m], nil)
		}
		c.mu.Unlock()
	case "reply":
		c.release()
	default:
		c.note(fmt.Errorf("unknown message %q", m))
	}
	_, err := c.sweeper.RelayNotifications(c.Context())
	c.note(err)
	_, err = c.sweeper.WakeOverdue(c.Context())
	c.note(err)
}

// told is the provider's message about what the course is about.
func (c *course) told(id string, refunded bool) channel.Notification {
	n := channel.Notification{ID: c.ref.ID + id, Kind: channel.NotifyTrade, State: "TRADE_SUCCESS"}
	sql := `select a.number, a.number, p.amount, p.currency from attempts a join payments p on p.id = a.payment_id
		where p.id = $1 or p.id = (select payment_id from refunds where id = $1)
		union all select number, number, amount, currency from withdrawals where id = $1`
	if refunded {
		n.Kind, n.State = channel.NotifyRefund, "SUCCESS"
		sql = `select r.number, a.number, r.amount, r.currency from refunds r join attempts a on a.id = r.attempt_id where r.id = $1`
	}
	c.note(c.db.Pool.QueryRow(c.Context(), sql, c.ref.ID).Scan(&n.Number, &n.TradeNumber, &n.Amount.Minor, &n.Amount.Currency))
	return n
}

// deliver posts a notification to the API and wants it taken or refused.
func (c *course) deliver(l letter, taken bool) {
	body, err := json.Marshal(l)
	c.note(err)
	request := httptest.NewRequest(http.MethodPost, "/notify/alipay/"+c.account.ID, bytes.NewReader(body)).WithContext(c.Context())
	answer := httptest.NewRecorder()
	c.api.ServeHTTP(answer, request)
	if (answer.Code == http.StatusOK) != taken {
		c.note(fmt.Errorf("the notification %+v was answered %d", l, answer.Code))
	}
}

// haunt lets the step that made the call live on as a ghost, which gets its
// reply when release is called.
func (c *course) haunt(call string, g *ghost) {
	c.mu.Lock()
	running := c.running
	c.mu.Unlock()
	step := c.step(running.Type, call)
	ctx := context.WithValue(c.Context(), ghostKey{}, g)
	ended := make(chan struct{})
	c.haunted.Go(func() {
		defer close(ended)
		c.note(step(ctx, running.Ref))
	})
	select {
	case <-g.arrived:
		c.mu.Lock()
		c.ghosts = append(c.ghosts, g)
		c.mu.Unlock()
	case <-ended:
	}
}

// step is the activity of the workflow type that makes the call.
func (c *course) step(workflowType, call string) func(context.Context, accept.Ref) error {
	return func(ctx context.Context, in accept.Ref) (err error) {
		switch workflowType + " " + call {
		case payment.WorkflowType + " prepay":
			_, err = c.steps.Payments.PrepareAttempt(ctx, c.attempt(in))
		case payment.WorkflowType + " query":
			_, err = c.steps.Payments.QueryAttempt(ctx, c.attempt(in))
		case payment.WorkflowType + " close":
			_, err = c.steps.Payments.CloseAttempt(ctx, c.attempt(in))
		case payment.LateWorkflowType + " query":
			_, err = c.steps.Payments.BookLatePayment(ctx, in)
		case refund.WorkflowType + " send":
			_, err = c.steps.Refunds.SendRefund(ctx, in, true)
		case refund.WorkflowType + " query":
			_, err = c.steps.Refunds.QueryRefund(ctx, in)
		case payout.WorkflowType + " send":
			_, err = c.steps.Withdrawals.SendWithdrawal(ctx, in, true)
		case payout.WorkflowType + " query":
			_, err = c.steps.Withdrawals.QueryWithdrawal(ctx, in)
		default:
			err = fmt.Errorf("%s makes no call %q", workflowType, call)
		}
		return err
	}
}

// release gives every ghost its reply and waits until it has booked it.
func (c *course) release() {
	c.mu.Lock()
	ghosts := c.ghosts
	c.ghosts = nil
	c.mu.Unlock()
	for _, g := range ghosts {
		close(g.reply)
	}
	c.haunted.Wait()
}

// note keeps an error of another goroutine than the test's.
func (c *course) note(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, err)
}

func (c *course) firstError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.errs) > 0 {
		return c.errs[0]
	}
	return nil
}

// switchboard stands for the Temporal server between the sweeper and the
// environment: it knows what runs, what is to run and what has completed.
type switchboard struct {
	client.Client
	course *course
}

func (b *switchboard) start(o client.StartWorkflowOptions, workflowType any, args []any) error {
	c := b.course
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over[o.ID] {
		return serviceerror.NewWorkflowExecutionAlreadyStarted("completed", "", "")
	}
	known := c.env != nil && c.running.WorkflowID == o.ID
	for _, waiting := range c.queue {
		known = known || waiting.WorkflowID == o.ID
	}
	if !known {
		c.queue = append(c.queue, accept.Start{WorkflowID: o.ID, Type: workflowType.(string), Ref: args[0].(accept.Ref)})
	}
	return nil
}

func (b *switchboard) ExecuteWorkflow(_ context.Context, o client.StartWorkflowOptions, w any, args ...any) (client.WorkflowRun, error) {
	return nil, b.start(o, w, args)
}

func (b *switchboard) SignalWithStartWorkflow(
	_ context.Context, workflowID, signal string, _ any, o client.StartWorkflowOptions, w any, args ...any,
) (client.WorkflowRun, error) {
	if err := b.start(o, w, args); err != nil {
		return nil, err
	}
	b.course.mu.Lock()
	defer b.course.mu.Unlock()
	if b.course.env != nil && b.course.running.WorkflowID == workflowID {
		b.course.env.SignalWorkflow(signal, nil)
	}
	return nil, nil
}

type quietLog struct{}

func (quietLog) Debug(string, ...any) {}
func (quietLog) Info(string, ...any)  {}
func (quietLog) Warn(string, ...any)  {}
func (quietLog) Error(string, ...any) {}
