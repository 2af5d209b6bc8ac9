package alipay

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

const (
	goldenBill = "testdata/bill/2088101117955611_20260301.csv.zip"
	emptyBill  = "testdata/bill/2088101117955611_20260302_empty.csv.zip"
)

func TestGoldenBill(t *testing.T) {
	t.Parallel()
	archive, err := os.ReadFile(goldenBill)
	require.NoError(t, err)
	bill, err := ParseBill(archive, testDay, testSeller)
	require.NoError(t, err)
	at := time.Date(2026, 3, 1, 11, 22, 33, 0, wire.Shanghai())
	line := func(row int, number string, fen int64, fee string) channel.BillLine {
		return channel.BillLine{
			Row: row, Kind: channel.BillPayment, Number: number, TradeNumber: number, Status: "交易", At: at,
			ChannelTradeNo: fmt.Sprintf("20260301220010000000000000%02d", row), Amount: money.Fen(fen), FeeText: fee,
		}
	}
	back := line(5, testRefund, 100, "-0.01")
	back.Kind, back.TradeNumber, back.Status, back.ChannelTradeNo = channel.BillRefund, testTrade, "退款", "2026030122001000000000000001"
	require.Equal(t, channel.Bill{
		Date: testDay,
		Lines: []channel.BillLine{
			line(1, testTrade, 8888, "0.53"),
			line(2, "01J8ZQ4M6W3N5P7R9S1T2V0002", 1, "0.00"),
			line(3, "01J8ZQ4M6W3N5P7R9S1T2V0003", 10_000_000_000, "600000.00"),
			line(4, "01J8ZQ4M6W3N5P7R9S1T2V0004", 1234, "0.07"),
			back,
		},
		PaymentCount: 4, RefundCount: 1, PaymentTotal: money.Fen(10_000_010_023), RefundTotal: money.Fen(100),
	}, bill)
}

func TestEmptyBillIsNotAnError(t *testing.T) {
	t.Parallel()
	archive, err := os.ReadFile(emptyBill)
	require.NoError(t, err)
	bill, err := ParseBill(archive, "2026-03-02", testSeller)
	require.NoError(t, err)
	require.Empty(t, bill.Lines)
	require.Equal(t, money.Fen(0), bill.PaymentTotal)
}

// goldenText is the detail file of the golden bill as UTF-8.
func goldenText(tb testing.TB) string {
	tb.Helper()
	archive, err := os.ReadFile(goldenBill)
	require.NoError(tb, err)
	file, err := openDetail(archive, "业务明细.csv")
	require.NoError(tb, err)
	var text bytes.Buffer
	_, err = text.ReadFrom(simplifiedchinese.GBK.NewDecoder().Reader(file))
	require.NoError(tb, err)
	return text.String()
}

// parseText parses text as the detail file of testDay.
func parseText(t testing.TB, text string) (channel.Bill, error) {
	t.Helper()
	encoded, err := simplifiedchinese.GBK.NewEncoder().String(text)
	require.NoError(t, err)
	return parseDetail(strings.NewReader(encoded), testDay, testSeller)
}

