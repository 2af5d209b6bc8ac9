package api

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/books"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// fund gives the fixture's merchant available money.
func (f *fixture) fund(fen int64) {
	f.t.Helper()
	require.NoError(f.t, f.db.DB.InTenant(f.t.Context(), f.tenant, func(tx pgx.Tx) error {
		_, err := ledger.Post(f.t.Context(), tx, f.tenant, books.Collect(books.Collection{Attempt: id.New(id.Attempt),
			ChannelAccount: f.channel.ID, To: books.Pocket{Merchant: f.merchant, Available: true}, Amount: money.Fen(fen)})...)
		return err
	}))
}

func (f *fixture) transfer(to, reference string, fen int64, more string) string {
	return fmt.Sprintf(`{"from_merchant_id":%q,"to_merchant_id":%q,"reference":%q,"amount":{"amount":%d,"currency":"CNY"}%s}`,
		f.merchant, to, reference, fen, more)
}

func TestTransferIsBookedOnceAndReplayed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(1000)
	other := f.newMerchant("other")
	body := f.transfer(other, "t-1", 300, "")
	made := f.post("/v1/transfers", body, "Idempotency-Key", "key-transfer-1")
	require.Equal(t, http.StatusCreated, made.Code, made.Body)
	f.conforms(made, "Transfer")
	again := f.post("/v1/transfers", body, "Idempotency-Key", "key-transfer-1")
	require.Equal(t, made.Body.String(), again.Body.String())
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	f.post("/v1/transfers", body+" ", "Idempotency-Key", "key-transfer-1").refused(409, "idempotency_key_reused", "Idempotency-Key")
	f.post("/v1/transfers", body).refused(409, "reference_used", "reference")
	require.JSONEq(t, made.Body.String(), f.get("/v1/transfers/"+made.field("id")).Body.String())
	f.conforms(f.get("/v1/transfers?merchant_id="+other), "TransferPage")
	require.Len(t, f.get("/v1/transfers?reference=t-1").json()["data"], 1)
	require.Equal(t, 1, f.count(`events where type = 'transfer.succeeded'`))
	require.Equal(t, 1, f.count(`entries where kind = 'transfer'`))
}

func TestTransferIsRefusedWithTheRule(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(1000)
	other := f.newMerchant("other")
	for _, dryRun := range []string{"", `,"dry_run":true`} {
		f.post("/v1/transfers", f.transfer(other, "t", 1001, dryRun)).refused(422, "funds_insufficient", "amount")
		f.post("/v1/transfers", f.transfer(f.merchant, "t", 1, dryRun)).refused(400, "same_merchant", "to_merchant_id")
		f.post("/v1/transfers", f.transfer(id.New(id.Merchant), "t", 1, dryRun)).refused(422, "merchant_unknown", "to_merchant_id")
		f.post("/v1/transfers", `{"from_merchant_id":"`+id.New(id.Merchant)+`","to_merchant_id":"`+other+
			`","reference":"t","amount":{"amount":1,"currency":"CNY"}`+dryRun+`}`).refused(422, "merchant_unknown", "from_merchant_id")
	}
	require.Zero(t, f.count(`transfers`))
	require.Equal(t, 2, f.count(`accepted_requests`), "the merchants'")
}

func TestDryRunAnswersAndKeepsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(1000)
	other := f.newMerchant("other")
	tried := f.post("/v1/transfers", f.transfer(other, "t-1", 300, `,"dry_run":true`), "Idempotency-Key", "key-dry-run")
	require.Equal(t, http.StatusOK, tried.Code, tried.Body)
	f.conforms(tried, "TransferPreview")
	require.Contains(t, tried.Body.String(), `"available":{"amount":700,"currency":"CNY"}`)
	require.Contains(t, tried.Body.String(), `"available":{"amount":300,"currency":"CNY"}`)
	require.Zero(t, f.count(`transfers`))
	require.Zero(t, f.count(`entries where kind = 'transfer'`))
	require.Zero(t, f.count(`events`))
	require.Equal(t, http.StatusCreated, f.post("/v1/transfers", f.transfer(other, "t-1", 300, "")).Code)
}

