package ledger

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// Anchor is what leaves the database so that the database can be judged by it:
// the hashes of all seals since the anchor before, signed with a key that the
// database does not hold. Its JSON is what is signed, byte for byte.
type Anchor struct {
	Format string `json:"format"`
	// MadeAt is business time.
	MadeAt time.Time `json:"made_at"`
	// Previous is the SHA-256 of the anchor before, in hex; "" for the first.
	Previous string         `json:"previous_sha256"`
	Tenants  []TenantAnchor `json:"tenants"`
}

// TenantAnchor holds the new seals of a tenant. A tenant without new ones
// repeats its last seal by number and hash only.
type TenantAnchor struct {
	TenantID string `json:"tenant_id"`
	// Seal and Hash are the tenant's last seal.
	Seal int64  `json:"seal"`
	Hash string `json:"hash"`
	// After, FromSeq and PrevHash say where the first of Blocks begins.
	After    int64         `json:"after"`
	FromSeq  int64         `json:"from_seq"`
	PrevHash string        `json:"prev_hash"`
	Blocks   []AnchorBlock `json:"blocks"`
}

// AnchorBlock is one seal, which begins where the one before ends.
type AnchorBlock struct {
	ToSeq   int64  `json:"to_seq"`
	Entries int64  `json:"entries"`
	Hash    string `json:"hash"`
}

const anchorFormat = "suanpan anchor 1"

// MakeAnchor reads the seals that pins do not have yet. It needs the system
// role. previous is the bytes of the newest anchor, nil before the first.
func MakeAnchor(ctx context.Context, q pg.Querier, pins *Pins, previous []byte) (Anchor, error) {
	anchor := Anchor{Format: anchorFormat, Tenants: []TenantAnchor{}}
	if previous != nil {
		sum := sha256.Sum256(previous)
		anchor.Previous = hex.EncodeToString(sum[:])
	}
	if err := q.QueryRow(ctx, `select suanpan_now()`).Scan(&anchor.MadeAt); err != nil {
		return anchor, fmt.Errorf("ledger: anchor: %w", err)
	}
	anchor.MadeAt = anchor.MadeAt.UTC()
	rows, err := q.Query(ctx, `select id from tenants order by id`)
	if err != nil {
		return anchor, fmt.Errorf("ledger: anchor: %w", err)
	}
	tenants, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return anchor, fmt.Errorf("ledger: anchor: %w", err)
	}
	for _, tenant := range tenants {
		one, err := anchorTenant(ctx, q, tenant, pins)
		if err != nil {
			return anchor, err
		}
		if one.Seal > 0 {
			anchor.Tenants = append(anchor.Tenants, one)
		}
	}
	return anchor, nil
}

// anchorTenant refuses to sign a chain that does not continue what was anchored.
func anchorTenant(ctx context.Context, q pg.Querier, tenant string, pins *Pins) (TenantAnchor, error) {
	last := Seal{Hash: make([]byte, sha256.Size)}
	if known, ok := pins.pin(tenant, pins.last(tenant)); ok {
		last = Seal{Number: known.number, ToSeq: known.to, Hash: known.hash}
		var stands bool
		err := q.QueryRow(ctx, `select exists (select from seals where tenant_id = $1 and number = $2 and hash = $3)`,
			tenant, last.Number, last.Hash).Scan(&stands)
		if err != nil {
			return TenantAnchor{}, fmt.Errorf("ledger: anchor: %w", err)
		}
		if !stands {
			return TenantAnchor{}, notContinued(tenant, last.Number)
		}
	}
	out := TenantAnchor{TenantID: tenant, After: last.Number, FromSeq: last.ToSeq, PrevHash: hex.EncodeToString(last.Hash),
		Blocks: []AnchorBlock{}}
	for {
		seals, err := Seals(ctx, q, tenant, last.Number)
		if err != nil {
			return out, err
		}
		for _, s := range seals {
			if !s.continues(last) {
				return out, notContinued(tenant, last.Number)
			}
			out.Blocks = append(out.Blocks, AnchorBlock{ToSeq: s.ToSeq, Entries: s.Entries, Hash: hex.EncodeToString(s.Hash)})
			last = s
		}
		if len(seals) == 0 {
			out.Seal, out.Hash = last.Number, hex.EncodeToString(last.Hash)
			return out, nil
		}
	}
}

func notContinued(tenant string, number int64) error {
	return fmt.Errorf("ledger: the chain of %s no longer continues from seal %d: run `starter verify` with the anchors", tenant, number)
}

// Sign returns the bytes of the anchor and their Ed25519 signature.
func (a Anchor) Sign(key ed25519.PrivateKey) (text, signature []byte, err error) {
	text, err = json.MarshalIndent(a, "", " ")
	if err != nil {
		return nil, nil, fmt.Errorf("ledger: anchor: %w", err)
	}
	text = append(text, '\n')
	return text, ed25519.Sign(key, text), nil
}

// Pins are what a chain of anchors says about seals. The nil Pins say nothing.
type Pins struct {
	byTenant map[string][]pin
	// newest is the SHA-256 of the newest anchor.
	newest string
	count  int
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
	if err := decoder.Decode(&anchor); err != nil || anchor.Format != anchorFormat {
		return fmt.Errorf("not an anchor of the form %q: %w", anchorFormat, err)
	}
	if anchor.Previous != p.newest {
		return errors.New("does not continue the anchor before it: one is missing or extra")
	}
	if p.byTenant == nil {
		p.byTenant = map[string][]pin{}
	}
	for _, tenant := range anchor.Tenants {
		if err := p.addTenant(tenant); err != nil {
			return fmt.Errorf("%s: %w", tenant.TenantID, err)
		}
	}
	sum := sha256.Sum256(text)
	p.newest = hex.EncodeToString(sum[:])
	p.count++
	return nil
}

func (p *Pins) addTenant(t TenantAnchor) error {
	known := p.byTenant[t.TenantID]
	from, number := t.FromSeq, t.After
	prev, err := hex.DecodeString(t.PrevHash)
	if err != nil || int64(len(known)) != number {
		return fmt.Errorf("its blocks begin after seal %d, the anchors before end with seal %d", number, len(known))
	}
	for _, block := range t.Blocks {
		hash, err := hex.DecodeString(block.Hash)
		if err != nil || len(hash) != sha256.Size {
			return errors.New("a hash is not 32 bytes in hex")
		}
		number++
		known = append(known, pin{number: number, from: from, to: block.ToSeq, entries: block.Entries, prev: prev, hash: hash, anchored: true})
		from, prev = block.ToSeq, hash
	}
	p.byTenant[t.TenantID] = known
	return nil
}

// Count is how many anchors were added.
func (p *Pins) Count() int {
	if p == nil {
		return 0
	}
	return p.count
}

// Tenants lists those that the anchors know.
func (p *Pins) Tenants() []string {
	if p == nil {
		return nil
	}
	var out []string
	for tenant := range p.byTenant {
		out = append(out, tenant)
	}
	slices.Sort(out)
	return out
}

func (p *Pins) last(tenant string) int64 {
	if p == nil {
		return 0
	}
	return int64(len(p.byTenant[tenant]))
}

func (p *Pins) pin(tenant string, number int64) (pin, bool) {
	if p == nil || number < 1 || number > int64(len(p.byTenant[tenant])) {
		return pin{}, false
	}
	return p.byTenant[tenant][number-1], true
}
