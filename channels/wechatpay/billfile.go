package wechatpay

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// maxBillLine bounds one line of a bill, in bytes.
const maxBillLine = 1 << 16

// The columns used.
const (
	colAt          = "交易时间"
	colMerchant    = "商户号"
	colSubMerchant = "特约商户号"
	colTradeNo     = "微信订单号"
	colNumber      = "商户订单号"
	colState       = "交易状态"
	colCurrency    = "货币种类"
	colSettled     = "应结订单金额"
	colRefundNo    = "微信退款单号"
	colRefundOurs  = "商户退款单号"
	colRefunded    = "退款金额"
	colCoupon      = "充值券退款金额"
	colRefundState = "退款状态"
	colFee         = "手续费"
	colOrder       = "订单金额"
	colAsked       = "申请退款金额"
)

// used are the columns a bill must have.
func used() []string {
	return []string{
		colAt, colMerchant, colTradeNo, colNumber, colState, colCurrency, colSettled, colRefundNo, colRefundOurs,
		colRefunded, colCoupon, colRefundState, colFee, colOrder, colAsked,
	}
}

// sum is a column that the summary adds up over all rows, with the decimals a
// row's cell may have.
type sum struct {
	column, summary string
	places          int
	total           decimal.Decimal
}

func newSums() []sum {
	return []sum{
		{column: colSettled, summary: "应结订单总金额", places: 2},
		{column: colRefunded, summary: "退款总金额", places: 2},
		{column: colCoupon, summary: "充值券退款总金额", places: 2},
		{column: colFee, summary: "手续费总金额", places: 5},
		{column: colOrder, summary: "订单总金额", places: 2},
		{column: colAsked, summary: "申请退款总金额", places: 2},
	}
}

// ParseBill reads a daily trade bill of type ALL as downloaded, uncompressed.
// It fails, naming the row, when a row is of another merchant or currency, or
// cannot be read exactly, or when the rows do not add up to the file's own
// summary; it never returns a part. Amount is 订单金额 of a payment and
// 申请退款金额 of a refund. The file prints one count for both kinds, so
// PaymentCount and RefundCount are counted, and their sum is what is checked.
// Raw and SHA256 are left to the caller.
func ParseBill(file []byte, date, mchID string) (channel.Bill, error) {
	return parseBill(file, date, mchID, "")
}

// parseBill takes subMchID too, whose rows a service provider's file must have.
func parseBill(file []byte, date, mchID, subMchID string) (channel.Bill, error) {
	b := &billFile{mchID: mchID, subMchID: subMchID, sums: newSums()}
	b.bill = channel.Bill{Date: date, PaymentTotal: money.Fen(0), RefundTotal: money.Fen(0)}
	if err := b.read(file); err != nil {
		return channel.Bill{}, fmt.Errorf("wechatpay bill %s: %w", date, err)
	}
	return b.bill, nil
}

// billFile is a bill being read: header, rows, summary header, summary.
type billFile struct {
	mchID    string
	subMchID string
	columns  map[string]int
	width    int
	bill     channel.Bill
	sums     []sum
	summary  []string
	done     bool
}

func (b *billFile) read(file []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(file, []byte("\ufeff"))))
	lines.Buffer(make([]byte, 0, 4096), maxBillLine)
	for lines.Scan() {
		if err := b.line(strings.TrimRight(lines.Text(), "\r")); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("row %d: %w", len(b.bill.Lines)+1, err)
	}
	if !b.done {
		return fmt.Errorf("is cut off: the summary is missing after row %d", len(b.bill.Lines))
	}
	return nil
}

// line reads one line by where in the file it stands. Only data lines begin
// with a backtick.
func (b *billFile) line(text string) error {
	data := strings.HasPrefix(text, "`")
	switch {
	case text == "":
		return nil
	case b.done:
		return fmt.Errorf("row %d: stands after the summary", len(b.bill.Lines)+1)
	case b.columns == nil:
		return b.header(text)
	case b.summary != nil && data:
		return b.foot(text)
	case !data && b.summary == nil && strings.HasPrefix(text, "总交易单数"):
		b.summary = strings.Split(text, ",")
		return nil
	case !data || b.summary != nil:
		return fmt.Errorf("row %d: does not begin with a backtick", len(b.bill.Lines)+1)
	}
	row := len(b.bill.Lines) + 1
	if err := b.row(row, text); err != nil {
		return fmt.Errorf("row %d: %w", row, err)
	}
	return nil
}

// header maps the columns by name, so that added or moved ones do no harm.
func (b *billFile) header(text string) error {
	names := strings.Split(text, ",")
	b.columns, b.width = map[string]int{}, len(names)
	for i, name := range names {
		if _, twice := b.columns[name]; twice {
			return fmt.Errorf("header: column %.40q stands twice", name)
		}
		b.columns[name] = i
	}
	for _, name := range used() {
		if _, ok := b.columns[name]; !ok {
			return fmt.Errorf("header: column %s is missing", name)
		}
	}
	if _, ok := b.columns[colSubMerchant]; !ok && b.subMchID != "" {
		return fmt.Errorf("header: column %s is missing", colSubMerchant)
	}
	return nil
}

