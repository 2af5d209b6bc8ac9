package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/workflows"
)

// raw is an answer byte for byte.
type raw struct {
	status   int
	replayed string
	body     string
}

// send posts to an instance without the client in between.
func (w *world) send(base, key, path, idempotencyKey string, body any) (raw, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return raw{}, err
	}
	method := http.MethodPost
	if body == nil {
		method = http.MethodGet
	}
	request, err := http.NewRequestWithContext(w.ctx, method, base+path, bytes.NewReader(encoded))
	if err != nil {
		return raw{}, err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", idempotencyKey)
	} else {
		request.Body, request.ContentLength = http.NoBody, 0
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return raw{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return raw{response.StatusCode, response.Header.Get("Idempotency-Replayed"), string(text)}, err
}

func decoded[T any](w *world, answer raw) T {
	w.Helper()
	var into T
	require.NoError(w, json.Unmarshal([]byte(answer.body), &into), answer.body)
	return into
}

// 201 means booked: with no worker anywhere the answer comes in time, says so,
// and stays the same; a worker that starts later finishes the rest.
func TestAcceptedWithoutAnyWorker(t *testing.T) {
	w := newWorldWithoutWorkers(t)
	order := w.order(alipay, 6600)
	began := time.Now()
	first, err := w.send(w.apis[0], w.seed.APIKey, "/v1/payments", order.Reference, order)
	require.NoError(t, err)
	require.Less(t, time.Since(began), workflows.FirstAnswerWait+2*time.Second)
	require.Equal(t, http.StatusCreated, first.status)
	p := decoded[client.Payment](w, first)
	require.Equal(t, client.PaymentStatusProcessing, p.Status)
	require.Contains(t, first.body, `"next_action":null`)

	replay, err := w.send(w.apis[1], w.seed.APIKey, "/v1/payments", order.Reference, order)
	require.NoError(t, err)
	require.Equal(t, raw{http.StatusCreated, "true", first.body}, replay)

	order.Amount.Amount++
	other, err := w.send(w.apis[1], w.seed.APIKey, "/v1/payments", order.Reference, order)
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, other.status)
	require.Contains(t, other.body, "idempotency_key_reused")

	w.startWorkers()
	w.pay(w.paymentIs(p.ID, client.PaymentStatusAwaitingPayer), false)
	w.paymentIs(p.ID, client.PaymentStatusSucceeded)
	order.Amount.Amount--
	replay, err = w.send(w.apis[0], w.seed.APIKey, "/v1/payments", order.Reference, order)
	require.NoError(t, err)
	require.Equal(t, raw{http.StatusCreated, "true", first.body}, replay, "the first answer is kept, GET tells the present")
}

func TestHundredCallsWithOneKeyMakeOneObject(t *testing.T) {
	w := newWorld(t)
	order := w.order(wechatpay, 7700)
	answers := make([]raw, 100)
	var calls sync.WaitGroup
	for i := range answers {
		calls.Go(func() {
			var err error
			answers[i], err = w.send(w.apis[i%2], w.seed.APIKey, "/v1/payments", order.Reference, order)
			if err != nil {
				answers[i].body = err.Error()
			}
		})
	}
	calls.Wait()
	fresh := 0
	for _, a := range answers {
		require.Equal(t, http.StatusCreated, a.status, a.body)
		require.Equal(t, answers[0].body, a.body)
		if a.replayed == "" {
			fresh++
		}
	}
	require.Equal(t, 1, fresh, "one call made it, the others are replays")
	require.Equal(t, int64(1), w.count(`select count(*) from payments`))
}

// The instance dies between its commit and the start of the workflow: another
// instance's sweeper starts it, and the client's repetition gets the object.
func TestInstanceDiesBeforeItStartsTheWorkflow(t *testing.T) {
	w := newWorld(t)
	w.topUp(10000)
	dying := w.serve(w.openPool(), dies{})
	order := w.order(alipay, 5500)
	_, err := w.send(dying, w.seed.APIKey, "/v1/payments", order.Reference, order)
	require.Error(t, err, "the connection broke")
	var id string
	require.NoError(t, w.db.Pool.QueryRow(w.ctx, `select id from payments where reference = $1`, order.Reference).Scan(&id))
	_, err = w.temporal.DescribeWorkflowExecution(w.ctx, paymentWorkflow(id), "")
	require.Error(t, err, "no workflow yet")

	w.pay(w.paymentIs(id, client.PaymentStatusAwaitingPayer), false)
	p := w.paymentIs(id, client.PaymentStatusSucceeded)

	again, err := w.send(w.apis[1], w.seed.APIKey, "/v1/payments", order.Reference, order)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, again.status)
	require.Equal(t, id, decoded[client.Payment](w, again).ID)

	body := map[string]any{"reference": "dies-refund", "reason": "returned", "amount": map[string]any{"amount": 500, "currency": "CNY"}}
	_, err = w.send(dying, w.seed.APIKey, "/v1/payments/"+p.ID+"/refunds", "dies-refund", body)
	require.Error(t, err)
	body = map[string]any{"reference": "dies-withdrawal", "merchant_id": w.shop.id, "amount": map[string]any{"amount": 600, "currency": "CNY"}}
	_, err = w.send(dying, w.seed.APIKey, "/v1/withdrawals", "dies-withdrawal", body)
	require.Error(t, err)
	w.await("refund and withdrawal", func() (bool, any) {
		n := w.count(`select (select count(*) from refunds where status = 'succeeded') + (select count(*) from withdrawals where status = 'succeeded')`)
		return n == 2, n
	})
}
