package api

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
)

// amounts are the places where a request names money, as bodies with a hole.
func (f *fixture) amounts() map[string]string {
	payment := id.New(id.Payment)
	return map[string]string{
		"/v1/payments": `{"merchant_id":"` + f.merchant + `","reference":"r","amount":{"amount":HOLE,"currency":"CNY"},` +
			`"subject":"s","method":{"channel":"alipay","product":"qr"}}`,
		"/v1/payments/" + payment + "/refunds": `{"reference":"r","amount":{"amount":HOLE,"currency":"CNY"},"reason":"r"}`,
		"/v1/withdrawals":                      `{"merchant_id":"` + f.merchant + `","reference":"r","amount":{"amount":HOLE,"currency":"CNY"}}`,
		"/v1/transfers": `{"from_merchant_id":"` + f.merchant + `","to_merchant_id":"` + id.New(id.Merchant) +
			`","reference":"r","amount":{"amount":HOLE,"currency":"CNY"}}`,
		"/v1/holds": `{"merchant_id":"` + f.merchant + `","reference":"r","reason":"r","amount":{"amount":HOLE,"currency":"CNY"}}`,
		"/v1/holds/" + id.New(id.Hold) + "/releases": `{"reason":"r","amount":{"amount":HOLE,"currency":"CNY"}}`,
		"/v1/split_previews":                         `{"merchant_id":"` + f.merchant + `","amount":{"amount":HOLE,"currency":"CNY"}}`,
	}
}

func TestAmountsAreIntegersWithinBounds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	// The second list is not JSON at all, so no field can be named.
	named := []string{"0", "-1", "-0", "0.001", "1e2", "1E-2", `"5"`, "5.0", "null", "true", "{}", "[]", "100000000001",
		"9007199254740991", "9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551616",
		"1000000000000000000000000000000", "99999999999.999999", `"NaN"`, `"１００"`}
	malformed := []string{"0x10", "1_000", "+5", "NaN", "Infinity", "01", "１００", "٣", "\u00a05", "\u200f5", "\ufeff5", "", "5,", "5 5"}
	for target, body := range f.amounts() {
		for _, amount := range named {
			resp := f.post(target, strings.Replace(body, "HOLE", amount, 1))
			require.Equal(t, http.StatusBadRequest, resp.Code, "%s %s: %s", target, amount, resp.Body)
			require.Equal(t, "amount.amount", resp.field("field"), "%s %s: %s", target, amount, resp.Body)
		}
		for _, amount := range malformed {
			resp := f.post(target, strings.Replace(body, "HOLE", amount, 1))
			require.Equal(t, http.StatusBadRequest, resp.Code, "%s %q: %s", target, amount, resp.Body)
		}
	}
	var count int
	require.NoError(t, f.db.Pool.QueryRow(t.Context(), `select count(*) from payments`).Scan(&count))
	require.Zero(t, count)
}

