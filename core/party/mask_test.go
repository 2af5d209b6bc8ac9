package party_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/party"
)

func TestMasks(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"13812345678": "138****5678", "1381234567": "****", "138123456789": "****", "": "****", "1381234567x": "****", "+8613812345": "****",
	} {
		require.Equal(t, want, party.MaskPhone(in))
	}
	for in, want := range map[string]string{
		"anna@example.com": "a***@example.com", "a@x": "a***@x", "李@例.cn": "李***@例.cn", "@x": "***", "": "***", "nobody": "***",
	} {
		require.Equal(t, want, party.MaskEmail(in))
	}
	for in, want := range map[string]string{
		"张三": "张*", "欧阳娜娜": "欧*", "张": "*", "": "*", "Ann": "A*",
	} {
		require.Equal(t, want, party.MaskName(in))
	}
	for in, want := range map[string]string{
		"110105199003071234": "110***********1234", "11010519900307123X": "110***********123X", "11010519900307123x": "110***********123x",
		"110105900307123": "110********7123", "1101051990030712X4": "****", "11010519900307123": "****", "１１０１０５": "****", "": "****",
	} {
		require.Equal(t, want, party.MaskIDCard(in))
	}
	for in, want := range map[string]string{
		"6222021234567890123": "622202*********0123", "6222021234567890": "622202******7890", "622202123456": "****",
		"62220212345678901234": "****", "6222 0212 3456 7890": "****", "": "****",
	} {
		require.Equal(t, want, party.MaskBankCard(in))
	}
	for in, want := range map[string]string{
		"13812345678": "138****5678", "anna@example.com": "a***@example.com", "2088101117955611": "************5611", "other": "****",
	} {
		require.Equal(t, want, party.MaskAccount(in))
	}
}

func TestAPayoutAccountPrintsMasked(t *testing.T) {
	t.Parallel()
	a := party.PayoutAccount{Channel: "alipay", Account: "13812345678", Name: "张三丰"}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "account", a)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "account", &a)
	holder := struct{ A *party.PayoutAccount }{&a}
	for _, shown := range []string{
		fmt.Sprint(a), fmt.Sprintf("%v %+v %#v %s %q", a, a, a, a, a), fmt.Sprint(&a), fmt.Sprintf("%+v", holder),
		fmt.Sprintf("%#v", struct{ A party.PayoutAccount }{a}), log.String(),
	} {
		require.NotContains(t, shown, "13812345678")
		require.NotContains(t, shown, "张三丰")
	}
	require.Contains(t, log.String(), "138****5678")
}
