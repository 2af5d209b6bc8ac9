package alipay

import (
	"archive/zip"
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// The bounds of a bill: bytes of one line, and files in the archive, which has two.
const (
	maxBillLine  = 1 << 16
	maxBillFiles = 16
)

// ParseBill reads the zip of a daily trade bill (业务明细) as downloaded. It
// fails, naming the row, when the file is of another day or seller, a row cannot
// be read exactly, or the rows do not add up to the footer; it never returns a
// part. Amount of a line is 订单金额; the footer, and so Bill's totals, count
// 商家实收. Raw and SHA256 are left to the caller.
func ParseBill(archive []byte, date, sellerID string) (channel.Bill, error) {
	detail, err := openDetail(archive, "业务明细.csv")
	if err != nil {
		return channel.Bill{}, fmt.Errorf("alipay bill %s: %w", date, err)
	}
	defer func() { _ = detail.Close() }()
	limited := &io.LimitedReader{R: detail, N: wire.MaxBill + 1}
	bill, err := parseDetail(limited, date, sellerID)
	if limited.N <= 0 {
		err = fmt.Errorf("the unpacked file is longer than %d bytes", wire.MaxBill)
	}
	if err != nil {
		return channel.Bill{}, fmt.Errorf("alipay bill %s: %w", date, err)
	}
	return bill, nil
}

// openDetail finds the one file in the archive whose name ends in suffix. Its name is in GBK
// without the zip's UTF-8 flag, and a summary file stands beside it.
func openDetail(archive []byte, suffix string) (io.ReadCloser, error) {
	files, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("not a zip file: %w", err)
	}
	if len(files.File) > maxBillFiles {
		return nil, fmt.Errorf("the zip has %d files, more than %d", len(files.File), maxBillFiles)
	}
	var found *zip.File
	for _, file := range files.File {
		name, err := simplifiedchinese.GB18030.NewDecoder().String(file.Name)
		if err != nil || !strings.HasSuffix(name, suffix) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("the zip has more than one %s", suffix)
		}
		found = file
	}
	if found == nil {
		return nil, fmt.Errorf("the zip has no %s", suffix)
	}
	if found.UncompressedSize64 > uint64(wire.MaxBill) {
		return nil, fmt.Errorf("the file in the zip would have %d bytes, more than %d", found.UncompressedSize64, wire.MaxBill)
	}
	return found.Open()
}

// heading is the part of a file's head that says whose it is and of which day.
type heading struct {
	date, seller      string
	sawDay, sawSeller bool
}

// detail is a bill being read: head, header row, rows, foot.
type detail struct {
	heading
	columns map[string]int
	width   int
	bill    channel.Bill
	// received adds up 商家实收 of payments and, negative, of refunds.
	received, returned money.Amount
	// feet tells which of the two total lines came.
	sawTrades, sawRefunds bool
}

func parseDetail(r io.Reader, date, sellerID string) (channel.Bill, error) {
	d := &detail{heading: heading{date: date, seller: sellerID}, received: money.Fen(0), returned: money.Fen(0)}
	d.bill.Date = date
	lines := bufio.NewScanner(simplifiedchinese.GB18030.NewDecoder().Reader(r))
	lines.Buffer(make([]byte, 0, 4096), maxBillLine)
	for lines.Scan() {
		if err := d.line(strings.TrimRight(lines.Text(), "\r")); err != nil {
			return channel.Bill{}, err
		}
	}
	if err := lines.Err(); err != nil {
		return channel.Bill{}, fmt.Errorf("row %d: %w", len(d.bill.Lines)+1, err)
	}
	if err := d.complete(); err != nil {
		return channel.Bill{}, err
	}
	return d.bill, nil
}

// line reads one line by where in the file it stands.
func (d *detail) line(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return nil
	case strings.HasPrefix(text, "#") && d.columns == nil:
		return d.head(text)
	case strings.HasPrefix(text, "#"):
		return d.foot(text)
	case d.columns == nil:
		return d.header(text)
	case d.sawTrades || d.sawRefunds:
		return fmt.Errorf("row %d: stands after the totals", len(d.bill.Lines)+1)
	}
	row := len(d.bill.Lines) + 1
	if err := d.row(row, text); err != nil {
		return fmt.Errorf("row %d: %w", row, err)
	}
	return nil
}

// head checks whose bill of which day this is.
func (d *heading) head(text string) error {
	value := bracketed(text)
	switch {
	case strings.HasPrefix(text, "#账号"):
		// The account is the seller's number followed by four digits.
		if !strings.HasPrefix(value, d.seller) {
			return fmt.Errorf("账号 is another seller's")
		}
		d.sawSeller = true
	case strings.HasPrefix(text, "#起始日期"):
		from, err := time.Parse("2006年01月02日 15:04:05", value)
		if err != nil {
			return fmt.Errorf("起始日期 is unreadable")
		}
		if from.Format(time.DateOnly) != d.date {
			return fmt.Errorf("起始日期 is %s, another day", from.Format(time.DateOnly))
		}
		d.sawDay = true
	}
	return nil
}

