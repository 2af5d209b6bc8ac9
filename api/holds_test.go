package api

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/account"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// hold places a hold on the fixture's merchant.
func (f *fixture) hold(reference string, fen int64, more string, headers ...string) response {
	f.t.Helper()
	return f.post("/v1/holds", fmt.Sprintf(`{"merchant_id":%q,"reference":%q,"reason":"a deposit","amount":{"amount":%d,"currency":"CNY"}%s}`,
		f.merchant, reference, fen, more), headers...)
}

func (f *fixture) release(holdID, body string, headers ...string) response {
	f.t.Helper()
	return f.post("/v1/holds/"+holdID+"/releases", body, headers...)
}

// holdIs reads a hold and checks where its money went.
func (f *fixture) holdIs(holdID, status string, captured, released float64) {
	f.t.Helper()
	read := f.get("/v1/holds/" + holdID)
	f.conforms(read, "Hold")
	require.Equal(f.t, status, read.field("status"), read.Body)
	requireAmount(f.t, captured, read, "captured")
	requireAmount(f.t, released, read, "released")
}

func TestAHoldIsPlacedCapturedInPartsAndReleased(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(1000)
	other := f.newMerchant("other")
	placed := f.hold("h-1", 600, "", "Idempotency-Key", "key-hold-0001")
	require.Equal(t, http.StatusCreated, placed.Code, placed.Body)
	f.conforms(placed, "Hold")
	require.Equal(t, "tenant", placed.field("placed_by"))
	require.Equal(t, "h-1", placed.field("reference"))
	require.Equal(t, "a deposit", placed.field("reason"))
	again := f.hold("h-1", 600, "", "Idempotency-Key", "key-hold-0001")
	require.Equal(t, placed.Body.String(), again.Body.String())
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	f.hold("h-1", 600, "").refused(409, "reference_used", "reference")
	f.hold("h-1", 5, "").refused(409, "reference_used", "reference")
	hold := placed.field("id")
	usual := "/v1/accounts/" + placed.field("account_id")
	requireAmount(t, 1000, f.get(usual), "posted")
	requireAmount(t, 600, f.get(usual), "held")
	requireAmount(t, 400, f.get(usual), "available")
	f.post("/v1/transfers", f.transfer(other, "t-0", 401, "")).refused(422, "funds_insufficient", "amount")
	f.hold("h-2", 401, "").refused(422, "funds_insufficient", "amount")

	capture := `,"hold_id":"` + hold + `"`
	tried := f.post("/v1/transfers", f.transfer(other, "t-1", 100, capture+`,"dry_run":true`))
	require.Equal(t, http.StatusOK, tried.Code, tried.Body)
	f.holdIs(hold, "open", 0, 0)
	part := f.post("/v1/transfers", f.transfer(other, "t-1", 100, capture))
	require.Equal(t, http.StatusCreated, part.Code, part.Body)
	f.conforms(part, "Transfer")
	require.Equal(t, hold, part.field("hold_id"))
	f.holdIs(hold, "open", 100, 0)
	f.post("/v1/transfers", f.transfer(other, "t-2", 501, capture)).refused(422, "hold_exceeded", "amount")
	freed := f.release(hold, `{"reason":"less was needed","amount":{"amount":150,"currency":"CNY"}}`, "Idempotency-Key", "key-release-1")
	require.Equal(t, http.StatusCreated, freed.Code, freed.Body)
	f.conforms(freed, "Hold")
	require.Equal(t, freed.Body.String(),
		f.release(hold, `{"reason":"less was needed","amount":{"amount":150,"currency":"CNY"}}`, "Idempotency-Key", "key-release-1").Body.String())
	f.holdIs(hold, "open", 100, 150)
	f.release(hold, `{"reason":"r","amount":{"amount":351,"currency":"CNY"}}`).refused(422, "hold_exceeded", "amount")
	batch := f.post("/v1/transfer_batches", `{"mode":"all_or_nothing","items":[`+f.transfer(other, "t-3", 200, capture)+","+
		f.transfer(other, "t-4", 50, capture)+`]}`)
	require.Equal(t, http.StatusCreated, batch.Code, batch.Body)
	f.holdIs(hold, "open", 350, 150)
	require.Equal(t, http.StatusCreated, f.release(hold, `{"reason":"done"}`).Code)
	f.holdIs(hold, "released", 350, 250)
	f.post("/v1/transfers", f.transfer(other, "t-5", 1, capture)).refused(422, "hold_not_open", "hold_id")
	f.release(hold, `{"reason":"r"}`).refused(422, "hold_not_open", "")
	requireAmount(t, 650, f.get(usual), "available")
	require.Contains(t, f.get("/v1/holds/"+hold).Body.String(), `"reason":"less was needed"`)
	require.Equal(t, 1, f.events("hold.placed"))
	require.Equal(t, 3, f.events("hold.captured"))
	require.Equal(t, 2, f.events("hold.released"))
	require.Equal(t, 6, f.count(`events where object_id = '`+hold+`' and sequence <= 6`), "without gaps")
	require.Len(t, f.get("/v1/holds?reference=h-1").json()["data"], 1)
	f.conforms(f.get("/v1/holds?limit=1"), "HoldPage")
}

