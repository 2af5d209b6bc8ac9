package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/internal/id"
)

// sendWith is post under a context that the test may end.
func (f *fixture) sendWith(ctx context.Context, target, body, key string) response {
	f.t.Helper()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+f.key)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", key)
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return response{w, f.t}
}

// conforms holds an answer against the schema that the contract gives it.
func (f *fixture) conforms(resp response, schema string) {
	f.t.Helper()
	contract, err := loadContract()
	require.NoError(f.t, err)
	var doc *openapi3.T
	for _, op := range contract.operations {
		doc = op.route.Spec
	}
	want := doc.Components.Schemas[schema]
	require.NotNil(f.t, want, schema)
	require.NoError(f.t, want.Value.VisitJSON(resp.json(), openapi3.VisitAsResponse()), resp.Body.String())
}

func TestPaymentsReadBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	created := f.post("/v1/payments", f.payment("r-1"))
	f.conforms(created, "Payment")
	read := f.get("/v1/payments/" + created.field("id"))
	require.JSONEq(t, created.Body.String(), read.Body.String())
	m := created.json()
	require.Equal(t, map[string]any{"amount": 19900.0, "currency": "CNY"}, m["amount"])
	require.Equal(t, []any{}, m["splits"])
	expires, err := time.Parse(time.RFC3339, created.field("expires_at"))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(2*time.Hour), expires, time.Minute)
	require.True(t, strings.HasSuffix(created.field("created_at"), "Z"))
	f.conforms(f.get("/v1/payments"), "PaymentPage")
}

func TestPagesFollowOneAnother(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const count = 7
	for i := range count {
		require.Equal(t, http.StatusCreated, f.post("/v1/payments", f.payment(fmt.Sprint("r-", i))).Code)
		f.newMerchant(fmt.Sprint("m-", i))
	}
	for target, want := range map[string]int{"/v1/payments": count, "/v1/merchants": count + 1} {
		seen := map[string]bool{}
		cursor, last := "", ""
		for pages := 1; ; pages++ {
			require.LessOrEqual(t, pages, 5)
			page := f.get(target + "?limit=3" + cursor).json()
			data, _ := page["data"].([]any)
			for _, item := range data {
				object, _ := item.(map[string]any)
				objectID, _ := object["id"].(string)
				require.False(t, seen[objectID], "shown twice")
				require.True(t, last == "" || objectID < last, "newest first")
				seen[objectID], last = true, objectID
			}
			next, more := page["next_cursor"].(string)
			if !more {
				break
			}
			cursor = "&cursor=" + next
		}
		require.Len(t, seen, want, target)
	}
	one := f.get("/v1/payments?reference=r-3").json()
	require.Len(t, one["data"], 1)
	require.Empty(t, f.get("/v1/payments?status=succeeded").json()["data"])
	require.Empty(t, f.get("/v1/payments?created_to=2020-01-01T00:00:00Z").json()["data"])
}

func TestMerchantsHideTheirPayoutAccount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	created := f.post("/v1/merchants", `{"reference":"m-1","name":"商店","settlement":"T1","parent_id":"`+f.merchant+
		`","payout_account":{"channel":"alipay","account":"13812345678","name":"张小明"}}`)
	require.Equal(t, http.StatusCreated, created.Code, created.Body)
	f.conforms(created, "Merchant")
	for _, resp := range []response{created, f.get("/v1/merchants/" + created.field("id")), f.get("/v1/merchants?parent_id=" + f.merchant)} {
		require.NotContains(t, resp.Body.String(), "13812345678")
		require.NotContains(t, resp.Body.String(), "小明")
		require.Contains(t, resp.Body.String(), "138****5678")
	}
	require.NotContains(t, f.log.String(), "13812345678")
	f.post("/v1/merchants", `{"reference":"m-1","name":"n","settlement":"T1"}`).refused(409, "reference_used", "reference")
	f.post("/v1/merchants", `{"reference":"m-2","name":"n","settlement":"T1","payout_account":{"channel":"alipay","account":"13812345","name":"n"}}`).
		refused(400, "account_malformed", "payout_account.account")
	resp := f.post("/v1/merchants", `{"reference":"m-3","name":"n","settlement":"T1","parent_id":"`+id.New(id.Merchant)+`"}`)
	require.Equal(t, http.StatusUnprocessableEntity, resp.Code)
}

