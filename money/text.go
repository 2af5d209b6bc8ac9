package money

import (
	"strconv"
	"strings"
)

// Text writes the amount in major units with all decimals of its currency, such
// as 199.00: for people and their spreadsheets, never to be read back.
func (a Amount) Text() string {
	places, _ := exponent(a.Currency)
	digits := strconv.FormatInt(a.Minor, 10)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	if places == 0 {
		return sign + digits
	}
	if missing := places + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	return sign + digits[:len(digits)-places] + "." + digits[len(digits)-places:]
}
