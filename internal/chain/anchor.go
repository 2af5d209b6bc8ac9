package chain

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Anchor is what leaves the database so that the database can be judged by it:
// the hashes of all seals since the anchor before, signed with a key that the
// database does not hold. Its JSON is what is signed, byte for byte.
type Anchor struct {
	Format string `json:"format"`
	// MadeAt is business time.
	MadeAt time.Time `json:"made_at"`
	// Previous is the SHA-256 of the anchor before, in hex; "" for the first.
	Previous string `json:"previous_sha256"`
	// Tenants are the chains of the books, one per tenant.
	Tenants []Anchored `json:"tenants"`
	// AuditLogs are those of the audit log: one per tenant and the platform's.
	AuditLogs []Anchored `json:"audit_logs"`
}

// Anchored holds the new seals of one chain. A chain without new ones repeats
// its last seal by number and hash only.
type Anchored struct {
	// Owner is a tenant, or who else the chain is of.
	Owner string `json:"tenant_id"`
	// Seal and Hash are the chain's last seal.
	Seal int64  `json:"seal"`
	Hash string `json:"hash"`
	// After, FromSeq and PrevHash say where the first of Blocks begins.
	After    int64           `json:"after"`
	FromSeq  int64           `json:"from_seq"`
	PrevHash string          `json:"prev_hash"`
	Blocks   []AnchoredBlock `json:"blocks"`
}

// AnchoredBlock is one seal, which begins where the one before ends.
type AnchoredBlock struct {
	ToSeq   int64  `json:"to_seq"`
	Entries int64  `json:"entries"`
	Hash    string `json:"hash"`
}

// The second format has the audit logs besides; anchors of the first are read.
const (
	anchorFormat      = "suanpan anchor 2"
	firstAnchorFormat = "suanpan anchor 1"
)

// kinds lists an anchor's chains by what they are of.
func (a *Anchor) kinds() map[Kind]*[]Anchored {
	return map[Kind]*[]Anchored{Books: &a.Tenants, AuditLog: &a.AuditLogs}
}

// MakeAnchor reads the seals that pins do not have yet. previous is the bytes of the
// newest anchor, nil before the first.
func MakeAnchor(madeAt time.Time, pins *Pins, previous []byte, all ...Chains) (Anchor, error) {
	anchor := Anchor{Format: anchorFormat, MadeAt: madeAt.UTC(), Tenants: []Anchored{}, AuditLogs: []Anchored{}}
	if previous != nil {
		sum := sha256.Sum256(previous)
		anchor.Previous = hex.EncodeToString(sum[:])
	}
	for _, chains := range all {
		into := anchor.kinds()[chains.Kind]
		for _, owner := range chains.Owners {
			one, err := chains.anchor(owner, pins)
			if err != nil {
				return anchor, fmt.Errorf("anchor: %w", err)
			}
			if one.Seal > 0 {
				*into = append(*into, one)
			}
		}
	}
	return anchor, nil
}

// anchor refuses to sign a chain that does not continue what was anchored.
func (c Chains) anchor(owner string, pins *Pins) (Anchored, error) {
	last := Nothing()
	if known, ok := pins.Seal(c.Kind, owner, pins.Last(c.Kind, owner)); ok {
		last = known
		now, err := c.Seals(owner, last.Number-1)
		if err != nil {
			return Anchored{}, err
		}
		if len(now) == 0 || !now[0].Is(last) {
			return Anchored{}, c.notContinued(owner, last.Number)
		}
	}
	out := Anchored{Owner: owner, After: last.Number, FromSeq: last.To, PrevHash: hex.EncodeToString(last.Hash),
		Blocks: []AnchoredBlock{}}
	for {
		seals, err := c.Seals(owner, last.Number)
		if err != nil {
			return out, err
		}
		for _, s := range seals {
			if !s.Continues(last) {
				return out, c.notContinued(owner, last.Number)
			}
			out.Blocks = append(out.Blocks, AnchoredBlock{ToSeq: s.To, Entries: s.Entries, Hash: hex.EncodeToString(s.Hash)})
			last = s
		}
		if len(seals) == 0 {
			out.Seal, out.Hash = last.Number, hex.EncodeToString(last.Hash)
			return out, nil
		}
	}
}

func (c Chains) notContinued(owner string, number int64) error {
	return fmt.Errorf("the chain of the %s of %s no longer continues from seal %d: run `starter verify` with the anchors",
		c.Kind, owner, number)
}

// Seals is how many new ones the anchor has.
func (a Anchor) Seals() (n int) {
	for _, chains := range a.kinds() {
		for _, one := range *chains {
			n += len(one.Blocks)
		}
	}
	return n
}

// Sign returns the bytes of the anchor and their Ed25519 signature.
func (a Anchor) Sign(key ed25519.PrivateKey) (text, signature []byte, err error) {
	text, err = json.MarshalIndent(a, "", " ")
	if err != nil {
		return nil, nil, fmt.Errorf("anchor: %w", err)
	}
	text = append(text, '\n')
	return text, ed25519.Sign(key, text), nil
}
