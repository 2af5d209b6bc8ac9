package recon

import (
	"strings"

	"github.com/shopspring/decimal"

	"github.com/suanpan/suanpan/money"
)

// feeVerdict is the outcome of comparing two fees.
type feeVerdict int

const (
	feeEqual feeVerdict = iota
	feeRounded
	feeDiffers
)

// compareFee compares the fee we accrued (fen, negative when the provider gave
// it back) with the printed one, exactly. more is what the provider took beyond
// our accrual in whole fen after rounding half away from zero; ok is false when
// the text is not an amount, and then the verdict is feeDiffers.
func compareFee(oursFen int64, text string) (verdict feeVerdict, more int64, ok bool) {
	theirs, ok := parseFee(text)
	if !ok {
		return feeDiffers, 0, false
	}
	ours := decimal.New(oursFen, -2)
	if theirs.Equal(ours) {
		return feeEqual, 0, true
	}
	rounded := theirs.Round(2)
	if rounded.Equal(ours) {
		return feeRounded, 0, true
	}
	return feeDiffers, rounded.Sub(ours).Shift(2).IntPart(), true
}

// parseFee reads a printed amount of yuan. Exponents are refused: no bill
// prints one, and a large one would be expensive to compare.
func parseFee(text string) (decimal.Decimal, bool) {
	if text == "" {
		return decimal.Zero, true
	}
	if len(text) > 24 || strings.Trim(text, "+-.0123456789") != "" {
		return decimal.Zero, false
	}
	d, err := decimal.NewFromString(text)
	if err != nil || d.Abs().GreaterThan(decimal.New(money.MaxMinor, -2)) {
		return decimal.Zero, false
	}
	return d, true
}

// yuan prints fen as yuan: 1234 becomes "12.34".
func yuan(fen int64) string { return decimal.New(fen, -2).StringFixed(2) }
