// Package id owns the identifiers of the platform: a prefix that names the
// kind of object and a 26-character ULID. Ids are minted where a request is
// accepted and never change; the part after the prefix sorts by time and has
// 80 random bits.
package id

import (
	"crypto/rand"
	"errors"
	"strings"

	"github.com/oklog/ulid/v2"
)

// Prefix names a kind of object.
type Prefix string

// The prefixes of the public contract.
const (
	Tenant         Prefix = "ten"
	APIKey         Prefix = "key"
	SigningKey     Prefix = "sgk"
	OperatorKey    Prefix = "opk"
	Merchant       Prefix = "mch"
	ChannelAccount Prefix = "chn"
	Credential     Prefix = "crd"
	Payment        Prefix = "pay"
	PaymentLink    Prefix = "lnk"
	Attempt        Prefix = "att"
	Refund         Prefix = "rfd"
	Withdrawal     Prefix = "wdr"
	Transfer       Prefix = "trf"
	TransferBatch  Prefix = "trb"
	Account        Prefix = "acc"
	Entry          Prefix = "ent"
	Hold           Prefix = "hld"
	SplitRule      Prefix = "spr"
	Split          Prefix = "spl"
	Settlement     Prefix = "stl"
	Daily          Prefix = "dop"
	Reconciliation Prefix = "rec"
	Discrepancy    Prefix = "dsc"
	Event          Prefix = "evt"
	Endpoint       Prefix = "whe"
	Principal      Prefix = "prn"
	Approval       Prefix = "apv"
	Redelivery     Prefix = "whr"
	AuditEntry     Prefix = "aud"
	Person         Prefix = "per"
	Unmasking      Prefix = "unm"
)

// New mints an id with prefix p.
func New(p Prefix) string { return string(p) + "_" + Number() }

// Number mints a bare ULID: the form of every number sent to a provider.
func Number() string { return ulid.MustNew(ulid.Now(), rand.Reader).String() }

// ErrMalformed says that a text is not an id of the asked kind.
var ErrMalformed = errors.New("malformed id")

// Check returns ErrMalformed unless s is p, an underscore and a ULID in upper case.
func Check(p Prefix, s string) error {
	rest, ok := strings.CutPrefix(s, string(p)+"_")
	if !ok {
		return ErrMalformed
	}
	u, err := ulid.ParseStrict(rest)
	if err != nil || u.String() != rest {
		return ErrMalformed
	}
	return nil
}
