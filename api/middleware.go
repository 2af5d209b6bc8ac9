package api

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/suanpan/suanpan/api/cashier"
	"github.com/suanpan/suanpan/api/peer"
	"github.com/suanpan/suanpan/core/audit"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/internal/telemetry"
)

// The names under which a request carries what middleware found out.
const (
	keyRequestID = "suanpan.request_id"
	keyPrincipal = "suanpan.principal"
	keyBody      = "suanpan.body"
	keyOperation = "suanpan.operation"
	keyRefusal   = "suanpan.refusal"
)

// requestTimeout bounds what one request may take, below the server's write timeout.
const requestTimeout = 20 * time.Second

// identify gives the request an id, ours whatever the caller sent, and a deadline.
func identify(c *gin.Context) {
	requestID := strings.ToLower(rand.Text())
	c.Set(keyRequestID, requestID)
	c.Header("X-Request-Id", requestID)
	ctx, cancel := context.WithTimeout(c.Request.Context(), requestTimeout)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	c.Next()
}

// trace begins the trace of a request that comes to an address of ours. It learns what
// the log learns of it, and nothing else: of the request itself the method and the
// address's template only.
func (s *server) trace(c *gin.Context) {
	if c.FullPath() == "" || c.FullPath() == healthPath {
		c.Next()
		return
	}
	ctx, span := s.opts.Traces.Request(c.Request.Context(), c.Request.Method, c.FullPath())
	defer span.End()
	c.Request = c.Request.WithContext(ctx)
	c.Next()
	facts := telemetry.RequestFacts{ID: c.GetString(keyRequestID), Refusal: c.GetString(keyRefusal)}
	if caller, ok := c.Value(keyPrincipal).(tenant.Principal); ok {
		facts.Tenant = caller.TenantID
	}
	if op, ok := c.Value(keyOperation).(*operation); ok {
		facts.Operation = op.route.Operation.OperationID
	}
	span.Answered(c.Writer.Status(), facts)
}

// policy is for answers that are no pages: nothing in them is to be loaded, sent or framed.
const policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// onlyTLS tells browsers to reach this host and those below it by https alone, for two
// years.
const onlyTLS = "max-age=63072000; includeSubDomains"

// secure sets headers for the case that a browser shows an answer.
func (s *server) secure(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if strings.HasPrefix(s.opts.PublicURL, "https://") {
		h.Set("Strict-Transport-Security", onlyTLS)
	}
	c.Next()
}

// access logs one line per request: no query, no headers, no body, because those hold
// keys and personal data. What was refused has its code, and what speaks of an attack
// is a warning that names the event (docs/operations.md).
func (s *server) access(c *gin.Context) {
	start := time.Now()
	c.Next()
	attrs := []any{"status", c.Writer.Status(), "bytes", c.Writer.Size(), "duration", time.Since(start)}
	if p, ok := c.Get(keyPrincipal); ok {
		caller, _ := p.(tenant.Principal)
		attrs = append(attrs, "tenant", caller.TenantID, "key", caller.KeyID)
		if caller.Person != nil {
			attrs = append(attrs, "principal", caller.Person.ID)
		}
	}
	if !slices.Contains(cashier.Patterns(), c.FullPath()) { // payers are people: where they are is not logged
		attrs = append(attrs, "remote", peer.Address(c.Request, s.opts.TrustedProxies).String())
	}
	if code := c.GetString(keyRefusal); code != "" {
		attrs = append(attrs, "code", code)
	}
	level := slog.LevelInfo
	if event := securityEvent(c.Writer.Status()); event != "" {
		level, attrs = slog.LevelWarn, append(attrs, "event", event)
	}
	s.log(c).Log(c.Request.Context(), level, "request", attrs...)
}

// securityEvent names what a status says about the caller, or is empty.
func securityEvent(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_failed"
	case http.StatusForbidden:
		return "authorization_failed"
	case http.StatusTooManyRequests:
		return "rate_exceeded"
	}
	return ""
}

