package signature

import (
	"encoding/base64"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The bounds of the two fields.
const (
	maxInput     = 1024
	maxSignature = 256
)

// Claim is what the fields Signature-Input and Signature say, before anything is
// verified.
type Claim struct {
	// Components are the covered components in the signer's order, without repetition.
	Components []string
	// KeyID names the signing key; Nonce makes the signature good once.
	KeyID, Nonce string
	// Created and Expires are the signer's own times, to the second.
	Created, Expires time.Time

	// params is the member of Signature-Input as it was sent, which is its only
	// canonical form.
	params string
	value  []byte
}

// ErrMalformed says that the two fields are not of the one form that is taken.
var ErrMalformed = errors.New("signature fields malformed")

var (
	memberForm = regexp.MustCompile(`^([a-z][a-z0-9_-]{0,31})=(\(("[a-z@][a-z0-9-]{0,31}"(?: "[a-z@][a-z0-9-]{0,31}")*)\)` +
		`((?:;[a-z]+=(?:[0-9]{1,15}|"[!#-\[\]-~]{1,64}"))+))$`)
	signatureForm = regexp.MustCompile(`^([a-z][a-z0-9_-]{0,31})=:([A-Za-z0-9+/]{86}==):$`)
)

// Parse reads the two fields: one member in each, under the same label. Everything
// that structured fields allow besides (other members, white space, other kinds of
// values, parameters of components) is ErrMalformed.
func Parse(input, signature string) (Claim, error) {
	if len(input) > maxInput || len(signature) > maxSignature {
		return Claim{}, ErrMalformed
	}
	member, sig := memberForm.FindStringSubmatch(input), signatureForm.FindStringSubmatch(signature)
	if member == nil || sig == nil || member[1] != sig[1] {
		return Claim{}, ErrMalformed
	}
	c := Claim{params: member[2]}
	for quoted := range strings.SplitSeq(member[3], " ") {
		name := strings.Trim(quoted, `"`)
		if slices.Contains(c.Components, name) {
			return Claim{}, ErrMalformed
		}
		c.Components = append(c.Components, name)
	}
	var err error
	if c.value, err = base64.StdEncoding.Strict().DecodeString(sig[2]); err != nil {
		return Claim{}, ErrMalformed
	}
	return c, c.readParams(member[4][1:])
}

// readParams takes each parameter once, in any order.
func (c *Claim) readParams(params string) error {
	seen := map[string]bool{}
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if seen[name] {
			return ErrMalformed
		}
		seen[name] = true
		text, quoted := strings.CutPrefix(value, `"`)
		text = strings.TrimSuffix(text, `"`)
		seconds, err := strconv.ParseInt(value, 10, 64)
		switch {
		case name == "created" && err == nil:
			c.Created = time.Unix(seconds, 0)
		case name == "expires" && err == nil:
			c.Expires = time.Unix(seconds, 0)
		case name == "keyid" && quoted:
			c.KeyID = text
		case name == "nonce" && quoted:
			c.Nonce = text
		case name == "alg" && text == "ed25519" && quoted:
		default:
			return ErrMalformed
		}
	}
	return nil
}