func TestSplitRulesAndTheirPreview(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	agent := f.newMerchant("agent")
	created := f.post("/v1/split_rules", `{"merchant_id":"`+f.merchant+`","legs":[
		{"receiver":"merchant","merchant_id":"`+f.merchant+`","type":"remainder"},
		{"receiver":"merchant","merchant_id":"`+agent+`","type":"percent","basis_points":1000},
		{"receiver":"platform","type":"percent","basis_points":60}]}`)
	require.Equal(t, http.StatusCreated, created.Code, created.Body)
	f.conforms(created, "SplitRule")
	require.JSONEq(t, created.Body.String(), f.get("/v1/split_rules/"+created.field("id")).Body.String())
	f.conforms(f.get("/v1/split_rules?merchant_id="+f.merchant), "SplitRulePage")

	preview := f.post("/v1/split_previews", `{"merchant_id":"`+f.merchant+`","amount":{"amount":9999,"currency":"CNY"}}`)
	require.Equal(t, http.StatusOK, preview.Code, preview.Body)
	f.conforms(preview, "SplitPreview")
	legs, _ := preview.json()["legs"].([]any)
	require.Len(t, legs, 3)
	var sum float64
	for _, leg := range legs {
		fields, _ := leg.(map[string]any)
		amount, _ := fields["amount"].(map[string]any)
		minor, _ := amount["amount"].(float64)
		sum += minor
	}
	require.InDelta(t, 9999, sum, 0)
}

func TestRefusalsOfTheBusinessAre422(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	payment := f.post("/v1/payments", f.payment("r-1")).field("id")
	f.post("/v1/payments/"+payment+"/refunds", `{"reference":"rf","amount":{"amount":1,"currency":"CNY"},"reason":"r"}`).
		refused(422, "payment_not_refundable", "payment_id")
	f.post("/v1/withdrawals", `{"merchant_id":"`+f.merchant+`","reference":"w","amount":{"amount":100,"currency":"CNY"}}`).
		refused(422, "payout_account_missing", "merchant_id")
	rich := f.post("/v1/merchants", `{"reference":"rich","name":"n","settlement":"T0","payout_account":{"channel":"alipay","account":"a@example.com","name":"Ann"}}`).field("id")
	f.post("/v1/withdrawals", `{"merchant_id":"`+rich+`","reference":"w","amount":{"amount":100,"currency":"CNY"}}`).
		refused(422, "funds_insufficient", "amount")
	f.post("/v1/payments", strings.Replace(f.payment("r-2"), `"alipay"`, `"wechatpay"`, 1)).refused(422, "channel_not_open", "method.channel")
	require.Zero(t, f.count("refunds")+f.count("withdrawals"))
}

