package sandbox_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smartwalle/alipay/v3"
	"github.com/stretchr/testify/require"
	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/option"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// billDay sets the business clock to noon of a past day, and nextMorning to a
// moment of the day after.
const billDay = "2026-03-01"

func (b *bundle) clock(moment string) {
	b.t.Helper()
	b.control("POST", "/control/clock", map[string]any{"now": moment}, nil)
}

func (b *bundle) billURL(kind, date string) *alipay.BillDownloadURLQueryRsp {
	b.t.Helper()
	rsp, err := b.alipay().BillDownloadURLQuery(context.Background(), alipay.BillDownloadURLQuery{BillType: kind, BillDate: date})
	require.NoError(b.t, err)
	return rsp
}

// download fetches a bill zip and returns its files by name, decoded from GBK.
func (b *bundle) download(address string) map[string]string {
	b.t.Helper()
	response, err := http.Get(address)
	require.NoError(b.t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(b.t, http.StatusOK, response.StatusCode)
	packed, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	require.NoError(b.t, err)
	files := map[string]string{}
	for _, file := range archive.File {
		require.True(b.t, file.NonUTF8, "names are bare GBK")
		name, err := simplifiedchinese.GBK.NewDecoder().String(file.Name)
		require.NoError(b.t, err)
		reader, err := file.Open()
		require.NoError(b.t, err)
		content, err := io.ReadAll(simplifiedchinese.GBK.NewDecoder().Reader(reader))
		require.NoError(b.t, err)
		files[name] = string(content)
	}
	return files
}

// alipayRows parses a bill by its header and returns rows and framing lines.
func alipayRows(t *testing.T, text string) (rows []map[string]string, frame []string) {
	t.Helper()
	var header []string
	for _, line := range strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		if strings.HasPrefix(line, "#") {
			frame = append(frame, line)
			continue
		}
		cells := strings.Split(line, ",")
		if header == nil {
			header = cells
			continue
		}
		require.Len(t, cells, len(header))
		row := map[string]string{}
		for i, c := range cells {
			row[header[i]] = strings.TrimSpace(c)
		}
		rows = append(rows, row)
	}
	return rows, frame
}

func TestAlipayBillSaysWhatTheBooksSay(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	client := b.alipay()
	b.clock(billDay + "T12:00:00+08:00")
	require.Equal(t, "isp.bill_not_exist", b.billURL("trade", billDay).SubCode)
	for i := range 3 {
		precreate(t, client, fmt.Sprintf("T%d", i), "")
		b.pay("alipay", fmt.Sprintf("T%d", i))
	}
	for request, amount := range map[string]string{"R1": "10.00", "R2": "0.01"} {
		_, err := client.TradeRefund(ctx, refundOf("T1", request, amount))
		require.NoError(t, err)
	}
	b.clock("2026-03-02T00:00:01+08:00")
	precreate(t, client, "NEXTDAY", "")
	b.pay("alipay", "NEXTDAY")
	b.clock("2026-03-02T08:59:59+08:00")
	require.Equal(t, "isp.bill_not_exist", b.billURL("trade", billDay).SubCode)
	b.clock("2026-03-02T09:00:00+08:00")
	address := b.billURL("trade", billDay).BillDownloadURL
	files := b.download(address)
	text, ok := files[sellerID+"0156_20260301_业务明细.csv"]
	require.True(t, ok)
	require.Contains(t, files, sellerID+"0156_20260301_业务明细(汇总).csv")
	rows, frame := alipayRows(t, text)
	require.Len(t, rows, 5)
	require.Len(t, rows[0], 25)
	require.Equal(t, "#交易合计：3笔，商家实收共597.00元，商家优惠共0.00元", frame[5])
	require.Equal(t, "#退款合计：2笔，商家实收退款共-10.01元，商家优惠退款共0.00元", frame[6])
	byNumber := map[string]map[string]string{}
	for _, row := range rows {
		number := row["退款批次号/请求号"]
		if number == "" {
			number = row["商户订单号"]
		}
		byNumber[number] = row
	}
	require.Equal(t, "199.00", byNumber["T0"]["订单金额（元）"])
	require.Equal(t, "-1.19", byNumber["T0"]["服务费（元）"])
	require.Equal(t, "退款", byNumber["R1"]["业务类型"])
	require.Equal(t, "-10.00", byNumber["R1"]["商家实收（元）"])
	require.Equal(t, "T1", byNumber["R1"]["商户订单号"])

	b.shift.Add(int64(31 * time.Second))
	expired, err := http.Get(address)
	require.NoError(t, err)
	require.NoError(t, expired.Body.Close())
	require.Equal(t, http.StatusForbidden, expired.StatusCode)
	b.shift.Add(-int64(31 * time.Second))

	empty, _ := alipayRows(t, b.download(b.billURL("trade", "2026-02-01").BillDownloadURL)[sellerID+"0156_20260201_业务明细.csv"])
	require.Empty(t, empty)
	account, _ := alipayRows(t, b.download(b.billURL("signcustomer", billDay).BillDownloadURL)[sellerID+"0156_20260301_账务明细.csv"])
	require.Len(t, account, 8, "3 payments, 3 fees, 2 refunds")
}

func TestBillEditsFalsifyTheBillOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client := b.alipay()
	b.clock(billDay + "T12:00:00+08:00")
	for i := range 5 {
		precreate(t, client, fmt.Sprintf("T%d", i), "")
		b.pay("alipay", fmt.Sprintf("T%d", i))
	}
	for _, edit := range []map[string]any{
		{"edit": "drop_line", "number": "T0"},
		{"edit": "change_amount", "number": "T1", "amount": 100_00},
		{"edit": "change_fee", "number": "T2", "fee": "0.12345"},
		{"edit": "duplicate_line", "number": "T3"},
		{"edit": "add_line", "number": "GHOST", "kind": "payment", "amount": 7_00, "fee": "0.04"},
	} {
		edit["provider"], edit["date"] = "alipay", billDay
		b.control("POST", "/control/bills/edit", edit, nil)
	}
	b.clock("2026-03-02T10:00:00+08:00")
	read := func() ([]map[string]string, string) {
		text := b.download(b.billURL("trade", billDay).BillDownloadURL)[sellerID+"0156_20260301_业务明细.csv"]
		rows, frame := alipayRows(t, text)
		return rows, frame[5]
	}
	rows, footer := read()
	numbers := []string{}
	for _, row := range rows {
		numbers = append(numbers, row["商户订单号"]+" "+row["订单金额（元）"]+" "+row["服务费（元）"])
	}
	require.Equal(t, []string{"T1 100.00 -1.19", "T2 199.00 -0.12345", "T3 199.00 -1.19", "T3 199.00 -1.19", "T4 199.00 -1.19", "GHOST 7.00 -0.04"}, numbers)
	require.Equal(t, "#交易合计：6笔，商家实收共903.00元，商家优惠共0.00元", footer)
	b.control("DELETE", "/control/bills/edit?provider=alipay&date="+billDay, nil, nil)
	rows, _ = read()
	require.Len(t, rows, 5)
	require.Empty(t, b.movements("GHOST"))
	for _, edit := range []map[string]any{
		{"provider": "alipay", "date": "1 March", "edit": "drop_line", "number": "T0"},
		{"provider": "alipay", "date": billDay, "edit": "bogus", "number": "T0"},
		{"provider": "alipay", "date": billDay, "edit": "change_fee", "number": "T0", "fee": "free"},
		{"provider": "alipay", "date": billDay, "edit": "change_amount", "number": "T0"},
		{"provider": "alipay", "date": billDay, "edit": "add_line", "number": "T0"},
		{"provider": "alipay", "date": billDay, "edit": "change_status", "number": "T0"},
		{"provider": "alipay", "date": billDay, "edit": "drop_line"},
	} {
		status, _ := b.controlRaw("POST", "/control/bills/edit", edit)
		require.Equal(t, http.StatusBadRequest, status, edit)
	}
}

type weChatBill struct {
	HashType    string `json:"hash_type"`
	HashValue   string `json:"hash_value"`
	DownloadURL string `json:"download_url"`
}