// bracketed returns what stands in the first pair of square brackets.
func bracketed(text string) string {
	_, rest, _ := strings.Cut(text, "[")
	value, _, _ := strings.Cut(rest, "]")
	return strings.TrimSpace(value)
}

// The columns used, with full-width parentheses written as ASCII ones.
const (
	colTradeNo  = "支付宝交易号"
	colNumber   = "商户订单号"
	colKind     = "业务类型"
	colGoods    = "商品名称"
	colCreated  = "创建时间"
	colFinished = "完成时间"
	colOrder    = "订单金额(元)"
	colReceived = "商家实收(元)"
	colRefundNo = "退款批次号/请求号"
	colFee      = "服务费(元)"
	colRemark   = "备注"
)

// header maps the columns by name, so that added or moved ones do no harm.
func (d *detail) header(text string) error {
	d.columns = map[string]int{}
	narrow := strings.NewReplacer("（", "(", "）", ")")
	cells := splitCells(text)
	for i, name := range cells {
		name = narrow.Replace(name)
		if _, twice := d.columns[name]; twice && name != "" {
			return fmt.Errorf("header: column %s stands twice", name)
		}
		d.columns[name] = i
	}
	d.width = len(cells)
	for _, name := range []string{
		colTradeNo, colNumber, colKind, colGoods, colCreated, colFinished, colOrder, colReceived, colRefundNo, colFee,
	} {
		if _, ok := d.columns[name]; !ok {
			return fmt.Errorf("header: column %s is missing", name)
		}
	}
	return nil
}

// row reads one data row.
func (d *detail) row(number int, text string) error {
	cells, err := d.cells(text)
	if err != nil {
		return err
	}
	at := func(name string) string { return cells[d.columns[name]] }
	line := channel.BillLine{
		Row:            number,
		Status:         strings.Clone(at(colKind)),
		TradeNumber:    strings.Clone(at(colNumber)),
		ChannelTradeNo: strings.Clone(at(colTradeNo)),
	}
	amount, err := channel.ParseSignedYuan(at(colOrder))
	if err != nil {
		return fmt.Errorf("%s: %w", colOrder, err)
	}
	received, err := channel.ParseSignedYuan(at(colReceived))
	if err != nil {
		return fmt.Errorf("%s: %w", colReceived, err)
	}
	if line.At, err = parseTime(at(colFinished)); err != nil {
		return fmt.Errorf("%s: not a time", colFinished)
	}
	if line.FeeText, err = feeTaken(at(colFee)); err != nil {
		return fmt.Errorf("%s: %w", colFee, err)
	}
	switch line.Status {
	case "交易":
		line.Kind, line.Number, line.Amount = channel.BillPayment, line.TradeNumber, amount
		d.bill.PaymentCount++
		d.received, err = d.received.Add(received)
	case "退款":
		// Refunds are printed negative.
		line.Kind, line.Number, line.Amount = channel.BillRefund, strings.Clone(at(colRefundNo)), amount.Neg()
		d.bill.RefundCount++
		d.returned, err = d.returned.Add(received)
	default:
		return fmt.Errorf("%s: neither 交易 nor 退款", colKind)
	}
	switch {
	case err != nil:
		return err
	case line.Amount.IsNegative():
		return fmt.Errorf("%s: has the wrong sign for %s", colOrder, line.Status)
	case line.Number == "" || line.ChannelTradeNo == "" || line.TradeNumber == "":
		return fmt.Errorf("a number is missing")
	}
	d.bill.Lines = append(d.bill.Lines, line)
	return nil
}

// cells splits a row into as many cells as the header has. A comma inside the
// goods' name or the remark makes more of them; the one way of joining them
// again under which times, amounts and kind are readable is taken.
func (d *detail) cells(text string) ([]string, error) {
	cells := splitCells(text)
	extra := len(cells) - d.width
	if extra == 0 {
		return cells, nil
	}
	remark, hasRemark := d.columns[colRemark]
	var found []string
	for inGoods := extra; extra > 0 && inGoods >= 0; inGoods-- {
		if inGoods < extra && (!hasRemark || remark < d.columns[colGoods]) {
			break
		}
		joined := join(cells, d.columns[colGoods], inGoods)
		if hasRemark {
			joined = join(joined, remark, extra-inGoods)
		}
		if !d.plausible(joined) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("has %d cells for %d columns and can be read in two ways", len(cells), d.width)
		}
		found = joined
	}
	if found == nil {
		return nil, fmt.Errorf("has %d cells for %d columns", len(cells), d.width)
	}
	return found, nil
}

