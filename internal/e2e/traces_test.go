package e2e_test

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/internal/telemetry/tracetest"
)

// traced sends the traces of all instances to a collector of the test's own.
func traced(w *world) {
	unguarded(w) // the guard makes the spans of calls
	w.collector = tracetest.New(w)
}

// aTransaction hides what goes on in the database, which depends on who waits for whom.
func aTransaction(s tracetest.Span) bool { return strings.HasPrefix(s.Name, "transaction ") }

// One payment is one trace, from the request over the workflow and its steps to the calls
// of the provider, and so is a refund: also when no worker remembers a workflow (-cache 0)
// and each step begins with a replay. Providers learn nothing of it, the log names it.
func TestAPaymentIsOneTrace(t *testing.T) {
	logs := &notebook{}
	var told atomic.Bool
	w := newWorld(t, traced, func(w *world) {
		w.log = slog.New(slog.NewJSONHandler(logs, nil))
		w.heard = func(r *http.Request) {
			for _, header := range []string{"Traceparent", "Tracestate", "Baggage"} {
				if r.Header.Get(header) != "" {
					told.Store(true)
				}
			}
		}
	})
	p := w.paid(alipay, 1000)
	r := w.refundIs(w.refund(p, 300).ID, client.RefundStatusSucceeded)

	payment := w.collector.Require("RunWorkflow:Payment", "temporalWorkflowID", "payment/"+p.ID)
	t.Logf("a payment:\n%s", tracetest.Tree(payment, tracetest.None))
	const request = "POST /v1/payments"
	const flow = request + " > UpdateWithStartWorkflow:FirstAnswer > RunWorkflow:Payment"
	require.Equal(t, []string{
		request,
		request + " > UpdateWithStartWorkflow:FirstAnswer",
		request + " > UpdateWithStartWorkflow:FirstAnswer > HandleUpdate:FirstAnswer",
		flow,
		flow + " > RunActivity:PrepareAttempt",
		flow + " > RunActivity:PrepareAttempt > alipay prepay",
		flow + " > RunActivity:QueryAttempt",
		flow + " > RunActivity:QueryAttempt > alipay query_trade",
		flow + " > RunActivity:ReadPayment",
	}, tracetest.Paths(payment, aTransaction))
	for name, n := range map[string]int{request: 1, "RunWorkflow:Payment": 1, "HandleUpdate:FirstAnswer": 1} {
		require.Len(t, named(payment, name), n, name)
	}
	require.NotEmpty(t, named(payment, "transaction suanpan_app"))

	refund := w.collector.Require("RunWorkflow:Refund", "temporalWorkflowID", "refund/"+r.ID)
	t.Logf("a refund:\n%s", tracetest.Tree(refund, aTransaction))
	const asked = "POST /v1/payments/:payment_id/refunds"
	require.Contains(t, tracetest.Paths(refund, aTransaction),
		asked+" > UpdateWithStartWorkflow:FirstAnswer > RunWorkflow:Refund > RunActivity:SendRefund > alipay refund")
	require.NotEqual(t, payment[0].Trace, refund[0].Trace)

	root := named(payment, request)[0]
	require.Equal(t, "createPayment", root.Attributes["suanpan.operation"])
	require.Equal(t, w.seed.TenantID, root.Attributes["suanpan.tenant"])
	require.Equal(t, "201", root.Attributes["http.response.status_code"])
	call := named(payment, "alipay prepay")[0]
	require.Equal(t, w.seed.Alipay.ChannelAccountID, call.Attributes["suanpan.channel_account"])
	require.Equal(t, "succeeded", call.Attributes["suanpan.channel.outcome"])
	require.Equal(t, "client", call.Kind)
	require.Equal(t, "1", named(payment, "RunActivity:PrepareAttempt")[0].Attributes["suanpan.activity.attempt"])

	require.Contains(t, string(logs.bytes()), `"trace_id":"`+root.Trace+`"`)
	require.False(t, told.Load(), "a provider was told of a trace")
	require.Zero(t, w.undelivered())
}

// undelivered are the spans, and what of them was withheld, that did not come to the collector.
func (w *world) undelivered() (n int) {
	w.Helper()
	for line := range strings.Lines(string(w.measured())) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case `suanpan_trace_spans_total{outcome="dropped"}`, `suanpan_trace_spans_total{outcome="failed"}`, "suanpan_trace_withheld_total":
			some, err := strconv.Atoi(value)
			require.NoError(w, err)
			n += some
		}
	}
	return n
}

func named(spans []tracetest.Span, name string) (found []tracetest.Span) {
	for _, s := range spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// A workflow that a sweep starts, because its request died, begins a trace of its own.
func TestAWorkflowThatASweepStartsIsATrace(t *testing.T) {
	w := newWorld(t, traced)
	order := w.order(wechatpay, 700)
	_, err := w.send(w.serve(w.openPool(), dies{}), w.seed.APIKey, "/v1/payments", order.Reference, order)
	require.Error(t, err, "the connection broke")
	var id string
	require.NoError(t, w.db.Pool.QueryRow(w.ctx, `select id from payments where reference = $1`, order.Reference).Scan(&id))
	p := w.paymentIs(id, client.PaymentStatusAwaitingPayer)
	w.pay(p, false)
	w.paymentIs(p.ID, client.PaymentStatusSucceeded)
	spans := w.collector.Require("RunWorkflow:Payment", "temporalWorkflowID", "payment/"+p.ID)
	require.Equal(t, []string{
		"RunWorkflow:Payment",
		"RunWorkflow:Payment > RunActivity:PrepareAttempt",
		"RunWorkflow:Payment > RunActivity:PrepareAttempt > wechatpay prepay",
		"RunWorkflow:Payment > RunActivity:QueryAttempt",
		"RunWorkflow:Payment > RunActivity:QueryAttempt > wechatpay query_trade",
		"RunWorkflow:Payment > RunActivity:ReadPayment",
	}, tracetest.Paths(spans, aTransaction))
}

// A collector that hangs, or takes nothing, changes nothing: money moves as without it.
func TestACollectorChangesNothing(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"hangs":         func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"takes nothing": func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, traced)
			w.collector.Answer(answer)
			p := w.paid(wechatpay, 1000)
			w.refundIs(w.refund(p, 1000).ID, client.RefundStatusSucceeded)
			began := time.Now()
			w.traces.Close()
			require.Less(t, time.Since(began), 5*time.Second)
			require.NotZero(t, w.undelivered())
		})
	}
}
