package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	temporal "go.temporal.io/sdk/client"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/workflows"
)

func TestPaymentThatTheProviderRefusesFails(t *testing.T) {
	w := newWorld(t)
	// At the providers it is tomorrow, so that our expiry lies in their past.
	w.control("POST", "/control/clock", map[string]any{"advance_seconds": 24 * 3600}, nil)
	for _, provider := range []string{alipay, wechatpay} {
		p := w.paymentIs(w.post(w.order(provider, 2700)).ID, client.PaymentStatusFailed)
		require.Equal(t, "channel_refused", p.Failure.Code)
		require.NotEmpty(t, *p.Failure.ChannelCode)
		require.Nil(t, p.NextAction)
		require.Equal(t, []string{"payment.failed"}, w.eventsOf(p.ID))
	}
}

func TestReconciliationThatTheProviderRefusesFails(t *testing.T) {
	w := newWorld(t)
	date := noonOf(w.now(), -300).Format(time.DateOnly)
	answer, err := w.api.CreateReconciliationWithResponse(w.ctx, &client.CreateReconciliationParams{IdempotencyKey: "long-ago"},
		client.CreateReconciliation{BillDate: date, ChannelAccountID: w.seed.WeChatPay.ChannelAccountID})
	require.NoError(t, err)
	require.NotNil(t, answer.JSON201, "%s", answer.Body)
	w.await("the refusal", func() (bool, any) {
		found, err := w.api.GetReconciliationWithResponse(w.ctx, answer.JSON201.ID)
		require.NoError(t, err)
		return found.JSON200.Status == client.ReconciliationStatusFailed, string(found.Body)
	})
}

// The Schedule's workflow runs yesterday for every tenant, each on its own.
func TestDailyRoundStartsEveryTenant(t *testing.T) {
	w := newWorld(t)
	stranger := w.seedTenant("stranger.json")
	w.moveClock(noonOf(w.now(), 1))
	run, err := w.temporal.ExecuteWorkflow(w.ctx, temporal.StartWorkflowOptions{ID: "round", TaskQueue: workflows.Queue}, workflows.DailyRoundType)
	require.NoError(t, err)
	var started int
	require.NoError(t, run.Get(w.ctx, &started))
	require.Equal(t, 2, started)
	w.await("both tenants' daily operations", func() (bool, any) {
		n := w.count(`select count(*) from daily_operations where status = 'done' and tenant_id in ($1, $2)`, w.seed.TenantID, stranger.TenantID)
		return n == 2, n
	})
}
