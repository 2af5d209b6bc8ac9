package chain

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Pins are what a chain of anchors says about seals. The nil Pins say nothing.
type Pins struct {
	chains map[whose][]Seal
	// newest is the SHA-256 of the newest anchor.
	newest string
	count  int
	// logs: an anchor was added that speaks of audit logs.
	logs bool
}

// whose names one chain.
type whose struct {
	kind  Kind
	owner string
}

// Add takes in the next anchor, oldest first, and returns an error unless it is
// signed by the key and continues the ones before.
func (p *Pins) Add(key ed25519.PublicKey, text, signature []byte) error {
	if !ed25519.Verify(key, text, signature) {
		return errors.New("the signature is not of this key over these bytes")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var anchor Anchor
	if err := decoder.Decode(&anchor); err != nil {
		return fmt.Errorf("not an anchor of the form %q: %w", anchorFormat, err)
	}
	if err := p.form(&anchor); err != nil {
		return err
	}
	if anchor.Previous != p.newest {
		return errors.New("does not continue the anchor before it: one is missing or extra")
	}
	if p.chains == nil {
		p.chains = map[whose][]Seal{}
	}
	for kind, chains := range anchor.kinds() {
		for _, one := range *chains {
			if err := p.add(kind, one); err != nil {
				return fmt.Errorf("the %s of %s: %w", kind, one.Owner, err)
			}
		}
	}
	sum := sha256.Sum256(text)
	p.newest = hex.EncodeToString(sum[:])
	p.count++
	p.logs = p.logs || anchor.Format == anchorFormat
	return nil
}

// form refuses anchors of other forms. One of the first cannot follow one of the second:
// what was anchored of the audit logs would end there, unseen.
func (p *Pins) form(a *Anchor) error {
	switch {
	case a.Format == anchorFormat:
		return nil
	case a.Format != firstAnchorFormat:
		return fmt.Errorf("not an anchor of the form %q but %q", anchorFormat, a.Format)
	case a.AuditLogs != nil:
		return fmt.Errorf("an anchor of the form %q speaks of no audit logs, and this one does", firstAnchorFormat)
	case p.logs:
		return fmt.Errorf("is of the form %q, and one before it of the form %q", firstAnchorFormat, anchorFormat)
	}
	return nil
}

// Silent lists the kinds of chains that none of the anchors speaks of: they prove nothing
// about those. Anchors of the first form speak of the books alone.
func (p *Pins) Silent() []Kind {
	if p == nil || p.logs {
		return nil
	}
	return []Kind{AuditLog}
}

func (p *Pins) add(kind Kind, a Anchored) error {
	known := p.chains[whose{kind, a.Owner}]
	from, number := a.FromSeq, a.After
	prev, err := hex.DecodeString(a.PrevHash)
	if err != nil || int64(len(known)) != number {
		return fmt.Errorf("its blocks begin after seal %d, the anchors before end with seal %d", number, len(known))
	}
	for _, block := range a.Blocks {
		hash, err := hex.DecodeString(block.Hash)
		if err != nil || len(hash) != sha256.Size {
			return errors.New("a hash is not 32 bytes in hex")
		}
		number++
		known = append(known, Seal{Number: number, From: from, To: block.ToSeq, Entries: block.Entries, Prev: prev, Hash: hash})
		from, prev = block.ToSeq, hash
	}
	p.chains[whose{kind, a.Owner}] = known
	return nil
}

// Count is how many anchors were added.
func (p *Pins) Count() int {
	if p == nil {
		return 0
	}
	return p.count
}

// Owners lists those whose chains of a kind the anchors know, in order.
func (p *Pins) Owners(kind Kind) []string {
	if p == nil {
		return nil
	}
	var out []string
	for of := range p.chains {
		if of.kind == kind {
			out = append(out, of.owner)
		}
	}
	slices.Sort(out)
	return out
}

// Last is the number of the last seal of a chain that the anchors know, or 0.
func (p *Pins) Last(kind Kind, owner string) int64 {
	if p == nil {
		return 0
	}
	return int64(len(p.chains[whose{kind, owner}]))
}

// Seal is what a seal must be; false if no anchor has it.
func (p *Pins) Seal(kind Kind, owner string, number int64) (Seal, bool) {
	if number < 1 || number > p.Last(kind, owner) {
		return Seal{}, false
	}
	return p.chains[whose{kind, owner}][number-1], true
}
