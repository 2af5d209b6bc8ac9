package client

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Signer signs requests by HTTP Message Signatures (RFC 9421) with Ed25519; set it in
// Config. It is safe for concurrent use.
type Signer struct {
	keyID string
	key   ed25519.PrivateKey
	now   func() time.Time
}

// signatureLifetime is how long a signature is good: the most that the API takes.
const signatureLifetime = 300 * time.Second

// NewSigner returns a signer with the private half of the signing key that the API
// calls keyID (sgk_…). Register the public half with POST
// /v1/api_keys/{api_key_id}/signing_keys.
func NewSigner(keyID string, key ed25519.PrivateKey) (*Signer, error) {
	if keyID == "" || strings.ContainsAny(keyID, "\"\\ ") {
		return nil, errors.New("suanpan: NewSigner: keyID must be the id of a signing key, sgk_…")
	}
	if len(key) != ed25519.PrivateKeySize {
		return nil, errors.New("suanpan: NewSigner: key must be an Ed25519 private key of 64 bytes; see ed25519.NewKeyFromSeed")
	}
	return &Signer{keyID: keyID, key: key, now: time.Now}, nil
}

// Sign adds Content-Digest, Signature-Input and Signature to a request that has its
// address, Authorization and Idempotency-Key. Each call makes another signature, which
// the API takes once: sign every try anew.
func (s *Signer) Sign(r *http.Request, body []byte) {
	r.Header.Del("Content-Digest")
	if len(body) > 0 {
		sum := sha256.Sum256(body)
		r.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	}
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	covered := [][2]string{
		{"@method", r.Method}, {"@authority", strings.ToLower(host)}, {"@path", path}, {"@query", "?" + r.URL.RawQuery},
	}
	for _, field := range []string{"authorization", "content-digest", "idempotency-key"} {
		if value := r.Header.Get(field); value != "" {
			covered = append(covered, [2]string{field, strings.TrimSpace(value)})
		}
	}
	var names []string
	var base strings.Builder
	for _, c := range covered {
		names = append(names, `"`+c[0]+`"`)
		base.WriteString(`"` + c[0] + `": ` + c[1] + "\n")
	}
	created := s.now().Unix()
	params := fmt.Sprintf(`(%s);created=%d;expires=%d;nonce="%s";keyid="%s";alg="ed25519"`, strings.Join(names, " "),
		created, created+int64(signatureLifetime/time.Second), rand.Text(), s.keyID)
	base.WriteString(`"@signature-params": ` + params)
	r.Header.Set("Signature-Input", "sig1="+params)
	r.Header.Set("Signature", "sig1=:"+base64.StdEncoding.EncodeToString(ed25519.Sign(s.key, []byte(base.String())))+":")
}
