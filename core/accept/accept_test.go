package accept_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// office is where requests are accepted: a database with some tenants.
type office struct {
	*testing.T
	*pgtest.Database
	tenants []string
}

func open(t *testing.T) *office {
	t.Helper()
	t.Parallel()
	o := &office{T: t, Database: pgtest.New(t)}
	for range 2 {
		require.NoError(t, o.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
			created, err := tenant.Create(t.Context(), tx, "A tenant", tenant.LicensedReserve)
			o.tenants = append(o.tenants, created.ID)
			return err
		}))
	}
	return o
}

func (o *office) request(key, body string) accept.Request {
	return accept.Request{Tenant: o.tenants[0], Key: key, Route: "POST /v1/things", Body: []byte(body)}
}

// start is a workflow that a thing requires.
func (o *office) start(objectID string) accept.Start {
	return accept.Start{WorkflowID: "thing/" + objectID, Type: "Thing", Ref: accept.Ref{Tenant: o.tenants[0], ID: objectID},
		Attributes: accept.Attributes{Merchant: "mch_1", BusinessID: objectID, Channel: "alipay"}}
}

// accepts runs a request that creates a thing with its workflow.
func (o *office) accepts(req accept.Request) (accept.Accepted, error) {
	return accept.Do(o.Context(), o.DB, req, func(tx pgx.Tx) (string, error) {
		objectID := id.Number()
		return objectID, accept.RequireWorkflow(o.Context(), tx, o.start(objectID))
	})
}

func (o *office) count(sql string) (n int) {
	o.Helper()
	require.NoError(o, o.Pool.QueryRow(o.Context(), sql).Scan(&n))
	return n
}

func TestKeyIsAcceptedOnceAndReplayed(t *testing.T) {
	o := open(t)
	req := o.request("key-00000001", `{"a":1}`)
	first, err := o.accepts(req)
	require.NoError(t, err)
	require.False(t, first.Replayed)
	require.Nil(t, first.Response)

	second, err := o.accepts(req)
	require.NoError(t, err)
	require.True(t, second.Replayed)
	require.Equal(t, first.ObjectID, second.ObjectID)
	require.Nil(t, second.Response, "nobody has answered yet")

	// Whoever answers first is right for ever.
	answer, err := accept.Answer(t.Context(), o.DB, req, second, accept.Response{Status: 201, Body: []byte("second's")})
	require.NoError(t, err)
	require.Equal(t, "second's", string(answer.Body))
	answer, err = accept.Answer(t.Context(), o.DB, req, first, accept.Response{Status: 500, Body: []byte("first's")})
	require.NoError(t, err)
	require.Equal(t, accept.Response{Status: 201, Body: []byte("second's")}, answer)
	third, err := o.accepts(req)
	require.NoError(t, err)
	require.Equal(t, &accept.Response{Status: 201, Body: []byte("second's")}, third.Response)
}

func TestKeyOfAnotherRequestIsRefused(t *testing.T) {
	o := open(t)
	req := o.request("key-00000001", `{"a":1}`)
	_, err := o.accepts(req)
	require.NoError(t, err)
	otherBody, otherRoute, otherTenant := req, req, req
	otherBody.Body = []byte(`{"a":1} `)
	otherRoute.Route = "POST /v1/others"
	otherTenant.Tenant = o.tenants[1]
	for _, changed := range []accept.Request{otherBody, otherRoute} {
		_, err := accept.Do(t.Context(), o.DB, changed, func(pgx.Tx) (string, error) {
			t.Error("created something under a used key")
			return "", nil
		})
		var refusal *fault.Error
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, fault.KindConflict, refusal.Kind)
		require.Equal(t, accept.CodeKeyReused, refusal.Code)
	}
	separate, err := accept.Do(t.Context(), o.DB, otherTenant, func(pgx.Tx) (string, error) { return "its own", nil })
	require.NoError(t, err)
	require.False(t, separate.Replayed)
}

// A refusal leaves nothing, so the corrected request may use the same key.
func TestRefusalLeavesTheKeyFree(t *testing.T) {
	o := open(t)
	req := o.request("key-00000001", `{}`)
	refusal := errors.New("refused")
	_, err := accept.Do(t.Context(), o.DB, req, func(tx pgx.Tx) (string, error) {
		return "x", errors.Join(accept.RequireWorkflow(t.Context(), tx, o.start("x")), refusal)
	})
	require.ErrorIs(t, err, refusal)
	require.Zero(t, o.count(`select count(*) from workflow_starts`))
	done, err := o.accepts(req)
	require.NoError(t, err)
	require.False(t, done.Replayed)
}

