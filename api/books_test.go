package api

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// book posts entries for the fixture's tenant.
func (f *fixture) book(entries ...ledger.Entry) {
	f.t.Helper()
	require.NoError(f.t, f.db.DB.InTenant(f.t.Context(), f.tenant, func(tx pgx.Tx) error {
		_, err := ledger.Post(f.t.Context(), tx, f.tenant, entries...)
		return err
	}))
}

// collected is money for the fixture's merchant.
func (f *fixture) collected(number string, amount int64) ledger.Entry {
	return ledger.Entry{
		Reference: ledger.Reference{Kind: ledger.Collect, Number: number, Phase: "booked"}, Currency: money.CNY,
		Postings: []ledger.Posting{
			{Account: ledger.AccountKey{Type: ledger.ChannelUnsettled, Owner: f.channel.ID, Currency: money.CNY}, Amount: amount},
			{Account: ledger.AccountKey{Type: ledger.MerchantAvailable, Owner: f.merchant, Currency: money.CNY}, Amount: -amount},
		},
	}
}

func (f *fixture) account(kind ledger.Type) string {
	f.t.Helper()
	data, _ := f.get("/v1/accounts?type=" + string(kind)).json()["data"].([]any)
	require.Len(f.t, data, 1)
	account, _ := data[0].(map[string]any)
	accountID, _ := account["id"].(string)
	return accountID
}

func (f *fixture) today() string {
	f.t.Helper()
	var day string
	require.NoError(f.t, f.db.Pool.QueryRow(f.t.Context(), `select suanpan_date(suanpan_now())::text`).Scan(&day))
	return day
}

func TestStatementsComeInPagesAndAsFiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const count = 7
	for i := range count {
		f.book(f.collected([]string{"=HYPERLINK(1)", "+1", "-1", "@x", "plain", "|cmd", "\tx"}[i], int64(100+i)))
	}
	target := "/v1/accounts/" + f.account(ledger.MerchantAvailable) + "/statement"
	cursor, lines := "", 0
	for {
		page := f.get(target + "?limit=3" + cursor)
		f.conforms(page, "Statement")
		m := page.json()
		require.Equal(t, map[string]any{"amount": 0.0, "currency": "CNY"}, m["opening"])
		require.Equal(t, map[string]any{"amount": 721.0, "currency": "CNY"}, m["closing"])
		require.Nil(t, m["no_data"])
		data, _ := m["data"].([]any)
		lines += len(data)
		next, more := m["next_cursor"].(string)
		if !more {
			last, _ := data[len(data)-1].(map[string]any)
			require.Equal(t, map[string]any{"amount": 721.0, "currency": "CNY"}, last["balance"])
			break
		}
		cursor = "&cursor=" + next
	}
	require.Equal(t, count, lines)

	for _, resp := range []response{f.get(target + "?format=csv"), f.get(target, "Accept", "text/csv")} {
		require.Equal(t, http.StatusOK, resp.Code, resp.Body)
		require.Contains(t, resp.Header().Get("Content-Type"), "text/csv")
		require.Contains(t, resp.Header().Get("Content-Disposition"), ".csv")
		rows, err := csv.NewReader(resp.Body).ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, count+3)
		require.Equal(t, []string{"opening", "0.00"}, []string{rows[1][3], rows[1][9]})
		require.Equal(t, []string{"'=HYPERLINK(1)", "", "1.00", "1.00"}, []string{rows[2][4], rows[2][7], rows[2][8], rows[2][9]})
		require.Equal(t, []string{"closing", "7.21"}, []string{rows[count+2][3], rows[count+2][9]})
		for _, row := range rows[2 : count+2] {
			require.NotContains(t, "=+-@\t|", row[4][:1])
		}
	}
	for _, resp := range []response{f.get(target + "?format=xlsx"), f.get(target, "Accept", mediaXLSX)} {
		require.Equal(t, http.StatusOK, resp.Code)
		require.Equal(t, mediaXLSX, resp.Header().Get("Content-Type"))
		book, err := excelize.OpenReader(bytes.NewReader(resp.Body.Bytes()))
		require.NoError(t, err)
		rows, err := book.GetRows("Sheet1")
		require.NoError(t, err)
		require.Len(t, rows, count+3)
		require.Equal(t, []string{"=HYPERLINK(1)", "1.00"}, []string{rows[2][4], rows[2][9]})
		formula, err := book.GetCellFormula("Sheet1", "E3")
		require.NoError(t, err)
		require.Empty(t, formula, "a text became a formula")
		require.NoError(t, book.Close())
	}
}

