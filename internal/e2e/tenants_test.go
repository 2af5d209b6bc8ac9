package e2e_test

import (
	"encoding/json"
	"net/http"
	"regexp"
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
		names := pathParameter.FindAllString(path, -1)
		own, never := path, path
		for i, name := range names {
			objectID, known := objects[strings.Trim(name, "{}")]
			require.True(t, known, "%s: give this test an object for the new route", path)
			own = strings.Replace(own, name, objectID, 1)
			if i == 0 {
				prefix, _, _ := strings.Cut(objectID, "_")
				objectID = prefix + "_" + id.Number()
			}
			never = strings.Replace(never, name, objectID, 1)
		}

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

// pathParameter is a parameter's place in a path of the contract.
var pathParameter = regexp.MustCompile(`\{[a-z_]+\}`)

// contractPaths are the contract's GET routes with an id in them that tenants have.
func contractPaths(t *testing.T) map[string]bool {
	t.Helper()
	contract, err := openapi3.NewLoader().LoadFromData(api.ContractYAML())
	require.NoError(t, err)
	found := map[string]bool{}
	for path, item := range contract.Paths.Map() {
		if item.Get != nil && strings.Contains(path, "{") && item.Get.Extensions["x-principal"] != "operator" {
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
	w.oneOfEachByOthers(ids)
	return ids
}

// oneOfEachByOthers adds what staff, keys, links and deliveries are about.
func (w *world) oneOfEachByOthers(ids map[string]string) {
	w.Helper()
	made := func(path string, status int, body map[string]any) string {
		w.Helper()
		answer, err := w.send(w.apis[0], w.seed.APIKey, path, w.ref("one-of-each"), body)
		require.NoError(w, err)
		require.Equal(w, status, answer.status, "%s: %s", path, answer.body)
		var object struct {
			ID string `json:"id"`
		}
		require.NoError(w, json.Unmarshal([]byte(answer.body), &object))
		return object.ID
	}
	amount := map[string]any{"amount": 100, "currency": "CNY"}
	ids["payment_link_id"] = made("/v1/payment_links", http.StatusCreated,
		map[string]any{"merchant_id": w.shop.id, "subject": "course", "amount": amount})
	ids["webhook_redelivery_id"] = made("/v1/webhook_endpoints/"+ids["webhook_endpoint_id"]+"/redeliveries", http.StatusCreated,
		map[string]any{"created_from": "2026-11-01T00:00:00Z", "created_to": "2026-11-02T00:00:00Z"})
	ids["principal_id"] = made("/v1/principals", http.StatusCreated,
		map[string]any{"kind": "service", "name": "books", "roles": []string{"finance_checker"}, "reason": "a test"})
	ids["api_key_id"] = made("/v1/api_keys", http.StatusCreated, map[string]any{"name": "till", "scopes": []string{"payments:read"}})
	made("/v1/principals/"+ids["principal_id"]+"/keys", http.StatusCreated,
		map[string]any{"api_key_id": ids["api_key_id"], "reason": "a test"})
	made("/v1/approval_policies", http.StatusCreated, map[string]any{"kind": "transfer", "required": true, "reason": "a test"})
	ids["approval_id"] = made("/v1/transfers", http.StatusAccepted, map[string]any{"reference": "waits",
		"from_merchant_id": w.shop.id, "to_merchant_id": w.shop.agent, "amount": amount})
	// The newest event came after the endpoint, so it is delivered there.
	events, err := w.api.ListEventsWithResponse(w.ctx, &client.ListEventsParams{})
	require.NoError(w, err)
	ids["event_id"] = events.JSON200.Data[0].ID
	w.await("the delivery of the newest event", func() (bool, any) {
		answer, err := w.send(w.apis[0], w.seed.APIKey,
			"/v1/webhook_endpoints/"+ids["webhook_endpoint_id"]+"/deliveries/"+ids["event_id"], "", nil)
		require.NoError(w, err)
		return answer.status == http.StatusOK, answer.body
	})
}
