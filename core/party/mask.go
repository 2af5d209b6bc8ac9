package party

import (
	"strings"
	"unicode/utf8"
)

// MaskPhone shows the first three and the last four digits of an 11-digit
// mobile number (138****5678) and nothing of any other text.
func MaskPhone(phone string) string {
	if len(phone) != 11 || !isDigits(phone) {
		return "****"
	}
	return phone[:3] + "****" + phone[7:]
}

// MaskEmail shows the first character and the domain (a***@example.com). A
// text without a name before an @ shows nothing.
func MaskEmail(email string) string {
	at := strings.LastIndexByte(email, '@')
	if at <= 0 {
		return "***"
	}
	_, first := utf8.DecodeRuneInString(email)
	return email[:first] + "***" + email[at:]
}

// MaskName shows the first character of a name of two or more (张*), and
// nothing of a shorter one; the length of the rest is hidden too.
func MaskName(name string) string {
	_, first := utf8.DecodeRuneInString(name)
	if first == len(name) {
		return "*"
	}
	return name[:first] + "*"
}

// MaskIDCard shows the first three and the last four characters of an identity card's
// number (110***********1234), which has 18 digits, the last of them perhaps an X, or the
// 15 of old ones, and nothing of any other text.
func MaskIDCard(number string) string {
	digits, ok := number, len(number) == 15 || len(number) == 18
	if ok && len(number) == 18 && strings.ContainsRune("Xx", rune(number[17])) {
		digits = number[:17]
	}
	if !ok || !isDigits(digits) {
		return "****"
	}
	return number[:3] + strings.Repeat("*", len(number)-7) + number[len(number)-4:]
}

// MaskBankCard shows the first six digits of a bank card's number, which are the bank's,
// and the last four (622202******1234), and nothing of a text that is no card number of
// 13 to 19 digits.
func MaskBankCard(number string) string {
	if len(number) < 13 || len(number) > 19 || !isDigits(number) {
		return "****"
	}
	return number[:6] + strings.Repeat("*", len(number)-10) + number[len(number)-4:]
}

// MaskAccount masks the login of a payee's wallet: as an e-mail address, as a
// phone number, or, for the provider's 16-digit user numbers, all but four.
func MaskAccount(account string) string {
	switch {
	case strings.Contains(account, "@"):
		return MaskEmail(account)
	case len(account) == 16 && isDigits(account):
		return "************" + account[12:]
	}
	return MaskPhone(account)
}

// MaskCard shows the last four digits of a bank card's number, and nothing of a text
// that is none.
func MaskCard(number string) string {
	if len(number) < 8 || !isDigits(number) {
		return "****"
	}
	return "****" + number[len(number)-4:]
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
