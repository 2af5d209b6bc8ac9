package signature

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The bounds of a signature's life, by the verifier's clock.
const (
	// Lifetime is the longest time from created to expires.
	Lifetime = 300 * time.Second
	// Skew is how far created may lie in the verifier's future.
	Skew = 60 * time.Second
)

// The refusals of a signature that is well formed.
var (
	// ErrCoverage: it does not cover exactly what it must.
	ErrCoverage = errors.New("signature does not cover the request")
	// ErrTime: it is too old, not yet good, or good for too long.
	ErrTime = errors.New("signature outside its time")
	// ErrDigest: Content-Digest is not the one of the body.
	ErrDigest = errors.New("content digest mismatch")
	// ErrInvalid: the key does not prove it.
	ErrInvalid = errors.New("signature invalid")
)

// nonceForm keeps nonces unguessable enough and fit to be stored.
var nonceForm = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)

// Read takes the claim out of a request and holds it against everything but the key:
// what it covers, its times by the clock now, and the digest of the body.
func Read(r *http.Request, body []byte, now time.Time) (Claim, error) {
	input, signature := r.Header.Values("Signature-Input"), r.Header.Values("Signature")
	if len(input) != 1 || len(signature) != 1 {
		return Claim{}, ErrMalformed
	}
	c, err := Parse(input[0], signature[0])
	switch {
	case err != nil:
		return Claim{}, err
	case c.KeyID == "" || !nonceForm.MatchString(c.Nonce) || c.Created.IsZero() || c.Expires.IsZero():
		return Claim{}, ErrMalformed
	case !c.coversExactly(required(r, body)):
		return Claim{}, ErrCoverage
	case !c.inTime(now):
		return Claim{}, ErrTime
	case !digestMatches(r.Header, body):
		return Claim{}, ErrDigest
	}
	return c, nil
}

// Signed reports whether a request comes with a signature, or half of one.
func Signed(h http.Header) bool {
	return len(h.Values("Signature-Input")) > 0 || len(h.Values("Signature")) > 0
}

// required lists what a signature of r must cover: all that decides what the request
// does, by whom and how often.
func required(r *http.Request, body []byte) []string {
	names := []string{"@method", "@authority", "@path", "@query", "authorization"}
	if len(body) > 0 || len(r.Header.Values("Content-Digest")) > 0 {
		names = append(names, "content-digest")
	}
	if len(r.Header.Values("Idempotency-Key")) > 0 {
		names = append(names, "idempotency-key")
	}
	return names
}

func (c Claim) coversExactly(names []string) bool {
	if len(c.Components) != len(names) {
		return false
	}
	for _, name := range names {
		if !slices.Contains(c.Components, name) {
			return false
		}
	}
	return true
}

func (c Claim) inTime(now time.Time) bool {
	return !c.Created.After(now.Add(Skew)) && now.Before(c.Expires) &&
		c.Expires.After(c.Created) && !c.Expires.After(c.Created.Add(Lifetime))
}

// digestMatches holds Content-Digest against the body; without either there is
// nothing to hold.
func digestMatches(h http.Header, body []byte) bool {
	values := h.Values("Content-Digest")
	if len(values) == 0 {
		return len(body) == 0
	}
	return len(values) == 1 && values[0] == Digest(body)
}

// Digest is the value of Content-Digest for a body: SHA-256, and no other.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// Verify reports with ErrInvalid that public does not prove that its owner signed this
// request, and with ErrMalformed that a covered field is missing or repeated.
func (c Claim) Verify(r *http.Request, public ed25519.PublicKey) error {
	base, err := c.base(func(name string) (string, bool) { return component(r, name) })
	if err != nil {
		return err
	}
	if len(public) != ed25519.PublicKeySize || !ed25519.Verify(public, []byte(base), c.value) {
		return ErrInvalid
	}
	return nil
}

// base is the text that is signed (RFC 9421, 2.5).
func (c Claim) base(value func(name string) (string, bool)) (string, error) {
	var b strings.Builder
	for _, name := range c.Components {
		text, ok := value(name)
		if !ok {
			return "", ErrMalformed
		}
		b.WriteString(`"` + name + `": ` + text + "\n")
	}
	b.WriteString(`"@signature-params": ` + c.params)
	return b.String(), nil
}

// component is the value of a covered component. Path and query are the bytes of the
// request line, which nobody has decoded; a field occurs once.
func component(r *http.Request, name string) (string, bool) {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	switch name {
	case "@method":
		return r.Method, true
	case "@authority":
		return strings.ToLower(r.Host), r.Host != ""
	case "@path":
		return path, strings.HasPrefix(path, "/")
	case "@query":
		return "?" + query, true
	}
	values := r.Header.Values(name)
	if len(values) != 1 || strings.HasPrefix(name, "@") {
		return "", false
	}
	return strings.TrimSpace(values[0]), true
}
