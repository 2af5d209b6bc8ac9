package bill

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/yuan"
)

// feeDecimals is the precision fees are kept in: 1 is 0.00001 yuan.
const (
	feeDecimals = 5
	feePerFen   = 1000
)

// line is one payment or refund of a day, before it is written in a provider's
// columns. Amounts are fen and positive.
type line struct {
	refund bool
	// number is the merchant's: of the order for a payment, of the refund for a refund.
	number     string
	order      books.Order
	providerNo string
	amount     int64
	// fee is in units of 0.00001 yuan, positive when the provider takes it and
	// negative when it gives it back.
	fee    int64
	status string
	// reversal marks a payment given back by reversing its order.
	reversal bool
	at       time.Time
	doneAt   time.Time
}

// dayLines collects a merchant's lines of one day. A payment belongs to the day
// it succeeded, a refund to the day it was accepted.
func dayLines(r books.Reader, m books.Merchant, date string, zone *time.Location) ([]line, error) {
	inDay := func(at time.Time) bool { return !at.IsZero() && at.In(zone).Format(time.DateOnly) == date }
	var lines []line
	for _, o := range r.Orders(func(o books.Order) bool {
		return o.Provider == m.Provider && o.Merchant == m.ID && o.State == books.OrderPaid && inDay(o.PaidAt)
	}) {
		lines = append(lines, line{number: o.Number, order: o, providerNo: o.ProviderNo, amount: o.Amount,
			fee: o.Fee * feePerFen, status: "SUCCESS", at: o.PaidAt, doneAt: o.PaidAt})
	}
	for _, refund := range r.Refunds(func(refund books.Refund) bool {
		return refund.Provider == m.Provider && refund.Merchant == m.ID && inDay(refund.CreatedAt)
	}) {
		o, _ := r.Order(m.Provider, m.ID, refund.OrderNumber)
		lines = append(lines, line{refund: true, number: refund.Number, order: o, providerNo: refund.ProviderNo,
			amount: refund.Amount, fee: -refund.FeeReturned * feePerFen, status: refundStatus(refund.State),
			reversal: refund.Reversal, at: refund.CreatedAt, doneAt: refund.DoneAt})
	}
	slices.SortStableFunc(lines, func(a, b line) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.providerNo, b.providerNo))
	})
	return edit(lines, r, m, date, zone)
}

// refundStatus is the bill's word for a refund's state.
func refundStatus(state books.RefundState) string {
	switch state {
	case books.RefundAbnormal:
		return "CHANGE"
	case books.RefundClosed:
		return "FAIL"
	default:
		return string(state)
	}
}

// edit applies the edits of the day, in the order they were given.
func edit(lines []line, r books.Reader, m books.Merchant, date string, zone *time.Location) ([]line, error) {
	for _, e := range r.BillEdits(m.Provider, date) {
		if e.Merchant != "" && e.Merchant != m.ID {
			continue
		}
		if e.Edit == "add_line" {
			added, err := addedLine(e, m, zone)
			if err != nil {
				return nil, err
			}
			lines = append(lines, added)
			continue
		}
		var edited []line
		for _, l := range lines {
			kept, err := applyEdit(l, e)
			if err != nil {
				return nil, err
			}
			edited = append(edited, kept...)
		}
		lines = edited
	}
	return lines, nil
}

func applyEdit(l line, e books.BillEdit) ([]line, error) {
	if l.number != e.Number {
		return []line{l}, nil
	}
	switch e.Edit {
	case "drop_line":
		return nil, nil
	case "duplicate_line":
		return []line{l, l}, nil
	case "change_amount":
		l.amount = e.Amount
	case "change_status":
		l.status = e.Status
	case "change_fee":
		fee, err := parseFee(e.Fee)
		if err != nil {
			return nil, err
		}
		l.fee = fee
	}
	return []line{l}, nil
}

// parseFee reads yuan text with up to five decimals and an optional minus sign.
func parseFee(text string) (int64, error) {
	if len(text) > 1 && text[0] == '-' {
		fee, err := yuan.ParseScaled(text[1:], feeDecimals)
		return -fee, err
	}
	return yuan.ParseScaled(text, feeDecimals)
}

// addedLine invents a line at noon of the day that the books know nothing of.
func addedLine(e books.BillEdit, m books.Merchant, zone *time.Location) (line, error) {
	day, err := time.ParseInLocation(time.DateOnly, e.Date, zone)
	if err != nil {
		return line{}, err
	}
	at := day.Add(12 * time.Hour)
	l := line{refund: e.Kind == "refund", number: e.Number, providerNo: "9999" + day.Format("20060102") + e.ID,
		amount: e.Amount, status: cmp.Or(e.Status, "SUCCESS"), at: at, doneAt: at}
	l.order = books.Order{Provider: m.Provider, Merchant: m.ID, Account: m.Account, AppID: m.AppID, Number: e.Number,
		ProviderNo: l.providerNo, Subject: "added line", Amount: e.Amount, CreatedAt: at, PaidAt: at,
		FeeBasisPoints: m.FeeBasisPoints}
	if e.Fee != "" {
		if l.fee, err = parseFee(e.Fee); err != nil {
			return line{}, err
		}
	}
	return l, nil
}

// CheckEdit says what is wrong with an edit, before it is put into the books.
func CheckEdit(e books.BillEdit) error {
	if _, err := time.Parse(time.DateOnly, e.Date); err != nil {
		return errors.New("date must be yyyy-mm-dd")
	}
	if e.Number == "" {
		return errors.New("number is missing: name the payment's or the refund's number")
	}
	switch e.Edit {
	case "drop_line", "duplicate_line":
		return nil
	case "change_amount":
		if e.Amount <= 0 {
			return errors.New("change_amount needs amount in fen, above 0")
		}
	case "change_fee":
		if _, err := parseFee(e.Fee); err != nil {
			return fmt.Errorf("change_fee needs fee in yuan, such as 0.12 or -0.00600: %w", err)
		}
	case "change_status":
		if e.Status == "" {
			return errors.New("change_status needs status")
		}
	case "add_line":
		if e.Amount <= 0 || (e.Kind != "payment" && e.Kind != "refund") {
			return errors.New("add_line needs amount in fen, above 0, and kind payment or refund")
		}
		if e.Fee != "" {
			if _, err := parseFee(e.Fee); err != nil {
				return fmt.Errorf("fee: %w", err)
			}
		}
	default:
		return errors.New("edit must be drop_line, add_line, change_amount, change_fee, duplicate_line or change_status")
	}
	return nil
}