func TestFieldsAreHeldAgainstTheContract(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := f.payment("r-1")
	with := func(old, replacement string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, replacement, 1)
	}
	for name, c := range map[string]struct{ body, code, field string }{
		"unknown field":         {with(`"subject"`, `"status":"succeeded","subject"`), "field_unknown", "status"},
		"tenant":                {with(`"subject"`, `"tenant_id":"`+f.tenant+`","subject"`), "field_unknown", "tenant_id"},
		"other case":            {with(`"subject"`, `"Subject"`), "field_unknown", "Subject"},
		"unknown nested":        {with(`"currency":"CNY"`, `"currency":"CNY","scale":2`), "field_unknown", "amount.scale"},
		"missing":               {with(`"subject":"Two coffees",`, ``), "field_missing", "subject"},
		"missing nested":        {with(`,"currency":"CNY"`, ``), "field_missing", "amount.currency"},
		"null":                  {with(`"Two coffees"`, `null`), "type_mismatch", "subject"},
		"wrong type":            {with(`"Two coffees"`, `7`), "type_mismatch", "subject"},
		"empty subject":         {with(`"Two coffees"`, `""`), "length_out_of_range", "subject"},
		"long subject":          {with(`Two coffees`, strings.Repeat("长", 128)), "length_out_of_range", "subject"},
		"control character":     {with(`Two coffees`, `Two\ncoffees`), "format_mismatch", "subject"},
		"right to left":         {with(`Two coffees`, `Two\u202ecoffees`), "format_mismatch", "subject"},
		"NUL":                   {with(`Two coffees`, `Two\u0000coffees`), "characters_not_allowed", "subject"},
		"half a pair":           {with(`Two coffees`, `Two\ud83dcoffees`), "characters_not_allowed", "subject"},
		"foreign kind of id":    {with(f.merchant, id.New(id.Payment)), "format_mismatch", "merchant_id"},
		"lower case id":         {with(f.merchant, strings.ToLower(f.merchant)), "format_mismatch", "merchant_id"},
		"sql in the reference":  {with(`"r-1"`, `"'; drop table payments; --"`), "format_mismatch", "reference"},
		"long reference":        {with(`"r-1"`, `"`+strings.Repeat("r", 65)+`"`), "length_out_of_range", "reference"},
		"unknown channel":       {with(`"alipay"`, `"paypal"`), "value_unknown", "method.channel"},
		"unknown currency":      {with(`"CNY"`, `"USD"`), "value_unknown", "amount.currency"},
		"expiry below":          {with(`"subject"`, `"expires_in":59,"subject"`), "out_of_range", "expires_in"},
		"expiry above":          {with(`"subject"`, `"expires_in":1296001,"subject"`), "out_of_range", "expires_in"},
		"expiry as a float":     {with(`"subject"`, `"expires_in":60.5,"subject"`), "integer_required", "expires_in"},
		"duplicate key":         {with(`"subject"`, `"subject":"x","subject"`), "json_duplicate_key", "subject"},
		"duplicate, escaped":    {with(`"subject"`, `"\u0073ubject":"x","subject"`), "json_duplicate_key", "subject"},
		"duplicate nested":      {with(`"currency":"CNY"`, `"currency":"CNY","currency":"CNY"`), "json_duplicate_key", "amount.currency"},
		"trailing data":         {good + `{}`, "json_trailing_data", ""},
		"trailing text":         {good + `x`, "json_trailing_data", ""},
		"not an object":         {`[]`, "type_mismatch", ""},
		"null body":             {`null`, "type_mismatch", ""},
		"empty body":            {``, "json_malformed", ""},
		"cut off":               {good[:len(good)-1], "json_malformed", ""},
		"byte order mark":       {"\ufeff" + good, "json_malformed", ""},
		"invalid utf-8":         {with("Two", "T\xffo"), "json_malformed", ""},
		"too deep":              {strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40), "json_too_deep", strings.Repeat("[0]", 33)},
		"far too deep":          {strings.Repeat(`[`, 30000), "json_too_deep", strings.Repeat("[0]", 33)},
		"comment":               {"/* */" + good, "json_malformed", ""},
		"single quotes":         {`{'subject': 1}`, "json_malformed", ""},
		"an unknown with a bad": {`{"ü":1}`, "", ""},
	} {
		resp := f.post("/v1/payments", c.body)
		if c.code == "" {
			require.Equal(t, http.StatusBadRequest, resp.Code, "%s: %s", name, resp.Body)
			continue
		}
		t.Log(name)
		resp.refused(http.StatusBadRequest, c.code, c.field)
	}
}

func TestSplitRuleFieldsAreNamedByTheirPlace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	other := f.newMerchant("other")
	body := func(legs string) string { return `{"merchant_id":"` + f.merchant + `","legs":[` + legs + `]}` }
	own := `{"receiver":"merchant","merchant_id":"` + f.merchant + `","type":"remainder"}`
	percent := func(bp string) string {
		return `{"receiver":"merchant","merchant_id":"` + other + `","type":"percent","basis_points":` + bp + `}`
	}
	f.post("/v1/split_rules", body(own+","+percent("0"))).refused(400, "out_of_range", "legs[1].basis_points")
	f.post("/v1/split_rules", body(own+","+percent("10001"))).refused(400, "out_of_range", "legs[1].basis_points")
	f.post("/v1/split_rules", body(own+","+percent("33.33"))).refused(400, "integer_required", "legs[1].basis_points")
	f.post("/v1/split_rules", body("")).refused(400, "length_out_of_range", "legs")
	f.post("/v1/split_rules", body(strings.Repeat(own+",", 50)+own)).refused(400, "length_out_of_range", "legs")
	f.post("/v1/split_rules", body(percent("100"))).refused(400, "remainder_not_own_merchant", "legs")
	stranger := strings.Replace(percent("100"), other, id.New(id.Merchant), 1)
	resp := f.post("/v1/split_rules", body(own+","+stranger))
	require.Equal(t, http.StatusUnprocessableEntity, resp.Code, resp.Body)
	require.Equal(t, "legs[1].merchant_id", resp.field("field"))
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	large := `{"subject":"` + strings.Repeat("x", maxBody) + `"}`
	f.post("/v1/payments", large).refused(http.StatusRequestEntityTooLarge, "body_too_large", "")
	f.send(http.MethodPost, "/v1/payments", bytes.NewReader(make([]byte, 10<<20))).refused(http.StatusRequestEntityTooLarge, "body_too_large", "")
	f.post("/v1/payments", f.payment("r"), "Content-Encoding", "gzip").refused(400, "content_encoding_unsupported", "Content-Encoding")
	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk", "application/jsonx", "a/b/c"} {
		f.post("/v1/payments", f.payment("r"), "Content-Type", contentType).refused(400, "content_type_unsupported", "Content-Type")
	}
	f.send(http.MethodGet, "/v1/payments", strings.NewReader("{}")).refused(400, "body_unexpected", "")
}