// weChatBill asks for a bill with the real client and downloads it.
func (b *bundle) weChatBill(query string) ([]byte, error) {
	b.t.Helper()
	ctx := context.Background()
	result, err := b.weChat().Get(ctx, "https://"+weChatHost+"/v3/bill/"+query)
	if err != nil {
		return nil, err
	}
	var answer weChatBill
	require.NoError(b.t, core.UnMarshalResponse(result.Response, &answer))
	require.Equal(b.t, "SHA1", answer.HashType)
	plain, err := core.NewClient(ctx, option.WithMerchantCredential(mchID, mchSerial, merchantKey()), option.WithoutValidator(), b.weChatHTTP())
	require.NoError(b.t, err)
	file, err := plain.Get(ctx, answer.DownloadURL)
	require.NoError(b.t, err)
	require.Empty(b.t, file.Response.Header.Get("Wechatpay-Signature"))
	content, err := io.ReadAll(file.Response.Body)
	require.NoError(b.t, err)
	if strings.Contains(query, "tar_type=GZIP") {
		reader, err := gzip.NewReader(bytes.NewReader(content))
		require.NoError(b.t, err)
		content, err = io.ReadAll(reader)
		require.NoError(b.t, err)
	}
	digest := sha1.Sum(content)
	require.Equal(b.t, answer.HashValue, hex.EncodeToString(digest[:]))
	return content, nil
}

// weChatRows parses a bill by its header; the last row is the summary.
func weChatRows(t *testing.T, content []byte) (header []string, rows []map[string]string, summary map[string]string) {
	t.Helper()
	text, marked := strings.CutPrefix(string(content), "\ufeff")
	require.True(t, marked)
	lines := strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n")
	cells := func(head []string, line string) map[string]string {
		require.True(t, strings.HasPrefix(line, "`"), line)
		values := strings.Split(line[1:], ",`")
		require.Len(t, values, len(head), line)
		row := map[string]string{}
		for i, v := range values {
			row[head[i]] = v
		}
		return row
	}
	header = strings.Split(lines[0], ",")
	for _, line := range lines[1 : len(lines)-2] {
		rows = append(rows, cells(header, line))
	}
	return header, rows, cells(strings.Split(lines[len(lines)-2], ","), lines[len(lines)-1])
}

