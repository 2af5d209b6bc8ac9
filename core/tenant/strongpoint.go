package tenant

import (
	"bytes"
	"crypto/ed25519"

	"filippo.io/edwards25519"
)

// strongPoint reports whether a public key is the one encoding of a point of large
// order. Under a point of small order anybody can sign: the equation that a
// verifier checks holds for signatures made without a private key.
func strongPoint(public ed25519.PublicKey) bool {
	point, err := new(edwards25519.Point).SetBytes(public)
	if err != nil || !bytes.Equal(point.Bytes(), public) {
		return false
	}
	return new(edwards25519.Point).MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) == 0
}
