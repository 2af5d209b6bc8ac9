package event

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExcerptsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	const pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"
	for text, canary := range map[string]string{
		`{"password":"Hunter2!x"}`:                                 "Hunter2",
		`password=Hunter2 ok`:                                      "Hunter2",
		`db_passwd: Hunter2`:                                       "Hunter2",
		`<i>secret = "s3cr3t"</i>`:                                 "s3cr3t",
		`api_key=AbCdEf123456`:                                     "AbCdEf",
		`"access-key": "AbCdEf123456"`:                             "AbCdEf",
		`Authorization: Bearer abcdef0123456789`:                   "abcdef0123",
		`got header bearer abcdef0123456789`:                       "abcdef0123",
		`Set-Cookie: sid=qwertyuiop`:                               "qwerty",
		`unknown secret whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD`:    "C2FVsBQ",
		`key sk_live_0123456789abcdefghijABCDEFGHIJ is not known`:  "0123456789abc",
		`expected v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=`: "g0hM9",
		`eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3`:    "dozjg",
		pem:                          "MIIEow",
		pem[:50]:                     "MIIEow",
		`mail zhang.san@example.com`: "zhang.san",
		`call 13812345678 now`:       "138123",
		`+86 138 1234 5678`:          "1234 5",
		`id 11010519491231002X`:      "110105",
		`card 6222021234567890123`:   "622202",
		`card 6222-0212-3456-7890`:   "0212",
	} {
		got := excerpt([]byte(text))
		require.NotContains(t, got, canary, text)
		require.Contains(t, got, hidden, text)
	}
	for _, plain := range []string{
		"thank you", "evt_01JD8Y3K5T7W9ABCDEFGHJKMNP stored", `{"ok":true,"took_ms":12}`, "internal server error at 2026-11-30", "HTTP 500",
	} {
		require.Equal(t, plain, excerpt([]byte(plain)))
	}
	// A secret across the cut is masked before the cut.
	long := strings.Repeat("x", maxAnswerRunes-10) + " whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	require.NotContains(t, excerpt([]byte(long)), "whsec_C")
}
