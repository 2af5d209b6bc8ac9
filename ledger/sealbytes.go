package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
)

// The canonical bytes of the books: what a seal is a hash of. They depend on no
// database and no version of one, so that anybody can compute them again; the
// format is documented in docs/ledger.md and never changes within sealFormat.
//
// A text is its length as four bytes, big-endian, and its UTF-8 bytes; null is
// the length 0xffffffff. A number is eight bytes, big-endian, two's complement,
// preceded by a length of 8. A time is microseconds since 1970 in UTC.
const sealFormat = "suanpan seal 1"

const nullLength = 0xffffffff

func putText(b, text []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	return append(b, text...)
}

func putInt(b []byte, n int64) []byte {
	b = binary.BigEndian.AppendUint32(b, 8)
	return binary.BigEndian.AppendUint64(b, uint64(n))
}

func putNull(b []byte) []byte { return binary.BigEndian.AppendUint32(b, nullLength) }

// putRaw appends a text as PostgreSQL sent it; nil is null.
func putRaw(b, raw []byte) []byte {
	if raw == nil {
		return putNull(b)
	}
	return putText(b, raw)
}

func putIntOrNull(b []byte, n int64, there bool) []byte {
	if !there {
		return putNull(b)
	}
	return putInt(b, n)
}

// rawInt reads a bigint or smallint in PostgreSQL's binary form; null is 0.
func rawInt(raw []byte) int64 {
	switch len(raw) {
	case 8:
		return int64(binary.BigEndian.Uint64(raw))
	case 2:
		return int64(int16(binary.BigEndian.Uint16(raw)))
	}
	return 0
}

// canonicalMetadata sorts the keys: jsonb has an order of its own.
func canonicalMetadata(raw []byte) []byte {
	if string(raw) == "{}" {
		return raw
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return raw
	}
	var out []byte
	for _, key := range slices.Sorted(maps.Keys(object)) {
		text, isText := object[key].(string)
		if !isText {
			return raw // nothing this package wrote
		}
		out = putText(putText(out, []byte(key)), []byte(text))
	}
	return out
}

// digest is what a seal keeps of one entry: enough to prove it, and to point at
// the part that was changed.
type digest struct {
	seq int64
	// hash is SHA-256 over the entry's canonical bytes and those of its postings.
	hash [sha256.Size]byte
	// parts are CRC-32C sums, of the entry's own bytes first and then of each
	// posting's. They only point: the hash proves, and the seal covers them too.
	parts []uint32
}

func (d digest) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(d.seq))
	b = binary.BigEndian.AppendUint16(b, uint16(len(d.parts)))
	b = append(b, d.hash[:]...)
	for _, part := range d.parts {
		b = binary.BigEndian.AppendUint32(b, part)
	}
	return b
}

// readDigests is the reverse of append, for a whole seal.
func readDigests(b []byte) ([]digest, error) {
	const head = 8 + 2 + sha256.Size
	var out []digest
	for len(b) > 0 {
		if len(b) < head {
			return nil, errDigests()
		}
		d := digest{seq: int64(binary.BigEndian.Uint64(b))}
		parts := int(binary.BigEndian.Uint16(b[8:]))
		copy(d.hash[:], b[10:])
		if b = b[head:]; len(b) < 4*parts {
			return nil, errDigests()
		}
		for i := range parts {
			d.parts = append(d.parts, binary.BigEndian.Uint32(b[4*i:]))
		}
		out, b = append(out, d), b[4*parts:]
	}
	return out, nil
}

func errDigests() error { return errors.New("ledger: the digests of a seal are cut off") }

// sealHash chains a block to the one before.
func sealHash(tenant string, number, fromSeq, toSeq, entries int64, prev, digests []byte) []byte {
	b := putText(nil, []byte(sealFormat))
	b = putText(b, []byte(tenant))
	for _, n := range []int64{number, fromSeq, toSeq, entries} {
		b = putInt(b, n)
	}
	b = putText(b, prev)
	h := sha256.New()
	h.Write(b)
	h.Write(digests)
	return h.Sum(nil)
}