// join makes one cell of the cell at and the extra ones after it.
func join(cells []string, at, extra int) []string {
	out := append([]string{}, cells[:at]...)
	out = append(out, strings.Join(cells[at:at+extra+1], ","))
	return append(out, cells[at+extra+1:]...)
}

func (d *detail) plausible(cells []string) bool {
	if len(cells) != d.width {
		return false
	}
	for _, name := range []string{colOrder, colReceived, colFee} {
		if _, err := channel.YuanDecimal(cells[d.columns[name]], 5, true); err != nil {
			return false
		}
	}
	for _, name := range []string{colCreated, colFinished} {
		if _, err := parseTime(cells[d.columns[name]]); err != nil {
			return false
		}
	}
	kind := cells[d.columns[colKind]]
	return kind == "交易" || kind == "退款"
}

// splitCells splits a CSV line, with or without quotes, and trims the tabs that
// keep spreadsheets from rounding numbers.
func splitCells(text string) []string {
	var cells []string
	for {
		var cell string
		if rest, quoted := strings.CutPrefix(text, `"`); quoted {
			end := closingQuote(rest)
			if end >= 0 {
				cell = strings.ReplaceAll(rest[:end], `""`, `"`)
				tail, more, found := strings.Cut(rest[end+1:], ",")
				cells = append(cells, strings.Trim(cell+tail, "\t "))
				if !found {
					return cells
				}
				text = more
				continue
			}
		}
		cell, rest, found := strings.Cut(text, ",")
		cells = append(cells, strings.Trim(cell, "\t "))
		if !found {
			return cells
		}
		text = rest
	}
}

// closingQuote finds the quote that ends a quoted cell; a doubled one does not.
func closingQuote(text string) int {
	for i := 0; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		if i+1 < len(text) && text[i+1] == '"' {
			i++
			continue
		}
		return i
	}
	return -1
}

// feeTaken turns 服务费, negative where Alipay takes it, into BillLine.FeeText.
func feeTaken(printed string) (string, error) {
	value, err := channel.YuanDecimal(printed, 5, true)
	if err != nil {
		return "", err
	}
	digits := strings.Clone(strings.TrimPrefix(printed, "-"))
	if value.IsPositive() {
		return "-" + digits, nil
	}
	return digits, nil
}

// foot reads the two total lines.
func (d *detail) foot(text string) error {
	switch {
	case strings.HasPrefix(text, "#交易合计"):
		count, total, err := parseTotal(text)
		if err != nil {
			return fmt.Errorf("交易合计: %w", err)
		}
		if count != d.bill.PaymentCount || total != d.received {
			return fmt.Errorf("交易合计 says %d and %d fen, the rows add up to %d and %d fen",
				count, total.Minor, d.bill.PaymentCount, d.received.Minor)
		}
		d.sawTrades, d.bill.PaymentTotal = true, total
	case strings.HasPrefix(text, "#退款合计"):
		count, total, err := parseTotal(text)
		if err != nil {
			return fmt.Errorf("退款合计: %w", err)
		}
		if count != d.bill.RefundCount || total != d.returned {
			return fmt.Errorf("退款合计 says %d and %d fen, the rows add up to %d and %d fen",
				count, total.Minor, d.bill.RefundCount, d.returned.Minor)
		}
		d.sawRefunds, d.bill.RefundTotal = true, total.Neg()
	}
	return nil
}

// parseTotal reads "#…合计：6笔，商家实收共0.06元，…".
func parseTotal(text string) (int, money.Amount, error) {
	_, rest, _ := strings.Cut(text, "：")
	countText, rest, _ := strings.Cut(rest, "笔")
	_, rest, _ = strings.Cut(rest, "共")
	totalText, _, found := strings.Cut(rest, "元")
	if !found {
		return 0, money.Amount{}, fmt.Errorf("unreadable")
	}
	// A count is a whole number; reading it as yuan keeps one strict grammar.
	count, err := channel.YuanDecimal(countText, 0, false)
	if err != nil {
		return 0, money.Amount{}, err
	}
	total, err := channel.ParseSignedYuan(totalText)
	return int(count.IntPart()), total, err
}

// complete refuses a file that ends too early.
func (d *detail) complete() error {
	switch {
	case d.columns == nil:
		return fmt.Errorf("has no header row")
	case !d.sawSeller || !d.sawDay:
		return fmt.Errorf("does not say whose bill of which day it is")
	case !d.sawTrades || !d.sawRefunds:
		return fmt.Errorf("is cut off: the totals are missing after row %d", len(d.bill.Lines))
	}
	return nil
}
