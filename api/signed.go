package api

import (
	"errors"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/suanpan/suanpan/api/signature"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// keyClaim is the name under which a request carries its verified signature.
const keyClaim = "suanpan.claim"

// verifySignature refuses a request whose key demands a signature that is missing,
// and every one whose signature is not good. A signature that nobody demanded is
// verified too: whoever signs means to be protected.
func (s *server) verifySignature(c *gin.Context) {
	op, _ := c.MustGet(keyOperation).(*operation)
	caller := principal(c)
	if !signature.Signed(c.Request.Header) {
		if mustSign(caller, op) {
			s.refuse(c, unsigned("signature_missing", "This API key demands that this request is signed; docs/api.md tells how."))
			return
		}
		c.Next()
		return
	}
	claim, err := s.verified(c, caller)
	if err != nil {
		s.refuse(c, signatureFault(err))
		return
	}
	c.Set(keyClaim, claim)
	c.Next()
}

func mustSign(p tenant.Principal, op *operation) bool {
	return p.Signature == tenant.SignAlways || p.Signature == tenant.SignMoney && op.money
}

// verified is the claim of a request that one of the caller's signing keys proves.
func (s *server) verified(c *gin.Context, caller tenant.Principal) (signature.Claim, error) {
	claim, err := signature.Read(c.Request, bodyOf(c), time.Now())
	if err != nil {
		return claim, err
	}
	if id.Check(id.SigningKey, claim.KeyID) != nil {
		return claim, signature.ErrInvalid
	}
	public, err := s.keys.signer(c.Request.Context(), caller, claim.KeyID)
	if err != nil {
		return claim, err
	}
	return claim, claim.Verify(c.Request, public)
}

// useSignature uses the request's signature up, after everything else that could
// refuse the request by itself: what is refused before has no effect that could be
// had twice.
func (s *server) useSignature(c *gin.Context) {
	noted, _ := c.Get(keyClaim)
	claim, signed := noted.(signature.Claim)
	if !signed {
		c.Next()
		return
	}
	fresh, err := tenant.UseNonce(c.Request.Context(), s.opts.DB, principal(c).TenantID, claim.KeyID, claim.Nonce, claim.Expires)
	if err == nil && !fresh {
		err = unsigned("signature_replayed", "This signature was used before; sign every request anew, repetitions too.")
	}
	if err != nil {
		s.refuse(c, err)
		return
	}
	c.Next()
}

// signatureFault words why a signature is not taken. That the key is unknown, another
// API key's or retired, that the body is another and that the signature is wrong are
// one refusal.
func signatureFault(err error) error {
	switch {
	case errors.Is(err, signature.ErrMalformed):
		return unsigned("signature_malformed", "Signature-Input and Signature are not of the form that docs/api.md tells.")
	case errors.Is(err, signature.ErrCoverage):
		return unsigned("signature_coverage", "The signature does not cover exactly the components that docs/api.md lists.")
	case errors.Is(err, signature.ErrTime):
		return unsigned("signature_time", "The signature is not good at the server's time, "+time.Now().UTC().Format(time.RFC3339)+
			": created may be at most 60 s ahead, expires not past and at most 300 s after created.")
	case errors.Is(err, signature.ErrDigest), errors.Is(err, signature.ErrInvalid):
		return unsigned("signature_invalid", "No signing key of this API key made this signature for this request.")
	}
	return err
}

func unsigned(code, detail string) error {
	return &fault.Error{Kind: fault.KindUnauthenticated, Code: code, Detail: detail}
}
