package e2e_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// One of two accounts of a provider has no turn among its calls per second: a
// payment that would go by it, and surely was not sent, goes to the other. The
// provider knows one order of each payment, and the timeline tells what happened,
// the provider's codes in words.
func TestNotSentGoesToTheNextAccount(t *testing.T) {
	w := newWorld(t, func(w *world) {
		unguarded(w)
		w.guards.ChannelRates, w.guards.ChannelRateWait = map[string]int{"alipay/prepay": 50}, time.Second
	})
	w.secondAlipay()
	_, err := w.db.Pool.Exec(w.ctx, `insert into channel_rates (identity, next_at) values ($1, clock_timestamp() + interval '1 hour')`,
		"alipay/prepay "+w.seed.Alipay.AppID)
	require.NoError(t, err)
	payments := make([]client.Payment, 6)
	var all sync.WaitGroup
	for i := range payments {
		all.Go(func() { payments[i] = w.offered(alipay, 900) })
	}
	all.Wait()
	require.False(t, t.Failed())
	moved, accounts := 0, map[string]int{}
	for _, p := range payments {
		last := p.Attempts[len(p.Attempts)-1]
		accounts[last.ChannelAccountID]++
		for _, earlier := range p.Attempts[:len(p.Attempts)-1] {
			require.Equal(t, "never_sent", earlier.Failure.Code)
			require.NotEqual(t, last.ChannelAccountID, earlier.ChannelAccountID)
			moved++
		}
		w.follow(alipay, last.NextAction).press("pay")
		p = w.paymentIs(p.ID, client.PaymentStatusSucceeded)
		require.Empty(t, p.LatePayments)
		require.Equal(t, []string{"payment.awaiting_payer", "payment.succeeded"}, w.eventsOf(p.ID))
	}
	require.Positive(t, moved, "some were moved to the other account")
	require.Len(t, accounts, 1, "only one account could take payments")
	var theirs struct{ Orders []struct{ Number string } }
	w.control("GET", "/control/orders?provider=alipay", nil, &theirs)
	require.Len(t, theirs.Orders, len(payments), "the provider knows one order of each payment")
	w.timelineOf(payments[0].ID)
}

// timelineOf reads what happened to a payment, and holds that it is told in order
// and in words of two languages.
func (w *world) timelineOf(paymentID string) {
	w.Helper()
	var told *client.GetPaymentTimelineResponse
	w.await("the record of the calls", func() (bool, any) {
		var err error
		told, err = w.api.GetPaymentTimelineWithResponse(w.ctx, paymentID)
		require.NoError(w, err)
		require.NotNil(w, told.JSON200, "%s", told.Body)
		calls := 0
		for _, moment := range told.JSON200.Data {
			if moment.Kind == client.TimelineEntryKindCall {
				calls++
			}
		}
		return calls >= 2, string(told.Body)
	})
	kinds, last := map[client.TimelineEntryKind]int{}, time.Time{}
	for _, moment := range told.JSON200.Data {
		require.False(w, moment.At.Before(last), "in order")
		last = moment.At
		kinds[moment.Kind]++
		if moment.Kind == client.TimelineEntryKindCall {
			require.NotEmpty(w, moment.Explanation.Zh)
			require.NotEmpty(w, moment.Explanation.En)
			require.NotEqual(w, moment.Explanation.Zh, moment.Explanation.En)
		}
	}
	require.Positive(w, kinds[client.TimelineEntryKindCall])
	require.Positive(w, kinds[client.TimelineEntryKindNotification])
	require.Positive(w, kinds[client.TimelineEntryKindEvent])
}

// secondAlipay opens another app of the tenant's at Alipay, as a tenant does.
func (w *world) secondAlipay() {
	w.Helper()
	const app, seller = "2021000000000777", "2088000000000777"
	private := newKey(w.T)
	var sides map[string]string
	w.control("POST", "/control/alipay/apps", map[string]any{"app_id": app, "seller_id": seller, "app_public_key": publicOf(w.T, private),
		"fee_basis_points": 60}, &sides)
	opened, err := w.api.CreateChannelAccountWithResponse(w.ctx, &client.CreateChannelAccountParams{IdempotencyKey: w.ref("account")},
		client.CreateChannelAccount{Channel: client.ChannelAlipay, Name: "Alipay, the other", FeeBasisPoints: 60,
			Params: client.ChannelParams{"app_id": app, "seller_id": seller}})
	require.NoError(w, err)
	require.NotNil(w, opened.JSON201, "%s", opened.Body)
	account := opened.JSON201.ID
	entered, err := w.api.CreateChannelCredentialsWithResponse(w.ctx, account,
		&client.CreateChannelCredentialsParams{IdempotencyKey: w.ref("credentials")},
		client.CreateChannelCredentials{PrivateKey: private, ProviderPublicKey: ptr(sides["alipay_public_key"])})
	require.NoError(w, err)
	require.NotNil(w, entered.JSON201, "%s", entered.Body)
	products, err := w.api.ChangeChannelProductsWithResponse(w.ctx, account, client.ChangeChannelProducts{
		Products: []client.ChangeChannelProduct{{Product: "qr", Status: "opened"}}})
	require.NoError(w, err)
	require.NotNil(w, products.JSON200, "%s", products.Body)
	active := client.ChannelAccountStatus("active")
	changed, err := w.api.ChangeChannelAccountWithResponse(w.ctx, account, client.ChangeChannelAccount{Status: &active})
	require.NoError(w, err)
	require.NotNil(w, changed.JSON200, "%s", changed.Body)
}
