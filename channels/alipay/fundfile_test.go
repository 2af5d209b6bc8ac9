package alipay

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// journalText is a journal built by hand in the form of the trade bill's framing,
// with the columns third parties copy; the numbers are invented.
const journalText = `#支付宝账务明细查询
#账号：[20881011179556110156]
#起始日期：[2026年03月01日 00:00:00]   终止日期：[2026年03月02日 00:00:00]
#-----------------------------------------账务明细列表----------------------------------------
账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注
301	,2026030122001	,01J8ZQ4M6W3N5P7R9S1T2V4X6Y	,"茶, 两杯"	,2026-03-01 11:22:33,	,+88.88,,188.88,支付宝	,在线支付,	
302	,2026030122001	,01J8ZQ4M6W3N5P7R9S1T2V4X6Y	,	,2026-03-01 11:22:33,	,0.00,-0.53,188.35,支付宝	,收费,	
303	,	,	,	,2026-03-01 12:00:00,	, ,200.00,-11.65,支付宝	,提现,	
#-----------------------------------------账务明细列表结束------------------------------------
#支出合计：2笔，共-200.53元
#收入合计：1笔，共88.88元
#导出时间：[2026年03月02日 09:00:00]
`

func readJournal(t testing.TB, text string) (channel.FundBill, error) {
	t.Helper()
	encoded, err := simplifiedchinese.GBK.NewEncoder().String(strings.ReplaceAll(text, "\n", "\r\n"))
	require.NoError(t, err)
	return parseJournal(strings.NewReader(encoded), testDay, testSeller)
}

func TestJournal(t *testing.T) {
	t.Parallel()
	bill, err := readJournal(t, journalText)
	require.NoError(t, err)
	at := time.Date(2026, 3, 1, 11, 22, 33, 0, wire.Shanghai())
	require.Equal(t, channel.FundBill{Date: testDay, Lines: []channel.FundLine{
		{Row: 1, Serial: "301", Number: testTrade, ChannelNo: "2026030122001", Kind: "在线支付", Amount: money.Fen(8888), Balance: money.Fen(18888), At: at},
		{Row: 2, Serial: "302", Number: testTrade, ChannelNo: "2026030122001", Kind: "收费", Amount: money.Fen(-53), Balance: money.Fen(18835), At: at},
		{Row: 3, Serial: "303", Kind: "提现", Amount: money.Fen(-20000), Balance: money.Fen(-1165), At: at.Add(37*time.Minute + 27*time.Second)},
	}}, bill)
}

func TestBrokenJournals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, want string }{
		"another seller":   {"[20881011179556110156]", "[20880000000000000156]", "another seller"},
		"another day":      {"[2026年03月01日", "[2026年03月03日", "another day"},
		"no seller":        {"#账号：[20881011179556110156]\n", "", "whose journal"},
		"no totals":        {"#支出合计：2笔，共-200.53元\n", "", "cut off"},
		"other total":      {"共-200.53元", "共-200.54元", "支出合计 says"},
		"other count":      {"收入合计：1笔", "收入合计：2笔", "收入合计 says"},
		"lost row":         {"302\t", "#302\t", "支出合计 says"},
		"no column":        {",账户余额（元）", "", "账户余额 is missing"},
		"column twice":     {",交易渠道,", ",业务类型,", "stands twice"},
		"cells too many":   {"\"茶, 两杯\"", "茶, 两杯", "row 1: has 13 cells"},
		"amount":           {"+88.88", "+88.888", "row 1: 收入金额"},
		"negative income":  {"+88.88", "-88.88", "row 1: 收入金额"},
		"both ways":        {"+88.88,,", "+88.88,-1.00,", "row 1: is both"},
		"balance":          {"188.35", "1e2", "row 2: 账户余额"},
		"time":             {"2026-03-01 12:00:00", "noon", "row 3: 发生时间"},
		"no serial":        {"302\t", "\t", "row 2: 账务流水号"},
		"after the totals": {"#导出时间", "304\t,,,,2026-03-01 12:00:00,,0.00,0.00,0.00,,x,\n#导出时间", "after the totals"},
		"nothing":          {journalText, "", "no header"},
	} {
		require.Contains(t, journalText, c.old, name)
		bill, err := readJournal(t, strings.Replace(journalText, c.old, c.new, 1))
		require.ErrorContains(t, err, c.want, name)
		require.Empty(t, bill.Lines, name)
	}
}

// FuzzParseJournal: an accepted journal has exact, numbered lines.
func FuzzParseJournal(f *testing.F) {
	f.Add([]byte(journalText))
	f.Add([]byte("#账号：[2088101117955611]\n账务流水号,"))
	f.Fuzz(func(t *testing.T, text []byte) {
		encoded, err := simplifiedchinese.GBK.NewEncoder().Bytes(text)
		if err != nil {
			encoded = text
		}
		bill, err := parseJournal(bytes.NewReader(encoded), testDay, testSeller)
		if err != nil {
			require.Empty(t, bill.Lines)
			return
		}
		for i, line := range bill.Lines {
			require.Equal(t, i+1, line.Row)
			require.NotEmpty(t, line.Serial)
			require.NoError(t, line.Amount.Check())
			require.False(t, line.At.IsZero())
		}
	})
}