func TestRaceOfOneKeyCreatesOneObject(t *testing.T) {
	o := open(t)
	for round := range 5 {
		req := o.request(fmt.Sprintf("key-race-%04d", round), `{"a":1}`)
		var created atomic.Int64
		ids := make([]string, 40)
		bodies := make([]string, len(ids))
		var calls sync.WaitGroup
		for i := range ids {
			calls.Go(func() {
				done, err := accept.Do(t.Context(), o.DB, req, func(pgx.Tx) (string, error) {
					created.Add(1)
					return id.Number(), nil
				})
				if err != nil {
					ids[i] = err.Error()
					return
				}
				ids[i] = done.ObjectID
				answer, err := accept.Answer(t.Context(), o.DB, req, done, accept.Response{Status: 201, Body: []byte(id.Number())})
				bodies[i] = string(answer.Body)
				if err != nil {
					bodies[i] = err.Error()
				}
			})
		}
		calls.Wait()
		require.Equal(t, int64(1), created.Load())
		for i := range ids {
			require.Equal(t, ids[0], ids[i])
			require.Equal(t, bodies[0], bodies[i], "everybody gets the same bytes")
		}
	}
}

// Bytes are kept as they are, whatever they are.
func TestAnswersAreKeptByteForByte(t *testing.T) {
	o := open(t)
	for i, body := range []string{"", "\x00\xff\xfe", `{"a": 1,  "b":"\u00e9"}`, strings.Repeat("长", 100_000)} {
		req := o.request(fmt.Sprintf("key-bytes-%d", i), body)
		done, err := o.accepts(req)
		require.NoError(t, err)
		_, err = accept.Answer(t.Context(), o.DB, req, done, accept.Response{Status: 201, Body: []byte(body)})
		require.NoError(t, err)
		again, err := o.accepts(req)
		require.NoError(t, err)
		require.Equal(t, body, string(again.Response.Body))
	}
}

func (o *office) claim(age time.Duration, limit int) []accept.Start {
	o.Helper()
	var starts []accept.Start
	require.NoError(o, o.DB.AsSystem(o.Context(), func(tx pgx.Tx) error {
		var err error
		starts, err = accept.ClaimMissing(o.Context(), tx, age, limit)
		return err
	}))
	return starts
}

func TestRequiredWorkflowIsDueUntilItIsStarted(t *testing.T) {
	o := open(t)
	_, err := o.accepts(o.request("key-00000001", `{}`))
	require.NoError(t, err)
	require.Empty(t, o.claim(time.Minute, 10), "its own call may still start it")
	due := o.claim(0, 10)
	require.Len(t, due, 1)
	require.Equal(t, o.start(due[0].Ref.ID), due[0])

	mark := func(tx pgx.Tx) error { return accept.MarkStarted(t.Context(), tx, due[0]) }
	require.NoError(t, o.DB.InTenant(t.Context(), o.tenants[0], mark))
	require.NoError(t, o.DB.InTenant(t.Context(), o.tenants[0], mark))
	require.Empty(t, o.claim(0, 10))

	require.NoError(t, o.DB.InTenant(t.Context(), o.tenants[0], func(tx pgx.Tx) error {
		found, err := accept.Required(t.Context(), tx, o.tenants[0], due[0].WorkflowID)
		require.Equal(t, due[0], found)
		return err
	}))
	// Requiring it again makes it due again; so does a redrive.
	require.NoError(t, o.DB.InTenant(t.Context(), o.tenants[0], func(tx pgx.Tx) error {
		return accept.RequireWorkflow(t.Context(), tx, due[0])
	}))
	require.Len(t, o.claim(0, 10), 1)
	require.NoError(t, o.DB.InTenant(t.Context(), o.tenants[0], mark))
	require.NoError(t, o.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		n, err := accept.MakeDue(t.Context(), tx, `select tenant_id, workflow_id from workflow_starts`)
		require.Equal(t, int64(1), n)
		return err
	}))
	require.Len(t, o.claim(0, 10), 1)
}

// Two sweepers share the work: none waits for the other, none takes the same.
func TestSweepersClaimDifferentWorkflows(t *testing.T) {
	o := open(t)
	for i := range 10 {
		_, err := o.accepts(o.request(fmt.Sprintf("key-sweep-%d", i), `{}`))
		require.NoError(t, err)
	}
	require.NoError(t, o.DB.AsSystem(t.Context(), func(outer pgx.Tx) error {
		mine, err := accept.ClaimMissing(t.Context(), outer, 0, 6)
		if err != nil {
			return err
		}
		theirs := o.claim(0, 10)
		require.Len(t, mine, 6)
		require.Len(t, theirs, 4)
		for _, one := range theirs {
			require.NotContains(t, mine, one)
		}
		return nil
	}))
}

// The caller gives up while the first call with its key still runs.
func TestWaitingForAKeyEndsWithTheContext(t *testing.T) {
	o := open(t)
	req := o.request("key-00000001", `{}`)
	entered, leave := make(chan struct{}), make(chan struct{})
	var calls sync.WaitGroup
	calls.Go(func() {
		_, err := accept.Do(t.Context(), o.DB, req, func(pgx.Tx) (string, error) {
			close(entered)
			<-leave
			return "first", nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := accept.Do(ctx, o.DB, req, func(pgx.Tx) (string, error) { return "second", nil })
	require.Error(t, err)
	close(leave)
	calls.Wait()
	done, err := o.accepts(req)
	require.NoError(t, err)
	require.Equal(t, "first", done.ObjectID)
}
