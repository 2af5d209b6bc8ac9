package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/suanpan/suanpan/money"
)

// Reference is the business fact an entry books: a kind, the number of the
// object it belongs to, and the phase of that object. It is unique per tenant
// for ever.
type Reference struct {
	Kind   Kind
	Number string
	Phase  string
}

func (r Reference) String() string { return string(r.Kind) + " " + r.Number + "/" + r.Phase }

// Posting is one signed leg of an entry.
type Posting struct {
	Account AccountKey
	// Amount is in minor units: + debit, − credit, never zero.
	Amount int64
	// FromHold is the reference of the hold this posting captures from, or "".
	FromHold string
}

// Entry is a journal entry to be booked. Its postings balance in each book.
type Entry struct {
	Reference
	Currency money.Currency
	// ChannelDate is the provider's own day, YYYY-MM-DD, or "".
	ChannelDate string
	Postings    []Posting
	// Metadata holds ids and words for the reader of the books. Entries are kept
	// for ever, so it must not hold personal data: name an id that core/party
	// knows. Keys are lower case: letters, digits and _.
	Metadata map[string]string
	// Reverses is the id of the entry that this one corrects, or "". An entry of
	// kind reversal names one, and each entry is reversed at most once.
	Reverses string
}

// Bounds of an entry's parts. A posting count above maxLegs is a batch in disguise.
const (
	maxLegs      = 1000
	maxNumber    = 128
	maxPhase     = 64
	maxMetadata  = 32
	maxMetaValue = 2048
	maxName      = 64
)

// Check returns an *Error for the first rule of form that e breaks: reference,
// currency, at least two legs, no zero leg, amounts in range, one currency,
// balance per book, and the class matrix. What depends on the state of the
// books (funds, holds, custody mode) is checked by Post.
func (e Entry) Check() error {
	if err := e.checkHead(); err != nil {
		return err
	}
	if len(e.Postings) < 2 || len(e.Postings) > maxLegs {
		return &Error{Unbalanced, "postings", fmt.Sprintf("an entry has 2 to %d postings, this one has %d", maxLegs, len(e.Postings))}
	}
	sums := map[Book]int64{}
	for i, p := range e.Postings {
		field := fmt.Sprintf("postings[%d]", i)
		info, err := p.Account.check(field + ".account")
		if err != nil {
			return err
		}
		if p.Account.Currency != e.Currency {
			return &Error{Invalid, field + ".account.currency", fmt.Sprintf("the entry is in %s, the account in %s", e.Currency, p.Account.Currency)}
		}
		if p.Amount == 0 || p.Amount > money.MaxMinor || p.Amount < -money.MaxMinor {
			return &Error{Invalid, field + ".amount", fmt.Sprintf(
				"an amount is between 1 and %d minor units on either side, not %d", money.MaxMinor, p.Amount)}
		}
		if p.FromHold != "" && (!info.Floored || p.Amount*info.NormalSide.sign() > 0) {
			return &Error{Invalid, field + ".from_hold", "only a posting that takes money out of an account with a floor captures a hold"}
		}
		if !slices.Contains(e.Kind.Classes(), info.Class) {
			return &Error{Forbidden, field + ".account.type", fmt.Sprintf(
				"an entry of kind %s may not touch class %s (account type %s)", e.Kind, info.Class, info.Type)}
		}
		// At most maxLegs amounts of at most MaxMinor: the sum stays within int64.
		sums[info.Book] += p.Amount
	}
	for _, book := range []Book{Trust, Own} {
		if sums[book] != 0 {
			return &Error{Unbalanced, "postings", fmt.Sprintf("debits and credits of the %s book differ by %d", book, sums[book])}
		}
	}
	return nil
}