func TestAHoldIsCapturedWhole(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(100)
	other := f.newMerchant("other")
	hold := f.hold("h-1", 100, "").field("id")
	require.Equal(t, http.StatusCreated, f.post("/v1/transfers", f.transfer(other, "t-1", 100, `,"hold_id":"`+hold+`"`)).Code)
	f.holdIs(hold, "captured", 100, 0)
	f.release(hold, `{"reason":"r"}`).refused(422, "hold_not_open", "")
}

func TestHoldsAreNamedRight(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(1000)
	f.named("rent", 100)
	other := f.newMerchant("other")
	hold := f.hold("h-1", 50, `,"account_name":"rent"`).field("id")
	require.NoError(t, f.db.DB.InTenant(t.Context(), f.tenant, func(tx pgx.Tx) error {
		_, err := ledger.PlaceHold(t.Context(), tx, f.tenant, ledger.HoldRequest{Reference: "withdrawal/wdr_1", Amount: 30,
			Account: ledger.AccountKey{Type: ledger.MerchantAvailable, Owner: f.merchant, Currency: money.CNY}})
		return err
	}))
	data, _ := f.get("/v1/holds?reference=withdrawal/wdr_1").json()["data"].([]any)
	require.Len(t, data, 1)
	theirs, _ := data[0].(map[string]any)
	require.Equal(t, "platform", theirs["placed_by"])
	platforms := fmt.Sprint(theirs["id"])
	f.conforms(f.get("/v1/holds/"+platforms), "Hold")

	f.release(platforms, `{"reason":"r"}`).refused(422, "hold_not_yours", "")
	try := func(more string) response { return f.post("/v1/transfers", f.transfer(other, "t-1", 1, more)) }
	try(`,"hold_id":"`+platforms+`"`).refused(422, "hold_not_yours", "hold_id")
	try(`,"hold_id":"`+hold+`"`).refused(422, "hold_elsewhere", "hold_id")
	try(`,"hold_id":"`+id.New(id.Hold)+`"`).refused(422, "hold_unknown", "hold_id")
	try(`,"hold_id":"h-1"`).refused(400, "format_mismatch", "hold_id")
	each := f.post("/v1/transfer_batches", `{"mode":"per_item","items":[`+f.transfer(other, "b-1", 51, `,"from_account":"rent","hold_id":"`+hold+`"`)+","+
		f.transfer(other, "b-2", 50, `,"from_account":"rent","hold_id":"`+hold+`"`)+","+
		f.transfer(other, "b-3", 1, `,"from_account":"rent","hold_id":"`+hold+`"`)+`]}`)
	f.conforms(each, "TransferBatch")
	require.InDelta(t, 1, each.json()["succeeded"], 0)
	require.Contains(t, each.Body.String(), "hold_exceeded")
	require.Contains(t, each.Body.String(), "hold_not_open")
	f.holdIs(hold, "captured", 50, 0)
	require.Equal(t, 1, f.events("hold.captured"))
	f.post("/v1/transfer_batches", `{"mode":"all_or_nothing","items":[`+f.transfer(other, "c-1", 1, "")+","+
		f.transfer(other, "c-2", 1, `,"from_account":"rent","hold_id":"`+hold+`"`)+`]}`).refused(422, "hold_not_open", "items[1].hold_id")
	require.Equal(t, 2, f.count("transfers"), "into rent, and out of the hold")
}

