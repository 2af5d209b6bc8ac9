package wechatpay

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // WeChat prints SHA-1
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

func golden(tb testing.TB) string {
	tb.Helper()
	file, err := os.ReadFile("testdata/bill/1900000109_2026-03-01_ALL.csv")
	require.NoError(tb, err)
	return string(file)
}

func TestGoldenBill(t *testing.T) {
	t.Parallel()
	bill, err := ParseBill([]byte(golden(t)), testDay, testMch)
	require.NoError(t, err)
	at := time.Date(2026, 3, 1, 11, 22, 33, 0, wire.Shanghai())
	tx := func(i int) string { return fmt.Sprintf("42000000012026030100000000%02d", i) }
	pay := func(row int, number string, fen int64, fee string) channel.BillLine {
		return channel.BillLine{
			Row: row, Kind: channel.BillPayment, Number: number, TradeNumber: number, ChannelTradeNo: tx(row),
			Amount: money.Fen(fen), FeeText: fee, Status: "SUCCESS", At: at,
		}
	}
	back := func(row, trade int, number, tradeNumber string, fen int64, fee, status string) channel.BillLine {
		return channel.BillLine{
			Row: row, Kind: channel.BillRefund, Number: number, TradeNumber: tradeNumber, ChannelTradeNo: tx(trade),
			ChannelRefundNo: fmt.Sprintf("503000000120260301000000000%02d", row-4), Amount: money.Fen(fen), FeeText: fee, Status: status, At: at,
		}
	}
	const third = "01J8ZQ4M6W3N5P7R9S1T2V0003"
	require.Equal(t, channel.Bill{
		Date: testDay,
		Lines: []channel.BillLine{
			pay(1, testTrade, 8888, "0.53000"),
			pay(2, "01J8ZQ4M6W3N5P7R9S1T2V0002", 1, "0.00006"),
			pay(3, third, 10_000_000_000, "600000.00000"),
			pay(4, "01J8ZQ4M6W3N5P7R9S1T2V0004", 1234, "0.07400"),
			back(5, 1, testRefund, testTrade, 100, "-0.00600", "REFUND/SUCCESS"),
			back(6, 3, "01J8ZQ4M6W3N5P7R9S1T2V0005", third, 500, "-0.03000", "REFUND/PROCESSING"),
		},
		PaymentCount: 4, RefundCount: 2, PaymentTotal: money.Fen(10_000_010_123), RefundTotal: money.Fen(600),
	}, bill)
}

