package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/internal/id"
)

func (f *fixture) count(table string) (n int) {
	f.t.Helper()
	require.NoError(f.t, f.db.Pool.QueryRow(f.t.Context(), `select count(*) from `+table).Scan(&n))
	return n
}

func TestARepetitionGetsTheSameBytes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := id.Number()
	first := f.post("/v1/payments", f.payment("r-1"), "Idempotency-Key", key)
	require.Equal(t, http.StatusCreated, first.Code, first.Body)
	require.Empty(t, first.Header().Get("Idempotency-Replayed"))

	// The object moves on; the repetition still shows the first answer.
	_, err := f.db.Pool.Exec(t.Context(), `update payments set status = 'closed', closed_at = now()`)
	require.NoError(t, err)
	again := f.post("/v1/payments", f.payment("r-1"), "Idempotency-Key", key)
	require.Equal(t, http.StatusCreated, again.Code)
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Equal(t, first.Header().Get("Content-Type"), again.Header().Get("Content-Type"))
	require.Equal(t, "closed", f.get("/v1/payments/"+first.field("id")).field("status"))
	require.Equal(t, 1, f.count("payments"))

	f.post("/v1/payments", f.payment("r-2"), "Idempotency-Key", key).refused(409, "idempotency_key_reused", "Idempotency-Key")
	f.post("/v1/merchants", `{"reference":"m","name":"n","settlement":"T0"}`, "Idempotency-Key", key).
		refused(409, "idempotency_key_reused", "Idempotency-Key")
	f.post("/v1/payments", f.payment("r-1")).refused(409, "reference_used", "reference")
}

func TestARefusalLeavesTheKeyFree(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := id.Number()
	unknown := strings.Replace(f.payment("r-1"), f.merchant, id.New(id.Merchant), 1)
	resp := f.post("/v1/payments", unknown, "Idempotency-Key", key)
	require.Equal(t, http.StatusUnprocessableEntity, resp.Code, resp.Body)
	require.Equal(t, "merchant_id", resp.field("field"))
	require.Zero(t, f.count("payments"))
	require.Zero(t, f.count("workflow_starts"))
	require.Equal(t, http.StatusCreated, f.post("/v1/payments", f.payment("r-1"), "Idempotency-Key", key).Code)
}

func TestManyAtOnceWithOneKeyMakeOneObject(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.workflows.answer = nil
	key := id.Number()
	bodies := make([]string, 12)
	var all sync.WaitGroup
	for i := range bodies {
		all.Go(func() {
			bodies[i] = f.post("/v1/withdrawals", `{"merchant_id":"`+f.merchant+`","reference":"w","amount":{"amount":100,"currency":"CNY"}}`, "Idempotency-Key", key).Body.String()
		})
	}
	all.Wait()
	require.Zero(t, f.count("withdrawals"), "there is no money and no payout account")

	paid := make([]string, 12)
	for i := range paid {
		all.Go(func() { paid[i] = f.post("/v1/payments", f.payment("r-1"), "Idempotency-Key", key).Body.String() })
	}
	all.Wait()
	for _, body := range paid {
		require.Equal(t, paid[0], body)
	}
	require.Equal(t, 1, f.count("payments"))
}

func TestTheFirstAnswerOfTheWorkflowIsInTheAnswer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.workflows.answer = func(ctx context.Context, s accept.Start) (bool, error) {
		_, err := f.db.Pool.Exec(ctx, `update payments set status = 'awaiting_payer'`)
		if err != nil {
			return false, err
		}
		_, err = f.db.Pool.Exec(ctx, `update attempts set status = 'awaiting_payer', action = '{"type": "qr_code", "qr_code": "https://qr.example.com/?a=1&b=<2>"}'`)
		return true, err
	}
	resp := f.post("/v1/payments", f.payment("r-1"))
	require.Equal(t, "awaiting_payer", resp.field("status"))
	require.Equal(t, map[string]any{"type": "qr_code", "qr_code": "https://qr.example.com/?a=1&b=<2>"}, resp.json()["next_action"])
	require.Len(t, f.workflows.started, 1)
	require.Equal(t, "payment/"+resp.field("id"), f.workflows.started[0].WorkflowID)
	var started bool
	require.NoError(t, f.db.Pool.QueryRow(t.Context(), `select started_at is not null from workflow_starts`).Scan(&started))
	require.True(t, started)
}

