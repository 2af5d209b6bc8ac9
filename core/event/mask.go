package event

import "regexp"

// hidden stands where something was masked.
const hidden = "***"

// Receivers answer with anything, also with what they were sent or with a page for
// their own developers. None of these may be kept.
var (
	keyed = regexp.MustCompile(`(?i)((?:pass(?:word|wd|phrase)?|pwd|secret|token|(?:api|private|access)[_-]?key|signature|` +
		`authorization|cookie|session(?:id)?)["']?\s*[:=]\s*["']?)(?:(?:bearer|basic)\s+)?[^\s"'&,;<>}]+`)
	marked = regexp.MustCompile(`(?i)\b(?:whsec_|sk_(?:live|test)_|sk-|ghp_|xox[a-z]-|AKIA|v1,|eyJ)[A-Za-z0-9+/=_.-]{8,}`)
	bearer = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=_.~-]{8,}`)
	pemKey = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|$)`)
	mail   = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}`)
	digits = regexp.MustCompile(`\+?\d(?:[ -]?\d){10,}[Xx]?`) // telephone, identity card, bank card
)

// mask hides secrets, e-mail addresses and long numbers in a text.
func mask(text string) string {
	text = pemKey.ReplaceAllString(text, hidden)
	text = keyed.ReplaceAllString(text, "${1}"+hidden)
	text = bearer.ReplaceAllString(text, "${1} "+hidden)
	text = marked.ReplaceAllString(text, hidden)
	text = mail.ReplaceAllString(text, hidden)
	return digits.ReplaceAllStringFunc(text, func(number string) string { return hidden + number[len(number)-4:] })
}