// TestSpoiltBills: each way a bill can be wrong is an error, and it names the row
// where there is one.
func TestSpoiltBills(t *testing.T) {
	t.Parallel()
	golden := goldenText(t)
	for name, c := range map[string]struct{ from, to, why string }{
		"another seller":      {"[20881011179556110156]", "[20881011179556120156]", "another seller"},
		"another day":         {"[2026年03月01日", "[2026年02月28日", "another day"},
		"unreadable day":      {"[2026年03月01日", "[20260301", "起始日期"},
		"no seller":           {"#账号", "#户号", "whose bill"},
		"no day":              {"#起始日期", "#日期", "whose bill"},
		"column missing":      {"服务费（元）", "手续费（元）", "服务费(元) is missing"},
		"column twice":        {"分润（元）", "服务费（元）", "twice"},
		"amount changed":      {"88.88,88.88", "88.89,88.89", "交易合计"},
		"received changed":    {"88.88,88.88", "88.88,88.87", "交易合计"},
		"refund changed":      {"-1.00,-1.00", "-1.01,-1.01", "退款合计"},
		"refund positive":     {"-1.00,-1.00", "1.00,1.00", "row 5: 订单金额(元): has the wrong sign"},
		"payment negative":    {"88.88,88.88", "-88.88,-88.88", "row 1: 订单金额(元): has the wrong sign"},
		"three decimals":      {"88.88,88.88", "88.880,88.88", "row 1: 订单金额(元)"},
		"exponent":            {"88.88,88.88", "88.88,1e2", "row 1: 商家实收(元)"},
		"full-width digit":    {"88.88,88.88", "８8.88,88.88", "row 1"},
		"thousands":           {"100000000.00,100000000.00", "\"100,000,000.00\",100000000.00", "row 3: 订单金额(元)"},
		"time":                {"2026-03-01 11:22:33", "2026-03-01 25:22:33", "row 1: 完成时间"},
		"fee":                 {"-0.53", "-0.53x", "row 1: 服务费(元)"},
		"kind":                {"交易\t,一杯咖啡", "赠送\t,一杯咖啡", "row 1: 业务类型"},
		"no number":           {testTrade + "\t,交易", "\t,交易", "row 1: a number is missing"},
		"no refund number":    {testRefund, "", "row 5: a number is missing"},
		"a cell too few":      {"*三(158****1562)\t,88.88,", "*三(158****1562)\t,", "row 1"},
		"a cell too many":     {"*三(158****1562)\t,88.88", "*三,(158****1562)\t,88.88", "row 1: has 26 cells"},
		"a line lost":         {golden[strings.Index(golden, "2026030122001000000000000004"):strings.Index(golden, "2026030122001000000000000001\t,"+testTrade+"\t,退款")], "", "交易合计"},
		"cut before totals":   {golden[strings.Index(golden, "#交易合计"):], "", "cut off"},
		"cut in the totals":   {golden[strings.Index(golden, "#退款合计"):], "", "cut off"},
		"cut before the rows": {golden[strings.Index(golden, "支付宝交易号"):], "", "no header row"},
		"totals unreadable":   {"商家实收共100000100.23元", "商家实收共", "交易合计"},
		"count unreadable":    {"#退款合计：1笔", "#退款合计：一笔", "退款合计"},
		"count wrong":         {"#交易合计：4笔", "#交易合计：5笔", "交易合计"},
		"row after totals":    {"#导出时间", "2026030122001000000000000009\t,x", "stands after the totals"},
		"endless line":        {"一杯咖啡", strings.Repeat("啡", 1<<16), "row 1"},
	} {
		spoilt := strings.Replace(golden, c.from, c.to, 1)
		require.NotEqual(t, golden, spoilt, name)
		_, err := parseText(t, spoilt)
		require.ErrorContains(t, err, c.why, name)
	}
}