func TestTransferBatches(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(1000)
	other := f.newMerchant("other")
	items := f.transfer(other, "b-1", 600, "") + "," + f.transfer(other, "b-2", 600, "") + "," + f.transfer(other, "b-3", 400, "")
	f.post("/v1/transfer_batches", `{"mode":"all_or_nothing","items":[`+items+`]}`).refused(422, "funds_insufficient", "items[1].amount")
	require.Zero(t, f.count(`transfers`))

	each := f.post("/v1/transfer_batches", `{"mode":"per_item","items":[`+items+`]}`)
	require.Equal(t, http.StatusCreated, each.Code, each.Body)
	f.conforms(each, "TransferBatch")
	require.InDelta(t, 2, each.json()["succeeded"], 0)
	require.InDelta(t, 1, each.json()["refused"], 0)
	require.Contains(t, each.Body.String(), `"refusal":{"code":"funds_insufficient"`)
	require.Len(t, f.get("/v1/transfers?batch_id=" + each.field("id")).json()["data"], 2)

	f.fund(1000)
	f.post("/v1/transfer_batches", `{"mode":"all_or_nothing","items":[`+f.transfer(other, "c-1", 1, "")+","+
		f.transfer(other, "b-1", 1, "")+`]}`).refused(409, "reference_used", "items[1].reference")
	f.post("/v1/transfer_batches", `{"mode":"per_item","items":[`+f.transfer(other, "c-1", 1, "")+","+
		f.transfer(other, "c-1", 1, "")+`]}`).refused(400, "reference_used", "items[1].reference")
	f.post("/v1/transfer_batches", `{"mode":"per_item","items":[]}`).refused(400, "length_out_of_range", "items")
	all := f.post("/v1/transfer_batches", `{"mode":"all_or_nothing","items":[`+f.transfer(other, "c-1", 500, "")+","+
		f.transfer(other, "c-2", 500, "")+`]}`)
	require.Equal(t, http.StatusCreated, all.Code, all.Body)
	require.InDelta(t, 2, all.json()["succeeded"], 0)
	require.Equal(t, 4, f.count(`events where type = 'transfer.succeeded'`))
}

// batch is a batch of n transfers of fen each, every bad'th of them to nobody.
func (f *fixture) batch(mode, to, prefix string, n int, fen int64, bad int) string {
	items := make([]string, n)
	for i := range items {
		receiver := to
		if bad != 0 && i%bad == bad-1 {
			receiver = id.New(id.Merchant)
		}
		items[i] = f.transfer(receiver, fmt.Sprintf("%s-%03d", prefix, i), fen, "")
	}
	return `{"mode":"` + mode + `","items":[` + strings.Join(items, ",") + `]}`
}

func TestLargestBatches(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(20_000)
	other := f.newMerchant("other")
	before := f.count("accepted_requests")

	f.post("/v1/transfer_batches", f.batch("all_or_nothing", other, "a", 201, 1, 0)).refused(400, "length_out_of_range", "items")
	f.post("/v1/transfer_batches", f.batch("all_or_nothing", other, "a", 200, 101, 0)).refused(422, "funds_insufficient", "items[198].amount")
	f.post("/v1/transfer_batches", f.batch("all_or_nothing", other, "a", 200, 1, 200)).refused(422, "merchant_unknown", "items[199].to_merchant_id")
	require.Equal(t, before, f.count("accepted_requests"), "a refusal leaves the key free")
	for _, table := range []string{"transfers", "transfer_batches", "events", "entries where kind = 'transfer'",
		"ledger_accounts where owner = '" + other + "'"} {
		require.Zero(t, f.count(table), table)
	}

	all := f.post("/v1/transfer_batches", f.batch("all_or_nothing", other, "a", 200, 10, 0))
	require.Equal(t, http.StatusCreated, all.Code, all.Body)
	require.InDelta(t, 200, all.json()["succeeded"], 0)
	each := f.post("/v1/transfer_batches", f.batch("per_item", other, "b", 200, 10, 4))
	require.Equal(t, http.StatusCreated, each.Code, each.Body)
	require.InDelta(t, 150, each.json()["succeeded"], 0)
	require.InDelta(t, 50, each.json()["refused"], 0)
	for _, table := range []string{"transfers", "entries where kind = 'transfer'", "events where type = 'transfer.succeeded'"} {
		require.Equal(t, 350, f.count(table), table)
	}
	require.Equal(t, 1, f.count("ledger_accounts where type = 'merchant_available' and owner <> '"+f.merchant+"'"),
		"a refused item opens no account")
}

