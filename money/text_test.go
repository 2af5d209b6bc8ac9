package money_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/money"
)

func TestTextHasAllDecimals(t *testing.T) {
	t.Parallel()
	for want, amount := range map[string]money.Amount{
		"0.00": money.Fen(0), "0.01": money.Fen(1), "-0.01": money.Fen(-1), "199.00": money.Fen(19900), "-1234.56": money.Fen(-123456),
		"5": money.Of(5, "JPY"), "-92233720368547758.08": money.Fen(math.MinInt64),
	} {
		require.Equal(t, want, amount.Text())
	}
}
