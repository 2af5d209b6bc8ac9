package wechatpay

import (
	"crypto/sha1" //nolint:gosec // WeChat's digest
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

func fundFlow(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/bill/1900000109_2026-03-01_fundflow.csv")
	require.NoError(t, err)
	return string(text)
}

func TestFundFlow(t *testing.T) {
	t.Parallel()
	got, err := ParseFundBill([]byte(fundFlow(t)), testDay)
	require.NoError(t, err)
	require.Len(t, got.Lines, 4)
	require.Equal(t, channel.FundLine{
		Row: 1, Serial: "4399000000000000000000000001", Number: testTrade, ChannelNo: "4200000000000000000000000001", Kind: "交易",
		Amount: money.Fen(8888), Balance: money.Fen(108888), At: time.Date(2026, 3, 1, 11, 22, 33, 0, got.Lines[0].At.Location()),
	}, got.Lines[0])
	require.Equal(t, "交易/扣除交易手续费", got.Lines[1].Kind)
	require.Equal(t, money.Fen(-53), got.Lines[1].Amount)
	require.Equal(t, money.Fen(-100), got.Lines[2].Amount)
	require.Equal(t, testRefund, got.Lines[2].Number)
	require.Equal(t, "提现", got.Lines[3].Kind)
	require.Equal(t, money.Fen(-5), got.Lines[3].Balance, "an overdrawn account")
}

func TestFundFlowTolerance(t *testing.T) {
	t.Parallel()
	whole := fundFlow(t)
	want, err := ParseFundBill([]byte(whole), testDay)
	require.NoError(t, err)
	changed := strings.ReplaceAll(strings.NewReplacer("\ufeff", "", "(元)", "（元）").Replace(whole), "\r\n", "\n")
	lines := strings.Split(changed, "\n")
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "记账时间"):
			lines[i] = "新列," + line
		case strings.HasPrefix(line, "`2026"):
			lines[i] = "`a\\,`b," + line
		}
	}
	got, err := ParseFundBill([]byte(strings.Join(lines, "\n")), testDay)
	require.NoError(t, err, "no BOM, LF, wide parentheses, a new column with a comma and a backtick in it")
	require.Equal(t, want, got)
}

func TestBrokenFundFlows(t *testing.T) {
	t.Parallel()
	whole := fundFlow(t)
	for name, c := range map[string]struct{ from, to, why string }{
		"an amount":           {"`88.88,", "`88.89,", "收入金额"},
		"another direction":   {"`收入,`88.88", "`支出,`88.88", "收入笔数"},
		"no direction":        {"`收入,`88.88", "`其他,`88.88", "收支类型"},
		"a negative amount":   {"`88.88,", "`-88.88,", "收支金额"},
		"a fraction of a fen": {"`88.88,", "`88.880,", "收支金额"},
		"a balance in words":  {"`1088.88,", "`many,", "账户结余"},
		"no serial":           {"`4399000000000000000000000001", "`", "资金流水单号"},
		"no time":             {"`2026-03-01 11:22:33", "`yesterday", "记账时间"},
		"count of rows":       {"\r\n`4,", "\r\n`5,", "资金流水总笔数"},
		"sum of outgo":        {"`1088.93\r\n", "`1088.94\r\n", "支出金额"},
		"a missing column":    {"账户结余(元),", "", "账户结余"},
		"a column twice":      {"业务名称,业务类型", "业务名称,业务名称", "twice"},
		"no backtick":         {"`2026-03-01 11:22:33", "2026-03-01 11:22:33", "backtick"},
		"a row too wide":      {"`88.88,", "`88.88,`1,", "cells"},
		"after the summary":   {"`1088.93\r\n", "`1088.93\r\n`x\r\n", "after the summary"},
		"too few sums":        {"`1088.93\r\n", "\r\n", "summary"},
	} {
		broken := strings.Replace(whole, c.from, c.to, 1)
		require.NotEqual(t, whole, broken, name)
		bill, err := ParseFundBill([]byte(broken), testDay)
		require.ErrorContains(t, err, c.why, name)
		require.Empty(t, bill.Lines, name)
	}
	for cut := range len(whole) - len("\r\n`4,`1,`88.88,`3,`1088.93\r\n") {
		_, err := ParseFundBill([]byte(whole[:cut]), testDay)
		require.Error(t, err, "cut at byte %d", cut)
	}
}

