package keys

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"time"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
)

// leastBits is the smallest RSA key both providers take.
const leastBits = 2048

// malformed refuses a key field; detail never repeats what was sent.
func malformed(field channel.CredentialField, code, detail string) error {
	return fault.Invalid(string(field), code, detail)
}

// kind is what a text turns out to be.
type kind string

const (
	kindPrivate     kind = "a private key"
	kindPublic      kind = "a public key"
	kindCertificate kind = "a certificate"
	kindEncrypted   kind = "an encrypted private key"
	kindOther       kind = "no key that can be read"
)

// material is a text that was looked into. key and public are nil unless RSA.
type material struct {
	kind        kind
	key         *rsa.PrivateKey
	public      *rsa.PublicKey
	certificate *x509.Certificate
	// otherAlgorithm: a good key, and not RSA.
	otherAlgorithm bool
}

// look finds out what text is: PEM, or bare base64 of the same.
func look(text string) material {
	text = strings.TrimSpace(text)
	if block, _ := pem.Decode([]byte(text)); block != nil {
		if strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "" {
			return material{kind: kindEncrypted}
		}
		return lookAtDER(block.Bytes)
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil || len(der) == 0 {
		return material{kind: kindOther}
	}
	return lookAtDER(der)
}

func lookAtDER(der []byte) material {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return material{kind: kindPrivate, key: key}
	}
	if any, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		key, _ := any.(*rsa.PrivateKey)
		return material{kind: kindPrivate, key: key, otherAlgorithm: key == nil}
	}
	if _, err := x509.ParseECPrivateKey(der); err == nil {
		return material{kind: kindPrivate, otherAlgorithm: true}
	}
	if any, err := x509.ParsePKIXPublicKey(der); err == nil {
		public, _ := any.(*rsa.PublicKey)
		return material{kind: kindPublic, public: public, otherAlgorithm: public == nil}
	}
	if public, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return material{kind: kindPublic, public: public}
	}
	if certificate, err := x509.ParseCertificate(der); err == nil {
		public, _ := certificate.PublicKey.(*rsa.PublicKey)
		return material{kind: kindCertificate, certificate: certificate, public: public, otherAlgorithm: public == nil}
	}
	return material{kind: kindOther}
}

// want looks into a field and refuses everything but one kind.
func want(field channel.CredentialField, text string, wanted kind) (material, error) {
	if text == "" {
		return material{}, malformed(field, "key_missing", "this key is required")
	}
	m := look(text)
	switch {
	case m.kind == kindOther:
		return m, malformed(field, "key_malformed", "this is no key that can be read; send it as PEM")
	case m.kind == kindEncrypted:
		return m, malformed(field, "key_encrypted", "this private key is protected by a passphrase; send it without")
	case m.kind != wanted:
		return m, malformed(field, "key_kind_wrong", "this is "+string(m.kind)+"; "+string(wanted)+" belongs here")
	case m.otherAlgorithm:
		return m, malformed(field, "key_kind_wrong", "this key is not RSA; the provider wants RSA with SHA-256")
	}
	bits := 0
	if m.key != nil {
		bits = m.key.N.BitLen()
	} else if m.public != nil {
		bits = m.public.N.BitLen()
	}
	if bits < leastBits {
		return m, malformed(field, "key_too_short", "this RSA key is too short; the provider wants 2048 bits or more")
	}
	return m, nil
}

// wantCertificate also refuses one whose time is over or has not come.
func wantCertificate(field channel.CredentialField, text string, now time.Time) (*x509.Certificate, *rsa.PublicKey, error) {
	m, err := want(field, text, kindCertificate)
	if err != nil {
		return nil, nil, err
	}
	if now.After(m.certificate.NotAfter) || now.Before(m.certificate.NotBefore) {
		return nil, nil, malformed(field, "certificate_expired", "this certificate is not valid today; get a new one from the provider")
	}
	return m.certificate, m.public, nil
}

// privatePEM and publicPEM are the one form in which keys are kept.
func privatePEM(key *rsa.PrivateKey) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
}

func publicPEM(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
}

func fingerprint(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	digest := sha256.Sum256(der)
	return hex.EncodeToString(digest[:]), err
}

// serialOf writes a certificate's serial as the providers do: hex, upper case.
func serialOf(certificate *x509.Certificate) string {
	return strings.ToUpper(hex.EncodeToString(certificate.SerialNumber.Bytes()))
}
