package chain

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// Digest is what a seal keeps of one row: enough to prove it, and to point at
// the part that was changed.
type Digest struct {
	Seq int64
	// Hash is SHA-256 over the row's canonical bytes and those of what belongs to it.
	Hash [sha256.Size]byte
	// Parts are CRC-32C sums, of the row's own bytes first and then of what belongs to
	// it. They only point: the hash proves, and the seal covers them too.
	Parts []uint32
}

// Append adds the digest's bytes to b.
func (d Digest) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(d.Seq))
	b = binary.BigEndian.AppendUint16(b, uint16(len(d.Parts)))
	b = append(b, d.Hash[:]...)
	for _, part := range d.Parts {
		b = binary.BigEndian.AppendUint32(b, part)
	}
	return b
}

// ReadDigests is the reverse of Append, for a whole block.
func ReadDigests(b []byte) ([]Digest, error) {
	const head = 8 + 2 + sha256.Size
	var out []Digest
	for len(b) > 0 {
		if len(b) < head {
			return nil, errDigests()
		}
		d := Digest{Seq: int64(binary.BigEndian.Uint64(b))}
		parts := int(binary.BigEndian.Uint16(b[8:]))
		copy(d.Hash[:], b[10:])
		if b = b[head:]; len(b) < 4*parts {
			return nil, errDigests()
		}
		for i := range parts {
			d.Parts = append(d.Parts, binary.BigEndian.Uint32(b[4*i:]))
		}
		out, b = append(out, d), b[4*parts:]
	}
	return out, nil
}

func errDigests() error { return errors.New("the digests of a seal are cut off") }

// Block is a stretch of a chain: the rows of its owner with From < seq <= To.
type Block struct {
	// Format names the canonical bytes and never means others; Owner is the tenant.
	Format, Owner    string
	Number, From, To int64
	Rows             int64
	// Prev is the hash of the block before, zeros before the first.
	Prev []byte
}

// Hash ties the block's digests to the block before.
func (k Block) Hash(digests []byte) []byte {
	b := PutText(nil, []byte(k.Format))
	b = PutText(b, []byte(k.Owner))
	for _, n := range []int64{k.Number, k.From, k.To, k.Rows} {
		b = PutInt(b, n)
	}
	b = PutText(b, k.Prev)
	h := sha256.New()
	h.Write(b)
	h.Write(digests)
	return h.Sum(nil)
}

// Compare walks two lists of digests, as sealed and as found, in the order of seq,
// and calls one of its functions for each difference.
func Compare(sealed, found []Digest, missing func(Digest) error, extra func(Digest) error, changed func(sealed, found Digest) error) error {
	i, j := 0, 0
	for i < len(sealed) || j < len(found) {
		var err error
		switch {
		case j == len(found) || i < len(sealed) && sealed[i].Seq < found[j].Seq:
			err = missing(sealed[i])
			i++
		case i == len(sealed) || found[j].Seq < sealed[i].Seq:
			err = extra(found[j])
			j++
		default:
			if sealed[i].Hash != found[j].Hash {
				err = changed(sealed[i], found[j])
			}
			i, j = i+1, j+1
		}
		if err != nil {
			return err
		}
	}
	return nil
}