// recover answers 500 after a panic and keeps the process alive. The stack goes
// to the log only.
func (s *server) recover(c *gin.Context) {
	defer func() {
		reason := recover()
		if reason == nil {
			return
		}
		if err, ok := reason.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(reason)
		}
		s.log(c).Error("panic", "reason", reason, "stack", string(debug.Stack()))
		if c.Writer.Written() {
			c.Abort()
			return
		}
		s.refuse(c, &fault.Error{Kind: kindInternal, Code: "internal",
			Detail: "Something went wrong on our side; it has been logged under the request id in the header X-Request-Id."})
	}()
	c.Next()
}

// authenticate finds the caller, counts the request and checks the operation's scope.
// It also notes the operation for those after it; routes outside the contract do not
// come here.
func (s *server) authenticate(c *gin.Context) {
	op := s.contract.find(c.Request, c.FullPath())
	if op == nil {
		s.refuse(c, fault.NotFound())
		return
	}
	secret, err := bearer(c.Request.Header)
	if err != nil {
		s.refuse(c, err)
		return
	}
	principal, err := s.keys.principal(c.Request.Context(), secret)
	if err != nil {
		s.refuse(c, err)
		return
	}
	c.Set(keyPrincipal, principal)
	telemetry.Link(c.Request.Context(), c.GetHeader("traceparent")) // of a caller we know, beside our own trace
	if err := s.rates.admit(c.Request.Context(), principal); err != nil {
		s.refuse(c, err)
		return
	}
	if err := mayCall(principal, op); err != nil {
		s.refuse(c, err)
		return
	}
	if person := principal.Person; person != nil && person.MerchantID != "" {
		c.Request = c.Request.WithContext(pg.OfMerchant(c.Request.Context(), person.MerchantID))
	}
	if audited(principal, op) {
		c.Request = c.Request.WithContext(audit.Acting(c.Request.Context(), actor(principal, op, c.GetString(keyRequestID))))
	}
	c.Set(keyOperation, op)
	c.Next()
	if op.aboutKeys && c.Writer.Status() < http.StatusMultipleChoices {
		s.keys.forget() // here it is felt at once, elsewhere when the memory is old
	}
}

// audited tells requests whose changes the audit log tells of: what the matrix marks,
// and whatever people and operators change.
func audited(p tenant.Principal, op *operation) bool {
	return op.route.Method != http.MethodGet && (op.action.Audited || op.operator || p.Human())
}

// actor is the caller as the audit log names him.
func actor(p tenant.Principal, op *operation, requestID string) audit.Actor {
	a := audit.Actor{Kind: audit.APIKey, KeyID: p.KeyID, PrincipalID: p.PersonID(), Operation: op.route.Operation.OperationID,
		RequestID: requestID}
	switch {
	case p.Operator():
		a.Kind = audit.Operator
	case p.Person != nil:
		a.Kind = audit.Principal
	}
	return a
}

// mayCall holds the caller against the operation: its scopes and, for a key that
// belongs to a principal, its roles; both must allow. All scopes of a tenant include none
// of an operator, and an operator has no business of its own.
func mayCall(p tenant.Principal, op *operation) error {
	switch {
	case op.operator && !p.Operator(), !p.Allows(op.scope):
		return fault.Forbidden(op.scope)
	case !op.operator && p.Operator():
		return &fault.Error{Kind: fault.KindForbidden, Code: "tenant_key_needed",
			Detail: "This operation is for a tenant's key; an operator's key belongs to no tenant."}
	case !op.operator && !p.Performs(op.action):
		return fault.RoleMissing(op.route.Operation.OperationID)
	}
	return nil
}

func bearer(h http.Header) (string, error) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return "", tenant.Unauthenticated()
	}
	scheme, secret, found := strings.Cut(values[0], " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || secret == "" || len(secret) > 256 || strings.ContainsAny(secret, " \t") {
		return "", tenant.Unauthenticated()
	}
	return secret, nil
}

// principal is the caller that authenticate found.
func principal(ctx context.Context) tenant.Principal {
	p, _ := ctx.Value(keyPrincipal).(tenant.Principal)
	return p
}