func TestFundBillDownload(t *testing.T) {
	t.Parallel()
	file := fundFlow(t)
	digest := sha1.Sum([]byte(file)) //nolint:gosec // see the import
	hash := hex.EncodeToString(digest[:])
	serveFile := func(hash string) *Adapter {
		_, a := serve(t, func(w http.ResponseWriter, r request) {
			if strings.HasPrefix(r.URI, "/v3/bill/fundflowbill") {
				require.Equal(t, "/v3/bill/fundflowbill?account_type=BASIC&bill_date="+testDay, r.URI)
				respond(200, `{"hash_type":"SHA1","hash_value":"`+hash+`","download_url":"https://api.mch.weixin.qq.com/v3/billdownload/file?token=t"}`)(w, r)
				return
			}
			_, _ = w.Write([]byte(file))
		})
		return a
	}
	got, err := serveFile(hash).FetchFundBill(t.Context(), testDay)
	require.NoError(t, err)
	require.Equal(t, channel.BillReady, got.State)
	require.Len(t, got.Bill.Lines, 4)
	kept := sha256.Sum256([]byte(file))
	require.Equal(t, hex.EncodeToString(kept[:]), got.Bill.SHA256)
	_, err = serveFile(strings.Repeat("0", 40)).FetchFundBill(t.Context(), testDay)
	require.ErrorContains(t, err, "digest")
	_, err = serveFile(hash).FetchFundBill(t.Context(), "20260301")
	require.Error(t, err)

	for code, want := range map[string]channel.BillState{
		"NO_STATEMENT_EXIST": channel.BillEmpty, "STATEMENT_CREATING": channel.BillNotReady, "NO_AUTH": channel.BillRefused, "NEW": channel.BillUnknown,
	} {
		_, a := serve(t, respond(http.StatusBadRequest, failureBody(code)))
		got, err := a.FetchFundBill(t.Context(), testDay)
		require.NoError(t, err)
		require.Equal(t, want, got.State, code)
	}
	g, a := serve(t, respond(http.StatusBadRequest, failureBody("NO_AUTH")))
	a.subMchID = testSub
	got, err = a.FetchFundBill(t.Context(), testDay)
	require.NoError(t, err)
	require.Equal(t, channel.BillRefused, got.State)
	require.Empty(t, g.requests(), "it would be the provider's own")
}

// TestReversalsOnTheBill are refunds without a number of ours.
func TestReversalsOnTheBill(t *testing.T) {
	t.Parallel()
	whole := golden(t)
	refunded := "" // the first refund of the file
	for _, line := range strings.Split(whole, "\r\n") {
		if strings.HasPrefix(line, "`") && strings.Contains(line, ",`REFUND,") {
			refunded = line
			break
		}
	}
	require.NotEmpty(t, refunded)
	before, err := ParseBill([]byte(whole), testDay, testMch)
	require.NoError(t, err)
	cells := strings.Split(refunded, ",`")
	ours := ""
	for i, cell := range cells {
		if cell == "REFUND" {
			cells[i] = "REVOKED"
		}
		for _, line := range before.Lines {
			if line.Kind == channel.BillRefund && cell == line.Number {
				ours, cells[i] = cell, "0"
			}
		}
	}
	require.NotEmpty(t, ours)
	after, err := ParseBill([]byte(strings.Replace(whole, refunded, strings.Join(cells, ",`"), 1)), testDay, testMch)
	require.NoError(t, err)
	require.Equal(t, before.RefundCount, after.RefundCount)
	require.Equal(t, before.RefundTotal, after.RefundTotal)
	for i, line := range after.Lines {
		if before.Lines[i].Number == ours {
			require.Equal(t, channel.BillRefund, line.Kind)
			require.Equal(t, line.TradeNumber, line.Number)
			require.NotEmpty(t, line.ChannelRefundNo)
			require.True(t, strings.HasPrefix(line.Status, "REVOKED/"))
		}
	}
}

// TestASubMerchantsBill has rows of that merchant only.
func TestASubMerchantsBill(t *testing.T) {
	t.Parallel()
	whole := golden(t)
	mine := strings.ReplaceAll(whole, "`"+testMch+",`0,", "`"+testMch+",`"+testSub+",")
	require.NotEqual(t, whole, mine)
	_, err := parseBill([]byte(mine), testDay, testMch, testSub)
	require.NoError(t, err)
	_, err = parseBill([]byte(mine), testDay, testMch, "1900000210")
	require.ErrorContains(t, err, "特约商户号")
	_, err = parseBill([]byte(whole), testDay, testMch, testSub)
	require.ErrorContains(t, err, "特约商户号")
	_, err = parseBill([]byte(strings.Replace(mine, "特约商户号", "其他", 1)), testDay, testMch, testSub)
	require.ErrorContains(t, err, "特约商户号")
}

// FuzzParseFundBill: what is accepted adds up to its own summary.
func FuzzParseFundBill(f *testing.F) {
	f.Add(fundFlow(f))
	f.Add("记账时间\r\n资金流水总笔数\r\n`0\r\n")
	f.Fuzz(func(t *testing.T, file string) {
		got, err := ParseFundBill([]byte(file), testDay)
		if err != nil {
			require.Empty(t, got.Lines)
			return
		}
		for i, line := range got.Lines {
			require.Equal(t, i+1, line.Row)
			require.NotEmpty(t, line.Serial)
			require.NoError(t, line.Amount.Check())
			require.NoError(t, line.Balance.Check())
			require.False(t, line.At.IsZero())
		}
	})
}
