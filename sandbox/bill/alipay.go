package bill

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/yuan"
)

// alipayColumns are the 25 columns of the trade bill, brackets full-width.
const alipayColumns = "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户," +
	"订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称," +
	"商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"

// alipaySummaryColumns are the columns of the summary file in the same zip.
const alipaySummaryColumns = "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）," +
	"商家优惠（元）,卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）"

const (
	frameStart = "#-----------------------------------------%s列表----------------------------------------"
	frameEnd   = "#-----------------------------------------%s列表结束------------------------------------"
	alipayTime = "2006-01-02 15:04:05"
)

// AlipayTrade makes the zip of bill_type trade: GBK text under GBK names.
func AlipayTrade(r books.Reader, m books.Merchant, date string, zone *time.Location) (File, error) {
	lines, err := dayLines(r, m, date, zone)
	if err != nil {
		return File{}, err
	}
	payments, refunds := sums(lines)
	rows := []string{alipayColumns}
	for _, l := range lines {
		rows = append(rows, alipayRow(l, zone))
	}
	detail := alipayFrame(r, m, date, "业务明细", rows, zone)
	detail = append(detail,
		fmt.Sprintf("#交易合计：%d笔，商家实收共%s元，商家优惠共0.00元", payments.Count, yuan.Format(payments.Amount)),
		fmt.Sprintf("#退款合计：%d笔，商家实收退款共%s元，商家优惠退款共0.00元", refunds.Count, yuan.Format(-refunds.Amount)),
		exportedAt(r, zone))
	fees := int64(0)
	for _, l := range lines {
		fees += l.fee
	}
	summary := alipayFrame(r, m, date, "业务汇总", []string{alipaySummaryColumns, strings.Join([]string{
		"合计", "", fmt.Sprint(payments.Count), fmt.Sprint(refunds.Count), yuan.Format(payments.Amount - refunds.Amount),
		yuan.Format(payments.Amount - refunds.Amount), "0.00", "0.00", "0.00", alipayFee(-fees), "0.00",
		alipayFee((payments.Amount-refunds.Amount)*feePerFen - fees),
	}, ",")}, zone)
	summary = append(summary, exportedAt(r, zone))
	prefix := m.Account + "0156_" + strings.ReplaceAll(date, "-", "") + "_"
	return zipped(m, date, entry{prefix + "业务明细.csv", detail}, entry{prefix + "业务明细(汇总).csv", summary})
}

func sums(lines []line) (payments, refunds books.Sum) {
	for _, l := range lines {
		sum := &payments
		if l.refund {
			sum = &refunds
		}
		sum.Count++
		sum.Amount += l.amount
	}
	return payments, refunds
}

func alipayRow(l line, zone *time.Location) string {
	kind, sign, requestNo := "交易", int64(1), ""
	if l.refund {
		kind, sign, requestNo = "退款", -1, l.number
	}
	received := yuan.Format(sign * l.amount)
	return strings.Join([]string{
		l.order.ProviderNo + "\t", l.order.Number + "\t", kind, cell(l.order.Subject) + "\t",
		l.order.CreatedAt.In(zone).Format(alipayTime), l.doneAt.In(zone).Format(alipayTime),
		"\t", "", "\t", "\t", "*三(san***@example.com)\t",
		received, received, "0.00", "0.00", "0.00", "0.00", "0.00", "\t", "0.00", "0.00",
		requestNo + "\t", alipayFee(-l.fee), "0.00", "\t",
	}, ",")
}

// alipayFee prints a fee with two decimals, and more only if an edit made it so.
func alipayFee(fee int64) string {
	if fee%feePerFen == 0 {
		return yuan.Format(fee / feePerFen)
	}
	return yuan.FormatScaled(fee, feeDecimals)
}

// cell keeps text inside one cell: the format has no quoting.
func cell(text string) string {
	return strings.NewReplacer(",", "，", "\r", " ", "\n", " ", "\t", " ").Replace(text)
}

