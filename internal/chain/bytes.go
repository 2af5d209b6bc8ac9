package chain

import "encoding/binary"

// The canonical bytes of a row depend on no database and no version of one, so that
// anybody can compute them again; docs/ledger.md has the format.
//
// A text is its length as four bytes, big-endian, and its UTF-8 bytes; null is
// the length 0xffffffff. A number is eight bytes, big-endian, two's complement,
// preceded by a length of 8. A time is microseconds since 1970 in UTC.

const nullLength = 0xffffffff

// PutText appends a text.
func PutText(b, text []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	return append(b, text...)
}

// PutInt appends a number.
func PutInt(b []byte, n int64) []byte {
	b = binary.BigEndian.AppendUint32(b, 8)
	return binary.BigEndian.AppendUint64(b, uint64(n))
}

// PutNull appends what stands for nothing.
func PutNull(b []byte) []byte { return binary.BigEndian.AppendUint32(b, nullLength) }

// PutRaw appends a text as PostgreSQL sent it; nil is null.
func PutRaw(b, raw []byte) []byte {
	if raw == nil {
		return PutNull(b)
	}
	return PutText(b, raw)
}