func (e Entry) checkHead() error {
	switch {
	case e.Kind.Classes() == nil:
		return &Error{Invalid, "kind", fmt.Sprintf("no such kind of entry: %q", string(e.Kind))}
	case e.Number == "" || !isText(e.Number, maxNumber):
		return &Error{Invalid, "number", fmt.Sprintf("1 to %d bytes of text", maxNumber)}
	case e.Phase == "" || !isText(e.Phase, maxPhase):
		return &Error{Invalid, "phase", fmt.Sprintf("1 to %d bytes of text", maxPhase)}
	case !e.Currency.Valid():
		return &Error{Invalid, "currency", fmt.Sprintf("no books are kept in %q", string(e.Currency))}
	case e.Kind == Reversal && e.Reverses == "":
		return &Error{Invalid, "reverses", "a reversal names the entry it reverses"}
	case len(e.Metadata) > maxMetadata:
		return &Error{Invalid, "metadata", fmt.Sprintf("at most %d keys", maxMetadata)}
	}
	if e.ChannelDate != "" {
		if _, err := time.Parse(time.DateOnly, e.ChannelDate); err != nil {
			return &Error{Invalid, "channel_date", fmt.Sprintf("%q is not a date as YYYY-MM-DD", e.ChannelDate)}
		}
	}
	for key, value := range e.Metadata {
		if !isMetaKey(key) || !isText(value, maxMetaValue) {
			return &Error{Invalid, "metadata", fmt.Sprintf(
				"key %q: keys are 1 to %d of a-z, 0-9 and _, values up to %d bytes of text", key, maxPhase, maxMetaValue)}
		}
	}
	return nil
}

// check returns the chart's line for the key's type.
func (k AccountKey) check(field string) (TypeInfo, error) {
	info, ok := k.Type.Info()
	switch {
	case !ok:
		return info, &Error{Invalid, field + ".type", fmt.Sprintf("the chart has no account type %q", string(k.Type))}
	case info.Owned && k.Owner == "":
		return info, &Error{Invalid, field + ".owner", fmt.Sprintf("an account of type %s names its owner", k.Type)}
	case !info.Owned && k.Owner != "":
		return info, &Error{Invalid, field + ".owner", fmt.Sprintf("an account of type %s has no owner", k.Type)}
	case !isText(k.Owner, maxNumber):
		return info, &Error{Invalid, field + ".owner", fmt.Sprintf("at most %d bytes of text", maxNumber)}
	case !isText(k.Name, maxName):
		return info, &Error{Invalid, field + ".name", fmt.Sprintf("at most %d bytes of text", maxName)}
	case !k.Currency.Valid():
		return info, &Error{Invalid, field + ".currency", fmt.Sprintf("no books are kept in %q", string(k.Currency))}
	}
	return info, nil
}

func isMetaKey(key string) bool {
	return key != "" && len(key) <= maxPhase && strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// isText reports whether s is UTF-8 that PostgreSQL stores, of at most max bytes.
func isText(s string, max int) bool {
	return len(s) <= max && utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// contentHash is what "same content" means for a reference used again: SHA-256
// over currency, channel date, reversed entry, postings in order and metadata.
func (e Entry) contentHash() []byte {
	h := sha256.New()
	writeText(h, "suanpan entry 1", string(e.Currency), e.ChannelDate, e.Reverses)
	writeInt(h, int64(len(e.Postings)))
	for _, p := range e.Postings {
		writeText(h, string(p.Account.Type), p.Account.Owner, string(p.Account.Currency), p.Account.Name, p.FromHold)
		writeInt(h, p.Amount)
	}
	for _, key := range slices.Sorted(maps.Keys(e.Metadata)) {
		writeText(h, key, e.Metadata[key])
	}
	return h.Sum(nil)
}

// writeText writes each text with its length before it, so that no two
// different lists of texts give the same bytes.
func writeText(h hash.Hash, texts ...string) {
	for _, text := range texts {
		writeInt(h, int64(len(text)))
		h.Write([]byte(text))
	}
}

func writeInt(h hash.Hash, n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	h.Write(b[:])
}
