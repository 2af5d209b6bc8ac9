package money

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// Currency is an ISO 4217 code in upper case.
type Currency string

// CNY is the renminbi; its minor unit is the fen, 1/100 yuan.
const CNY Currency = "CNY"

// exponents holds the decimal places of each supported currency's minor unit.
func exponent(c Currency) (int, bool) {
	switch c {
	case CNY, "HKD", "USD", "EUR":
		return 2, true
	case "JPY":
		return 0, true
	}
	return 0, false
}

// Valid reports whether c is a currency this platform keeps books in.
func (c Currency) Valid() bool { _, ok := exponent(c); return ok }

// MaxMinor bounds the magnitude of any single amount, in minor units.
const MaxMinor int64 = 1_000_000_000_000_000

// ErrOverflow says that a result would leave the range of an amount.
var ErrOverflow = errors.New("money: amount out of range")

// ErrCurrency says that amounts of two currencies met.
var ErrCurrency = errors.New("money: currencies differ")

// Amount is a signed count of minor units of one currency. The zero value has
// no currency and is not a valid amount.
type Amount struct {
	Minor    int64
	Currency Currency
}

// Of returns an amount of minor units.
func Of(minor int64, c Currency) Amount { return Amount{minor, c} }

// Fen returns an amount of fen (1/100 yuan).
func Fen(fen int64) Amount { return Amount{fen, CNY} }

// Check returns an error unless a has a known currency and is within ±MaxMinor.
func (a Amount) Check() error {
	if !a.Currency.Valid() {
		return fmt.Errorf("money: unknown currency %q", string(a.Currency))
	}
	if a.Minor > MaxMinor || a.Minor < -MaxMinor {
		return ErrOverflow
	}
	return nil
}

// IsZero, IsPositive and IsNegative look at the sign only.
func (a Amount) IsZero() bool     { return a.Minor == 0 }
func (a Amount) IsPositive() bool { return a.Minor > 0 }
func (a Amount) IsNegative() bool { return a.Minor < 0 }

// Neg returns −a.
func (a Amount) Neg() Amount { return Amount{-a.Minor, a.Currency} }

// Add returns a+b, ErrCurrency when they differ in currency, ErrOverflow when
// the sum leaves the range.
func (a Amount) Add(b Amount) (Amount, error) {
	if a.Currency != b.Currency {
		return Amount{}, ErrCurrency
	}
	sum := a.Minor + b.Minor
	if (sum > a.Minor) != (b.Minor > 0) && b.Minor != 0 {
		return Amount{}, ErrOverflow
	}
	out := Amount{sum, a.Currency}
	return out, out.Check()
}

// Sub returns a−b under the rules of Add.
func (a Amount) Sub(b Amount) (Amount, error) {
	if b.Minor == math.MinInt64 { // it has no negative
		return Amount{}, ErrOverflow
	}
	return a.Add(b.Neg())
}

// Share returns the floor of a × numerator / denominator for non-negative a,
// with a 128-bit product. It is how percent legs and proportional refunds are
// computed; the caller gives what is left to a remainder.
func (a Amount) Share(numerator, denominator int64) (Amount, error) {
	if a.Minor < 0 || numerator < 0 || denominator <= 0 {
		return Amount{}, fmt.Errorf("money: share %d/%d of %d", numerator, denominator, a.Minor)
	}
	hi, lo := bits.Mul64(uint64(a.Minor), uint64(numerator))
	if hi >= uint64(denominator) {
		return Amount{}, ErrOverflow
	}
	q, _ := bits.Div64(hi, lo, uint64(denominator))
	if q > uint64(MaxMinor) {
		return Amount{}, ErrOverflow
	}
	return Amount{int64(q), a.Currency}, nil
}

// ShareHalfUp is Share rounded half up: the rounding of provider fees.
func (a Amount) ShareHalfUp(numerator, denominator int64) (Amount, error) {
	if a.Minor < 0 || numerator < 0 || denominator <= 0 {
		return Amount{}, fmt.Errorf("money: share %d/%d of %d", numerator, denominator, a.Minor)
	}
	hi, lo := bits.Mul64(uint64(a.Minor), uint64(numerator))
	lo, carry := bits.Add64(lo, uint64(denominator)/2, 0)
	hi += carry
	if hi >= uint64(denominator) {
		return Amount{}, ErrOverflow
	}
	q, _ := bits.Div64(hi, lo, uint64(denominator))
	if q > uint64(MaxMinor) {
		return Amount{}, ErrOverflow
	}
	return Amount{int64(q), a.Currency}, nil
}
