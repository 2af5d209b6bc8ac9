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
)

// The columns used of the fund flow.
const (
	fundAt        = "记账时间"
	fundChannelNo = "微信支付业务单号"
	fundSerial    = "资金流水单号"
	fundName      = "业务名称"
	fundType      = "业务类型"
	fundDirection = "收支类型"
	fundAmount    = "收支金额(元)"
	fundBalance   = "账户结余(元)"
	fundVoucher   = "业务凭证号"
	fundIn        = "收入"
	fundOut       = "支出"
)

func fundColumns() []string {
	return []string{fundAt, fundChannelNo, fundSerial, fundName, fundType, fundDirection, fundAmount, fundBalance, fundVoucher}
}

// ParseFundBill reads a daily fund flow as downloaded, uncompressed. It fails,
// naming the row, when a row cannot be read exactly or the rows do not add up to
// the file's own summary; it never returns a part. The file does not name the
// merchant: that it is ours follows from the signed answer with its digest. Raw
// and SHA256 are left to the caller.
func ParseFundBill(file []byte, date string) (channel.FundBill, error) {
	f := &fundFile{bill: channel.FundBill{Date: date}}
	if err := f.read(file); err != nil {
		return channel.FundBill{}, fmt.Errorf("wechatpay fund flow %s: %w", date, err)
	}
	return f.bill, nil
}

// fundFile is a fund flow being read.
type fundFile struct {
	columns map[string]int
	width   int
	bill    channel.FundBill
	summary []string
	done    bool
	in, out struct {
		count int64
		total decimal.Decimal
	}
}

func (f *fundFile) read(file []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(file, []byte("\ufeff"))))
	lines.Buffer(make([]byte, 0, 4096), maxBillLine)
	for lines.Scan() {
		if err := f.line(strings.TrimRight(lines.Text(), "\r")); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("row %d: %w", len(f.bill.Lines)+1, err)
	}
	if !f.done {
		return fmt.Errorf("is cut off: the summary is missing after row %d", len(f.bill.Lines))
	}
	return nil
}

// line reads one line by where in the file it stands, as billFile.line does.
func (f *fundFile) line(text string) error {
	data, row := strings.HasPrefix(text, "`"), len(f.bill.Lines)+1
	switch {
	case text == "":
		return nil
	case f.done:
		return fmt.Errorf("row %d: stands after the summary", row)
	case f.columns == nil:
		return f.header(text)
	case f.summary != nil && data:
		return f.foot(text)
	case !data && f.summary == nil && strings.HasPrefix(text, "资金流水总笔数"):
		f.summary = strings.Split(text, ",")
		return nil
	case !data || f.summary != nil:
		return fmt.Errorf("row %d: does not begin with a backtick", row)
	}
	if err := f.row(row, text); err != nil {
		return fmt.Errorf("row %d: %w", row, err)
	}
	return nil
}

// header maps the columns by name. Providers write the parentheses of the
// amounts in two widths; both are meant.
func (f *fundFile) header(text string) error {
	names := strings.Split(strings.NewReplacer("（", "(", "）", ")").Replace(text), ",")
	f.columns, f.width = map[string]int{}, len(names)
	for i, name := range names {
		if _, twice := f.columns[name]; twice {
			return fmt.Errorf("header: column %.40q stands twice", name)
		}
		f.columns[name] = i
	}
	for _, name := range fundColumns() {
		if _, ok := f.columns[name]; !ok {
			return fmt.Errorf("header: column %s is missing", name)
		}
	}
	return nil
}

func (f *fundFile) row(number int, text string) error {
	cells, err := splitRow(text, f.width, f.plausible, f.same)
	if err != nil {
		return err
	}
	at := func(name string) string { return strings.Clone(cells[f.columns[name]]) }
	line := channel.FundLine{Row: number, Serial: at(fundSerial), Number: at(fundVoucher), ChannelNo: at(fundChannelNo), Kind: at(fundName)}
	if kind := at(fundType); kind != line.Kind {
		line.Kind += "/" + kind
	}
	if line.Serial == "" {
		return fmt.Errorf("%s: missing", fundSerial)
	}
	if line.At, err = wire.Moment(time.DateTime, at(fundAt)); err != nil {
		return fmt.Errorf("%s: not a time", fundAt)
	}
	if line.Amount, err = channel.ParseYuan(at(fundAmount)); err != nil {
		return fmt.Errorf("%s: %w", fundAmount, err)
	}
	if line.Balance, err = channel.ParseSignedYuan(at(fundBalance)); err != nil {
		return fmt.Errorf("%s: %w", fundBalance, err)
	}
	side := &f.in
	switch at(fundDirection) {
	case fundIn:
	case fundOut:
		side, line.Amount = &f.out, line.Amount.Neg()
	default:
		return fmt.Errorf("%s: neither %s nor %s", fundDirection, fundIn, fundOut)
	}
	side.count++
	side.total = side.total.Add(decimal.New(line.Amount.Minor, -2).Abs())
	f.bill.Lines = append(f.bill.Lines, line)
	return nil
}

// foot compares the rows with the summary.
func (f *fundFile) foot(text string) error {
	cells := strings.Split(strings.TrimPrefix(text, "`"), ",`")
	if len(cells) != len(f.summary) {
		return fmt.Errorf("summary: has %d cells for %d columns", len(cells), len(f.summary))
	}
	printed := map[string]string{}
	for i, name := range f.summary {
		printed[strings.NewReplacer("（", "(", "）", ")").Replace(name)] = cells[i]
	}
	for _, sum := range []struct {
		name   string
		places int
		want   decimal.Decimal
	}{
		{"资金流水总笔数", 0, decimal.NewFromInt(f.in.count + f.out.count)},
		{"收入笔数", 0, decimal.NewFromInt(f.in.count)}, {"收入金额", 2, f.in.total},
		{"支出笔数", 0, decimal.NewFromInt(f.out.count)}, {"支出金额", 2, f.out.total},
	} {
		value, err := channel.YuanDecimal(printed[sum.name], sum.places, false)
		if err != nil {
			return fmt.Errorf("%s: %w", sum.name, err)
		}
		if !value.Equal(sum.want) {
			return fmt.Errorf("%s says %s, the rows add up to %s", sum.name, value, sum.want)
		}
	}
	f.done = true
	return nil
}

// plausible says whether the cells whose form is known have it.
func (f *fundFile) plausible(cells []string) bool {
	direction := cells[f.columns[fundDirection]]
	_, amount := channel.ParseYuan(cells[f.columns[fundAmount]])
	_, balance := channel.ParseSignedYuan(cells[f.columns[fundBalance]])
	return (direction == fundIn || direction == fundOut) && amount == nil && balance == nil
}

// same says whether two readings of a row agree on every column that is used.
func (f *fundFile) same(one, other []string) bool {
	for _, name := range fundColumns() {
		if one[f.columns[name]] != other[f.columns[name]] {
			return false
		}
	}
	return true
}
