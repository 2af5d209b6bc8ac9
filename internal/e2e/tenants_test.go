package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/api"
	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/internal/id"
)

// Another tenant's object does not exist: every GET by id answers its owner, and
// everybody else what an id answers that nobody ever had, byte for byte.
func TestAnotherTenantsObjectsDoNotExist(t *testing.T) {
	w := newWorld(t)
	w.topUp(10000)
	stranger := w.seedTenant("stranger.json")
	objects := w.oneOfEach()
	for path := range contractPaths(t) {
		name := path[strings.Index(path, "{")+1 : strings.Index(path, "}")]
		objectID, known := objects[name]
		require.True(t, known, "%s: give this test an object for the new route", path)
		prefix, _, _ := strings.Cut(objectID, "_")
		own := strings.Replace(path, "{"+name+"}", objectID, 1)
		never := strings.Replace(path, "{"+name+"}", prefix+"_"+id.Number(), 1)

		mine, err := w.send(w.apis[0], w.seed.APIKey, own, "", nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, mine.status, "%s: %s", own, mine.body)
		theirs, err := w.send(w.apis[0], stranger.APIKey, own, "", nil)
		require.NoError(t, err)
		nobodys, err := w.send(w.apis[1], stranger.APIKey, never, "", nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, theirs.status, own)
		require.Equal(t, nobodys, theirs, own)
	}
}

// contractPaths are the contract's GET routes with an id in them.
func contractPaths(t *testing.T) map[string]bool {
	t.Helper()
	contract, err := openapi3.NewLoader().LoadFromData(api.ContractYAML())
	require.NoError(t, err)
	found := map[string]bool{}
	for path, item := range contract.Paths.Map() {
		if item.Get != nil && strings.Contains(path, "{") {
			found[path] = true
		}
	}
	require.NotEmpty(t, found)
	return found
}

// oneOfEach makes an object of every kind, by the name of the path parameter.
func (w *world) oneOfEach() map[string]string {
	w.Helper()
	date := w.day()
	p := w.paid(alipay, 5000)
	r := w.refundIs(w.refund(p, 100).ID, client.RefundStatusSucceeded)
	batch, err := w.api.CreateTransferBatchWithResponse(w.ctx, &client.CreateTransferBatchParams{IdempotencyKey: "transfer-batch"},
		client.CreateTransferBatch{Mode: client.TransferBatchModePerItem, Items: []client.TransferBatchItem{{Reference: "transfer", FromMerchantID: w.shop.id,
			ToMerchantID: w.shop.agent, Amount: client.PositiveAmount{Amount: 100, Currency: client.CurrencyCNY}}}})
	require.NoError(w, err)
	require.NotNil(w, batch.JSON201, "%s", batch.Body)
	hold, err := w.api.PlaceHoldWithResponse(w.ctx, &client.PlaceHoldParams{IdempotencyKey: "place-hold"},
		client.PlaceHold{Reference: "hold", MerchantID: w.shop.agent, Reason: "a test", Amount: client.PositiveAmount{Amount: 10, Currency: client.CurrencyCNY}})
	require.NoError(w, err)
	require.NotNil(w, hold.JSON201, "%s", hold.Body)
	out := w.withdrawalIs(w.withdraw(w.shop.id, 100).ID, client.WithdrawalStatusSucceeded)
	w.moveClock(noonOf(w.now(), 1))
	daily := w.daily(date)
	w.dailyIsDone(daily.ID)
	ids := map[string]string{"payment_id": p.ID, "refund_id": r.ID, "withdrawal_id": out.ID,
		"transfer_batch_id": batch.JSON201.ID, "transfer_id": *batch.JSON201.Results[0].TransferID,
		"hold_id":     hold.JSON201.ID,
		"merchant_id": w.shop.id, "daily_operation_id": daily.ID, "channel_account_id": w.seed.Alipay.ChannelAccountID}
	for _, one := range w.reconciliations(daily.ID) {
		ids["reconciliation_id"] = one.ID
	}
	rules, err := w.api.ListSplitRulesWithResponse(w.ctx, &client.ListSplitRulesParams{})
	require.NoError(w, err)
	ids["split_rule_id"] = rules.JSON200.Data[0].ID
	accounts, err := w.api.ListAccountsWithResponse(w.ctx, &client.ListAccountsParams{})
	require.NoError(w, err)
	ids["account_id"] = accounts.JSON200.Data[0].ID
	entries, err := w.api.ListEntriesWithResponse(w.ctx, &client.ListEntriesParams{})
	require.NoError(w, err)
	ids["entry_id"] = entries.JSON200.Data[0].ID
	events, err := w.api.ListEventsWithResponse(w.ctx, &client.ListEventsParams{})
	require.NoError(w, err)
	ids["event_id"] = events.JSON200.Data[0].ID
	hook, err := w.api.CreateWebhookEndpointWithResponse(w.ctx, &client.CreateWebhookEndpointParams{IdempotencyKey: "webhook-endpoint"},
		client.CreateWebhookEndpoint{URL: "https://127.0.0.1/hooks"})
	require.NoError(w, err)
	require.NotNil(w, hook.JSON201, "%s", hook.Body)
	ids["webhook_endpoint_id"] = hook.JSON201.ID
	return ids
}
