package wire

import (
	"errors"
	"fmt"
	"net/url"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// MaxOrder is the largest amount either provider takes in one order, in fen:
// 100,000,000.00 yuan.
const MaxOrder int64 = 10_000_000_000

// CheckNumber returns an error unless number is a bare 26-character ULID in
// upper case: the only form of number this platform sends.
func CheckNumber(field, number string) error {
	const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	bad := len(number) != 26 || number[0] > '7'
	for i := 0; i < len(number) && !bad; i++ {
		found := false
		for j := 0; j < len(crockford); j++ {
			found = found || crockford[j] == number[i]
		}
		bad = !found
	}
	if bad {
		return fmt.Errorf("%s: not a bare 26-character ULID in upper case", field)
	}
	return nil
}

// CheckAmount returns an error unless amount is CNY, from 1 fen to MaxOrder.
func CheckAmount(field string, amount money.Amount) error {
	if amount.Currency != money.CNY {
		return fmt.Errorf("%s: currency is %q, this channel takes CNY", field, string(amount.Currency))
	}
	if amount.Minor < 1 || amount.Minor > MaxOrder {
		return fmt.Errorf("%s: %d fen is outside 1 to %d", field, amount.Minor, MaxOrder)
	}
	return nil
}

// CheckText returns an error unless text has 1 to most characters of UTF-8
// without control characters.
func CheckText(field, text string, most int) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%s: not UTF-8", field)
	}
	if n := utf8.RuneCountInString(text); n < 1 || n > most {
		return fmt.Errorf("%s: has %d characters, 1 to %d are allowed", field, n, most)
	}
	for _, r := range text {
		if unicode.IsControl(r) {
			return fmt.Errorf("%s: has a control character", field)
		}
	}
	return nil
}

// CheckNotifyURL returns an error unless address is an absolute http or https
// address without query, fragment or user: providers drop or refuse those.
func CheckNotifyURL(field, address string) error {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return fmt.Errorf("%s: not an absolute http(s) address", field)
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("%s: must have no query, fragment or user", field)
	}
	return nil
}

// CheckDate returns an error unless date is a day as yyyy-mm-dd.
func CheckDate(field, date string) error {
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return fmt.Errorf("%s: not a day as yyyy-mm-dd", field)
	}
	return nil
}

// CheckRefund checks what both providers need of a refund order.
func CheckRefund(order channel.RefundOrder) error {
	if err := errors.Join(
		CheckNumber("Number", order.Number),
		CheckNumber("TradeNumber", order.TradeNumber),
		CheckAmount("Amount", order.Amount),
		CheckAmount("TradeAmount", order.TradeAmount),
	); err != nil {
		return err
	}
	if order.Amount.Minor > order.TradeAmount.Minor {
		return errors.New("field Amount: a refund cannot exceed TradeAmount")
	}
	return nil
}

// Shorten cuts text to most characters: for a refund's reason, which must not
// be what stops a refund. The same text always gives the same result, so a
// resend is identical.
func Shorten(text string, most int) string {
	clean := make([]rune, 0, most)
	for _, r := range text {
		if len(clean) == most {
			break
		}
		if r == utf8.RuneError || unicode.IsControl(r) {
			r = ' '
		}
		clean = append(clean, r)
	}
	return string(clean)
}
