package guard

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// fields is what is kept of a request or an answer. Only what is named in calls.go
// comes in: amounts, our own words, numbers of the provider. Never a subject, a
// reason, a payer, an address, a code that pays, an action (its parameters are
// signed) or a provider's text.
type fields map[string]string

func (f fields) with(name, value string) fields {
	if value != "" {
		f[name] = value
	}
	return f
}

// amount keeps an amount in minor units with its currency; nothing for none.
func (f fields) amount(name string, a money.Amount) fields {
	if a.Currency == "" {
		return f
	}
	return f.with(name, strconv.FormatInt(a.Minor, 10)+" "+channel.PlainCode(string(a.Currency)))
}

// no keeps a provider's number of something.
func (f fields) no(name, number string) fields { return f.with(name, channel.PlainCode(number)) }

func (f fields) moment(name string, at time.Time) fields {
	if at.IsZero() {
		return f
	}
	return f.with(name, at.UTC().Format(time.RFC3339))
}

// codeFirst is a provider's code at the start of a message.
var codeFirst = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.]{1,63}$`)

// providerCode is the provider's own code where an adapter put a word of this
// platform in its place: it then begins the message.
func providerCode(answer channel.Answer) string {
	ours := []string{channel.CodeNotFound, channel.CodeTradePaid, channel.CodeChannelBalance, channel.CodeReturned, channel.CodeAbnormal,
		channel.CodeRepeatOver}
	code, _, _ := strings.Cut(answer.Message, ":")
	if !slices.Contains(ours, answer.Code) || !codeFirst.MatchString(code) {
		return ""
	}
	return code
}