// TestSpoiltBills: each way a bill can be wrong is an error, and it names the row
// where there is one.
func TestSpoiltBills(t *testing.T) {
	t.Parallel()
	whole := golden(t)
	secondRow := whole[strings.Index(whole, "\r\n`2026-03-01 11:22:33,`wx8888888888888888,`1900000109,`0,`,`4200000001202603010000000002"):]
	secondRow = secondRow[:strings.Index(secondRow[2:], "\r\n")+2]
	for name, c := range map[string]struct{ from, to, why string }{
		"another merchant":    {"`1900000109,", "`1900000110,", "row 1: 商户号"},
		"another currency":    {"`CNY,", "`USD,", "row 1: 货币种类"},
		"column missing":      {"申请退款金额,费率备注", "退款,费率备注", "申请退款金额 is missing"},
		"column twice":        {"设备号", "商户号", "twice"},
		"amount changed":      {"`88.88,`0.00,`\r\n", "`88.89,`0.00,`\r\n", "订单总金额"},
		"settled changed":     {"`CNY,`88.88", "`CNY,`88.87", "应结订单总金额"},
		"fee changed":         {"`0.00006,", "`0.00005,", "手续费总金额"},
		"refund changed":      {"`0.00,`5,`\r\n", "`0.00,`6,`\r\n", "申请退款总金额"},
		"a line lost":         {secondRow, "", "总交易单数 says 6, the file has 5 rows"},
		"a line doubled":      {secondRow, secondRow + secondRow, "总交易单数"},
		"three decimals":      {"`CNY,`88.88", "`CNY,`88.880", "row 1: 应结订单金额"},
		"exponent":            {"`CNY,`88.88", "`CNY,`1e2", "row 1: 应结订单金额"},
		"full-width digit":    {"`CNY,`88.88", "`CNY,`８8.88", "row 1: 应结订单金额"},
		"six decimals":        {"`0.53000", "`0.530000", "row 1: 手续费"},
		"no fee":              {"`0.53000", "`", "row 1: 手续费"},
		"time":                {"`2026-03-01 11:22:33", "`2026-03-01T11:22:33", "row 1: 交易时间"},
		"no number":           {testTrade, "", "row 1: a number is missing"},
		"no trade number":     {"`4200000001202603010000000001", "`", "row 1: a number is missing"},
		"no refund number":    {testRefund, "0", "row 5: 商户退款单号"},
		"a cell too few":      {"`0,`,`4200000001202603010000000001", "`0,`4200000001202603010000000001", "row 1: has 26 cells"},
		"a cell too many":     {"`0,`,`4200000001202603010000000001", "`0,`,`,`4200000001202603010000000001", "row 1: has 28 cells"},
		"no backtick":         {"\r\n`2026", "\r\n2026", "row 1: does not begin"},
		"line break in goods": {"一杯咖啡", "一杯\r\n咖啡", "row 1: has"},
		"no summary":          {whole[strings.Index(whole, "总交易单数"):], "", "cut off"},
		"half a summary":      {whole[strings.Index(whole, "`6,`100000100.89"):], "", "cut off"},
		"summary column":      {"退款总金额,充值", "退款,充值", "退款总金额"},
		"summary cell":        {"`6,`100000100.89", "`6", "summary: has 6 cells"},
		"summary count":       {"`6,`100000100.89", "`六,`100000100.89", "总交易单数"},
		"summary twice":       {"总交易单数", "总交易单数\r\n总交易单数", "does not begin"},
		"endless line":        {"一杯咖啡", strings.Repeat("啡", 1<<16), "row 1"},
		"another file":        {whole, "<html>expired</html>", "header"},
		"nothing":             {whole, "", "cut off"},
	} {
		spoilt := strings.Replace(whole, c.from, c.to, 1)
		require.NotEqual(t, whole, spoilt, name)
		bill, err := ParseBill([]byte(spoilt), testDay, testMch)
		require.ErrorContains(t, err, c.why, name)
		require.Empty(t, bill.Lines)
	}
	_, err := ParseBill([]byte(whole+"`2026\r\n"), testDay, testMch)
	require.ErrorContains(t, err, "stands after the summary")
}

// TestTolerance: what may vary in a good file.
func TestTolerance(t *testing.T) {
	t.Parallel()
	whole := golden(t)
	want, err := ParseBill([]byte(whole), testDay, testMch)
	require.NoError(t, err)
	lines := strings.Split(whole, "\r\n")
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "\ufeff交易时间"):
			lines[i] = "新列," + strings.TrimPrefix(line, "\ufeff")
		case strings.HasPrefix(line, "`2026"):
			lines[i] = "`new\\,`," + line
		}
	}
	got, err := ParseBill([]byte(strings.Join(lines, "\n")), testDay, testMch)
	require.NoError(t, err, "no BOM, LF, a new column in front")
	require.Equal(t, want, got)

	odd := strings.Replace(whole, "`NATIVE,`SUCCESS", "`NATIVE,`REVOKED", 1)
	got, err = ParseBill([]byte(odd), testDay, testMch)
	require.NoError(t, err, "a state that does not fit is for reconciliation to name")
	require.Equal(t, "REVOKED", got.Lines[0].Status)
	require.Equal(t, channel.BillPayment, got.Lines[0].Kind)
}