func TestIdempotencyKeysAreRequiredOnEveryPost(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, target := range []string{"/v1/payments", "/v1/payments/" + id.New(id.Payment) + "/refunds", "/v1/withdrawals", "/v1/merchants", "/v1/transfers", "/v1/transfer_batches",
		"/v1/accounts", "/v1/accounts/" + id.New(id.Account) + "/status_changes", "/v1/accounts/" + id.New(id.Account) + "/limit_changes",
		"/v1/holds", "/v1/holds/" + id.New(id.Hold) + "/releases",
		"/v1/split_rules", "/v1/split_previews", "/v1/daily_operations", "/v1/reconciliations", "/v1/webhook_endpoints", "/v1/test/clock"} {
		f.post(target, `{}`, "Idempotency-Key", "").refused(400, "parameter_missing", "Idempotency-Key")
	}
	for key, code := range map[string]string{"short": "length_out_of_range", strings.Repeat("k", 256): "length_out_of_range", "has a space": "format_mismatch", "ключ-ключ": "format_mismatch"} {
		f.post("/v1/payments", f.payment("r"), "Idempotency-Key", key).refused(400, code, "Idempotency-Key")
	}
}

func TestQueriesAreHeldAgainstTheContract(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	otherList := *nextCursor(id.New(id.Refund))
	for query, want := range map[string][2]string{
		"limit=0":                              {"out_of_range", "limit"},
		"limit=-1":                             {"out_of_range", "limit"},
		"limit=101":                            {"out_of_range", "limit"},
		"limit=1000000000":                     {"out_of_range", "limit"},
		"limit=1e1":                            {"", "limit"},
		"limit=ten":                            {"", "limit"},
		"limit=":                               {"parameter_empty", "limit"},
		"limit=1&limit=2":                      {"parameter_repeated", "limit"},
		"status=paid":                          {"value_unknown", "status"},
		"merchant_id=1":                        {"format_mismatch", "merchant_id"},
		"merchant_id=%27%3B--":                 {"format_mismatch", "merchant_id"},
		"reference=%25%20":                     {"format_mismatch", "reference"},
		"created_from=yesterday":               {"", "created_from"},
		"created_from=2026-02-30T00:00:00Z":    {"", ""},
		"tenant_id=" + f.tenant:                {"parameter_unknown", "tenant_id"},
		"sort=amount":                          {"parameter_unknown", "sort"},
		"q=%ff":                                {"parameter_unknown", "q"},
		"%00=1":                                {"parameter_unknown", "?"},
		"reference=%00":                        {"characters_not_allowed", "reference"},
		"limit=%zz":                            {"query_malformed", ""},
		"limit=1;x=2":                          {"query_malformed", ""},
		"cursor=abc":                           {"cursor_malformed", "cursor"},
		"cursor=%21":                           {"format_mismatch", "cursor"},
		"cursor=" + url.QueryEscape(otherList): {"cursor_malformed", "cursor"},
		"cursor=" + (*nextCursor(id.New(id.Payment)))[1:]: {"cursor_malformed", "cursor"},
	} {
		resp := f.get("/v1/payments?" + query)
		require.Equal(t, http.StatusBadRequest, resp.Code, "%s: %s", query, resp.Body)
		if want[0] != "" {
			require.Equal(t, want[0], resp.field("code"), "%s: %s", query, resp.Body)
		}
		if want[1] != "" {
			require.Equal(t, want[1], resp.field("field"), "%s: %s", query, resp.Body)
		}
	}
	require.Equal(t, http.StatusOK, f.get("/v1/payments?limit=100&status=closed&created_from=2026-01-01T00:00:00%2B08:00").Code)
}

func FuzzStrictJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,{"b":"\ud83d\ude00"}],"c":null}`, `{"a":1,"a":2}`, `[[[[`, `"\ufffd"`, `-0`, `1e5`, "\xff", `{"a":1}x`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if checkJSON(body) != nil {
			return
		}
		require.False(t, bytes.ContainsRune(body, 0))
		// A backslash that is itself escaped begins nothing.
		require.NotContains(t, strings.ReplaceAll(string(body), `\\`, ""), `\u0000`)
	})
}
