package channel

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/suanpan/suanpan/money"
)

// maxYuanDigits bounds the digits before the point. Fifteen digits hold
// money.MaxMinor with room to spare; a longer text is refused before it is
// turned into a number, whatever its leading digits are.
const maxYuanDigits = 15

// FormatYuan writes a as providers and bills want it: yuan with exactly two
// decimals, "0.01" for one fen. It refuses another currency, a negative amount
// and one out of range, because no provider takes a sign: direction is told by
// the operation, never by the amount.
func FormatYuan(a money.Amount) (string, error) {
	if a.Currency != money.CNY {
		return "", fmt.Errorf("yuan text: currency is %q, only CNY has fen", string(a.Currency))
	}
	if err := a.Check(); err != nil {
		return "", fmt.Errorf("yuan text: %w", err)
	}
	if a.IsNegative() {
		return "", fmt.Errorf("yuan text: amount %d is negative", a.Minor)
	}
	return decimal.New(a.Minor, -2).StringFixed(2), nil
}

// ParseYuan reads a yuan amount without a sign, as it stands in a provider's
// answer: "88.88", "0.1" and "5" are fen 8888, 10 and 500. It refuses more
// than two decimals (even zeros), a sign, an exponent, a leading zero, a
// missing digit on either side of the point, blanks, separators and any digit
// that is not ASCII. Nothing is rounded.
func ParseYuan(text string) (money.Amount, error) { return parseYuan(text, false) }

// ParseSignedYuan is ParseYuan for bill columns, where a refund or a fee may
// carry one leading minus. A plus sign is refused.
func ParseSignedYuan(text string) (money.Amount, error) { return parseYuan(text, true) }

func parseYuan(text string, signed bool) (money.Amount, error) {
	value, err := YuanDecimal(text, 2, signed)
	if err != nil {
		return money.Amount{}, err
	}
	fen := value.Shift(2)
	if fen.Abs().GreaterThan(decimal.NewFromInt(money.MaxMinor)) {
		return money.Amount{}, fmt.Errorf("yuan text %s: %w", quote(text), money.ErrOverflow)
	}
	return money.Fen(fen.IntPart()), nil
}

// YuanDecimal reads a yuan text with at most places decimals under the grammar
// of ParseYuan and returns it exactly. Bills print fees with up to five
// decimals: BillLine.FeeText is kept as text, and this is how it is compared
// and added up.
func YuanDecimal(text string, places int, signed bool) (decimal.Decimal, error) {
	digits := text
	if signed {
		digits = strings.TrimPrefix(digits, "-")
	}
	whole, fraction, hasPoint := strings.Cut(digits, ".")
	switch {
	case whole == "" || !isDigits(whole):
		return refuseYuan(text, "needs digits 0-9 before the point and nothing else")
	case len(whole) > 1 && whole[0] == '0':
		return refuseYuan(text, "has a leading zero")
	case len(whole) > maxYuanDigits:
		return refuseYuan(text, "is out of range")
	case hasPoint && (fraction == "" || !isDigits(fraction)):
		return refuseYuan(text, "needs digits 0-9 after the point and nothing else")
	case len(fraction) > places:
		return refuseYuan(text, fmt.Sprintf("has more than %d decimals", places))
	}
	value, err := decimal.NewFromString(text)
	if err != nil {
		return refuseYuan(text, "is not a number")
	}
	return value, nil
}

func refuseYuan(text, why string) (decimal.Decimal, error) {
	return decimal.Decimal{}, fmt.Errorf("yuan text %s %s", quote(text), why)
}

// quote shows a refused text in an error without letting a hostile one flood it.
func quote(text string) string {
	const most = 40
	if len(text) > most {
		text = text[:most]
	}
	return fmt.Sprintf("%q", text)
}

func isDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