// TestBillDownload: the address and digest come signed, the file is held to
// them.
func TestBillDownload(t *testing.T) {
	t.Parallel()
	file := []byte(golden(t))
	digest := sha1.Sum(file) //nolint:gosec // see the import
	hash := hex.EncodeToString(digest[:])
	const token = "/v3/billdownload/file?token=a%2Fb+c%3D&x="
	var answer string
	status := http.StatusOK
	g, a := serve(t, func(w http.ResponseWriter, r request) {
		if strings.HasPrefix(r.URI, "/v3/billdownload") {
			w.WriteHeader(status)
			_, _ = w.Write(file)
			return
		}
		respond(200, answer)(w, r)
	})
	say := func(kind, hash, address string) {
		answer = `{"hash_type":"` + kind + `","hash_value":"` + hash + `","download_url":"` + address + `"}`
	}
	for _, base := range []string{"https://api.mch.weixin.qq.com", g.URL + "/wechatpay"} {
		say("SHA1", strings.ToUpper(hash), base+token)
		got, err := a.FetchTradeBill(t.Context(), testDay)
		require.NoError(t, err)
		require.Equal(t, channel.BillReady, got.State, got.Message)
		require.Equal(t, file, got.Bill.Raw)
		require.Len(t, got.Bill.SHA256, 64)
		calls := g.requests()
		require.Equal(t, "/v3/bill/tradebill?bill_date=2026-03-01&bill_type=ALL", calls[len(calls)-2].URI)
		require.Equal(t, token, calls[len(calls)-1].URI, "the address is used as printed")
	}

	say("SHA1", hex.EncodeToString(bytes.Repeat([]byte{1}, 20)), "https://api.mch.weixin.qq.com"+token)
	_, err := a.FetchTradeBill(t.Context(), testDay)
	require.ErrorContains(t, err, "digest")

	before := len(g.requests())
	for name, c := range map[string]struct{ kind, hash, address, code string }{
		"digest of another kind":     {"MD5", hash, "https://api.mch.weixin.qq.com" + token, channel.CodeBadBody},
		"no digest":                  {"SHA1", "", "https://api.mch.weixin.qq.com" + token, channel.CodeBadBody},
		"another server":             {"SHA1", hash, "https://elsewhere.example" + token, channel.CodeMismatch},
		"a server that begins alike": {"SHA1", hash, "https://api.mch.weixin.qq.com.elsewhere.example" + token, channel.CodeMismatch},
		"a user in front":            {"SHA1", hash, "https://api.mch.weixin.qq.com@elsewhere.example" + token, channel.CodeMismatch},
		"no address":                 {"SHA1", hash, "", channel.CodeMismatch},
	} {
		say(c.kind, c.hash, c.address)
		got, err := a.FetchTradeBill(t.Context(), testDay)
		require.NoError(t, err, name)
		require.Equal(t, channel.BillUnknown, got.State, name)
		require.Equal(t, c.code, got.Code, name)
	}
	require.Len(t, g.requests(), before+6, "no file was asked for")

	say("SHA1", hash, "https://api.mch.weixin.qq.com"+token)
	for _, status = range []int{http.StatusFound, http.StatusForbidden, http.StatusBadGateway} {
		got, err := a.FetchTradeBill(t.Context(), testDay)
		require.NoError(t, err)
		require.Equal(t, channel.BillUnknown, got.State)
		require.NotContains(t, got.Message, "token")
	}
}

// FuzzParseBill: any text is an error or a bill that adds up.
func FuzzParseBill(f *testing.F) {
	f.Add([]byte(golden(f)))
	f.Add([]byte("总交易单数\r\n`1"))
	f.Fuzz(func(t *testing.T, file []byte) {
		bill, err := ParseBill(file, testDay, testMch)
		if err != nil {
			require.Empty(t, bill.Lines)
			return
		}
		require.Len(t, bill.Lines, bill.PaymentCount+bill.RefundCount)
		for _, line := range bill.Lines {
			require.False(t, line.Amount.IsNegative())
			require.NotEmpty(t, line.Number)
		}
	})
}
