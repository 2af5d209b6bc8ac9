package chain

import (
	"bytes"
	"crypto/sha256"
)

// Seal is what is known of one block of a chain: its rows have From < seq <= To.
type Seal struct {
	Number, From, To, Entries int64
	// Prev is the hash of the seal before, zeros before the first.
	Prev, Hash []byte
}

// Nothing is the seal before the first: number 0 with a hash of zeros.
func Nothing() Seal { return Seal{Hash: make([]byte, sha256.Size)} }

// Continues reports whether s begins where before ends.
func (s Seal) Continues(before Seal) bool {
	return s.Number == before.Number+1 && s.From == before.To && bytes.Equal(s.Prev, before.Hash)
}

// Is reports whether s is the very seal that another is.
func (s Seal) Is(other Seal) bool {
	return s.Number == other.Number && s.From == other.From && s.To == other.To && s.Entries == other.Entries &&
		bytes.Equal(s.Prev, other.Prev) && bytes.Equal(s.Hash, other.Hash)
}

// Kind says what chains are of.
type Kind string

// What is sealed.
const (
	Books    Kind = "books"
	AuditLog Kind = "audit log"
)

// Chains are all the chains of one kind, as whoever owns their rows reads them.
type Chains struct {
	Kind Kind
	// Owners are whose chains there may be, in order.
	Owners []string
	// Seals lists an owner's seals after a number, oldest first, some at a time; none
	// after the last.
	Seals func(owner string, after int64) ([]Seal, error)
}