func TestStatementsSayNoDataAndRefuseNonsense(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.book(f.collected("p1", 100))
	target := "/v1/accounts/" + f.account(ledger.MerchantAvailable) + "/statement"
	old := f.get(target + "?from=2020-01-01&to=2020-01-31")
	f.conforms(old, "Statement")
	require.Nil(t, old.json()["opening"])
	require.Contains(t, old.field("no_data"), "opened at")
	require.Contains(t, f.get(target+"?from=2020-01-01&to=2020-01-31&format=csv").Body.String(), `no data,"the account was opened`)
	f.get(target+"?from=2026-02-30").refused(400, "format_mismatch", "from")
	f.get(target+"?from=2026-03-02&to=2026-03-01").refused(400, "date_invalid", "to")
	f.get(target+"?from=2026-03-02&to=2026-03-01&format=xlsx").refused(400, "date_invalid", "to")
	for _, cursor := range []string{"x", "MS5zLjE", *nextCursor("s.-1.1"), *nextCursor("s.1.99999"), *nextCursor("acc_x")} {
		f.get(target+"?cursor="+cursor).refused(400, "cursor_malformed", "cursor")
	}
	require.Equal(t, http.StatusNotFound, f.get(strings.Replace(target, "acc_0", "acc_1", 1)+"?format=csv").Code)
}

func TestThePastIsThatOfASeal(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.book(f.collected("p1", 100))
	target := "/v1/accounts/" + f.account(ledger.MerchantAvailable)
	require.Nil(t, f.get(target).json()["past"])
	f.get(target+"?at=2099-01-01T00:00:00Z").refused(422, "no_data", "at")
	f.get(target+"?seal=1").refused(422, "no_data", "seal")
	_, err := ledger.SealNow(t.Context(), f.db.DB)
	require.NoError(t, err)
	f.book(f.collected("p2", 11))
	for _, query := range []string{"?seal=1", "?at=2099-01-01T00:00:00Z"} {
		now := f.get(target + query)
		f.conforms(now, "Account")
		require.Equal(t, map[string]any{"amount": 111.0, "currency": "CNY"}, now.json()["posted"])
		past, _ := now.json()["past"].(map[string]any)
		require.Equal(t, map[string]any{"amount": 100.0, "currency": "CNY"}, past["posted"])
	}
	f.get(target+"?at=2020-01-01T00:00:00Z").refused(422, "no_data", "at")
	f.get(target+"?at=2099-01-01T00:00:00Z&seal=1").refused(400, "parameters_exclusive", "seal")
}

func TestEntriesHoldsAndVouchersAreRead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 5 {
		f.book(f.collected(fmt.Sprint("p", i), 100))
	}
	account := f.account(ledger.MerchantAvailable)
	require.NoError(t, f.db.DB.InTenant(t.Context(), f.tenant, func(tx pgx.Tx) error {
		_, err := ledger.PlaceHold(t.Context(), tx, f.tenant, ledger.HoldRequest{Reference: "h1", Amount: 30,
			Account: ledger.AccountKey{Type: ledger.MerchantAvailable, Owner: f.merchant, Currency: money.CNY}})
		return err
	}))
	for _, filter := range []string{"", "&account_id=" + account, "&kind=collect"} {
		var numbers []string
		for cursor := ""; ; {
			page := f.get("/v1/entries?limit=2" + filter + cursor)
			f.conforms(page, "EntryPage")
			data, _ := page.json()["data"].([]any)
			for _, item := range data {
				entry, _ := item.(map[string]any)
				numbers = append(numbers, fmt.Sprint(entry["number"]))
				one := f.get("/v1/entries/" + fmt.Sprint(entry["id"]))
				f.conforms(one, "Entry")
				require.Equal(t, entry, one.json())
			}
			next, more := page.json()["next_cursor"].(string)
			if !more {
				break
			}
			cursor = "&cursor=" + next
		}
		require.Equal(t, []string{"p4", "p3", "p2", "p1", "p0"}, numbers, filter)
	}
	require.Empty(t, f.get("/v1/entries?number=none").json()["data"])
	_, stranger := f.newTenant()
	require.Empty(t, f.get("/v1/entries", "Authorization", "Bearer "+stranger).json()["data"])

	holds := f.get("/v1/holds?status=open&account_id=" + account + "&reference=h1")
	f.conforms(holds, "HoldPage")
	require.Len(t, holds.json()["data"], 1)
	require.Empty(t, f.get("/v1/holds?status=released").json()["data"])

	vouchers := f.get("/v1/vouchers?date=" + f.today())
	f.conforms(vouchers, "VoucherDay")
	require.Len(t, vouchers.json()["lines"], 2)
	rows, err := csv.NewReader(f.get("/v1/vouchers?format=csv&date=" + f.today()).Body).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{f.today(), strings.ReplaceAll(f.today(), "-", "") + "-0001", "collect", "trust", "1012.01", "channel_unsettled",
		"CNY", "5.00", "0.00", "5"}, rows[1])
	nothing := f.get("/v1/vouchers?date=2020-01-01")
	require.Contains(t, nothing.field("no_data"), "nothing was booked")
	require.Contains(t, f.get("/v1/vouchers?date=2020-01-01&format=csv").Body.String(), "no data")
	f.get("/v1/vouchers?date=2026-02-30").refused(400, "format_mismatch", "date")
	f.get("/v1/vouchers").refused(400, "parameter_missing", "date")
}