func TestBatchIsReplayedAndRead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(1000)
	other := f.newMerchant("other")
	body := f.batch("per_item", other, "b", 3, 400, 0)
	answers := make([]response, 8)
	var calls sync.WaitGroup
	for i := range answers {
		calls.Go(func() { answers[i] = f.post("/v1/transfer_batches", body, "Idempotency-Key", "key-batch-0001") })
	}
	calls.Wait()
	replayed := 0
	for _, a := range answers {
		require.Equal(t, http.StatusCreated, a.Code, a.Body)
		require.Equal(t, answers[0].Body.String(), a.Body.String())
		if a.Header().Get("Idempotency-Replayed") == "true" {
			replayed++
		}
	}
	require.Equal(t, len(answers)-1, replayed)
	require.Equal(t, 2, f.count("transfers"))
	read := f.get("/v1/transfer_batches/" + answers[0].field("id"))
	f.conforms(read, "TransferBatch")
	require.JSONEq(t, answers[0].Body.String(), read.Body.String())
	f.post("/v1/transfers", f.transfer(other, "x", 1, ""), "Idempotency-Key", "key-batch-0001").
		refused(409, "idempotency_key_reused", "Idempotency-Key")

	_, stranger := f.newTenant()
	for _, target := range []string{"/v1/transfer_batches/" + answers[0].field("id"), "/v1/transfers?batch_id=" + answers[0].field("id")} {
		theirs := f.get(target, "Authorization", "Bearer "+stranger)
		require.NotContains(t, theirs.Body.String(), other)
	}
}

func TestTransferFieldsAreHeldAgainstTheContract(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(1000)
	other := f.newMerchant("other")
	good := f.transfer(other, "t-1", 300, "")
	with := func(old, replacement string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, replacement, 1)
	}
	for _, c := range []struct{ body, code, field string }{
		{with(`"reference":"t-1"`, `"reference":""`), "length_out_of_range", "reference"},
		{with(`"t-1"`, `"`+strings.Repeat("r", 65)+`"`), "length_out_of_range", "reference"},
		{with(`"t-1"`, `"a b"`), "format_mismatch", "reference"},
		{with(`"reference":"t-1",`, ``), "field_missing", "reference"},
		{with(other, id.New(id.Payment)), "format_mismatch", "to_merchant_id"},
		{with(f.merchant, "mch_1"), "length_out_of_range", "from_merchant_id"},
		{with(`"CNY"`, `"EUR"`), "value_unknown", "amount.currency"},
		{with(`"amount":300`, `"amount":-300`), "out_of_range", "amount.amount"},
		{with(`"amount":300`, `"amount":3.5`), "integer_required", "amount.amount"},
		{with(`"reference"`, `"dry_run":"yes","reference"`), "type_mismatch", "dry_run"},
		{with(`"reference"`, `"status":"succeeded","reference"`), "field_unknown", "status"},
		{with(`"reference"`, `"batch_id":"trb_1","reference"`), "field_unknown", "batch_id"},
	} {
		resp := f.post("/v1/transfers", c.body)
		require.Equal(t, http.StatusBadRequest, resp.Code, "%s: %s", c.body, resp.Body)
		require.Equal(t, c.field, resp.field("field"), "%s: %s", c.body, resp.Body)
		if c.code != "length_out_of_range" { // a pattern may be what is named first
			require.Equal(t, c.code, resp.field("code"), "%s: %s", c.body, resp.Body)
		}
		inBatch := f.post("/v1/transfer_batches", `{"mode":"per_item","items":[`+good+`,`+c.body+`]}`)
		require.Equal(t, http.StatusBadRequest, inBatch.Code, inBatch.Body)
		require.True(t, strings.HasPrefix(inBatch.field("field"), "items[1]."), inBatch.Body)
	}
	f.post("/v1/transfer_batches", `{"mode":"some","items":[`+good+`]}`).refused(400, "value_unknown", "mode")
	f.post("/v1/transfer_batches", `{"items":[`+good+`]}`).refused(400, "field_missing", "mode")
	for query, field := range map[string]string{"batch_id=1": "batch_id", "merchant_id=x": "merchant_id", "status=x": "status", "cursor=x": "cursor"} {
		resp := f.get("/v1/transfers?" + query)
		require.Equal(t, http.StatusBadRequest, resp.Code, resp.Body)
		require.Equal(t, field, resp.field("field"))
	}
	require.Zero(t, f.count("transfers"))
}