func alipayFrame(r books.Reader, m books.Merchant, date, title string, rows []string, zone *time.Location) []string {
	day, err := time.ParseInLocation(time.DateOnly, date, zone)
	if err != nil {
		day = r.Now()
	}
	const moment = "2006年01月02日 15:04:05"
	lines := []string{
		"#支付宝" + title + "查询",
		"#账号：[" + m.Account + "0156]",
		"#起始日期：[" + day.Format(moment) + "]   终止日期：[" + day.AddDate(0, 0, 1).Format(moment) + "]",
		fmt.Sprintf(frameStart, title),
	}
	lines = append(lines, rows...)
	return append(lines, fmt.Sprintf(frameEnd, title))
}

func exportedAt(r books.Reader, zone *time.Location) string {
	return "#导出时间：[" + r.Now().In(zone).Format("2006年01月02日 15:04:05") + "]"
}

type entry struct {
	name  string
	lines []string
}

func zipped(m books.Merchant, date string, entries ...entry) (File, error) {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, e := range entries {
		name, err := gbk(e.name)
		if err != nil {
			return File{}, err
		}
		writer, err := archive.CreateHeader(&zip.FileHeader{Name: name, NonUTF8: true, Method: zip.Deflate})
		if err != nil {
			return File{}, err
		}
		content, err := gbk(strings.Join(e.lines, "\r\n") + "\r\n")
		if err != nil {
			return File{}, err
		}
		if _, err := writer.Write([]byte(content)); err != nil {
			return File{}, err
		}
	}
	if err := archive.Close(); err != nil {
		return File{}, err
	}
	name := m.Account + "0156_" + strings.ReplaceAll(date, "-", "") + ".csv.zip"
	return File{Owner: m.ID, Date: date, Name: name, Content: out.Bytes()}, nil
}

// gbk encodes text; characters that GBK lacks, such as emoji, become '?'.
func gbk(text string) (string, error) {
	encoder := simplifiedchinese.GBK.NewEncoder()
	var out strings.Builder
	for _, c := range text {
		encoded, err := encoder.String(string(c))
		if err != nil {
			encoded = "?"
			encoder.Reset()
		}
		out.WriteString(encoded)
	}
	return out.String(), nil
}

// AlipayAccountLog makes the zip of bill_type signcustomer: every movement of
// the account, transfers included.
func AlipayAccountLog(r books.Reader, m books.Merchant, date string, zone *time.Location) (File, error) {
	rows := []string{"账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注"}
	income, outgo := books.Sum{}, books.Sum{}
	for _, v := range r.Movements(func(v books.Movement) bool {
		return v.Provider == books.Alipay && v.Account == m.Account && v.At.In(zone).Format(time.DateOnly) == date
	}) {
		in, out := "0.00", "0.00"
		if v.Amount >= 0 {
			in = "+" + yuan.Format(v.Amount)
			income.Count++
			income.Amount += v.Amount
		} else {
			out = yuan.Format(v.Amount)
			outgo.Count++
			outgo.Amount += v.Amount
		}
		rows = append(rows, strings.Join([]string{
			fmt.Sprintf("%018d\t", v.ID), v.ProviderNo + "\t", v.Number + "\t", "\t", v.At.In(zone).Format(alipayTime), "\t",
			in, out, yuan.Format(v.Balance), "支付宝\t", accountLogKind(v.Kind), "\t",
		}, ","))
	}
	lines := alipayFrame(r, m, date, "账务明细", rows, zone)
	lines = append(lines,
		fmt.Sprintf("#支出合计：%d笔，共%s元", outgo.Count, yuan.Format(outgo.Amount)),
		fmt.Sprintf("#收入合计：%d笔，共%s元", income.Count, yuan.Format(income.Amount)),
		exportedAt(r, zone))
	prefix := m.Account + "0156_" + strings.ReplaceAll(date, "-", "") + "_"
	return zipped(m, date, entry{prefix + "账务明细.csv", lines})
}

func accountLogKind(kind books.MovementKind) string {
	switch kind {
	case books.MovementPayment:
		return "在线支付"
	case books.MovementPaymentFee:
		return "收费"
	case books.MovementRefund:
		return "交易退款"
	case books.MovementRefundFee:
		return "退费"
	case books.MovementTransfer:
		return "转账"
	case books.MovementTransferReturn:
		return "退票"
	case books.MovementTopUp:
		return "充值"
	default:
		return "其它"
	}
}