func TestReconciliationsAndDailyOperations(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := `{"channel_account_id":"` + f.channel.ID + `","bill_date":"2026-01-02"}`
	created := f.post("/v1/reconciliations", body)
	require.Equal(t, http.StatusCreated, created.Code, created.Body)
	f.conforms(created, "Reconciliation")
	f.post("/v1/reconciliations", body).refused(409, "reconciliation_processing", "bill_date")
	f.post("/v1/reconciliations", strings.Replace(body, "2026-01-02", "2999-01-01", 1)).refused(400, "format_mismatch", "bill_date")
	f.post("/v1/reconciliations", strings.Replace(body, "2026-01-02", "2099-01-01", 1)).refused(422, "bill_not_possible_yet", "bill_date")
	resp := f.post("/v1/reconciliations", strings.Replace(body, "2026-01-02", "2026-02-30", 1))
	require.Equal(t, http.StatusBadRequest, resp.Code, resp.Body)
	require.Equal(t, "bill_date", resp.field("field"))
	f.post("/v1/reconciliations", strings.Replace(body, f.channel.ID, id.New(id.ChannelAccount), 1)).refused(404, "not_found", "")
	f.conforms(f.get("/v1/reconciliations?bill_date=2026-01-02&status=processing"), "ReconciliationPage")
	require.Empty(t, f.get("/v1/reconciliations/" + created.field("id") + "/discrepancies").json()["data"])
	require.Empty(t, f.get("/v1/discrepancies?status=open&kind=fee_mismatch").json()["data"])

	daily := f.post("/v1/daily_operations", `{"business_date":"2026-01-02"}`)
	require.Equal(t, http.StatusCreated, daily.Code, daily.Body)
	f.conforms(daily, "DailyOperation")
	require.JSONEq(t, daily.Body.String(), f.get("/v1/daily_operations/"+daily.field("id")).Body.String())
	f.post("/v1/daily_operations", `{"business_date":"2026-01-02"}`).refused(409, "daily_operations_processing", "business_date")
	f.conforms(f.get("/v1/daily_operations?business_date=2026-01-02"), "DailyOperationPage")
	workflows := []string{f.workflows.started[0].WorkflowID, f.workflows.started[1].WorkflowID}
	require.Equal(t, []string{"reconciliation/" + f.channel.ID + "/2026-01-02/1", "daily-operations/" + daily.field("id")}, workflows)
}

func TestBooksChannelsAndTheClock(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.conforms(f.get("/v1/accounts"), "AccountPage")
	f.conforms(f.get("/v1/channel_accounts"), "ChannelAccountPage")
	empty := f.get("/v1/trial_balance")
	f.conforms(empty, "TrialBalance")
	require.Equal(t, true, empty.json()["balanced"])

	ahead := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	move := `{"now":"` + ahead.Format(time.RFC3339) + `"}`
	moved, err := time.Parse(time.RFC3339, f.post("/v1/test/clock", move).field("now"))
	require.NoError(t, err)
	require.WithinDuration(t, ahead, moved, time.Minute)
	back, err := time.Parse(time.RFC3339, f.post("/v1/test/clock", `{"now":"2026-01-01T00:00:00Z"}`).field("now"))
	require.NoError(t, err)
	require.False(t, back.Before(ahead), "the clock went backwards")
	f.post("/v1/test/clock", `{"now":"2999-01-01T00:00:00Z"}`).refused(422, "clock_too_far", "now")
	f.conforms(f.get("/v1/test/clock"), "TestClock")
}

func TestEventsAndDeliveries(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	endpoint := f.post("/v1/webhook_endpoints", `{"url":"http://127.0.0.1:9/hook"}`).field("id")
	payment := id.New(id.Payment)
	var eventID string
	require.NoError(t, f.db.DB.InTenant(t.Context(), f.tenant, func(tx pgx.Tx) (err error) {
		eventID, err = event.Emit(t.Context(), tx, f.tenant, event.News{Type: event.PaymentSucceeded, ObjectID: payment, Data: map[string]string{"status": "succeeded"}})
		return err
	}))
	shown := f.get("/v1/events/" + eventID)
	f.conforms(shown, "Event")
	f.conforms(f.get("/v1/events?object_id="+payment), "EventPage")
	f.conforms(f.get("/v1/webhook_endpoints"), "WebhookEndpointPage")
	page := f.get("/v1/webhook_endpoints/" + endpoint + "/deliveries?status=pending")
	f.conforms(page, "WebhookDeliveryPage")
	require.Len(t, page.json()["data"], 1)

	// The webhook says exactly what the API says.
	require.NoError(t, f.db.DB.InTenant(t.Context(), f.tenant, func(tx pgx.Tx) error {
		e, err := event.Get(t.Context(), tx, f.tenant, eventID)
		require.NoError(t, err)
		payload, err := e.Payload()
		require.NoError(t, err)
		require.JSONEq(t, shown.Body.String(), string(payload))
		return nil
	}))
}
