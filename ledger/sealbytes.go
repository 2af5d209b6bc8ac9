package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"

	"github.com/suanpan/suanpan/internal/chain"
)

// The canonical bytes of the books: what a seal is a hash of. They depend on no
// database and no version of one, so that anybody can compute them again; the
// format is documented in docs/ledger.md and never changes within sealFormat.
const sealFormat = "suanpan seal 1"

func putIntOrNull(b []byte, n int64, there bool) []byte {
	if !there {
		return chain.PutNull(b)
	}
	return chain.PutInt(b, n)
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
		out = chain.PutText(chain.PutText(out, []byte(key)), []byte(text))
	}
	return out
}

// sealHash chains a block to the one before.
func sealHash(tenant string, number, fromSeq, toSeq, entries int64, prev, digests []byte) []byte {
	return chain.Block{Format: sealFormat, Owner: tenant, Number: number, From: fromSeq, To: toSeq, Rows: entries, Prev: prev}.Hash(digests)
}