func TestWeChatBillSaysWhatTheBooksSay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client := b.weChat()
	b.clock(billDay + "T12:00:00+08:00")
	for i := range 3 {
		prepay(t, client, fmt.Sprintf("ORDER00%d", i), "https://merchant.example/n")
		b.pay("wechatpay", fmt.Sprintf("ORDER00%d", i))
	}
	_, err := weChatRefund(client, "ORDER001", "REFUND1", "", 100_00, 199_00)
	require.NoError(t, err)
	const trade = "tradebill?bill_type=ALL&bill_date="
	_, err = b.weChatBill(trade + billDay)
	requireCode(t, err, 400, "STATEMENT_CREATING")
	b.clock("2026-03-02T09:59:59+08:00")
	_, err = b.weChatBill(trade + billDay)
	requireCode(t, err, 400, "STATEMENT_CREATING")
	b.clock("2026-03-02T10:00:00+08:00")
	_, err = b.weChatBill(trade + "2026-02-27")
	requireCode(t, err, 400, "NO_STATEMENT_EXIST")
	_, err = b.weChatBill(trade + "2025-10-01")
	requireCode(t, err, 400, "INVALID_REQUEST")
	_, err = b.weChatBill(trade + "2027-01-01")
	requireCode(t, err, 400, "INVALID_REQUEST")
	_, err = b.weChatBill("tradebill?bill_type=BOGUS&bill_date=" + billDay)
	requireCode(t, err, 400, "PARAM_ERROR")

	content, err := b.weChatBill(trade + billDay)
	require.NoError(t, err)
	packed, err := b.weChatBill(trade + billDay + "&tar_type=GZIP")
	require.NoError(t, err)
	require.Equal(t, content, packed)
	header, rows, summary := weChatRows(t, content)
	require.Len(t, header, 27)
	require.Len(t, rows, 4)
	require.Equal(t, `茶 & <tea>\, 一`, rows[0]["商品名称"])
	require.Equal(t, []string{"SUCCESS", "199.00", "1.19000", "0.60%", "0.00"},
		[]string{rows[0]["交易状态"], rows[0]["应结订单金额"], rows[0]["手续费"], rows[0]["费率"], rows[0]["退款金额"]})
	refund := rows[3]
	require.Equal(t, []string{"REFUND", "REFUND1", "ORDER001", "100.00", "-0.60000"},
		[]string{refund["交易状态"], refund["商户退款单号"], refund["商户订单号"], refund["退款金额"], refund["手续费"]})
	require.Equal(t, map[string]string{"总交易单数": "4", "应结订单总金额": "597.00", "退款总金额": "100.00", "充值券退款总金额": "0.00",
		"手续费总金额": "2.97000", "订单总金额": "597.00", "申请退款总金额": "100.00"}, summary)

	content, err = b.weChatBill("tradebill?bill_type=SUCCESS&bill_date=" + billDay)
	require.NoError(t, err)
	header, rows, _ = weChatRows(t, content)
	require.NotContains(t, header, "退款金额")
	require.Len(t, rows, 3)
	content, err = b.weChatBill("tradebill?bill_type=REFUND&bill_date=" + billDay)
	require.NoError(t, err)
	header, rows, _ = weChatRows(t, content)
	require.Contains(t, header, "退款成功时间")
	require.Len(t, rows, 1)

	content, err = b.weChatBill("fundflowbill?bill_date=" + billDay)
	require.NoError(t, err)
	_, rows, summary = weChatRows(t, content)
	var flow int64
	for _, row := range rows {
		yuan, err := strconv.ParseInt(strings.ReplaceAll(row["收支金额(元)"], ".", ""), 10, 64)
		require.NoError(t, err)
		if row["收支类型"] == "支出" {
			yuan = -yuan
		}
		flow += yuan
	}
	require.Equal(t, fmt.Sprint(len(rows)), summary["资金流水总笔数"])
	var totals struct {
		Merchants []struct {
			Merchant string
			Balance  int64
		}
	}
	b.control("GET", "/control/books", nil, &totals)
	require.Equal(t, mchID, totals.Merchants[1].Merchant)
	require.Equal(t, int64(opening)+flow, totals.Merchants[1].Balance)
	_, err = b.weChatBill("fundflowbill?account_type=FEES&bill_date=" + billDay)
	requireCode(t, err, 400, "NO_STATEMENT_EXIST")
}

func TestBillDownloadFaults(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock("2026-03-02T10:00:00+08:00")
	address := b.billURL("trade", billDay).BillDownloadURL
	b.fault(map[string]any{"provider": "alipay", "operation": "GET /alipay/bill/download", "kind": "garbage"})
	response, err := http.Get(address)
	require.NoError(t, err)
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	_, err = zip.NewReader(bytes.NewReader(content), int64(len(content)))
	require.Error(t, err)
}

func TestTotalsAgreeWithMovementsAndJournal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	precreate(t, b.alipay(), "T1", "")
	b.pay("alipay", "T1")
	_, before := b.controlRaw("GET", "/control/books", nil)
	var totals struct {
		Merchants []struct {
			Payments, FeesTaken struct{ Count, Amount int64 }
			Balance             int64
		}
	}
	text := strings.ReplaceAll(string(before), "fees_taken", "FeesTaken")
	require.NoError(t, json.Unmarshal([]byte(text), &totals))
	require.Equal(t, int64(199_00), totals.Merchants[0].Payments.Amount)
	require.Equal(t, int64(1_19), totals.Merchants[0].FeesTaken.Amount)
	_, journal := b.controlRaw("GET", "/control/books/file", nil)
	require.Contains(t, string(journal), `"kind":"order_paid"`)
	b.restart()
	_, after := b.controlRaw("GET", "/control/books", nil)
	require.Equal(t, string(before), string(after))
}