func TestAHoldExpires(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(100)
	other := f.newMerchant("other")
	placed := f.hold("h-1", 60, `,"expires_in":60`)
	require.NoError(t, f.db.DB.InTenant(t.Context(), f.tenant, func(tx pgx.Tx) error {
		_, err := ledger.PlaceHold(t.Context(), tx, f.tenant, ledger.HoldRequest{Reference: "refund/rfd_1/0", Amount: 10, ExpiresAt: time.Now(),
			Account: ledger.AccountKey{Type: ledger.MerchantAvailable, Owner: f.merchant, Currency: money.CNY}})
		return err
	}))
	f.conforms(placed, "Hold")
	require.NotNil(t, placed.json()["expires_at"])
	_, err := f.db.Pool.Exec(t.Context(), `update business_clock set ahead = ahead + interval '61 seconds'`)
	require.NoError(t, err)
	f.post("/v1/transfers", f.transfer(other, "t-1", 1, `,"hold_id":"`+placed.field("id")+`"`)).refused(422, "hold_not_open", "hold_id")
	require.NoError(t, f.db.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		n, err := account.ExpireHolds(t.Context(), tx, 10)
		require.Equal(t, 2, n)
		return err
	}))
	require.Equal(t, 1, f.events("hold.expired"), "that of the platform is its own business")
	f.holdIs(placed.field("id"), "expired", 0, 60)
	f.release(placed.field("id"), `{"reason":"r"}`).refused(422, "hold_not_open", "")
	requireAmount(t, 100, f.get("/v1/accounts/"+placed.field("account_id")), "available")
}

func TestHoldsAreHeldAgainstTheContract(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(100)
	good := `{"merchant_id":"` + f.merchant + `","reference":"h-1","reason":"r","amount":{"amount":1,"currency":"CNY"}}`
	with := func(old, replacement string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, replacement, 1)
	}
	for _, c := range []struct{ body, code, field string }{
		{with(`"reason":"r",`, ``), "field_missing", "reason"},
		{with(`"reason":"r"`, `"reason":"`+strings.Repeat("长", 86)+`"`), "length_out_of_range", "reason"},
		{with(`"h-1"`, `"h 1"`), "format_mismatch", "reference"},
		{with(`"reason"`, `"expires_in":59,"reason"`), "out_of_range", "expires_in"},
		{with(`"reason"`, `"expires_in":31536001,"reason"`), "out_of_range", "expires_in"},
		{with(`"reason"`, `"account_name":"R","reason"`), "format_mismatch", "account_name"},
		{with(`"reason"`, `"account_id":"x","reason"`), "field_unknown", "account_id"},
		{with(`"reason"`, `"expires_at":"2030-01-01T00:00:00Z","reason"`), "field_unknown", "expires_at"},
	} {
		resp := f.post("/v1/holds", c.body)
		require.Equal(t, http.StatusBadRequest, resp.Code, "%s: %s", c.body, resp.Body)
		require.Equal(t, c.code, resp.field("code"), "%s: %s", c.body, resp.Body)
		require.Equal(t, c.field, resp.field("field"), "%s: %s", c.body, resp.Body)
	}
	f.post("/v1/holds", with(f.merchant, id.New(id.Merchant))).refused(422, "merchant_unknown", "merchant_id")
	f.post("/v1/holds", with(`"reason"`, `"account_name":"rent","reason"`)).refused(422, "account_unknown", "account_name")
	require.Zero(t, f.count("holds"))
	require.Zero(t, f.count("events"))
}

// Many captures and releases at once take no more than there is, and every fen of
// the hold ends captured or released.
func TestRacingCapturesAndReleasesShareTheHold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(1000)
	other := f.newMerchant("other")
	hold := f.hold("h-1", 500, "").field("id")
	codes := make([]int, 24)
	bodies := make([]string, 24)
	var calls sync.WaitGroup
	for i := range codes {
		calls.Go(func() {
			resp := f.post("/v1/transfers", f.transfer(other, fmt.Sprint("t-", i), 50, `,"hold_id":"`+hold+`"`))
			if i%3 == 0 {
				resp = f.release(hold, `{"reason":"r","amount":{"amount":50,"currency":"CNY"}}`)
			}
			codes[i], bodies[i] = resp.Code, resp.Body.String()
		})
	}
	calls.Wait()
	for i, code := range codes {
		require.Contains(t, []int{201, 422}, code, bodies[i])
	}
	read := f.get("/v1/holds/" + hold)
	captured, _ := read.json()["captured"].(map[string]any)
	released, _ := read.json()["released"].(map[string]any)
	require.InDelta(t, 500, captured["amount"].(float64)+released["amount"].(float64), 0, read.Body)
	require.Equal(t, int(captured["amount"].(float64))/50, f.count(`transfers where hold_id is not null`))
	require.Equal(t, int(released["amount"].(float64))/50, f.count(`hold_releases`))
	require.Equal(t, 11, f.count(`events where object_id = '`+hold+`' and sequence <= 11`))
}