// row reads one data row.
func (b *billFile) row(number int, text string) error {
	cells, err := b.cells(text)
	if err != nil {
		return err
	}
	at := func(name string) string { return cells[b.columns[name]] }
	if at(colMerchant) != b.mchID {
		return fmt.Errorf("%s: another merchant's row", colMerchant)
	}
	if b.subMchID != "" && at(colSubMerchant) != b.subMchID {
		return fmt.Errorf("%s: another merchant's row", colSubMerchant)
	}
	if at(colCurrency) != string(money.CNY) {
		return fmt.Errorf("%s: %.10q is not CNY", colCurrency, at(colCurrency))
	}
	line := channel.BillLine{
		Row: number, Status: strings.Clone(at(colState)), TradeNumber: strings.Clone(at(colNumber)),
		ChannelTradeNo: strings.Clone(at(colTradeNo)), FeeText: strings.Clone(at(colFee)),
	}
	if line.At, err = wire.Moment(time.DateTime, at(colAt)); err != nil {
		return fmt.Errorf("%s: not a time", colAt)
	}
	for i, sum := range b.sums {
		value, err := channel.YuanDecimal(at(sum.column), sum.places, true)
		if err != nil {
			return fmt.Errorf("%s: %w", sum.column, err)
		}
		b.sums[i].total = sum.total.Add(value)
	}
	// A refund's row has a refund number; payments print 0 there, and the row of a
	// reversal may, because it has only the provider's. The states are passed on as
	// printed: whether they fit is for reconciliation to say.
	line.Kind, line.Number = channel.BillPayment, line.TradeNumber
	column := colOrder
	if ours := at(colRefundOurs); ours != "" && ours != "0" {
		line.Kind, line.Number, line.ChannelRefundNo = channel.BillRefund, strings.Clone(ours), strings.Clone(at(colRefundNo))
		line.Status += "/" + at(colRefundState)
		column = colAsked
	} else if theirs := at(colRefundNo); line.Status == "REVOKED" && theirs != "" && theirs != "0" {
		line.Kind, line.ChannelRefundNo = channel.BillRefund, strings.Clone(theirs)
		line.Status += "/" + at(colRefundState)
		column = colAsked
	} else if line.Status == "REFUND" {
		return fmt.Errorf("%s: missing on a refund", colRefundOurs)
	}
	if line.Amount, err = channel.ParseYuan(at(column)); err != nil {
		return fmt.Errorf("%s: %w", column, err)
	}
	if line.Number == "" || line.TradeNumber == "" || line.ChannelTradeNo == "" {
		return fmt.Errorf("a number is missing")
	}
	return b.add(line)
}

// add keeps line and counts it.
func (b *billFile) add(line channel.BillLine) error {
	var err error
	if line.Kind == channel.BillPayment {
		b.bill.PaymentCount++
		b.bill.PaymentTotal, err = b.bill.PaymentTotal.Add(line.Amount)
	} else {
		b.bill.RefundCount++
		b.bill.RefundTotal, err = b.bill.RefundTotal.Add(line.Amount)
	}
	b.bill.Lines = append(b.bill.Lines, line)
	return err
}

// foot compares the rows with the summary.
func (b *billFile) foot(text string) error {
	cells := strings.Split(strings.TrimPrefix(text, "`"), ",`")
	if len(cells) != len(b.summary) {
		return fmt.Errorf("summary: has %d cells for %d columns", len(cells), len(b.summary))
	}
	printed := map[string]string{}
	for i, name := range b.summary {
		printed[name] = cells[i]
	}
	count, err := channel.YuanDecimal(printed["总交易单数"], 0, false)
	if err != nil {
		return fmt.Errorf("总交易单数: %w", err)
	}
	if !count.Equal(decimal.NewFromInt(int64(len(b.bill.Lines)))) {
		return fmt.Errorf("总交易单数 says %s, the file has %d rows", count, len(b.bill.Lines))
	}
	for _, sum := range b.sums {
		value, err := channel.YuanDecimal(printed[sum.summary], 5, true)
		if err != nil {
			return fmt.Errorf("%s: %w", sum.summary, err)
		}
		if !value.Equal(sum.total) {
			return fmt.Errorf("%s says %s, the rows add up to %s", sum.summary, value, sum.total)
		}
	}
	b.done = true
	return nil
}

// cells splits a row, in which the cells whose form is known help.
func (b *billFile) cells(text string) ([]string, error) {
	return splitRow(text, b.width, b.plausible, b.same)
}

// plausible says whether the cells whose form is known have it.
func (b *billFile) plausible(cells []string) bool {
	for _, sum := range b.sums {
		if _, err := channel.YuanDecimal(cells[b.columns[sum.column]], sum.places, true); err != nil {
			return false
		}
	}
	return cells[b.columns[colMerchant]] == b.mchID && cells[b.columns[colCurrency]] == string(money.CNY)
}

// same says whether two readings of a row agree on every column that is used.
func (b *billFile) same(one, other []string) bool {
	for _, name := range used() {
		if one[b.columns[name]] != other[b.columns[name]] {
			return false
		}
	}
	return true
}