// TestColumnsMayMove: added, moved and ASCII-bracketed columns do no harm, nor
// does a file without a remark column.
func TestColumnsMayMove(t *testing.T) {
	t.Parallel()
	golden := goldenText(t)
	want, err := parseText(t, golden)
	require.NoError(t, err)
	lines := strings.Split(golden, "\r\n")
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "支付宝交易号"):
			lines[i] = strings.NewReplacer("（", "(", "）", ")").Replace("新列," + line)
		case line != "" && !strings.HasPrefix(line, "#"):
			lines[i] = "new\t," + line
		}
	}
	got, err := parseText(t, strings.Join(lines, "\n"))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestFeeTaken(t *testing.T) {
	t.Parallel()
	for printed, want := range map[string]string{
		"-0.53": "0.53", "0.00": "0.00", "-0.00": "0.00", "0.01": "-0.01", "-0.00600": "0.00600", "0": "0",
	} {
		got, err := feeTaken(printed)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func archive(t *testing.T, names ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range names {
		encoded, err := simplifiedchinese.GBK.NewEncoder().String(name)
		require.NoError(t, err)
		file, err := w.CreateHeader(&zip.FileHeader{Name: encoded, NonUTF8: true})
		require.NoError(t, err)
		_, err = file.Write([]byte("#"))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func TestArchives(t *testing.T) {
	t.Parallel()
	for why, content := range map[string][]byte{
		"not a zip":     []byte("<html>expired</html>"),
		"no 业务明细.csv":   archive(t, "x_业务明细(汇总).csv", "x.csv"),
		"more than one": archive(t, "a_业务明细.csv", "b_业务明细.csv"),
		"no header row": archive(t, "a_业务明细.csv"),
	} {
		_, err := ParseBill(content, testDay, testSeller)
		require.ErrorContains(t, err, why)
	}
	golden, err := os.ReadFile(goldenBill)
	require.NoError(t, err)
	broken := bytes.Clone(golden)
	broken[200] ^= 0xff
	_, err = ParseBill(broken, testDay, testSeller)
	require.Error(t, err)

	// What would be too much is refused before it is unpacked.
	_, err = ParseBill(archive(t, slices.Repeat([]string{"x.csv"}, maxBillFiles+1)...), testDay, testSeller)
	require.ErrorContains(t, err, "the zip has 17 files")
	_, err = ParseBill(bomb(t, wire.MaxBill+1), testDay, testSeller)
	require.ErrorContains(t, err, "would have 268435457 bytes")
}

// bomb is a small zip of a file that says of itself that it unpacks to size bytes.
func bomb(t *testing.T, size int64) []byte {
	t.Helper()
	var packed, out bytes.Buffer
	flat, err := flate.NewWriter(&packed, flate.BestSpeed)
	require.NoError(t, err)
	_, err = flat.Write(make([]byte, 1<<20))
	require.NoError(t, err)
	require.NoError(t, flat.Close())
	w := zip.NewWriter(&out)
	name, err := simplifiedchinese.GBK.NewEncoder().String("x_业务明细.csv")
	require.NoError(t, err)
	file, err := w.CreateRaw(&zip.FileHeader{Name: name, NonUTF8: true, Method: zip.Deflate,
		CompressedSize64: uint64(packed.Len()), UncompressedSize64: uint64(size)})
	require.NoError(t, err)
	_, err = file.Write(packed.Bytes())
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// TestBillDownload: the address comes signed, the file plain.
func TestBillDownload(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile(goldenBill)
	require.NoError(t, err)
	status := http.StatusOK
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write(golden)
	}))
	t.Cleanup(files.Close)
	address := files.URL + "/bill?token=secret"
	_, a := serve(t, func(w http.ResponseWriter, r request) {
		require.Equal(t, map[string]any{"bill_type": "trade", "bill_date": testDay}, r.Biz)
		node(`{"code":"10000","msg":"Success","bill_download_url":"`+address+`"}`)(w, r)
	})
	got, err := a.FetchTradeBill(t.Context(), testDay)
	require.NoError(t, err)
	require.Equal(t, channel.BillReady, got.State)
	require.Equal(t, golden, got.Bill.Raw)
	require.Len(t, got.Bill.Lines, 5)
	require.Len(t, got.Bill.SHA256, 64)

	for _, status = range []int{http.StatusFound, http.StatusForbidden, http.StatusBadGateway} {
		got, err = a.FetchTradeBill(t.Context(), testDay)
		require.NoError(t, err)
		require.Equal(t, channel.BillUnknown, got.State)
		require.NotContains(t, got.Message, "secret")
	}
	status = http.StatusOK
	for _, address = range []string{"", "file:///etc/passwd", "//x", "http://127.0.0.1:1/x?token=secret"} {
		got, err = a.FetchTradeBill(t.Context(), testDay)
		require.NoError(t, err)
		require.Equal(t, channel.BillUnknown, got.State, address)
		require.NotContains(t, got.Message, "secret")
	}
}

// FuzzParseDetail: any text is an error or a bill that adds up.
func FuzzParseDetail(f *testing.F) {
	f.Add([]byte(goldenText(f)))
	f.Add([]byte("#账号：[2088101117955611]\n\"a,\"\"b\",c"))
	f.Fuzz(func(t *testing.T, text []byte) {
		encoded, err := simplifiedchinese.GBK.NewEncoder().Bytes(text)
		if err != nil {
			encoded = text
		}
		bill, err := parseDetail(bytes.NewReader(encoded), testDay, testSeller)
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

// FuzzParseBill: any archive is an error or a bill; nothing panics.
func FuzzParseBill(f *testing.F) {
	golden, err := os.ReadFile(goldenBill)
	require.NoError(f, err)
	f.Add(golden)
	f.Fuzz(func(_ *testing.T, content []byte) { _, _ = ParseBill(content, testDay, testSeller) })
}
