// Package yuan owns the decimal text of money as the providers write it: yuan
// with fen behind the point. It may not use floating point.
package yuan

import (
	"fmt"
	"strconv"
	"strings"
)

// Format writes fen as yuan with two decimals: 19900 is "199.00", -4 is "-0.04".
func Format(fen int64) string {
	sign, value := "", uint64(fen)
	if fen < 0 {
		sign, value = "-", -uint64(fen)
	}
	return fmt.Sprintf("%s%d.%02d", sign, value/100, value%100)
}

// Parse reads a non-negative amount of at most nine digits of yuan and at most
// two decimals, such as "199.00", "0.1" or "7", and returns fen.
func Parse(text string) (int64, error) {
	value, err := ParseScaled(text, 2)
	if err != nil {
		return 0, err
	}
	return value, nil
}

// ParseScaled reads a non-negative decimal with at most the given number of
// decimals and returns it in units of the last of them: ("0.12345", 5) is 12345.
func ParseScaled(text string, decimals int) (int64, error) {
	whole, fraction, point := strings.Cut(text, ".")
	if !digits(whole) || len(whole) > 9 || (len(whole) > 1 && whole[0] == '0') {
		return 0, fmt.Errorf("%q is not a decimal amount", text)
	}
	if point && (!digits(fraction) || len(fraction) > decimals) {
		return 0, fmt.Errorf("%q must have 1 to %d decimals after the point", text, decimals)
	}
	fraction += strings.Repeat("0", decimals-len(fraction))
	return strconv.ParseInt(whole+fraction, 10, 64)
}

// FormatScaled writes a value in units of the last decimal: (-12000, 5) is "-0.12000".
func FormatScaled(value int64, decimals int) string {
	sign, rest := "", uint64(value)
	if value < 0 {
		sign, rest = "-", -uint64(value)
	}
	text := fmt.Sprintf("%0*d", decimals+1, rest)
	return sign + text[:len(text)-decimals] + "." + text[len(text)-decimals:]
}

func digits(text string) bool {
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return text != ""
}
