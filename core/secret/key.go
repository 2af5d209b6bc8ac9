package secret

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/sha256"

	"github.com/suanpan/suanpan/internal/pg"
)

// Key seals the values of one owner within a tenant, such as a person. It is kept
// sealed under the tenant's data key, and nothing that it sealed opens without it: to
// destroy the sealed key is to destroy them all, wherever they were copied.
type Key struct {
	aead cipher.AEAD
	tag  [tagLength]byte
}

// keyFormat begins what a Key sealed: then come the key's tag, the nonce and the
// sealed text.
const keyFormat byte = 2

// NewKey draws a key and returns it with what is to be kept of it at that place. q is
// a transaction of the tenant or of the system.
func (b *Box) NewKey(ctx context.Context, q pg.Querier, at Place) (Key, []byte, error) {
	plain := randomBytes(keySize)
	sealed, err := b.Seal(ctx, q, at, plain)
	if err != nil {
		return Key{}, nil, err
	}
	key, err := newKey(plain)
	return key, sealed, err
}

// OpenKey opens a key that NewKey returned for the same place; ErrNotOpened for
// anything else. It is a matter of microseconds once the data key is known, so that
// keys are opened for each use and held nowhere: one that was destroyed is gone with
// the next look at its row.
func (b *Box) OpenKey(ctx context.Context, q pg.Querier, at Place, sealed []byte) (Key, error) {
	plain, err := b.Open(ctx, q, at, sealed)
	if err != nil {
		return Key{}, err
	}
	return newKey(plain.Reveal())
}

func newKey(plain []byte) (Key, error) {
	aead, err := newAEAD(plain)
	if err != nil {
		return Key{}, err
	}
	digest := sha256.Sum256(append([]byte("suanpan key tag\x00"), plain...))
	return Key{aead, [tagLength]byte(digest[:tagLength])}, nil
}

func (k Key) head() []byte { return append([]byte{keyFormat}, k.tag[:]...) }

// Seal seals plain for at.
func (k Key) Seal(at Place, plain []byte) []byte {
	head := k.head()
	return seal(k.aead, head, plain, at.bound(head))
}

// Open opens what Seal sealed for the same place; ErrNotOpened for anything else.
func (k Key) Open(at Place, sealed []byte) (Value, error) {
	head := k.head()
	if !bytes.HasPrefix(sealed, head) {
		return Value{}, ErrNotOpened
	}
	plain, err := open(k.aead, sealed[len(head):], at.bound(head))
	if err != nil {
		return Value{}, err
	}
	return NewValue(plain), nil
}