// TestWithoutAWorkflowServiceARequestIsBooked is the accepted law seen from outside.
func TestWithoutAWorkflowServiceARequestIsBooked(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, answer := range map[string]func(context.Context, accept.Start) (bool, error){
		"away": func(context.Context, accept.Start) (bool, error) { return false, errors.New("connection refused") },
		"slow": func(context.Context, accept.Start) (bool, error) { return false, nil },
	} {
		f.workflows.answer = answer
		resp := f.post("/v1/payments", f.payment(name))
		require.Equal(t, http.StatusCreated, resp.Code, resp.Body)
		require.Equal(t, "processing", resp.field("status"))
		require.Nil(t, resp.json()["next_action"])
	}
	var missing int
	require.NoError(t, f.db.Pool.QueryRow(t.Context(), `select count(*) from workflow_starts where started_at is null`).Scan(&missing))
	require.Equal(t, 2, missing, "the sweeper must find both")
}

// TestDyingBeforeTheAnswerLosesNothing ends the first process between the commit
// and the stored answer; the repetition goes on from there.
func TestDyingBeforeTheAnswerLosesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := id.Number()
	ctx, die := context.WithCancel(t.Context())
	f.workflows.answer = func(context.Context, accept.Start) (bool, error) {
		die()
		return false, nil
	}
	first := f.sendWith(ctx, "/v1/payments", f.payment("r-1"), key)
	require.Equal(t, http.StatusServiceUnavailable, first.Code, first.Body)
	require.Equal(t, 1, f.count("payments"))

	f.workflows.answer = nil
	again := f.post("/v1/payments", f.payment("r-1"), "Idempotency-Key", key)
	require.Equal(t, http.StatusCreated, again.Code, again.Body)
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	third := f.post("/v1/payments", f.payment("r-1"), "Idempotency-Key", key)
	require.Equal(t, again.Body.String(), third.Body.String())
	require.Equal(t, 1, f.count("payments"))
}

func TestASecretIsShownOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := id.Number()
	body := `{"url":"http://127.0.0.1:9/hook","event_types":["payment.succeeded"]}`
	first := f.post("/v1/webhook_endpoints", body, "Idempotency-Key", key)
	require.Equal(t, http.StatusCreated, first.Code, first.Body)
	secret := first.field("secret")
	require.True(t, strings.HasPrefix(secret, "whsec_"))
	f.post("/v1/webhook_endpoints", body, "Idempotency-Key", key).refused(409, "secret_already_shown", "Idempotency-Key")
	require.Equal(t, 1, f.count("webhook_endpoints"))

	endpoint := first.field("id")
	require.NotContains(t, f.get("/v1/webhook_endpoints/"+endpoint).Body.String(), "secret")
	require.NotContains(t, f.get("/v1/webhook_endpoints").Body.String(), "whsec_")
	rotated := f.send(http.MethodPost, "/v1/webhook_endpoints/"+endpoint+"/rotate_secret", nil, "Idempotency-Key", id.Number())
	require.Equal(t, http.StatusOK, rotated.Code, rotated.Body)
	require.NotEqual(t, secret, rotated.field("secret"))

	var stored string
	require.NoError(t, f.db.Pool.QueryRow(t.Context(),
		`select string_agg(convert_from(body, 'UTF8'), ' ') from accepted_responses`).Scan(&stored))
	require.NotContains(t, stored, strings.TrimPrefix(secret, "whsec_"))
	require.Contains(t, stored, redactedSecret)
	require.NotContains(t, f.log.String(), strings.TrimPrefix(secret, "whsec_"))

	f.post("/v1/webhook_endpoints", `{"url":"https://192.168.0.1/hook"}`).refused(400, "webhook_url_refused", "url")
	f.post("/v1/webhook_endpoints", `{"url":"http://127.0.0.1:9/","event_types":["payment.exploded"]}`).refused(400, "event_type_unknown", "event_types[0]")
	f.post("/v1/webhook_endpoints", `{"url":"http://127.0.0.1:9/","event_types":["payment.closed","payment.closed"]}`).refused(400, "items_repeated", "event_types")
	require.Equal(t, http.StatusNoContent, f.send(http.MethodDelete, "/v1/webhook_endpoints/"+endpoint, nil).Code)
	f.get("/v1/webhook_endpoints/"+endpoint).refused(404, "not_found", "")
}