func TestTransferListsArePages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(1000)
	other := f.newMerchant("other")
	f.post("/v1/transfer_batches", f.batch("all_or_nothing", other, "p", 5, 1, 0))
	var references []string
	for cursor := ""; ; {
		page := f.get("/v1/transfers?limit=2" + cursor)
		f.conforms(page, "TransferPage")
		data, _ := page.json()["data"].([]any)
		for _, item := range data {
			one, _ := item.(map[string]any)
			references = append(references, fmt.Sprint(one["reference"]))
		}
		next, more := page.json()["next_cursor"].(string)
		if !more {
			break
		}
		cursor = "&cursor=" + next
	}
	require.ElementsMatch(t, []string{"p-004", "p-003", "p-002", "p-001", "p-000"}, references)
}

func TestBatchDryRunAnswersAndKeepsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fund(1000)
	other := f.newMerchant("other")
	hold := f.hold("h-1", 100, "").field("id")
	items := f.transfer(other, "b-1", 600, "") + "," + f.transfer(other, "b-2", 600, "") + "," + f.transfer(other, "b-3", 100, `,"hold_id":"`+hold+`"`)
	tried := f.post("/v1/transfer_batches", `{"mode":"per_item","dry_run":true,"items":[`+items+`]}`, "Idempotency-Key", "key-batch-dry")
	require.Equal(t, http.StatusOK, tried.Code, tried.Body)
	f.conforms(tried, "TransferBatchPreview")
	require.InDelta(t, 2, tried.json()["succeeded"], 0)
	require.NotContains(t, tried.Body.String(), "trf_")
	again := f.post("/v1/transfer_batches", `{"mode":"per_item","dry_run":true,"items":[`+items+`]}`, "Idempotency-Key", "key-batch-dry")
	require.Equal(t, tried.Body.String(), again.Body.String())
	f.post("/v1/transfer_batches", `{"mode":"all_or_nothing","dry_run":true,"items":[`+items+`]}`).refused(422, "funds_insufficient", "items[1].amount")
	for _, table := range []string{"transfers", "transfer_batches", "entries where kind = 'transfer'", "events where type like 'transfer%'",
		"ledger_accounts where owner = '" + other + "'"} {
		require.Zero(t, f.count(table), table)
	}
	f.holdIs(hold, "open", 0, 0)
	each := f.post("/v1/transfer_batches", `{"mode":"per_item","items":[`+items+`]}`)
	require.Equal(t, http.StatusCreated, each.Code, each.Body)
	require.InDelta(t, 2, each.json()["succeeded"], 0)
}
