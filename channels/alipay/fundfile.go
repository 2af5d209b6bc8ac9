package alipay

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// The columns of the journal that are used. The unit in brackets after 收入金额 and
// the two beside it is not the same in every copy, so it is not part of the name.
const (
	colSerial   = "账务流水号"
	colBusiness = "业务流水号"
	colHappened = "发生时间"
	colIncome   = "收入金额"
	colOutgo    = "支出金额"
	colBalance  = "账户余额"
)

// ParseFundBill reads the zip of an account's daily journal (账务明细) as
// downloaded. It fails, naming the row, when the file is of another day or seller,
// a row cannot be read exactly, or the rows do not add up to the footer. Alipay
// does not promise that each row's balance follows from the one before, so that is
// not checked. Raw and SHA256 are left to the caller.
func ParseFundBill(archive []byte, date, sellerID string) (channel.FundBill, error) {
	file, err := openDetail(archive, "账务明细.csv")
	if err != nil {
		return channel.FundBill{}, fmt.Errorf("alipay fund bill %s: %w", date, err)
	}
	defer func() { _ = file.Close() }()
	limited := &io.LimitedReader{R: file, N: wire.MaxBill + 1}
	bill, err := parseJournal(limited, date, sellerID)
	if limited.N <= 0 {
		err = fmt.Errorf("the unpacked file is longer than %d bytes", wire.MaxBill)
	}
	if err != nil {
		return channel.FundBill{}, fmt.Errorf("alipay fund bill %s: %w", date, err)
	}
	return bill, nil
}

// side adds up one direction of the journal: money in, or money out (negative).
type side struct {
	count int
	total money.Amount
	seen  bool
}

// journal is a fund bill being read: head, header row, rows, foot.
type journal struct {
	heading
	columns       map[string]int
	width         int
	bill          channel.FundBill
	income, outgo side
}

func parseJournal(r io.Reader, date, sellerID string) (channel.FundBill, error) {
	j := &journal{heading: heading{date: date, seller: sellerID}, income: side{total: money.Fen(0)}, outgo: side{total: money.Fen(0)}}
	j.bill.Date = date
	lines := bufio.NewScanner(simplifiedchinese.GB18030.NewDecoder().Reader(r))
	lines.Buffer(make([]byte, 0, 4096), maxBillLine)
	for lines.Scan() {
		if err := j.line(strings.TrimRight(lines.Text(), "\r")); err != nil {
			return channel.FundBill{}, err
		}
	}
	if err := lines.Err(); err != nil {
		return channel.FundBill{}, fmt.Errorf("row %d: %w", len(j.bill.Lines)+1, err)
	}
	switch {
	case j.columns == nil:
		return channel.FundBill{}, fmt.Errorf("has no header row")
	case !j.sawSeller || !j.sawDay:
		return channel.FundBill{}, fmt.Errorf("does not say whose journal of which day it is")
	case !j.income.seen || !j.outgo.seen:
		return channel.FundBill{}, fmt.Errorf("is cut off: the totals are missing after row %d", len(j.bill.Lines))
	}
	return j.bill, nil
}

// line reads one line by where in the file it stands.
func (j *journal) line(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return nil
	case strings.HasPrefix(text, "#") && j.columns == nil:
		return j.head(text)
	case strings.HasPrefix(text, "#收入合计"):
		return j.income.foot("收入合计", text)
	case strings.HasPrefix(text, "#支出合计"):
		return j.outgo.foot("支出合计", text)
	case strings.HasPrefix(text, "#"):
		return nil
	case j.columns == nil:
		return j.header(text)
	case j.income.seen || j.outgo.seen:
		return fmt.Errorf("row %d: stands after the totals", len(j.bill.Lines)+1)
	}
	row := len(j.bill.Lines) + 1
	if err := j.row(row, text); err != nil {
		return fmt.Errorf("row %d: %w", row, err)
	}
	return nil
}

// header maps the columns by name, without what stands in brackets.
func (j *journal) header(text string) error {
	j.columns = map[string]int{}
	cells := splitCells(text)
	for i, name := range cells {
		name, _, _ = strings.Cut(strings.ReplaceAll(name, "（", "("), "(")
		if _, twice := j.columns[name]; twice && name != "" {
			return fmt.Errorf("header: column %s stands twice", name)
		}
		j.columns[name] = i
	}
	j.width = len(cells)
	for _, name := range []string{colSerial, colBusiness, colNumber, colHappened, colIncome, colOutgo, colBalance, colKind} {
		if _, ok := j.columns[name]; !ok {
			return fmt.Errorf("header: column %s is missing", name)
		}
	}
	return nil
}

// row reads one data row. One of income and outgo is empty or zero.
func (j *journal) row(number int, text string) error {
	cells := splitCells(text)
	if len(cells) != j.width {
		return fmt.Errorf("has %d cells for %d columns", len(cells), j.width)
	}
	at := func(name string) string { return cells[j.columns[name]] }
	income, err := moved(strings.TrimPrefix(at(colIncome), "+"))
	if err != nil || income.IsNegative() {
		return fmt.Errorf("%s: unreadable or negative", colIncome)
	}
	outgo, err := moved(at(colOutgo))
	if err != nil {
		return fmt.Errorf("%s: %w", colOutgo, err)
	}
	if outgo.IsPositive() { // some copies print it without its sign
		outgo = outgo.Neg()
	}
	line := channel.FundLine{
		Row: number, Serial: strings.Clone(at(colSerial)), Number: strings.Clone(at(colNumber)),
		ChannelNo: strings.Clone(at(colBusiness)), Kind: strings.Clone(at(colKind)), Amount: income,
	}
	into := &j.income
	switch {
	case line.Serial == "":
		return fmt.Errorf("%s: missing", colSerial)
	case income.IsPositive() && outgo.IsNegative():
		return fmt.Errorf("is both %s and %s", colIncome, colOutgo)
	case outgo.IsNegative():
		line.Amount, into = outgo, &j.outgo
	}
	if line.Balance, err = channel.ParseSignedYuan(at(colBalance)); err != nil {
		return fmt.Errorf("%s: %w", colBalance, err)
	}
	if line.At, err = parseTime(at(colHappened)); err != nil {
		return fmt.Errorf("%s: not a time", colHappened)
	}
	into.count++
	if into.total, err = into.total.Add(line.Amount); err != nil {
		return err
	}
	j.bill.Lines = append(j.bill.Lines, line)
	return nil
}

// moved reads an amount that may be left out.
func moved(text string) (money.Amount, error) {
	if text == "" {
		return money.Fen(0), nil
	}
	return channel.ParseSignedYuan(text)
}

// foot holds the total line against the rows.
func (s *side) foot(name, text string) error {
	count, total, err := parseTotal(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if total != s.total && total.Neg() != s.total || count != s.count {
		return fmt.Errorf("%s says %d and %d fen, the rows add up to %d and %d fen", name, count, total.Minor, s.count, s.total.Minor)
	}
	s.seen = true
	return nil
}
